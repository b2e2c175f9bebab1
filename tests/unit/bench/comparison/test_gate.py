"""The gate: what is kept, what is broken, and that what cannot be judged has failed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench_kit import ENGINE, MACHINE, bare_row, latency, report, row, scaled, windows
from livegate.core.errors import ErrorCode, SetupError
from livegate_bench.comparison.gate import Judgement, judge, read_gate
from livegate_bench.comparison.measures import is_measure, measure, measure_names
from livegate_bench.report.reportfile import report_json
from livegate_bench.rows import Report
from support import ROOT

HEAD = '[[limit]]\nscenario = "single_stream"\nsystem = "grpc-unix"\n'


def gate_file(folder: Path, text: str) -> Path:
    path = folder / "gate.toml"
    path.write_text(text)
    return path


def judged(folder: Path, limit: str, made: Report) -> Judgement:
    """The one judgement of one limit on the row grpc-unix."""
    (found,) = judge(made, read_gate(gate_file(folder, HEAD + limit)))
    return found


@pytest.mark.parametrize(
    ("limit", "is_kept"),
    [
        ('figure = "rate_per_s"\nat_least = 100', True),
        ('figure = "rate_per_s"\nat_least = 100.1', False),
        ('figure = "rate_per_s"\nat_least = 90\nat_most = 99', False),
        ('figure = "p99_ms"\nat_most = 60', True),
        ('figure = "p99_ms"\nat_most = 5', False),
        ('figure = "core_ms_per_request"\nat_most = 18', True),
        ('figure = "figures.max_cameras"\nat_least = 13', False),
        ('figure = "stages_ms.infer"\nat_most = 15', True),
        ('figure = "errors"\nat_most = 1', False),
        ('figure = "drops_part"\nat_most = 0.01', True),
        ('figure = "joules_per_request"\nat_most = 0.3', True),
        ('figure = "p99_ms"\nat_most = 60\nwhere = { clients = 4 }', True),
    ],
)
def test_limit_of_a_figure_is_kept_or_not(limit: str, is_kept: bool, tmp_path: Path) -> None:
    """A limit itself is within."""
    found = judged(tmp_path, limit, report())
    assert found.is_kept is is_kept
    assert bool(found.reason) is not is_kept
    assert found.value is not None


@pytest.mark.parametrize(
    ("limit", "rows", "reason"),
    [
        ("where = { clients = 5 }", (row(),), "there is no such row"),
        ("where = { cleints = 4 }", (row(),), "there is no such row"),
        ("where = { clients = true }", (row(settings={"clients": 1}),), "there is no such row"),
        ("", (row(system="null"),), "there is no such row"),
        ("", (row(is_stable=False, unstable_because="heat"),), "the row is unstable: heat"),
        ("", (bare_row(),), "the row has no such figure"),
        ('ratio_to = "in-process"', (row(),), "there is no row of in-process"),
        (
            'ratio_to = "null"',
            (row(), row(system="null", is_stable=False, unstable_because="x")),
            "null was unstable: x",
        ),
        ('ratio_to = "null"', (row(), bare_row(system="null")), "the row has no such figure"),
    ],
)
def test_limit_that_cannot_be_judged_has_failed_with_the_reason(
    limit: str, rows: tuple[Any, ...], reason: str, tmp_path: Path
) -> None:
    """It never passes in silence."""
    found = judged(tmp_path, f'figure = "p99_ms"\nat_most = 1e9\n{limit}', report(*rows))
    assert not found.is_kept
    assert reason in found.reason


def test_limit_holds_for_every_row_that_it_names(tmp_path: Path) -> None:
    """Not for the first."""
    made = report(row(), row(settings={"clients": 16}, latency=latency(500.0)))
    gate = read_gate(gate_file(tmp_path, HEAD + 'figure = "p99_ms"\nat_most = 100'))
    assert [(found.row, found.is_kept) for found in judge(made, gate)] == [
        ("single_stream grpc-unix clients=4", True),
        ("single_stream grpc-unix clients=16", False),
    ]


def test_limit_of_a_ratio_is_of_the_paired_windows(tmp_path: Path) -> None:
    """0.95 of the in-process loop, which has no clients."""
    base = row(system="in-process", settings={}, windows=windows(110.0))
    found = judged(
        tmp_path, 'figure = "rate_per_s"\nratio_to = "in-process"\nat_least = 0.95', report(base, row())
    )
    assert not found.is_kept
    assert found.value == pytest.approx(100 / 110)
    assert found.limit == "at least 0.95 of in-process"


def slower(part: float, seed: int = 2, **changes: Any) -> Report:
    """As the baseline, with so much of its rate and so much longer latencies."""
    changed = row(
        rate_per_s=100 * part,
        latency=latency(20 / part, seed=seed),
        windows=windows(100 * part, 25 / part, seed=seed),
        **changes,
    )
    return report(changed)


@pytest.mark.parametrize(
    ("figure", "part", "is_kept"),
    [
        ("rate_per_s", 1.0, True),
        ("rate_per_s", 0.93, True),
        ("rate_per_s", 0.8, False),
        ("rate_per_s", 1.5, True),
        ("p99_ms", 0.7, False),
        ("p99_ms", 1.5, True),
        ("p50_ms", 0.8, False),
    ],
)
def test_limit_against_a_baseline_fails_only_where_the_whole_interval_is_worse(
    figure: str, part: float, is_kept: bool, tmp_path: Path
) -> None:
    """By more than the tolerance; better is never a regression."""
    (tmp_path / "base.json").write_bytes(report_json(report()))
    found = judged(
        tmp_path, f'figure = "{figure}"\nbaseline = "base.json"\nmost_worse = 0.1', slower(part)
    )
    assert found.is_kept is is_kept
    assert found.limit == "at most 10.0% worse than base.json"


def test_limit_against_a_baseline_within_noise_is_kept(tmp_path: Path) -> None:
    """A median that is 20 % worse with an interval that reaches over the tolerance is no regression."""
    noisy = [msgspec.structs.replace(w, rate_per_s=60.0 + 8 * n) for n, w in enumerate(windows())]
    (tmp_path / "base.json").write_bytes(report_json(report()))
    found = judged(
        tmp_path,
        'figure = "rate_per_s"\nbaseline = "base.json"\nmost_worse = 0.1',
        report(row(windows=tuple(noisy))),
    )
    assert found.value == pytest.approx(0.8, abs=0.02)
    assert found.is_kept


def test_limit_of_a_latency_against_a_baseline_within_noise_is_kept(tmp_path: Path) -> None:
    """A p99 of 400 requests that is a sixth longer may be chance; of 40 000 it is none."""
    few = row(latency=latency(20.0, 400))
    many = row(latency=latency(20.0, 40_000))
    for base, is_kept in ((few, True), (many, False)):
        (tmp_path / "base.json").write_bytes(report_json(report(base)))
        assert base.latency is not None
        worse = scaled(base.latency, 1.16)
        found = judged(
            tmp_path,
            'figure = "p99_ms"\nbaseline = "base.json"\nmost_worse = 0.1',
            report(row(latency=worse)),
        )
        assert found.value == pytest.approx(1.16)
        assert found.is_kept is is_kept


FOREIGN = msgspec.structs.replace(ENGINE, provider="cuda")


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (report(machine=msgspec.structs.replace(MACHINE, cpu="Other")), "another machine"),
        (
            report(machine=msgspec.structs.replace(MACHINE, accelerators=("NVIDIA H200",))),
            "another machine: accelerators none / NVIDIA H200",
        ),
        (report(row(pack="reference")), "pack: own / reference"),
        (report(row(engines=(FOREIGN,))), "provider: cpu"),
        (report(row(settings={"clients": 5})), "the baseline has no such row"),
        (report(row(windows=windows(count=2))), "too few windows"),
        (report(row(core_ms_per_request=None)), "too few windows"),
    ],
    ids=["machine", "card", "pack", "provider", "settings", "windows", "figure"],
)
def test_limit_against_a_baseline_of_something_else_fails(
    made: Report, reason: str, tmp_path: Path
) -> None:
    """A ratio to other circumstances is no verdict on ours."""
    (tmp_path / "base.json").write_bytes(report_json(report()))
    found = judged(
        tmp_path, 'figure = "core_ms_per_request"\nbaseline = "base.json"\nmost_worse = 9', made
    )
    assert not found.is_kept
    assert reason in found.reason


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "limit"),
        ("limit = []", "it has no limits"),
        ("gates = 1", "unknown field `gates`"),
        (HEAD + 'figure = "p99_ms"\nat_mots = 1', "unknown field `at_mots`"),
        (HEAD + 'figure = "p98_ms"\nat_most = 1', 'no row has a figure "p98_ms"'),
        (HEAD + 'figure = "figures."\nat_most = 1', "no row has a figure"),
        (HEAD + 'figure = "p99_ms"', "either at_most or at_least"),
        (HEAD + 'figure = "p99_ms"\nat_most = nan', "finite"),
        (HEAD + 'figure = "p99_ms"\nat_most = "1"', "Expected `float | null`"),
        (HEAD + 'figure = "p99_ms"\nbaseline = "b.json"', "belong together"),
        (HEAD + 'figure = "p99_ms"\nat_most = 1\nbaseline = "b"\nmost_worse = 0.1', "either"),
        (HEAD + 'figure = "p99_ms"\nratio_to = "a"\nbaseline = "b"\nmost_worse = 0.1', "exclude"),
        (HEAD + 'figure = "p99_ms"\nbaseline = "b"\nmost_worse = -0.1', "negative"),
        (HEAD + 'figure = "max_ms"\nbaseline = "b"\nmost_worse = 0.1', "against a baseline there are"),
        ('[[limit]]\nfigure = "p99_ms"\nat_most = 1', "missing required field"),
    ],
)
def test_gate_file_that_says_nothing_or_too_much_is_refused(
    text: str, told: str, tmp_path: Path
) -> None:
    """A limit that limits nothing would pass for ever."""
    with pytest.raises(SetupError) as caught:
        read_gate(gate_file(tmp_path, text))
    assert caught.value.code == ErrorCode.CONFIG_ADD_FAIL
    assert told in caught.value.message


def test_gate_file_or_baseline_that_is_missing_is_told(tmp_path: Path) -> None:
    """Before anything is measured."""
    text = HEAD + 'figure = "p99_ms"\nbaseline = "none.json"\nmost_worse = 0.1'
    for path in (tmp_path / "none.toml", gate_file(tmp_path, text)):
        with pytest.raises(SetupError) as caught:
            read_gate(path)
        assert caught.value.code == ErrorCode.OPEN_FAIL


def test_gate_example_of_the_documentation_is_read(tmp_path: Path) -> None:
    """Whoever copies it starts with a file that works."""
    text = (ROOT / "docs" / "bench-reports.md").read_text()
    (example,) = re.findall(r"```toml\n(.*?)```", text, re.S)
    (tmp_path / "accepted.json").write_bytes(report_json(report()))
    gate = read_gate(gate_file(tmp_path, example))
    assert [found.is_kept for found in judge(report(), gate)] == [True, False, True]


def test_measures_every_name_has_a_value_in_a_full_row_and_none_fails_in_a_bare_one() -> None:
    """The whole table is walked."""
    for name in (*measure_names(), "figures.max_cameras", "stages_ms.decode"):
        assert is_measure(name)
        assert measure(row(), name) is not None
        measure(bare_row(requests=0), name)
    assert measure(row(), "errors") == 2
    assert measure(row(), "drops_part") == pytest.approx(1 / 4001)
