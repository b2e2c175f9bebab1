"""The same work served by other runtimes: same models, picture, client code and cores, in turns.

Two tables. `documented`: each peer as its documentation configures it, with ONNX Runtime sessions of its
own, beside our server with its default engines. `ours`: each peer given LiveGate's pipeline and engine
choice, beside our server with the same, so that one sees what serving wins and what engines win. A peer
that answers something else is not timed. See docs/peers.md.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from livegate.app.build import build_store, chosen_manifest
from livegate.core.config import LogConfig
from livegate.core.settings import load
from livegate.core.telemetry import configure_logging
from livegate_bench.bench import EVERY_FRAME, Bench
from livegate_bench.failure import BenchError
from livegate_bench.generator.loadgen import Closed
from livegate_bench.measure.rounds import Contender, Track, row_of, take_turns
from livegate_bench.options import MOST_CLIENTS, settings_from, whole
from livegate_bench.peers.answers import Answer
from livegate_bench.peers.process import EndedEarly, PeerError
from livegate_bench.peers.server import Serving, Shop, Variant, serving, started
from livegate_bench.peers.table import PEERS, Peer, checkout, peer_names
from livegate_bench.rows import Row, Setting
from livegate_bench.tools import contender as in_turns

HELP = "other runtimes that serve the same work, in turns with ours"
NAME = "peers"
PERCENTILE = 0.99
TABLES: dict[str, Variant] = {"documented": "plain", "ours": "ours"}


@dataclass(frozen=True, slots=True)
class Table:
    """What is the same for all rows of one table."""

    name: str
    variant: Variant
    settings: dict[str, Any]
    server_flags: tuple[str, ...]
    clients: int

    @property
    def row_settings(self) -> dict[str, Setting]:
        """The same in all rows, so that `compare --base` finds the partner in the same table."""
        return {"engines": self.name}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Which peers and tables, how many clients, and what our engine choice is."""
    parser.add_argument("--clients", type=whole(1, MOST_CLIENTS), default=4)
    parser.add_argument("--table", choices=tuple(TABLES), action="append", help="default: both")
    parser.add_argument("--peer", choices=peer_names(), action="append", help="default: all of them")
    parser.add_argument(
        "--engine",
        metavar="MODEL=BACKEND",
        action="append",
        default=[],
        help="engine choice of the second table; default: the silent model on openvino",
    )
    parser.add_argument("--peers-dir", metavar="DIR", type=Path, help="default: build/peers")


def rows(bench: Bench, options: argparse.Namespace) -> Iterator[Row]:
    """Those of both tables.

    Raises:
        BenchError: this is no checkout, or no peer can be timed.
    """
    shop = shop_from(options)
    configure_logging(LogConfig(level="warning"))  # our own pipeline is loaded here, too
    chosen = [peer for peer in PEERS if not options.peer or peer.name in options.peer]
    left_out: list[str] = []
    for name in options.table or TABLES:
        table = table_from(bench, options, name)
        yield from table_rows(bench, shop, table, chosen, left_out)
    for line in left_out:
        bench.say(f"not measured: {line}")


def table_rows(
    bench: Bench, shop: Shop, table: Table, peers: Sequence[Peer], left_out: list[str]
) -> list[Row]:
    """One table; `left_out` gets a line for each peer that could not be timed.

    Raises:
        BenchError: not one could be.
    """
    ours = our_answer(bench, table)
    order = Closed(table.clients, bench.pace.seconds)
    found: list[tuple[Peer, Serving]] = []
    with ExitStack() as stack:
        servers: dict[str, Any] = {}
        for peer in peers:
            bench.say(f"starting {peer.name} ({table.name})")
            try:
                found.append((peer, _start(bench, shop, table, peer, ours, servers, stack)))
            except PeerError as error:
                left_out.append(f"{peer.name} ({table.name}): {error}")
                bench.say(f"left out: {left_out[-1]}")
        if not found:
            raise BenchError(f"no peer can be timed: {'; '.join(left_out)}")
        same = (table.row_settings, order, PERCENTILE)
        loop, config = replace(order, clients=bench.threads), load(flags=table.settings).config
        contenders = [
            Contender("in-process", table.row_settings, loop, PERCENTILE, config=config),
            Contender("grpc-tcp", *same, server_flags=table.server_flags),
        ]
        contenders += [
            Contender(peer.system, *same, beside=one.awake, own=one.own) for peer, one in found
        ]
        return [_row(bench, track) for track in take_turns(bench, NAME, contenders)]


