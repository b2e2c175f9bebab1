"""Frames a second from the camera's process to the verdict in it, by each way into the server.

One camera, 1280x720 BGR, each frame written anew, in a closed loop with as many frames on their way as
keep the server busy (two). The null backend computes nothing: what is measured is the way, the
preprocessing and the verdict's way back. The ways take turns, so that a machine that slows down does it
to all of them.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg
from rich.console import Console
from rich.table import Table

from livegate.client import FrameProducer, LivenessClient
from livegate_bench.measure.machine import describe
from livegate_bench.models import add_models, model_arguments
from livegate_bench.picture import load_picture
from livegate_bench.sut import Box, served_box
from livegate_bench.tools.loop import Loop, Round

WIDTH, HEIGHT = 1280, 720
WAIT_S = 30
IN_FLIGHT = 2
Once = Callable[[int], None]


def through_queue(orders: Connection, box: Box) -> None:
    """FrameProducer: loan, write, publish; the verdict over the same socket."""
    frame = _frame()
    with FrameProducer(box.frames, camera="queue", width=WIDTH, height=HEIGHT) as producer:

        def once(number: int) -> None:
            with producer.loan(timeout_s=0.2) as pixels:
                pixels[:] = frame
            while producer.frame_id - len(told) >= IN_FLIGHT:
                told.extend(result.has_verdict for result in producer.results(timeout_s=WAIT_S))
            if not all(told[-IN_FLIGHT:]):
                raise SystemExit("a frame was dropped: this is no closed loop")

        told: list[bool] = []
        _work(orders, once)


def through_tickets(orders: Connection, box: Box) -> None:
    """A stream of tickets: the pixels in shared memory, everything else over gRPC."""
    frame = _frame()
    with (
        FrameProducer(box.frames, camera="tickets", width=WIDTH, height=HEIGHT) as producer,
        LivenessClient(box.target("unix")) as client,
        client.stream(timeout_s=WAIT_S) as stream,
    ):
        answers = iter(stream)

        def once(number: int) -> None:
            with producer.ticket(timeout_s=0.2) as ticket:
                ticket.pixels[:] = frame
            stream.send(ticket)
            if number >= IN_FLIGHT:
                next(answers)
            producer.results()

        _work(orders, once)


def through_bytes(orders: Connection, box: Box) -> None:
    """A stream of raw pixels."""
    frame = _frame()
    _stream(orders, box, lambda: frame.copy())


def through_jpeg(orders: Connection, box: Box) -> None:
    """A stream of JPEG files, as a camera that compresses by itself gives them."""
    content = simplejpeg.encode_jpeg(_frame(), quality=90, colorspace="BGR")
    _stream(orders, box, lambda: content)


def _stream(orders: Connection, box: Box, picture: Callable[[], Any]) -> None:
    with (
        LivenessClient(box.target("unix")) as client,
        client.stream(timeout_s=WAIT_S) as stream,
    ):
        answers = iter(stream)

        def once(number: int) -> None:
            stream.send(picture())
            if number >= IN_FLIGHT:
                next(answers)

        _work(orders, once)


def _work(orders: Connection, once: Once) -> None:
    """For each number of seconds ordered: frames done, seconds taken, seconds for each."""
    number = 1
    once(number)
    orders.send("warm")
    while (seconds := orders.recv()) is not None:
        took: list[float] = []
        started_s = now_s = time.perf_counter()
        while now_s - started_s < seconds:
            number += 1
            once(number)
            before_s, now_s = now_s, time.perf_counter()
            took.append(now_s - before_s)
        orders.send((len(took), now_s - started_s, took))


def _frame() -> Any:
    portrait = simplejpeg.decode_jpeg(load_picture(None), colorspace="BGR")
    rows = -(-HEIGHT // portrait.shape[0])
    columns = -(-WIDTH // portrait.shape[1])
    return np.ascontiguousarray(np.tile(portrait, (rows, columns, 1))[:HEIGHT, :WIDTH])


WAYS: dict[str, Callable[[Connection, Box], None]] = {
    "frame queue": through_queue,
    "tickets over gRPC": through_tickets,
    "JPEG over gRPC": through_jpeg,
    "raw bytes over gRPC": through_bytes,
}


def add(scenarios: Any) -> None:
    """Add the scenario to the parser."""
    parser = scenarios.add_parser("streams", help="frames a second, camera to verdict, by each way")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each round of each way")
    parser.add_argument("--backend", default="null")
    add_models(parser)
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the figures there")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Measure each way in turn, print, and write JSON where asked."""
    rounds: dict[str, list[Round]] = {name: [] for name in WAYS}
    # A verdict is out a moment before the next frame leaves the queue: a third one must wait then.
    # And each frame is to be judged, though all are alike.
    waiting = ("--set", "frames.policy=block", "--set", "attention.recheck_ms=0")
    with served_box("--backend", options.backend, *waiting, *model_arguments(options)) as box:
        loops = {name: Loop(way, box) for name, way in WAYS.items()}
        for turn in range(options.rounds + 1):
            for name, loop in loops.items():
                one = loop.round(options.seconds, box.pid)
                if turn:  # the first one warms
                    rounds[name].append(one)
        for loop in loops.values():
            loop.end()
    _report(options, rounds)
    return 0


def _report(options: argparse.Namespace, rounds: dict[str, list[Round]]) -> None:
    figures = {}
    base = rounds["frame queue"]
    for name, own in rounds.items():
        ratios = [one.rate / first.rate for one, first in zip(own, base, strict=True)]
        figures[name] = {
            "frames_per_s": statistics.median(one.rate for one in own),
            "core_ms_per_frame": statistics.median(one.core_ms for one in own),
            "ratio_to_frame_queue": statistics.median(ratios),
        }
    machine = dict(describe())
    settings = {
        "backend": options.backend,
        "frame": f"{WIDTH}x{HEIGHT} BGR",
        "in_flight": IN_FLIGHT,
        "rounds": options.rounds,
        "seconds": options.seconds,
    }
    console = Console()
    for part in (machine, settings):
        console.print(", ".join(f"{name} {value}" for name, value in part.items()), highlight=False)
    table = Table(box=None)
    for column in ("way", "frames a second", "core-ms a frame, camera included", "ratio"):
        table.add_column(column)
    for name, row in figures.items():
        rate, core_ms, ratio = row.values()
        table.add_row(name, f"{rate:.0f}", f"{core_ms:.2f}", f"{ratio:.2f}")
    console.print(table)
    if options.json:
        report = {
            "scenario": "streams",
            "machine": machine,
            "settings": settings,
            "figures": figures,
        }
        options.json.write_text(json.dumps(report, indent=1) + "\n")
