"""Actions one after the other: what counts, what ends it, what says nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livegate.core.results import Action, ActionEvent, Reason
from livegate.pipelines.asking import compare
from livegate.pipelines.steps import Steps

L, R, N, M, B = Action
ACTIONS = st.lists(st.sampled_from(Action), min_size=1, max_size=4)


def event(action: Action, at_ms: int = 0) -> ActionEvent:
    return ActionEvent(action, at_ms, at_ms + 5, at_ms + 9, 0.9)


def fed(steps: Steps, *actions: Action) -> list[Reason | None]:
    return [steps.feed(event(action)) for action in actions]


@pytest.mark.parametrize(
    ("seen", "done", "said"),
    [
        ((), 0, []),
        ((L, N, L), 3, [None, None, None]),
        ((L, L, N, N, L), 3, [None] * 5),
        ((L, B, N), 2, [None, None, None]),
        ((N,), 0, [Reason.ACTION_OUT_OF_ORDER]),
        ((M,), 0, [Reason.ACTION_NOT_ASKED_FOR]),
        ((L, R), 1, [None, Reason.ACTION_NOT_ASKED_FOR]),
        ((L, N, L, L, B), 3, [None] * 5),
        ((L, N, L, N), 3, [None, None, None, Reason.ACTION_NOT_ASKED_FOR]),
    ],
)
def test_left_nod_left_is_followed(
    seen: tuple[Action, ...], done: int, said: list[Reason | None]
) -> None:
    """The next one counts, the last one again and blinks say nothing, all else ends it."""
    steps = Steps((L, N, L), refuse_unasked=True)
    assert fed(steps, *seen) == said
    assert steps.done == done
    assert steps.next == ((L, N, L)[done] if done < 3 else None)


def test_blink_that_was_asked_for_must_come() -> None:
    """A second nod in between is the nod before it."""
    steps = Steps((N, B, N), refuse_unasked=True)
    assert fed(steps, N, N, B, N) == [None] * 4
    assert steps.next is None


def test_others_are_let_pass_where_they_may() -> None:
    """actions.refuse_unasked = false."""
    steps = Steps((L, N), refuse_unasked=False)
    assert fed(steps, M, R, L, M, N) == [None] * 5
    assert steps.done == 2


@given(wanted=ACTIONS, seen=st.lists(st.sampled_from(Action), max_size=8), strict=st.booleans())
def test_who_comes_to_the_end_passes_the_comparison(
    wanted: list[Action], seen: list[Action], strict: bool
) -> None:
    """GOOD after GOOD never leads to a verdict that knows better."""
    steps = Steps(wanted, refuse_unasked=strict)
    events = [event(action, 10 * n) for n, action in enumerate(seen)]
    objections = [steps.feed(one) for one in events]
    _, reasons = compare(wanted, (), events, lambda action: 0.0, refuse_unasked=strict)
    if steps.next is None and not any(objections):
        assert reasons == ()
