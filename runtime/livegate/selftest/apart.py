"""A part of the selftest in a process of its own, because what it tries may end the process.

A library for a device may crash where Python cannot catch it, or never come back. The part is a function
`name(asked: bytes) -> Iterator` of a module; what it yields comes through a pipe as JSON, one line each,
as soon as it is there: so whoever waits knows how far it came. What it is asked comes through standard
input, because it may hold the configuration's secrets; its standard output is nobody's.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import IO, Any

import msgspec

from livegate.app.lines import LineReader
from livegate.core.config import LogConfig
from livegate.core.errors import LiveGateError, first_line
from livegate.core.interpreter import module_command
from livegate.core.telemetry import configure_logging
from livegate.ingest.confine import PR_SET_PDEATHSIG, how_it_ended

LAST_WORDS_BYTES = 2000
END_S = 5.0
"""From the end of its answers to SIGKILL."""


class PartError(Exception):
    """The part did not come to its end: it crashed, hung, or failed; says how."""


class PartLate(PartError):
    """It gave no answer in time, and was ended."""


class _Line(msgspec.Struct, frozen=True):
    answer: msgspec.Raw = msgspec.Raw(b"null")
    failure: str = ""


class Apart:
    """One process for one part. Use as a context manager: at its end nothing of it runs any more."""

    def __init__(self, part: str, asked: bytes, *, clock: Callable[[], float] = time.monotonic) -> None:
        """`part` is module:function; nothing is started yet."""
        self._part, self._asked, self._clock = part, asked, clock
        self._process: subprocess.Popen[bytes] | None = None
        self._answers: int | None = None
        self._last_words: IO[bytes] | None = None

    def __enter__(self) -> Apart:
        """Started.

        Raises:
            PartError: no process could be started.
        """
        self._answers, theirs = os.pipe()
        self._last_words = tempfile.TemporaryFile()
        try:
            self._process = subprocess.Popen(
                (*module_command(__name__), self._part, str(theirs)),
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=self._last_words,
                pass_fds=(theirs,),
                start_new_session=True,
            )
        except OSError as error:
            raise PartError(f"no process could be started: {error.strerror}") from error
        finally:
            os.close(theirs)
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it died at once: its end tells why
            self._process.stdin.write(self._asked)
            self._process.stdin.close()
        return self

    def __exit__(self, *error: object) -> None:
        """Ended, with whatever it started."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        for held in (self._last_words, self._process and self._process.stdin):
            if held:
                with contextlib.suppress(BrokenPipeError):
                    held.close()
        if self._answers is not None:
            os.close(self._answers)

    @property
    def is_running(self) -> bool:
        """Whether the part has not come to its end yet."""
        return self._process is not None and self._process.poll() is None

    def answers(self, *, wait_s: float, until_s: float) -> Iterator[bytes]:
        """What the part yields, as JSON.

        Args:
            wait_s: how long each answer may take.
            until_s: when all have to be there, by the clock.

        Raises:
            PartError: it crashed, failed, or took longer.
        """
        assert self._answers is not None
        reader = LineReader(self._answers)
        with selectors.DefaultSelector() as selector:
            selector.register(reader.fd, selectors.EVENT_READ)
            while not reader.is_ended:
                due_s = min(self._clock() + wait_s, until_s)
                if not selector.select(max(0.0, due_s - self._clock())):
                    raise PartLate(f"it gave no answer in time ({wait_s:.0f} s at most)")
                for line in reader.read():
                    yield _answer(line)
        self._end()

    def _end(self) -> None:
        assert self._process is not None
        try:
            status = self._process.wait(END_S)
        except subprocess.TimeoutExpired as error:
            raise PartError("its process did not end") from error
        if status:
            said = self._said()
            raise PartError(f"its process {how_it_ended(status)}{f' ({said})' if said else ''}")

    def _said(self) -> str:
        """The last line that a dying library wrote."""
        assert self._last_words is not None
        size = self._last_words.seek(0, os.SEEK_END)
        self._last_words.seek(max(0, size - LAST_WORDS_BYTES))
        said = self._last_words.read().decode(errors="replace").strip().splitlines()
        return said[-1][:200] if said else ""


def _answer(line: str) -> bytes:
    try:
        told = msgspec.json.decode(line, type=_Line)
    except msgspec.MsgspecError as error:
        raise PartError("its process told what is no answer") from error
    if told.failure:
        raise PartError(told.failure)
    return bytes(told.answer)


def main() -> None:
    """Run one part, in the process of its own."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    part, answers = sys.argv[1], int(sys.argv[2])
    os.set_inheritable(answers, False)  # a process of the part's own must not hold it open
    configure_logging(LogConfig(level="error"))
    room, _, name = part.partition(":")
    with os.fdopen(answers, "wb") as stream:

        def tell(**line: Any) -> None:
            stream.write(msgspec.json.encode(line) + b"\n")
            stream.flush()

        try:
            for answer in getattr(importlib.import_module(room), name)(sys.stdin.buffer.read()):
                tell(answer=answer)
        except LiveGateError as error:
            tell(failure=str(error))
        except Exception as error:  # noqa: BLE001 - whatever a library raises is a finding
            tell(failure=f"{type(error).__name__}: {first_line(error)}")


if __name__ == "__main__":
    main()
