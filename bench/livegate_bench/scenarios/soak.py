"""Minutes of the same: does memory grow, do descriptors?

A closed loop of clients; after each window the server's memory and descriptors are noted, and a straight
line through them (least squares) is the growth. The first tenth of the time is left out of it: caches
fill then.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from livegate_bench.bench import Bench
from livegate_bench.generator.loadgen import Closed
from livegate_bench.measure.meter import open_files, rss_bytes
from livegate_bench.measure.rounds import Contender, row_of, take_turns
from livegate_bench.options import MOST_CLIENTS, number, system, whole
from livegate_bench.rows import Row

HELP = "minutes of the same: growth of memory and descriptors"
NAME = "soak"
PERCENTILE = 0.99
HOUR_S = 3600
QUICK_MINUTES = 0.1
MIB = 1 << 20
Note = tuple[float, int, int]
"""Seconds, resident bytes, descriptors."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """How long, and through what."""
    parser.add_argument("--minutes", type=number(0.01, 60 * 24 * 7), default=10.0)
    parser.add_argument("--clients", type=whole(1, MOST_CLIENTS), default=4)
    parser.add_argument("--system", type=system, default="grpc-tcp")


def rows(bench: Bench, options: argparse.Namespace) -> list[Row]:
    """One, with the growth an hour."""
    minutes = min(options.minutes, QUICK_MINUTES) if options.quick else options.minutes
    windows = max(3, round(minutes * 60 / bench.pace.seconds))
    pace = replace(bench.pace, rounds=windows, most_rounds=windows)
    notes: list[Note] = []
    order = Closed(options.clients, bench.pace.seconds)
    contender = Contender(options.system, {"clients": options.clients}, order, PERCENTILE)

    def note(pid: int) -> None:
        notes.append((time.monotonic(), rss_bytes(pid), open_files(pid)))

    (track,) = take_turns(bench, NAME, [contender], pace, after_each=note)
    return [row_of(bench, NAME, track, figures=growth(notes))]


def growth(notes: Sequence[Note]) -> dict[str, float]:
    """Straight lines through what was noted, an hour."""
    late: Any = np.array(notes[len(notes) // 10 :], np.float64)
    hours = (late[:, 0] - late[0, 0]) / HOUR_S
    return {
        "rss_slope_mib_per_h": float(np.polyfit(hours, late[:, 1] / MIB, 1)[0]),
        "fds_slope_per_h": float(np.polyfit(hours, late[:, 2], 1)[0]),
        "rss_first_mib": notes[0][1] / MIB,
        "rss_last_mib": notes[-1][1] / MIB,
        "fds_first": float(notes[0][2]),
        "fds_last": float(notes[-1][2]),
    }
