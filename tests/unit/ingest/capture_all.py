"""Plays every file of a folder to its end; prints how many ended in one of our errors."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from livegate.core.config import LimitsConfig
from livegate.ingest.capture import Capture, Timeouts
from livegate.ingest.failure import CaptureError
from livegate.ingest.location import location_from_url

ended = 0
for path in sorted(Path(sys.argv[1]).iterdir()):
    location = location_from_url(f"file:{path}")
    capture = Capture(location, LimitsConfig(), Timeouts(30, 30), pause=lambda seconds: None)
    try:
        with capture:
            for picture in capture.pictures():
                picture.write_to(np.empty((picture.height, picture.width, 3), np.uint8))
    except CaptureError:
        ended += 1
print(ended)
