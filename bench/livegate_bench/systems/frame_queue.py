"""FrameProducer at 1280x720 BGR: each client is a camera with one frame on its way.

The frame is written anew each time, as a camera writes; that is the camera's work and stands in the
load's core-milliseconds.
"""

from __future__ import annotations

import itertools
import os

from livegate.client import FrameProducer
from livegate_bench.picture import FRAME_HEIGHT, FRAME_WIDTH, decoded_frame
from livegate_bench.system import Ask, Place, Refused, System

WAIT_S = 10.0


class Plugin(System):
    """Decoded frames in shared memory."""

    without_server = "in-process-frames"
    most_callers = 8  # each has slots of its own in the server
    busy_code = ""  # a camera's newer frame takes the place of an older one

    def __init__(self, place: Place) -> None:
        """Decode the picture once."""
        super().__init__(place)
        self._frame = decoded_frame(place.picture)
        self._numbers = itertools.count()

    def caller(self) -> Ask:
        """A camera of its own."""
        camera = f"bench-{os.getpid()}-{next(self._numbers)}"  # of several loads, each its own
        path, width, height = self.place.server.frames, FRAME_WIDTH, FRAME_HEIGHT
        producer = FrameProducer(path, camera=camera, width=width, height=height)
        self.stack.enter_context(producer)

        def ask() -> None:
            with producer.loan(timeout_s=0.2) as pixels:
                pixels[:] = self._frame
            # An answer that came too late for its own request must not be taken for this one's.
            while results := producer.results(timeout_s=WAIT_S):
                if results[-1].frame_id == producer.frame_id:
                    break
            else:
                raise TimeoutError(f"no answer to a frame within {WAIT_S:g} s")
            if not results[-1].has_verdict:
                raise Refused(str(int(results[-1].outcome.code)))

        return ask
