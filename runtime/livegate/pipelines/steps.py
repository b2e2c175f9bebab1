"""How far a person has come in a list of actions, one movement after the other."""

from __future__ import annotations

from collections.abc import Sequence

from livegate.core.results import Action, ActionEvent, Reason


class Steps:
    """For prompting. Whoever comes to the end without an objection has passed `compare`, too."""

    def __init__(self, actions: Sequence[Action], *, refuse_unasked: bool) -> None:
        """Nothing is done. `refuse_unasked`: whether another movement ends it; blinks never do."""
        self._actions = tuple(actions)
        self._refuse_unasked = refuse_unasked
        self._last: Action | None = None
        self.done = 0
        """How many are done, in their order."""

    @property
    def next(self) -> Action | None:
        """What is to be done next; None when all is done."""
        return self._actions[self.done] if self.done < len(self._actions) else None

    def feed(self, event: ActionEvent) -> Reason | None:
        """Count a movement; why it ends all, None when it does not.

        The same one again at once (a second nod) is the same action, and says nothing.
        """
        action = event.action
        if action is self.next:
            self.done += 1
            self._last = self._last if action is Action.BLINK else action
            return None
        if action in (Action.BLINK, self._last) or not self._refuse_unasked:
            return None
        later = self._actions[self.done :]
        return Reason.ACTION_OUT_OF_ORDER if action in later else Reason.ACTION_NOT_ASKED_FOR
