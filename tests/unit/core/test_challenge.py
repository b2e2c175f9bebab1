"""What a person is told, and what of a challenge stays out of sight."""

from __future__ import annotations

import pytest

from livegate.core.challenge import Challenge, Prompt, PromptKind
from livegate.core.results import Action

EVERY = [*(Prompt(kind) for kind in PromptKind if kind is not PromptKind.DO)]
EVERY += [Prompt(PromptKind.DO, action) for action in Action]


@pytest.mark.parametrize("prompt", EVERY, ids=str)
def test_prompt_has_a_text_of_its_own_in_each_language(prompt: Prompt) -> None:
    """Every kind, and every action that may be asked for: no two read the same."""
    assert set(prompt.texts) == {"en", "zh"}
    for language, text in prompt.texts.items():
        assert text.strip() == text != ""
        assert [one.texts[language] for one in EVERY].count(text) == 1


def test_praise_reads_the_same_after_every_action() -> None:
    """GOOD carries the action, and does not ask for it again."""
    assert Prompt(PromptKind.GOOD, Action.NOD).texts == Prompt(PromptKind.GOOD).texts


def test_challenge_tells_its_steps_and_hides_its_nonce() -> None:
    """A log line with a challenge gives nobody the right to answer it."""
    challenge = Challenge("the-nonce", (Action.NOD, Action.MOUTH), 30_000, 1, 2)
    assert [(one.kind, one.action, one.index, one.total) for one in challenge.prompts] == [
        (PromptKind.DO, Action.NOD, 0, 2),
        (PromptKind.DO, Action.MOUTH, 1, 2),
    ]
    assert "the-nonce" not in repr(challenge)
