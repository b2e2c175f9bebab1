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


def test_windows_that_rise_keep_the_order() -> None:
    """Wide ones, too: a recording that is not as asked for would pass else."""
    both = ((0, 10_000), (0, 10_000))
    assert reasons((LEFT, NOD), events(LEFT, NOD), both) == ()
    assert reasons((LEFT, NOD), events(NOD, LEFT), both) == (Reason.ACTION_OUT_OF_ORDER,)
    assert reasons((LEFT, NOD), events(NOD, LEFT), ((0, 3000), (400, 3000))) == (
        Reason.ACTION_OUT_OF_ORDER,
    )
    assert reasons((LEFT, NOD), events(NOD, LEFT, NOD), both) == (Reason.ACTION_NOT_ASKED_FOR,)


@pytest.mark.parametrize(
    "windows",
    [((0, 5000), (0, 5000)), ((0, 500), (500, 5000)), ((0, 5000), (0, 4000)), ((400, 600), (0, 500))],
)
def test_one_movement_counts_for_one_action(windows: Sequence[Window]) -> None:
    """In windows that overlap, that touch at its peak, that do not rise."""
    (_, why) = compare((NOD, NOD), windows, events(NOD), lambda _: 0.2, refuse_unasked=True)
    assert why == (Reason.ACTION_OUT_OF_ORDER,)


def test_every_window_is_met_where_that_can_be() -> None:
    """The wide window does not take what the narrow one needs."""
    first, second = events(NOD, NOD)
    for windows in (((0, 5000), (0, 1000)), ((0, 1000), (0, 5000))):
        results, why = compare((NOD, NOD), windows, (first, second), lambda _: 0.2, refuse_unasked=True)
        assert why == ()
        assert {result.event for result in results} == {first, second}


def test_window_takes_its_best_that_leaves_room() -> None:
    """The surest that comes after the action before and before the action behind."""
    turn = ActionEvent(LEFT, 0, 500, 900, 0.7)
    nods = [
        ActionEvent(NOD, t, t, t, sure) for t, sure in ((200, 1.0), (600, 0.6), (800, 0.8), (2000, 0.9))
    ]
    mouth = ActionEvent(MOUTH, 1000, 1000, 1000, 0.7)
    windows = ((0, 3000),) * 3
    found = compare((LEFT, NOD, MOUTH), windows, (turn, mouth, *nods), lambda _: 0, refuse_unasked=False)
    assert [result.event for result in found[0]] == [turn, nods[2], mouth]


def test_window_takes_its_best() -> None:
    """Two in one window: the surer one."""
    weak, strong = ActionEvent(NOD, 0, 100, 200, 0.6), ActionEvent(NOD, 300, 400, 500, 0.9)
    ((result,), _) = compare((NOD,), ((0, 1000),), (weak, strong), lambda _: 0.0, refuse_unasked=True)
    assert result.event == strong
