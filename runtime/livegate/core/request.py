"""What a caller asks for, whichever face it came through."""

from __future__ import annotations

from dataclasses import dataclass

CODE_ANALYZE = 1019
"""Message code of an image request; the answer carries one more."""


@dataclass(frozen=True, slots=True)
class AnalyzeRequest:
    """An image request: some pictures of one resolution and the algorithms to run on them.

    `wants_quality`: measure the largest face of each as well.
    """

    code: int
    task_id: str
    algo_tasks: tuple[int, ...]
    images: tuple[bytes, ...]
    request_id: str
    deadline_ns: int | None = None
    """Monotonic nanoseconds after which nobody waits for the answer any more."""
    wants_quality: bool = False
    context: object = None
    """What the face that asks wants to find again when it renders; nobody else looks at it."""


CODE_VERIFY = 9002
"""Message code of a video request."""
CODE_CHALLENGE = 9011
"""Message code of a request for a challenge."""


@dataclass(frozen=True, slots=True)
class VerifyRequest:
    """A video request: did the person in it do these actions?

    `windows`: for each action when it must be done, (first, last) in milliseconds of the video; empty:
    any time, in the order asked for. `is_mirrored`: the picture is a mirror's, as selfie cameras show.
    `needs_actions`: without actions it is no request; False: they may be left out, and the verdict tells
    what was seen, silent liveness and continuity. `context` as in an AnalyzeRequest.
    `challenge`: the nonce of the challenge that this answers, whose actions then hold; empty: none.
    """

    code: int
    task_id: str
    actions: tuple[int, ...]
    video: bytes
    request_id: str
    windows: tuple[tuple[int, int], ...] = ()
    nod_deg: float | None = None
    is_mirrored: bool = False
    deadline_ns: int | None = None
    needs_actions: bool = True
    context: object = None
    challenge: str = ""


Question = AnalyzeRequest | VerifyRequest
"""What a message of a cloud may ask."""
