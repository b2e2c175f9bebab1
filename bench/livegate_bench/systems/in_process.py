"""The pipeline without a server: each client is a thread that decodes and judges by itself."""

from __future__ import annotations

from collections.abc import Callable

from livegate.app.build import build_pipeline, build_store
from livegate.core.frame import Frame
from livegate.core.telemetry import StageClock
from livegate.ingest.image import frame_from_bytes
from livegate.preprocess.scratch import Scratch
from livegate_bench.rows import EngineRun
from livegate_bench.system import Ask, Place, Stages, System

ALGO_TASKS = (1031,)


class Plugin(System):
    """One pipeline for all threads, as in a server."""

    is_served = False

    def __init__(self, place: Place) -> None:
        """Load and warm the models."""
        import cv2

        super().__init__(place)
        cv2.setNumThreads(1)
        self._pipeline = build_pipeline(place.config, build_store(place.config))
        self._steps = self._pipeline.plan(ALGO_TASKS)

    @property
    def engines(self) -> tuple[EngineRun, ...]:
        """Of the models that judge a picture."""
        return tuple(
            EngineRun(
                model_id=info.model_id,
                network=info.network,
                sha256=info.sha256,
                backend=info.backend,
                provider_asked=info.provider_asked,
                provider=info.provider,
                precision=info.precision,
            )
            for step in self._steps
            for info in step.model.infos
        )

    def caller(self) -> Ask:
        """A thread's scratch memory."""
        scratch, next_frame = Scratch(), self.source()

        def ask() -> Stages:
            clock = StageClock()
            frame = next_frame()
            clock.lap("decode")
            found = self._pipeline.run(frame, self._steps, clock, scratch)
            self._pipeline.judge(ALGO_TASKS, [found])
            clock.lap("postprocess")
            return {stage: spent_ns / 1e6 for stage, spent_ns in clock.times().items()}

        return ask

    def source(self) -> Callable[[], Frame]:
        """Where a thread's frames come from: the picture, decoded each time."""
        return lambda: frame_from_bytes(self.place.picture, self.place.config.limits)
