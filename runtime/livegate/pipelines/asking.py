"""What was asked for against what was seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from livegate.core.results import Action, ActionEvent, ActionResult, Reason

Window = tuple[int, int]
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

    Without windows each action must be seen after the one before it. With windows each must have its
    peak within its own. The same action again at once (a second nod) is one action.

    Args:
        wanted: the actions in the order of the request.
        windows: one for each, or none at all.
        events: what was seen.
        almost: 0..0.49, how near an action came that was not accepted.
        refuse_unasked: whether another movement refuses the whole; blinks never do.
    """
    ordered = sorted(events, key=lambda event: event.peak_ms)
    matched = _in_windows(wanted, windows, ordered) if windows else _in_order(wanted, ordered)
    results, reasons = [], []
    for action, event in zip(wanted, matched, strict=True):
        if event is not None:
            results.append(
                ActionResult(action, is_accepted=True, confidence=event.confidence, event=event)
            )
            continue
        is_seen = any(event.action is action for event in ordered)
        otherwise = Reason.ACTION_OUTSIDE_WINDOW if windows else Reason.ACTION_OUT_OF_ORDER
        reasons.append(otherwise if is_seen else Reason.ACTION_MISSING)
        results.append(ActionResult(action, is_accepted=False, confidence=almost(action)))
    if refuse_unasked and not reasons and _has_more(wanted, matched, ordered, is_windowed=bool(windows)):
        reasons.append(Reason.ACTION_NOT_ASKED_FOR)
    return tuple(results), tuple(dict.fromkeys(reasons))


def _in_order(wanted: Sequence[Action], events: Sequence[ActionEvent]) -> list[ActionEvent | None]:
    matched: list[ActionEvent | None] = []
    after_ms = -1
    for action in wanted:
        later = (one for one in events if one.action is action and one.peak_ms > after_ms)
        event = next(later, None)
        matched.append(event)
        if event is not None:
            after_ms = event.peak_ms
    return matched


def _in_windows(
    wanted: Sequence[Action], windows: Sequence[Window], events: Sequence[ActionEvent]
) -> list[ActionEvent | None]:
    matched: list[ActionEvent | None] = []
    for action, (first_ms, last_ms) in zip(wanted, windows, strict=True):
        inside = [e for e in events if e.action is action and first_ms <= e.peak_ms <= last_ms]
        matched.append(max(inside, key=lambda event: event.confidence, default=None))
    return matched


def _has_more(
    wanted: Sequence[Action],
    matched: Sequence[ActionEvent | None],
    events: Sequence[ActionEvent],
    *,
    is_windowed: bool,
) -> bool:
    """Whether the person did anything else; the same action again, next to its like, is nothing else."""
    seen = [event.action for event in events if event.action is not Action.BLINK]
    asked = [action for action in wanted if action is not Action.BLINK]
    if is_windowed:
        return bool(set(seen) - set(asked))
    return _collapsed(seen) != _collapsed(asked)


def _collapsed(actions: Sequence[Action]) -> list[Action]:
    return [one for n, one in enumerate(actions) if n == 0 or actions[n - 1] is not one]