def _row(bench: Bench, track: Track) -> Row:
    order = track.contender.order
    assert isinstance(order, Closed)
    return row_of(bench, NAME, track, figures={"clients": float(order.clients)})


def _start(
    bench: Bench,
    shop: Shop,
    table: Table,
    peer: Peer,
    ours: Answer,
    servers: dict[str, Any],
    stack: ExitStack,
) -> Serving:
    """Peers of one folder share a server, which ends at once when it cannot be timed.

    It stands still from then on until it is timed: those after it start undisturbed. PyTriton's copies
    wait for each other for one second and give up, so a start that failed is tried once more.
    """
    if peer.folder in servers:
        process = servers[peer.folder]
        process[0].resume()
        try:
            return serving(bench, peer, process, ours)
        finally:
            process[0].pause()
    for last in (False, True):
        try:
            with ExitStack() as own:
                process = own.enter_context(started(shop, peer, table.variant, table.settings))
                one = serving(bench, peer, process, ours)
                process[0].pause()
                servers[peer.folder] = process
                stack.push(own.pop_all())
                return one
        except EndedEarly as error:
            if last:
                raise
            bench.say(f"{peer.name} ended while it started, once more: {error}")
    raise AssertionError


def our_answer(bench: Bench, table: Table) -> Answer:
    """Of the same pipeline with the table's engines, in this process."""
    pipeline = in_turns.Contender(load(flags=table.settings, environ={}).config)
    try:
        finding = pipeline.find(bench.picture)
    finally:
        pipeline.end()
    return Answer(len(finding.faces), finding.score)


def table_from(bench: Bench, options: argparse.Namespace, name: str) -> Table:
    """The settings of a table's systems: those that were asked for, and in `ours` the engine choice."""
    settings = settings_from(options)
    settings["models.dirs"] = [str(Path(folder).resolve()) for folder in settings["models.dirs"]]
    settings |= _as_configured(bench)
    flags: tuple[str, ...] = EVERY_FRAME
    if name == "ours":
        use = dict(bench.config.engine.use) | (_engines(options) or _default_engines(bench))
        settings["engine.use"] = use
        flags = (*flags, "--set", f"engine.use={json.dumps(use)}")
    return Table(name, TABLES[name], settings, flags, options.clients)


def _as_configured(bench: Bench) -> dict[str, Any]:
    """What a profile may have said, too: a peer reads none."""
    engine = bench.config.engine
    return {
        "engine.backend": engine.backend,
        "engine.use": dict(engine.use),
        "engine.intra_op_threads": engine.intra_op_threads,
        "face_detection.input_size": bench.config.face_detection.input_size,
        "server.workers": bench.threads,
    }


def _engines(options: argparse.Namespace) -> dict[str, str]:
    pairs = [text.partition("=") for text in options.engine]
    for model_id, equals, backend in pairs:
        if not (model_id and equals and backend):
            raise BenchError(f"--engine {model_id}{equals}{backend} is not MODEL=BACKEND")
    return {pair[0]: pair[2] for pair in pairs}


def _default_engines(bench: Bench) -> dict[str, str]:
    if importlib.util.find_spec("openvino") is None:
        raise BenchError("--engine MODEL=BACKEND is needed for the second table: openvino is not here")
    silent = chosen_manifest("silent_liveness", bench.config, build_store(bench.config))
    return {silent.id: "openvino"}


def shop_from(options: argparse.Namespace) -> Shop:
    """Where the peers are.

    Raises:
        BenchError: this is not a checkout.
    """
    top = checkout()
    if top is None:
        raise BenchError("peers are in a checkout of LiveGate only: bench/peers is not in the wheel")
    return Shop(top / "bench" / "peers", options.peers_dir or top / "build" / "peers")
