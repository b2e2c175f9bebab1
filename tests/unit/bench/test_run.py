"""A scenario from its flags to its report."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import msgspec
import pytest

from e2e.pictures import jpeg
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


def test_scenario_that_fails_at_once_writes_no_report(options: argparse.Namespace) -> None:
    """There is nothing to tell."""

    def rows(bench: Bench, _: argparse.Namespace) -> Iterator[Row]:
        raise BenchError("the server ended")

    with pytest.raises(BenchError, match="the server ended"):
        run(scenario(rows), options)
    assert not options.json.exists()
