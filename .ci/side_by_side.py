"""Runs commands side by side, each after a `--`, and fails if one of them does.

The first says what it says at once, the others when all have ended. Whoever stops this one (Ctrl-C,
SIGTERM) stops them all: a shell's own background jobs would not hear of it.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import IO, NoReturn

END_S = 15.0


def main(words: Sequence[str]) -> int:
    """The status: 0 where all of them ended with 0."""
    signal.signal(signal.SIGTERM, _interrupt)
    first, *others = _commands(words)
    with contextlib.ExitStack() as stack:
        said = [stack.enter_context(tempfile.TemporaryFile("w+")) for _ in others]
        running = [_started(stack, first, None)]
        running += [_started(stack, command, out) for command, out in zip(others, said, strict=True)]
        failed = [process.args for process in running if process.wait()]
        for out in said:
            out.seek(0)
            shutil.copyfileobj(out, sys.stdout)
    for command in failed:
        print("failed:", *command)
    return 1 if failed else 0


def _commands(words: Sequence[str]) -> Iterator[list[str]]:
    """What stands between the `--`."""
    command: list[str] = []
    for word in words:
        if word == "--":
            yield command
            command = []
        else:
            command.append(word)
    yield command


def _started(
    stack: contextlib.ExitStack, command: list[str], out: IO[str] | None
) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(command, stdout=out, stderr=None if out is None else subprocess.STDOUT)
    stack.callback(_end, process)
    return process


def _end(process: subprocess.Popen[bytes]) -> None:
    """After a Ctrl-C it has heard that, too, and tidies up."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _interrupt(number: int, _: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
