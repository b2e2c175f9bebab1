"""Overload and growth: from what was taken to figures, and when they are none."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from livegate.core.config import Config, ServerConfig
from livegate.core.errors import ErrorCode, QueueError
from livegate.core.plugins import load_plugin
from livegate_bench.bench import Bench
from livegate_bench.failure import BenchError
from livegate_bench.generator.loadgen import Closed, Taken
from livegate_bench.http_system import HttpSystem
from livegate_bench.measure import growth
from livegate_bench.measure.rounds import Track, window_of
from livegate_bench.options import Pace
from livegate_bench.scenarios.concurrency import has_growth, peak_parts
from livegate_bench.scenarios.overload import (
    busy_code,
    capacity_per_s,
    clients_of,
    figures_of,
    p99_ratio,
    too_short,
    why_wrong,
)
from livegate_bench.system import Place, Refused, system_class, system_names


def taken(p99_ms: float = 1.0, **changes: Any) -> Taken:
    return Taken(**{"seconds": 1.0, "requests": 4, "latencies_s": np.full(4, p99_ms / 1e3), **changes})


def box(capacity: int, threads: int = 2) -> Bench:
    config = Config(server=ServerConfig(queue_capacity=capacity))
    told = SimpleNamespace(config=config, threads=threads, pace=Pace(4.0, 5, 10, 0))
    told.say = lambda line: None
    told.server = lambda: SimpleNamespace(box=SimpleNamespace(pid=1))
    return cast("Bench", told)


def test_figures_tell_the_refused_from_other_failures() -> None:
    """Of all rounds together; the other code is none of the queue's."""
    failures = {"5003": np.array([0.002, 0.004]), "1030": np.array([9.0])}
    one = taken(errors={"5003": 2, "1030": 1}, failures_s=failures, lates_s=np.array([0.001]))
    two = taken(errors={"5003": 1}, failures_s={"5003": np.array([0.006])}, lates_s=np.array([0.003]))
    assert figures_of([one, two], "5003") == pytest.approx(
        {"accepted_part": 8 / 12, "refused_p50_ms": 4.0, "refused_p99_ms": 6.0, "late_p99_ms": 3.0}
    )


def test_figures_of_nothing_are_none() -> None:
    """Rather than zeros."""
    assert figures_of([Taken(1.0, 0, np.empty(0))], "5003") == {}
    assert (
        p99_ratio([window_of(Taken(1.0, 0, np.empty(0)), 0, 0.99)], [window_of(taken(), 0, 0.99)]) == {}
    )


def test_ratio_is_that_of_the_middle_round() -> None:
    """Rounds stand side by side: what slowed both of one round slowed neither against the other."""
    full = [window_of(taken(p99_ms), 0.0, 0.99) for p99_ms in (10, 100, 10)]
    over = [window_of(taken(p99_ms), 0.0, 0.99) for p99_ms in (12, 150, 20)]
    assert p99_ratio(full, over)["accepted_p99_ratio"] == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("figures", "errors", "is_over", "why"),
    [
        ({"refused_p50_ms": 1.0, "late_p99_ms": 10.0}, {"5003": 1}, True, ""),
        ({"refused_p50_ms": 1.0, "late_p99_ms": 10.1}, {"5003": 1}, True, "the load sent late"),
        ({"refused_p50_ms": 1.0}, {"5003": 1, "1030": 1}, True, "otherwise than by a full queue: 1030"),
        ({}, {}, True, "no overload"),
        ({}, {}, False, ""),
    ],
)
def test_row_says_why_its_figures_are_none(
    figures: dict[str, float], errors: dict[str, int], is_over: bool, why: str
) -> None:
    """A late load, another failure, a surplus that was none."""
    track = cast("Track", SimpleNamespace(takens=[taken(errors=errors)]))
    said = why_wrong(track, figures, "5003", 10.0, is_over=is_over)
    assert why in said
    assert bool(said) == bool(why)


