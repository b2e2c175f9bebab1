"""Plays a camera's process: reads the settings, then does what the last word of its URL says."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

settings = json.loads(sys.stdin.readline())
what = settings["url"].rpartition("/")[2]


def say(state: str, **more: object) -> None:
    print(json.dumps({"state": state, **more}), flush=True)


def stay() -> None:
    sys.stdin.read()


match what:
    case "stream":
        say("STREAMING", width=64, height=48, message=f"pid {os.getpid()}")
        stay()
    case "crash":
        say("STARTING")
        os.kill(os.getpid(), signal.SIGSEGV)
    case "streaming-crash":
        say("STREAMING", width=64, height=48)
        os._exit(7)
    case "retrying-crash":
        say("RETRYING", code=1025, message="no frame queue answers")
        sys.exit(75)
    case "silent":
        say("STREAMING", width=64, height=48, message=f"pid {os.getpid()}")
        signal.pause()
    case "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        say("STREAMING", width=64, height=48, message=f"pid {os.getpid()}")
        signal.pause()
    case "end":
        say("ENDED", code=2003, message="it ended")
    case "failed":
        say("FAILED", code=2007, message="wrong codec")
    case "nonsense":
        print("x" * 100_000, "{}", '{"state": "DANCING"}', "[1", sep="\n", flush=True)
        say("STREAMING", code=4711, message="well")
        stay()
    case "late":
        for late_ms in (15_000, 0, 1000, 1200, 1400, 0):
            say("STREAMING", late_ms=late_ms)
        say("RETRYING", late_ms=5000)
        say("RETRYING", late_ms=5000)
        say("STREAMING", width=64, height=48)
        stay()
    case "complain":
        for number in range(200):
            print(f"{number} {settings['url']} {'y' * 3000}", file=sys.stderr, flush=True)
        say("STREAMING", message=settings["url"])
        stay()
    case "environment":
        names = sorted(name for name in os.environ if name.startswith(("LIVEGATE", "KEPT")))
        fds = sorted(int(entry.name) for entry in Path("/proc/self/fd").iterdir())[:-1]
        leads = os.getsid(0) == os.getpid()
        say("STREAMING", message=json.dumps({"names": names, "fds": fds, "leads": leads}))
        stay()
