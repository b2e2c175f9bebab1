"""A server to be killed: a supervisor with one camera, which it was told of in argv.

    lone_supervisor.py FRAMES_SOCKET URL

Prints every report as `STATE CODE`, then sleeps until it is killed.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from livegate.app.supervisor import CameraSupervisor
from livegate.core.camera import CameraReport
from livegate.core.config import CameraConfig, IngestConfig, LimitsConfig


def tell(report: CameraReport) -> None:
    print(report.state.value, int(report.code), flush=True)


def main() -> None:
    supervisor = CameraSupervisor(IngestConfig(), LimitsConfig(), Path(sys.argv[1]), tell)
    supervisor.add(CameraConfig(name="door", url=sys.argv[2]))
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
