"""What was asked for against what was seen."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

from livegate.core.results import Action, ActionEvent, ActionResult, Reason

Window = tuple[float, float]
ALWAYS: Window = (-math.inf, math.inf)
Almost = Callable[[Action], float]


def compare(
    wanted: Sequence[Action],
    windows: Sequence[Window],
    events: Sequence[ActionEvent],
    almost: Almost,
    *,
    refuse_unasked: bool,
) -> tuple[tuple[ActionResult, ...], tuple[Reason, ...]]:
    """A result for each action that was asked for, and the reasons why not all of it is well.

    Each action must be seen after the one before it, and with windows have its peak within its own.
    Only windows that are in another order than the actions replace theirs. No movement counts for two
    actions; the same one again at once (a second nod) is one action.

    Args:
        wanted: the actions in the order of the request.
        windows: one for each, or none at all.
        events: what was seen.
        almost: 0..0.49, how near an action came that was not accepted.
        refuse_unasked: whether another movement refuses the whole; blinks never do.
    """
    ordered = sorted(events, key=lambda event: event.peak_ms)
    spans = windows or [ALWAYS] * len(wanted)
    keeps_order = _rise(spans)
    matched = (_in_order if keeps_order else _in_windows)(wanted, spans, ordered)
    if windows and keeps_order:
        matched = _surest(wanted, spans, ordered, matched)
    results, reasons = [], []
    for action, span, event in zip(wanted, spans, matched, strict=True):
        if event is not None:
            results.append(
                ActionResult(action, is_accepted=True, confidence=event.confidence, event=event)
            )
            continue
        reasons.append(_why_not(action, span, ordered))
        results.append(ActionResult(action, is_accepted=False, confidence=almost(action)))
    if refuse_unasked and not reasons and _has_more(wanted, ordered, keeps_order=keeps_order):
        reasons.append(Reason.ACTION_NOT_ASKED_FOR)
    return tuple(results), tuple(dict.fromkeys(reasons))


def _rise(windows: Sequence[Window]) -> bool:
    """Whether none begins or ends before the one before it."""
    return all(a[0] <= b[0] and a[1] <= b[1] for a, b in itertools.pairwise(windows))


def _is_in(event: ActionEvent, action: Action, window: Window) -> bool:
    return event.action is action and window[0] <= event.peak_ms <= window[1]


def _in_order(
    wanted: Sequence[Action], windows: Sequence[Window], events: Sequence[ActionEvent]
) -> list[ActionEvent | None]:
    """The first of each after the one before it."""
    matched: list[ActionEvent | None] = []
    after_ms = -1
    for action, window in zip(wanted, windows, strict=True):
        later = (e for e in events if _is_in(e, action, window) and e.peak_ms > after_ms)
        event = next(later, None)
        matched.append(event)
        if event is not None:
            after_ms = event.peak_ms
    return matched


def _surest(
    wanted: Sequence[Action],
    windows: Sequence[Window],
    events: Sequence[ActionEvent],
    earliest: Sequence[ActionEvent | None],
) -> list[ActionEvent | None]:
    """From the last to the first, the surest between the earliest before it and the one behind it."""
    matched = list(earliest)
    before_ms = math.inf
    for number in reversed(range(len(wanted))):
        if earliest[number] is None:
            continue
        after_ms = max((e.peak_ms for e in earliest[:number] if e is not None), default=-1)
        between = (e for e in events if after_ms < e.peak_ms < before_ms)
        inside = (e for e in between if _is_in(e, wanted[number], windows[number]))
        best = max(inside, key=lambda event: event.confidence)
        matched[number], before_ms = best, best.peak_ms
    return matched


def _in_windows(
    wanted: Sequence[Action], windows: Sequence[Window], events: Sequence[ActionEvent]
) -> list[ActionEvent | None]:
    """For the window that ends first the first that is left: so as many as can be are met."""
    matched: list[ActionEvent | None] = [None] * len(wanted)
    left = list(events)
    for number in sorted(range(len(wanted)), key=lambda number: windows[number][1]):
        inside = (event for event in left if _is_in(event, wanted[number], windows[number]))
        matched[number] = event = next(inside, None)
        if event is not None:
            left.remove(event)
    return matched


def _why_not(action: Action, window: Window, events: Sequence[ActionEvent]) -> Reason:
    if any(_is_in(event, action, window) for event in events):
        return Reason.ACTION_OUT_OF_ORDER
    is_seen = any(event.action is action for event in events)
    return Reason.ACTION_OUTSIDE_WINDOW if is_seen else Reason.ACTION_MISSING


def _has_more(wanted: Sequence[Action], events: Sequence[ActionEvent], *, keeps_order: bool) -> bool:
    """Whether the person did anything else; the same action again, next to its like, is nothing else."""
    seen = [event.action for event in events if event.action is not Action.BLINK]
    asked = [action for action in wanted if action is not Action.BLINK]
    if not keeps_order:
        return bool(set(seen) - set(asked))
    return _collapsed(seen) != _collapsed(asked)


def _collapsed(actions: Sequence[Action]) -> list[Action]:
    return [one for n, one in enumerate(actions) if n == 0 or actions[n - 1] is not one]
