"""What was asked for against what was seen."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest

from livegate.core.results import Action, ActionEvent, Reason
from livegate.pipelines.asking import Window, compare

LEFT, RIGHT, NOD, MOUTH, BLINK = Action


def events(*actions: Action) -> list[ActionEvent]:
    """One each second."""
    return [
        ActionEvent(action, 1000 * n + 200, 1000 * n + 500, 1000 * n + 800, 0.8)
        for n, action in enumerate(actions)
    ]


def reasons(
    wanted: Sequence[Action],
    found: Sequence[ActionEvent],
    windows: Sequence[Window] = (),
    *,
    refuse_unasked: bool = True,
) -> tuple[Reason, ...]:
    """Why it is not well."""
    return compare(wanted, windows, found, lambda _: 0.2, refuse_unasked=refuse_unasked)[1]


@pytest.mark.parametrize("order", list(itertools.permutations((LEFT, NOD, MOUTH))))
def test_only_the_order_asked_for_is_accepted(order: tuple[Action, ...]) -> None:
    """Each wrong order of three is refused."""
    expected = () if order == (LEFT, NOD, MOUTH) else (Reason.ACTION_OUT_OF_ORDER,)
    assert reasons((LEFT, NOD, MOUTH), events(*order)) == expected


def test_missing_action_has_the_confidence_of_its_best_attempt() -> None:
    """Its result is there, refused, with what almost was."""
    results, why = compare((LEFT, NOD), (), events(LEFT), lambda _: 0.2, refuse_unasked=True)
    assert [(r.action, r.is_accepted, r.confidence) for r in results] == [
        (LEFT, True, 0.8),
        (NOD, False, 0.2),
    ]
    assert why == (Reason.ACTION_MISSING,)


def test_same_action_again_is_one() -> None:
    """Two nods are a nod; asked for twice, two are needed."""
    assert reasons((NOD,), events(NOD, NOD)) == ()
    assert reasons((NOD, NOD), events(NOD, NOD)) == ()
    assert reasons((NOD, NOD), events(NOD)) == (Reason.ACTION_OUT_OF_ORDER,)


def test_more_than_was_asked_for_is_refused_unless_allowed() -> None:
    """A recording with every action in it would pass else."""
    assert reasons((NOD,), events(LEFT, NOD)) == (Reason.ACTION_NOT_ASKED_FOR,)
    assert reasons((LEFT, NOD), events(NOD, LEFT, NOD)) == (Reason.ACTION_NOT_ASKED_FOR,)
    assert reasons((NOD,), events(LEFT, NOD), refuse_unasked=False) == ()


def test_blinks_are_free() -> None:
    """Nobody can help blinking; asked for, it is needed."""
    assert reasons((NOD,), events(BLINK, NOD, BLINK)) == ()
    assert reasons((BLINK,), events(NOD, BLINK)) == (Reason.ACTION_NOT_ASKED_FOR,)
    assert reasons((BLINK,), events(NOD)) == (Reason.ACTION_MISSING,)


def test_windows_replace_the_order() -> None:
    """Each peak in its own window, whatever the order of the list."""
    found = events(LEFT, NOD)
    assert reasons((NOD, LEFT), found, ((1000, 2000), (0, 1000))) == ()
    assert reasons((LEFT, NOD), found, ((0, 499), (1000, 2000))) == (Reason.ACTION_OUTSIDE_WINDOW,)
    assert reasons((LEFT,), events(NOD, LEFT), ((1000, 2000),)) == (Reason.ACTION_NOT_ASKED_FOR,)


def test_window_takes_its_best() -> None:
    """Two in one window: the surer one."""
    weak, strong = ActionEvent(NOD, 0, 100, 200, 0.6), ActionEvent(NOD, 300, 400, 500, 0.9)
    ((result,), _) = compare((NOD,), ((0, 1000),), (weak, strong), lambda _: 0.0, refuse_unasked=True)
    assert result.event == strong
