"""A report as a file: read with every claim of its schema checked, written so that no figure is lost."""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from livegate.core.errors import ErrorCode, SetupError, first_line
from livegate_bench.rows import Report

FORMAT = "livegate.bench/1"
MAX_BYTES = 64 << 20
"""A row takes some ten kilobytes; more than this is no report."""


class _Head(msgspec.Struct):
    """What tells a report from other JSON."""

    format: str = ""


def read_report(path: Path) -> Report:
    """The report of a file.

    Raises:
        SetupError: OPEN_FAIL, OUT_OF_RANGE when it is too large, READ_FAIL when it is no report.
    """
    content = _content(path)
    try:
        head = msgspec.json.decode(content, type=_Head)
        if head.format != FORMAT:
            found = f'of format "{head.format[:40]}"' if head.format else "without a format"
            raise _no_report(path, f'{found}; this reads "{FORMAT}"')
        report = msgspec.json.decode(content, type=Report)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _no_report(path, first_line(error)) from error
    for number, row in enumerate(report.rows):
        if row.latency is not None and not _is_histogram(row.latency.edges_ms, row.latency.counts):
            raise _no_report(
                path, f"the histogram of row {number} has no growing edges around its counts"
            )
    return report


def _content(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise SetupError(ErrorCode.OPEN_FAIL, f"{path} is a folder, not a report")
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size > MAX_BYTES:
                raise _too_large(path)
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        why = f"{path} cannot be opened: {error.strerror}"
        raise SetupError(ErrorCode.OPEN_FAIL, why) from error
    if len(content) > MAX_BYTES:  # a pipe does not tell its size
        raise _too_large(path)
    return content


def _too_large(path: Path) -> SetupError:
    return SetupError(ErrorCode.OUT_OF_RANGE, f"{path} is larger than the {MAX_BYTES} bytes of a report")


def _no_report(path: Path, why: str) -> SetupError:
    return SetupError(ErrorCode.READ_FAIL, f"{path} is no report of livegate bench: {why}")


def _is_histogram(edges_ms: tuple[float, ...], counts: tuple[int, ...]) -> bool:
    grows = all(low < high for low, high in itertools.pairwise(edges_ms))
    fits = len(edges_ms) == len(counts) + 1 or not (edges_ms or counts)
    return grows and fits and all(edge > 0 for edge in edges_ms) and min(counts, default=0) >= 0


def report_json(report: Report) -> bytes:
    """As it is written to a file: UTF-8, a line for each value."""
    return msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n"


def not_finite(value: Any, place: str = "report") -> Iterator[str]:
    """The places of NaN and infinity: JSON has neither, and a figure is neither."""
    if isinstance(value, float):
        if not math.isfinite(value):
            yield place
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from not_finite(getattr(value, name), f"{place}.{name}")
    elif isinstance(value, dict):
        for name, part in value.items():
            yield from not_finite(part, f"{place}.{name}")
    elif isinstance(value, tuple):
        for number, part in enumerate(value):
            yield from not_finite(part, f"{place}[{number}]")


def write_file(path: Path, content: bytes) -> None:
    """All of it or nothing: what stood there stays when the disk is full.

    Raises:
        OSError: as the kernel tells.
    """
    if path.exists() and not stat.S_ISREG(path.stat().st_mode):  # /dev/stdout, a pipe
        path.write_bytes(content)
        return
    target = path.resolve()  # a link stays a link
    handle, name = tempfile.mkstemp(prefix=f".{target.name[:40]}.", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(name).chmod(_mode(target))
        Path(name).replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise


def _mode(target: Path) -> int:
    """Of the file that is replaced, else what any new file gets."""
    if target.exists():
        return stat.S_IMODE(target.stat().st_mode)
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
