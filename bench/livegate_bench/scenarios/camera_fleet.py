"""How many cameras a box keeps up with: few drops, and frames that are judged while they are young.

Decoded frames of 1280x720 come through frame queues, one for each camera, F times a second; the newest
frame wins. Cameras join one after another; it is measured from when all are there.

With --decode, cameras that the server decodes itself, in a row of their own: their frames have no due
time that could be seen from outside, so that row counts frames and has no ages.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace

from livegate_bench.bench import EVERY_FRAME, MOST_CAMERAS, Bench
from livegate_bench.decoding import decoding_row
from livegate_bench.generator.fleet import Fleet
from livegate_bench.generator.loadgen import Taken
from livegate_bench.generator.scene import KINDS, PERIOD_S
from livegate_bench.measure import scrape
from livegate_bench.measure.rounds import Contender, Track, row_of, start_load, take_turns, window_of
from livegate_bench.measure.search import highest_number
from livegate_bench.options import number, whole
from livegate_bench.rows import Row, Setting

HELP = "how many cameras at F frames a second, with few drops and young frames"
NAME = "camera_fleet"
SYSTEM = "frame-queue"
PERCENTILE = 0.99
MOST_DROPPED = 0.01
JOINING_S = 2.0
AS_SHIPPED: tuple[str, ...] = ()
"""Frames that show what was just judged repeat its verdict."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Frames a second, the bound, and how far to search."""
    parser.add_argument("--fps", type=number(0.1, 240), default=25.0, help="of each camera")
    parser.add_argument("--age-ms", type=number(1, 60_000), default=200.0, help="bound of the p99 age")
    parser.add_argument(
        "--most-cameras", type=whole(1, MOST_CAMERAS), default=64, help="the search ends there"
    )
    parser.add_argument("--scene", choices=KINDS, default="turnstile", help="what the cameras show")
    parser.add_argument("--every-frame", action="store_true", help="have each frame judged in full")
    parser.add_argument("--decode", action="store_true", help="cameras that the server decodes, too")


def rows(bench: Bench, options: argparse.Namespace) -> Iterator[Row]:
    """One for frame queues, one more for decoding; both with figures.max_cameras."""
    cameras = max(1, search(bench, options))
    while True:
        track = measure(bench, options, cameras)
        is_held = holds(track, options.age_ms)
        if is_held or cameras == 1:
            break
        cameras -= 1
    problem = "" if is_held else "one camera is too many already"
    unchanged = scrape.total(track.counted, "livegate_frames_unchanged_total")
    figures = {
        "max_cameras": float(cameras if is_held else 0),
        "searched_to": float(options.most_cameras),
        "dropped_part": dropped(track.together),
        "unchanged_part": unchanged / max(1, track.together.answered),
    }
    yield row_of(bench, NAME, track, figures=figures, problem=problem)
    if options.decode:
        server = bench.server(flags_of(options))
        yield decoding_row(bench, server, options, shown_s(bench, options), MOST_DROPPED)


def measure(bench: Bench, options: argparse.Namespace, cameras: int) -> Track:
    """The rounds with so many."""
    order = fleet(bench, options, cameras)
    settings: dict[str, Setting] = {
        "fps": options.fps,
        "age_bound_ms": options.age_ms,
        "scene": options.scene,
        "every_frame": options.every_frame,
        "joining_s": order.joining_s,
    }
    contender = Contender(SYSTEM, settings, order, PERCENTILE, server_flags=flags_of(options))
    pace = replace(bench.pace, most_rounds=bench.pace.rounds)
    (track,) = take_turns(bench, NAME, [contender], pace)
    return track


def fleet(bench: Bench, options: argparse.Namespace, cameras: int) -> Fleet:
    """A round of so many."""
    seconds = shown_s(bench, options)
    return Fleet(cameras, options.fps, seconds, bench.seed, options.scene, min(JOINING_S, seconds / 4))


def shown_s(bench: Bench, options: argparse.Namespace) -> float:
    """Each round shows the whole scene, unless it is to be quick."""
    seconds = bench.pace.seconds
    return seconds if options.quick else max(seconds, PERIOD_S)


def flags_of(options: argparse.Namespace) -> tuple[str, ...]:
    """Of the server."""
    return EVERY_FRAME if options.every_frame else AS_SHIPPED


def search(bench: Bench, options: argparse.Namespace) -> int:
    """The most cameras that one trial each says hold."""
    with start_load(bench, SYSTEM, flags_of(options)) as load:

        def is_held(cameras: int) -> bool:
            taken = load.take(fleet(bench, options, cameras))
            age_ms = window_of(taken, 0.0, PERCENTILE).latency_ms
            lost = f"{dropped(taken):.1%} dropped, p99 age {age_ms or 0:.0f} ms"
            failed = f", errors {taken.errors}" if taken.errors else ""
            bench.say(f"{NAME}, {cameras} cameras: {lost}{failed}")
            return keeps_up(taken, age_ms, options.age_ms)

        return highest_number(is_held, most=options.most_cameras)


def dropped(taken: Taken) -> float:
    """The part of all frames that were due which has no verdict, failures included."""
    lost = sum(taken.drops.values()) + sum(taken.errors.values())
    return lost / (lost + taken.requests) if lost else 0.0


def keeps_up(taken: Taken, age_ms: float | None, bound_ms: float) -> bool:
    """Few drops, no failures, young frames."""
    return (
        not taken.errors and age_ms is not None and age_ms <= bound_ms and dropped(taken) <= MOST_DROPPED
    )


def holds(track: Track, bound_ms: float) -> bool:
    """The same of all rounds together."""
    together = track.together
    return keeps_up(together, window_of(together, 0.0, PERCENTILE).latency_ms, bound_ms)
