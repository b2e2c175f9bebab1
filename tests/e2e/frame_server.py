"""A server to be killed: a broker whose frames are leased when stdin says so, and never let go."""

from __future__ import annotations

import sys
from pathlib import Path

from livegate.core.config import FramesConfig
from livegate.shm.broker import Broker


def main() -> None:
    broker = Broker(Path(sys.argv[1]), FramesConfig())
    broker.start()
    held = []
    print("ready", flush=True)
    for _ in sys.stdin:
        held.append(broker.pop(timeout_s=20.0))
        print("leased", held[-1].view().frame_id, flush=True)


if __name__ == "__main__":
    main()
