"""A scenario from its flags to its report."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from urllib.error import URLError

import msgspec
import pytest

from e2e.pictures import jpeg
from livegate.core.errors import ErrorCode, RequestError
from livegate_bench.bench import Bench
from livegate_bench.failure import BenchError
from livegate_bench.generator.loadgen import Closed
from livegate_bench.measure.rounds import Contender, row_of, take_turns
from livegate_bench.options import add_common
from livegate_bench.report.reports import add_outputs
from livegate_bench.rows import Report, Row
from livegate_bench.run import run


@pytest.fixture
def options(tmp_path: Path) -> argparse.Namespace:
    picture = tmp_path / "picture.jpg"
    picture.write_bytes(jpeg(320, 240))
    parser = argparse.ArgumentParser()
    add_common(parser)
    add_outputs(parser)
    flags = f"--quick --rounds 1 --seconds 0.05 --picture {picture} --json {tmp_path / 'report.json'}"
    return parser.parse_args(flags.split())


def scenario(rows: object) -> ModuleType:
    module = ModuleType("scenario")
    module.rows = rows  # type: ignore[attr-defined]
    return module


def test_set_that_fails_tells_what_was_measured_before(options: argparse.Namespace) -> None:
    """An hour of rows is not lost with the last one; it is no success either."""

    def rows(bench: Bench, _: argparse.Namespace) -> Iterator[Row]:
        contender = Contender("null", {"clients": 1}, Closed(1, 0.05, most=100), 0.9)
        (track,) = take_turns(bench, "first", [contender])
        yield row_of(bench, "first", track)
        raise BenchError("the server ended")

    with pytest.raises(BenchError, match="the server ended"):
        run(scenario(rows), options)
    report = msgspec.json.decode(options.json.read_bytes(), type=Report)
    assert [(row.scenario, row.requests) for row in report.rows] == [("first", 100)]


@pytest.mark.parametrize(
    "error", [URLError("gone"), RequestError(ErrorCode.QUEUE_FULL, "full"), KeyboardInterrupt()]
)
def test_set_that_breaks_off_tells_what_was_measured_before(
    options: argparse.Namespace, error: BaseException
) -> None:
    """A server that ended between two rounds, a clip that was refused, somebody who left."""

    def rows(bench: Bench, _: argparse.Namespace) -> Iterator[Row]:
        contender = Contender("null", {"clients": 1}, Closed(1, 0.05, most=100), 0.9)
        (track,) = take_turns(bench, "first", [contender])
        yield row_of(bench, "first", track)
        raise error

    with pytest.raises(BenchError, match="broke off"):
        run(scenario(rows), options)
    report = msgspec.json.decode(options.json.read_bytes(), type=Report)
    assert [row.turns for row in report.rows] == [1]


def test_report_tells_what_was_set_without_folders_and_secrets(options: argparse.Namespace) -> None:
    """Two runs with other settings are not the same box."""
    options.set = ["server.workers=1", "grpc.tokens=a token of many letters", "http.tls_key=/home/k.pem"]

    def rows(bench: Bench, _: argparse.Namespace) -> Iterator[Row]:
        contender = Contender("null", {"clients": 1}, Closed(1, 0.05, most=100), 0.9)
        (track,) = take_turns(bench, "first", [contender])
        yield row_of(bench, "first", track)

    run(scenario(rows), options)
    report = msgspec.json.decode(options.json.read_bytes(), type=Report)
    assert report.settings == ("server.workers=1", "grpc.tokens=…", "http.tls_key=…")


def test_scenario_that_fails_at_once_writes_no_report(options: argparse.Namespace) -> None:
    """There is nothing to tell."""

    def rows(bench: Bench, _: argparse.Namespace) -> Iterator[Row]:
        raise BenchError("the server ended")

    with pytest.raises(BenchError, match="the server ended"):
        run(scenario(rows), options)
    assert not options.json.exists()
