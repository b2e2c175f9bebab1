"""Which pipeline serves, and who still uses those that served before.

Whoever needs a pipeline leases it, works with that one to the end, and releases it. `swap` puts another
one in its place between two leases, so nothing is ever answered by a mix of both. A retired pipeline is
closed when its last lease is released, once, in a thread of its own: the one who releases it last is a
worker that others wait for, and freeing networks takes milliseconds. Leases are counted, for when the
interpreter collects an object, and whether it does, is not ours to say.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from types import TracebackType

from livegate.core.errors import ErrorCode, LiveGateError
from livegate.core.telemetry import get_logger
from livegate.engines.pool import shutting_down
from livegate.pipelines.pipeline import Pipeline

log = get_logger("livegate.pipelines")


@dataclass(slots=True, eq=False)
class _Held:
    """A pipeline with the number of its leases; the holder's lock guards all but `closed`."""

    pipeline: Pipeline
    leases: int = 0
    is_retired: bool = False
    is_closing: bool = False
    closed: threading.Event = field(default_factory=threading.Event)


class PipelineLease:
    """The right to use one pipeline; a with-block gets the pipeline, and its end releases it."""

    __slots__ = ("_held", "_holder", "_is_released", "pipeline")

    def __init__(self, holder: PipelineHolder, held: _Held) -> None:
        """Counted by the holder, which makes them."""
        self.pipeline = held.pipeline
        self._holder = holder
        self._held = held
        self._is_released = False

    def share(self) -> PipelineLease | None:
        """One more lease of the same pipeline, retired or not; None once this one was released."""
        with self._holder.lock:
            return None if self._is_released else self._holder.counted(self._held)

    def release(self) -> None:
        """The pipeline is not needed any more; from the second call on nothing happens."""
        with self._holder.lock:
            if self._is_released:
                return
            self._is_released = True
            self._held.leases -= 1
            is_last = self._holder.is_to_close(self._held)
        if is_last:
            self._holder.close_beside(self._held)

    def __enter__(self) -> Pipeline:
        """The pipeline."""
        return self.pipeline

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Release it."""
        self.release()


class Retirement:
    """What becomes of the pipeline that served before a swap."""

    def __init__(self, closed: threading.Event) -> None:
        """`closed` is set when its engines are closed."""
        self._closed = closed

    @property
    def is_over(self) -> bool:
        """Whether nobody uses it any more, and it is closed."""
        return self._closed.is_set()

    def wait(self, timeout_s: float) -> bool:
        """Wait until it is closed; False when it still is in use then."""
        return self._closed.wait(timeout_s)


class PipelineHolder:
    """The pipeline that serves now. Safe for any thread."""

    def __init__(self, pipeline: Pipeline | None = None) -> None:
        """None: still warming."""
        self.lock = threading.Lock()
        self._serving = _Held(pipeline) if pipeline is not None else None
        self._retired: set[_Held] = set()
        self._is_closed = False

    @property
    def current(self) -> Pipeline | None:
        """The pipeline that serves, for looking at; to use one, lease it."""
        serving = self._serving
        return serving.pipeline if serving is not None else None

    @property
    def retired(self) -> int:
        """How many pipelines served before and are not closed yet."""
        return len(self._retired)

    def lease(self) -> PipelineLease:
        """Use the pipeline that serves now, until the lease is released.

        Raises:
            LiveGateError: NOT_INIT while there is none.
        """
        with self.lock:
            if self._serving is None:
                raise LiveGateError(
                    ErrorCode.NOT_INIT,
                    "the models are not warm yet",
                    hint="ask /readyz, then try again",
                )
            return self.counted(self._serving)

    def swap(self, pipeline: Pipeline) -> Retirement:
        """Serve with another pipeline from the next lease on.

        Raises:
            QueueError: QUEUE_STOPED after `close`; the pipeline is closed then.
        """
        closed = threading.Event()
        with self.lock:
            is_late, before, is_idle = self._is_closed, None, False
            if not is_late:
                before, self._serving = self._serving, _Held(pipeline)
                if before is not None:
                    closed, before.is_retired = before.closed, True
                    self._retired.add(before)
                    is_idle = self.is_to_close(before)
        if is_late:
            pipeline.close()
            raise shutting_down()
        if before is None:
            closed.set()
        elif is_idle:
            self.close_beside(before)
        return Retirement(closed)

    def close(self) -> None:
        """The end: close every pipeline, leased or not."""
        with self.lock:
            self._is_closed = True
            held = [*self._retired, *([self._serving] if self._serving is not None else [])]
            due = [one for one in held if not one.is_closing]
            for one in due:
                one.is_closing = True
        for one in due:
            self._close(one)

    # For leases.

    def counted(self, held: _Held) -> PipelineLease:
        """One more lease; the lock is held."""
        held.leases += 1
        return PipelineLease(self, held)

    def is_to_close(self, held: _Held) -> bool:
        """Whether the caller is to close it: nobody uses or closes it; the lock is held."""
        if not held.is_retired or held.leases or held.is_closing:
            return False
        held.is_closing = True
        return True

    def close_beside(self, held: _Held) -> None:
        """Close a pipeline without keeping the calling thread."""
        threading.Thread(target=self._close, args=(held,), name="livegate-retired", daemon=True).start()

    def _close(self, held: _Held) -> None:
        try:
            held.pipeline.close()
            if held.is_retired:
                log.info("retired models closed")
        except Exception:  # an engine that does not close must not keep the count from going down
            log.exception("a retired pipeline did not close")
        finally:
            with self.lock:
                self._retired.discard(held)
            held.closed.set()
