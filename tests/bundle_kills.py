"""Kills installers and looks what serves afterwards: `python bundle_kills.py ROOT KEYS KILLS BUNDLE…`.

Each installer is a process of its own. Some kill themselves at a drawn one of the file operations that
Python tells its audit hooks, some are killed after a drawn time, which falls into their children, too.
The next one begins on what the last one left. One line of JSON for each.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from livegate.bundles.box import this_python
from livegate.bundles.install import Order, install
from livegate.bundles.installation import Installation
from livegate.bundles.trust import KeyTrust, read_keys
from livegate.core.errors import ErrorCode, LiveGateError

WATCHED = ("open", "os.", "shutil.", "subprocess.", "fcntl.", "tempfile.")
SEED = 7
HANG_S = 60.0
FINISHED, BUSY = 0, 75
TRIES = 8
"""Installers that are killed before one may finish."""


class Killer:
    """An audit hook that ends the process at the n-th file operation; 0 = only counts."""

    def __init__(self, at: int) -> None:
        """Count from now on."""
        self.at, self.count = at, 0

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        """Count, and end it without a word."""
        if event.startswith(WATCHED):
            self.count += 1
            if self.count == self.at:
                os.kill(os.getpid(), signal.SIGKILL)


def attempt(order: Order, root: Path, *, at: int = 0, after_s: float | None = None) -> tuple[int, int]:
    """One installer in a process of its own; its status (negative: the signal) and its operations."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        killer = Killer(at)
        sys.addaudithook(killer)
        status = FINISHED
        try:
            install(order, Installation(root), lambda text: None)
        except LiveGateError as error:
            status = BUSY if error.code is ErrorCode.BUSY else 1
            print(error, file=sys.stderr)
        os.write(writing, str(killer.count).encode())
        os._exit(status)
    os.close(writing)
    if after_s is not None:
        time.sleep(after_s)
        os.kill(child, signal.SIGKILL)  # a process that has ended is still ours: nobody has waited
    _, waited = os.waitpid(child, 0)
    with os.fdopen(reading, "rb") as told:
        count = int(told.read() or b"0")
    return os.waitstatus_to_exitcode(waited), count


def install_whole(order: Order, root: Path) -> int:
    """To its end; what a killed installer started may hold the lock for a moment."""
    until_s = time.monotonic() + HANG_S
    while True:
        status, count = attempt(order, root)
        if status == FINISHED:
            return count
        assert status == BUSY, status
        assert time.monotonic() < until_s, "the lock is never free"
        time.sleep(0.05)


def serving(root: Path) -> str:
    """What the current version says, started anew."""
    command = [str(root / "current/bin/livegate"), "--version"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1]


def main(arguments: Sequence[str]) -> None:
    """Install the bundles in turn under kills, each to its end after some of them."""
    root, keys, kills = Path(arguments[0]), read_keys(Path(arguments[1])), int(arguments[2])
    orders = (Order(Path(name), KeyTrust(keys), this_python()) for name in arguments[3:])
    draw = random.Random(SEED)
    install_whole(next(orders), root)
    begun_s = time.monotonic()
    operations = install_whole(next(orders), root)
    took_s = time.monotonic() - begun_s
    killed, tries, order = 0, 0, next(orders)
    while killed < kills:
        before = serving(root)
        if killed % 3 == 2:
            status, _ = attempt(order, root, after_s=draw.uniform(0, took_s))
        else:
            status, _ = attempt(order, root, at=draw.randint(1, operations))
        after = serving(root)
        killed, tries = killed + (status == -signal.SIGKILL), tries + 1
        print(json.dumps({"status": status, "before": before, "after": after}))
        if after != before or tries >= TRIES or killed == kills:
            install_whole(order, root)
            place = Installation(root)
            left = sorted(path.name for path in place.versions.iterdir())
            told = {"installed": serving(root), "left": left, "kept": place.finished()}
            print(json.dumps(told))
            tries, order = 0, next(orders)


if __name__ == "__main__":
    main(sys.argv[1:])
