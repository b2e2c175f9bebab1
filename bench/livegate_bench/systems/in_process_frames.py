"""The pipeline without a server, on decoded frames: what a frame queue is compared with.

Each client is a thread. The frame is written anew each time, as a camera writes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from livegate.core.frame import Frame
from livegate_bench.picture import decoded_frame
from livegate_bench.system import Place
from livegate_bench.systems import in_process


class Plugin(in_process.Plugin):
    """Frames of 1280x720 in memory of this process."""

    def __init__(self, place: Place) -> None:
        """Decode the picture once, load and warm the models."""
        super().__init__(place)
        self._frame = decoded_frame(place.picture)

    def source(self) -> Callable[[], Frame]:
        """A thread's one slot."""
        slot = np.empty_like(self._frame)

        def next_frame() -> Frame:
            slot[:] = self._frame
            return Frame(slot, 0)

        return next_frame