def test_rounds_too_short_to_fill_the_queue_are_told() -> None:
    """K² / rate seconds: 64 places at 128/s take 32."""
    assert too_short(32, 64, 128) == ""
    assert "64 places fills in about 32 s" in too_short(31, 64, 128)


def test_load_has_clients_beside_those_that_wait() -> None:
    """Where it cannot have them, nothing is measured."""
    assert clients_of(box(64)) == 64 + 2 + 64
    with pytest.raises(BenchError, match="192 clients"):
        clients_of(box(191))


def test_capacity_is_the_middle_of_closed_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    """With clients for every worker; the first loop warms."""
    rates, clients = iter([1, 300, 100, 200]), list[int]()

    def take(order: Closed) -> Taken:
        clients.append(order.clients)
        return taken(requests=next(rates))

    load = nullcontext(SimpleNamespace(take=take))
    monkeypatch.setattr("livegate_bench.scenarios.overload.start_load", lambda bench, name: load)
    assert capacity_per_s(box(64, threads=4), "grpc-tcp") == 200
    assert clients == [16] * 4
    rates = iter([0] * 4)
    with pytest.raises(BenchError, match="answered nothing"):
        capacity_per_s(box(64), "grpc-tcp")


@pytest.mark.parametrize("name", ["aipaas", "huawei-frs", "linkface"])
def test_busy_code_is_what_the_dialect_says(name: str) -> None:
    """Of a full queue, not of another failure."""
    system = cast("HttpSystem", system_class(name)(Place(Config(), b"")))
    dialect = load_plugin("livegate.gateway.dialects", name.replace("-", "_")).Plugin(Config())
    heard = []
    for code in (ErrorCode.QUEUE_FULL, ErrorCode.INNER):
        error = QueueError(code, "no", fields={"request_id": "a"})
        answer = dialect.render_error(error, None)
        with pytest.raises(Refused) as refused:
            system.check(answer.status, answer.body)
        heard.append(refused.value.code)
    assert heard[0] == busy_code(name) != heard[1]


def test_systems_without_a_queue_are_not_overloaded() -> None:
    """In one line, before anything is started."""
    without = {"null", "in-process", "in-process-frames", "frame-queue"}
    for name in without:
        with pytest.raises(BenchError, match="refuses nobody"):
            busy_code(name)
    assert {name for name in system_names() if name not in without and busy_code(name)} == {
        *("grpc-tcp", "grpc-unix", "aipaas", "huawei-frs", "linkface")
    }


def test_peak_part_is_of_the_best_of_the_same_system() -> None:
    """Another system's rate says nothing; nor does a system that answered nothing."""
    rows = [("a", 90), ("a", 100), ("b", 5), ("c", 0)]
    assert peak_parts([(name, taken(requests=n)) for name, n in rows]) == [0.9, 1.0, 1.0, 0.0]
    assert has_growth({"frame-queue": [4, 64]})
    assert not has_growth({"frame-queue": [4], "grpc-tcp": [1, 4]})


def test_producer_costs_what_those_above_the_first_few_added(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shared among them; a number that is no growth has no figure, nor has a box that tells none."""
    memory, orders = iter([1000, 1200, 7200]), list[int]()
    load = nullcontext(SimpleNamespace(take=lambda order: orders.append(order.clients)))
    monkeypatch.setattr(growth, "start_load", lambda bench, name: load)
    monkeypatch.setattr(growth, "anonymous_bytes", lambda pid: next(memory))
    bench = box(64)
    assert growth.bytes_per_producer(bench, "frame-queue", (64, 1, 4)) == {4: 100.0, 64: 100.0}
    assert orders == [2, 4, 64]
    monkeypatch.setattr(growth, "anonymous_bytes", lambda pid: None)
    assert growth.bytes_per_producer(bench, "frame-queue", (4,)) == {}
