"""What a caller asks for, whichever face it came through."""

from __future__ import annotations

from dataclasses import dataclass

CODE_ANALYZE = 1019
"""Message code of an image request; the answer carries one more."""


@dataclass(frozen=True, slots=True)
class AnalyzeRequest:
    """An image request: some pictures of one resolution and the algorithms to run on them."""

    code: int
    task_id: str
    algo_tasks: tuple[int, ...]
    images: tuple[bytes, ...]
    request_id: str
    deadline_ns: int | None = None
    """Monotonic nanoseconds after which nobody waits for the answer any more."""
