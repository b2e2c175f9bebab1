"""From what a load took to windows and rows."""

from __future__ import annotations

import numpy as np
import pytest

from livegate_bench.generator.fleet import Fleet
from livegate_bench.generator.loadgen import Closed, Open, Taken
from livegate_bench.measure.rounds import in_round, window_of
from livegate_bench.scenarios.camera_fleet import dropped, keeps_up
from livegate_bench.scenarios.cold_start import Start, figures
from livegate_bench.scenarios.server_poisson import within
from livegate_bench.scenarios.soak import growth


def taken(count: int = 100, **changes: object) -> Taken:
    latencies = np.arange(1, count + 1) / 1e3
    return Taken(**{"seconds": 2.0, "requests": count, "latencies_s": latencies, **changes})  # type: ignore[arg-type]


def test_window_has_the_judged_percentile_and_all_cores() -> None:
    """Core-milliseconds are the server's and the load's."""
    window = window_of(taken(cpu_s=0.5, errors={"5003": 2}, drops={"expired": 3}), 1.5, 0.9)
    assert (window.requests, window.rate_per_s, window.latency_ms) == (100, 50.0, 90.0)
    assert (window.core_ms_per_request, window.errors, window.drops) == (20.0, 2, 3)


def test_window_without_an_answer_has_nulls() -> None:
    """No latency, no cost, a rate of zero."""
    window = window_of(Taken(2.0, 0, np.empty(0)), 1.5, 0.9)
    assert (window.rate_per_s, window.latency_ms, window.core_ms_per_request) == (0.0, None, None)


def test_rounds_draw_anew_from_the_rows_seed() -> None:
    """The first round has the seed itself; what draws nothing is the same in each."""
    assert in_round(Open(10, 1, seed=7), 1) == Open(10, 1, seed=7)
    assert in_round(Fleet(2, 25, 1, seed=7), 3) == Fleet(2, 25, 1, seed=9)
    assert in_round(Closed(4, 1), 3) == Closed(4, 1)


@pytest.mark.parametrize(
    ("changes", "is_within"),
    [({}, True), ({"gave_up": True}, False), ({"errors": {"5003": 1}}, False)],
)
def test_rate_holds_only_when_all_were_answered(changes: dict[str, object], is_within: bool) -> None:
    """In time, too."""
    assert within(taken(**changes), 100.0, 100.0) is is_within
    assert not within(taken(), 100.1, 100.0)
    assert not within(taken(), None, 100.0)


def test_fleet_keeps_up_with_one_frame_lost_in_a_hundred() -> None:
    """Not with more, not with old frames, not with failures."""
    lost = taken(99, drops={"replaced": 1})
    assert dropped(lost) == 0.01
    assert keeps_up(lost, 200.0, 200.0)
    assert not keeps_up(taken(99, drops={"replaced": 1, "no_slot": 1}), 1.0, 200.0)
    assert not keeps_up(lost, 200.1, 200.0)
    assert not keeps_up(taken(1000, errors={"1030": 1}), 1.0, 200.0)
    assert not keeps_up(Taken(0.0, 0, np.empty(0), errors={"1018": 1}), None, 200.0)


def test_cold_start_is_compared_start_by_start() -> None:
    """Medians of differences, not differences of medians."""
    served = [Start(2.0, 200, 1.0), Start(3.0, 200, 1.0), Start(9.0, 300, 1.0)]
    bares = [Start(1.0, 100, 1.0), Start(2.5, 100, 1.0), Start(2.0, 100, 1.0)]
    found = figures(served, bares)
    assert (found["ready_s"], found["bare_s"], found["over_bare_s"]) == (3.0, 2.0, 1.0)
    assert (found["idle_rss_bytes"], found["rss_ratio"]) == (200, 2.0)
    assert figures(served, []) == {"ready_s": 3.0, "idle_rss_bytes": 200}


def test_growth_is_the_slope_without_the_beginning() -> None:
    """A MiB a minute is 60 an hour; what the first window cost does not count."""
    notes = [(60.0 * n, (100 + n) << 20, 20) for n in range(10)]
    notes[0] = (0.0, 0, 5)
    found = growth(notes)
    assert found["rss_slope_mib_per_h"] == pytest.approx(60)
    assert found["fds_slope_per_h"] == pytest.approx(0, abs=1e-6)
    assert (found["rss_last_mib"], found["fds_first"]) == (109, 5)
