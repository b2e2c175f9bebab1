"""Which people and places belong to training, which to validation, which to the frozen test.

By a hash of the name alone: a picture that is added or left out moves no other one, and nothing is
judged on what it was trained on.
"""

from __future__ import annotations

import hashlib
from typing import Literal

Split = Literal["train", "validation", "test"]
VALIDATION, TEST = 0.10, 0.15
"""Parts of all names."""


def split_of(name: str) -> Split:
    """The split that a name falls into, for ever."""
    digest = hashlib.sha256(f"livegate split 1 {name}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    if place < TEST:
        return "test"
    return "validation" if place < TEST + VALIDATION else "train"


def person_of(file_name: str) -> str:
    """Who is on a portrait: both collections name their pictures by the person's number.

    `usc_W000437.jpg` and `bio_W000437.jpg` are the same person.
    """
    stem = file_name.rsplit(".", 1)[0]
    return stem.split("_", 1)[-1]
