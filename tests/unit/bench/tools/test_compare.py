"""Comparisons: which rows meet, what their ratio is worth, and what else differs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import numpy as np
import pytest

from bench_kit import ENGINE, MACHINE, bare_row, latency, report, row, windows
from livegate.core.errors import ErrorCode, LiveGateError
from livegate_bench.comparison.matching import Comparison, compare_reports, compare_systems
from livegate_bench.comparison.pairing import Pair, Ratio
from livegate_bench.main import main
from livegate_bench.measure.latency import latency_from
from livegate_bench.report.reportfile import report_json
from livegate_bench.rows import Report, Row
from support import ROOT

NAMES = ("a.json", "b.json")


def compared(base: Row, other: Row) -> Pair:
    (pair,) = compare_reports(report(base), report(other), NAMES).pairs
    return pair


def ratio(pair: Pair, figure: str) -> Ratio:
    (found,) = (ratio for ratio in pair.ratios if ratio.figure == figure)
    return found


def faster(part: float = 1.5, **changes: Any) -> Row:
    """The steady row with so many times the rate, and latencies as much shorter; another seed."""
    quick: dict[str, Any] = {
        "rate_per_s": 100 * part,
        "latency": latency(20.0 / part, seed=2),
        "windows": windows(100 * part, 25.0 / part, seed=2),
    }
    return row(**{**quick, **changes})


def test_compare_faster_row_is_better_in_rate_and_latency_and_shows_no_difference_in_cost() -> None:
    """More is better for a rate, less for a latency; an interval around 1 shows nothing."""
    pair = compared(row(), faster())
    assert {found.figure: found.verdict for found in pair.ratios} == {
        "rate_per_s": "better",
        "p50_ms": "better",
        "p99_ms": "better",
        "core_ms_per_request": "no difference shown",
    }
    rate = ratio(pair, "rate_per_s")
    assert rate.ratio == pytest.approx(1.5, rel=0.02)
    assert rate.low is not None
    assert rate.high is not None
    assert rate.low < 1.5 < rate.high
    assert pair.warnings == ()


def test_compare_the_other_way_round_is_worse() -> None:
    """And its ratio the reciprocal."""
    there, back = compared(row(), faster()), compared(faster(), row())
    assert ratio(back, "p99_ms").verdict == ratio(back, "rate_per_s").verdict == "worse"
    assert ratio(there, "p99_ms").ratio * ratio(back, "p99_ms").ratio == pytest.approx(1)


def test_compare_one_window_gives_a_ratio_that_tells_nothing() -> None:
    """No interval out of one number."""
    pair = compared(row(windows=windows(count=1)), faster(windows=()))
    assert {found.verdict for found in pair.ratios} <= {"not enough to tell"}
    assert ratio(pair, "rate_per_s").ratio == pytest.approx(1.5)
    assert ratio(pair, "rate_per_s").low is None


def test_compare_rows_without_a_figure_leave_it_out() -> None:
    """Null is no number, and a rate of 0 has no ratio."""
    assert compared(bare_row(), bare_row(rate_per_s=0.0)).ratios == ()


def test_compare_windows_that_vary_more_than_requests_widen_the_latency_interval() -> None:
    """Requests of a slow minute are slow together: they count for fewer."""
    calm = compared(row(), row())
    shaken = tuple(
        msgspec.structs.replace(window, latency_ms=(window.latency_ms or 0) * (1 + number % 2))
        for number, window in enumerate(windows())
    )
    rough = compared(row(windows=shaken), row(windows=shaken))
    wide, narrow = ratio(rough, "p50_ms"), ratio(calm, "p50_ms")
    assert (wide.high or 0) - (wide.low or 0) > 3 * ((narrow.high or 0) - (narrow.low or 0))


@pytest.mark.parametrize("factor", [1.0, 1.01, 1.06])
def test_compare_latencies_inside_of_wide_bins_are_not_moved_to_their_middle(factor: float) -> None:
    """The percentiles are known exactly; bins are 12 % wide, and an edge may lie between two medians."""
    drawn = 22.3 * np.exp(np.random.default_rng(3).normal(0, 0.002, 4000))
    base, other = (latency_from(drawn * part / 1e3, 0.9) for part in (1.0, factor))
    calm = tuple(
        msgspec.structs.replace(window, latency_ms=22.36 + 0.002 * (number % 3))
        for number, window in enumerate(windows())
    )
    pair = compared(row(latency=base, windows=calm), row(latency=other, windows=calm))
    found = ratio(pair, "p50_ms")
    assert found.low is not None
    assert found.high is not None
    assert found.low < factor < found.high
    assert found.high - found.low < 0.02
    assert found.verdict == ("no difference shown" if factor == 1 else "worse")


def test_compare_takes_the_windows_at_the_percentile_that_they_hold() -> None:
    """Windows of a 99th percentile vary by chance as much as these did; of a median they would not."""
    drawn = (1.0, 1.06, 0.95, 1.04, 0.97, 1.02)
    shaken = tuple(
        msgspec.structs.replace(window, latency_ms=30.0 * part)
        for window, part in zip(windows(), drawn, strict=True)
    )
    at_99, at_50 = (row(windows=shaken, percentile=percentile) for percentile in (0.99, 0.5))
    calm, rough = ratio(compared(at_99, at_99), "p50_ms"), ratio(compared(at_50, at_50), "p50_ms")
    assert (rough.high or 0) - (rough.low or 0) > 1.5 * ((calm.high or 0) - (calm.low or 0))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"pack": "reference"}, "pack: own / reference"),
        ({"detector_input": 640}, "detector size: 320 / 640"),
        ({"threads": 4}, "threads: 2 / 4"),
        ({"percentile": 0.99}, "judged percentile: 0.9 / 0.99"),
        ({"provider": "cuda"}, "provider: cpu / cuda (lg_detect/detect)"),
        ({"precision": "int8"}, "precision: fp32 / int8 (lg_detect/detect)"),
        (
            {"backend": "openvino"},
            "backend: onnxruntime / openvino (lg_detect/detect)",
        ),
        (
            {"sha256": "cd" * 32},
            "models: abababababab / cdcdcdcdcdcd (lg_detect/detect)",
        ),
        ({"is_stable": False, "unstable_because": "heat"}, "grpc-unix was unstable: heat"),
        ({"errors": {"5003": 1000}}, "errors_part: 0.000 / 0.200"),
        ({"drops": {"late": 1000}}, "drops_part: 0.000 / 0.200"),
        ({"picture": "640x480 b"}, "picture: 640x480 a / 640x480 b"),
    ],
)
def test_compare_under_other_circumstances_warns(changes: dict[str, Any], told: str) -> None:
    """Beside the ratio, not silently."""
    of_engine = {name: value for name, value in changes.items() if name in ENGINE.__struct_fields__}
    of_row = {name: value for name, value in changes.items() if name not in of_engine}
    other = row(engines=(msgspec.structs.replace(ENGINE, **of_engine),), **of_row)
    assert compared(row(), other).warnings == (told,)
    assert compared(row(), row(errors={"5003": 3}, picture="")).warnings == ()


def test_compare_engines_that_only_one_row_tells_warn_unless_the_system_is_another() -> None:
    """The null system has none; our own must not lose them unseen."""
    assert "networks of one only: lg_detect/detect / none" in compared(row(), row(engines=())).warnings
    (pair,) = compare_systems(report(row(), row(system="null", engines=())), "grpc-unix").pairs
    assert pair.warnings == ()


@pytest.mark.parametrize(
    ("name", "value"),
    [("cpu", "Other"), ("cores", 8), ("features", ("avx2",)), ("board", "Orin"), ("power_mode", "15W")],
)
def test_compare_another_machine_warns_at_every_row(name: str, value: object) -> None:
    """Its ratio tells of the machine."""
    other = report(machine=msgspec.structs.replace(MACHINE, **{name: value}))
    (pair,) = compare_reports(report(), other, NAMES).pairs
    assert len(pair.warnings) == 1
    assert pair.warnings[0].startswith("another machine: ")


def test_compare_lists_versions_that_differ_and_rows_without_partner() -> None:
    """Nothing vanishes: other settings, another system, the same row twice."""
    machine = msgspec.structs.replace(MACHINE, versions={"numpy": "2.5"})
    base = report(row(), row(settings={"clients": 1}), row())
    found = compare_reports(
        base,
        report(row(), row(system="null"), machine=machine, livegate="0.2", settings=("a.b=1",)),
        NAMES,
    )
    assert len(found.pairs) == 1
    assert found.versions == (
        "settings: none / a.b=1",
        "livegate: 0.1 abc123 / 0.2 abc123",
        "numpy: 2.4.6 / 2.5",
        "onnxruntime: 1.31.0 / none",
    )
    assert found.unmatched == (
        "only in a.json: single_stream grpc-unix clients=1",
        "only in b.json: single_stream null clients=4",
        "a second time in a.json: single_stream grpc-unix clients=4",
    )


def test_compare_settings_in_another_order_are_the_same() -> None:
    """JSON objects have no order; 4 clients are not true clients."""
    base = report(row(settings={"a": 1, "b": 2}))
    assert compare_reports(base, report(row(settings={"b": 2, "a": 1})), NAMES).pairs
    assert not compare_reports(base, report(row(settings={"b": 2, "a": True})), NAMES).pairs


def test_compare_systems_of_one_run_pairs_their_windows() -> None:
    """A machine that slows down in both rows leaves the ratio alone."""
    slowing = [msgspec.structs.replace(w, rate_per_s=100.0 - 10 * n) for n, w in enumerate(windows())]
    doubled = [msgspec.structs.replace(w, rate_per_s=2 * w.rate_per_s) for w in slowing]
    made = report(row(windows=tuple(slowing)), row(system="null", windows=tuple(doubled)))
    (pair,) = compare_systems(made, "grpc-unix").pairs
    rate = ratio(pair, "rate_per_s")
    assert (rate.method, rate.verdict, rate.confidence) == ("paired windows", "better", 0.95)
    assert (rate.low, rate.ratio, rate.high) == (2.0, 2.0, 2.0)


def test_compare_systems_unequal_windows_are_not_paired() -> None:
    """Window n of the one then was not beside window n of the other."""
    made = report(row(), row(system="null", windows=windows(count=7)))
    (pair,) = compare_systems(made, "grpc-unix").pairs
    assert ratio(pair, "rate_per_s").method == "windows"


def test_compare_systems_that_did_not_take_turns_are_not_paired() -> None:
    """As many windows are no sign of it: a search that steps down measures one system again, later."""
    made = report(row(turns=1), row(system="null", turns=2))
    (pair,) = compare_systems(made, "grpc-unix").pairs
    assert ratio(pair, "rate_per_s").method == "windows"


def test_compare_queries_of_several_samples_count_once() -> None:
    """The same latencies tell as much, whether a query is one picture or eight."""
    ones = row(requests=4000, latency=latency(count=4000))
    eights = row(
        requests=32_000,
        latency=latency(count=4000),
        windows=tuple(msgspec.structs.replace(w, requests=8 * w.requests) for w in windows()),
    )
    found = [ratio(compared(made, made), "p99_ms") for made in (ones, eights)]
    assert (found[0].low, found[0].high) == (found[1].low, found[1].high)


def test_compare_systems_takes_the_only_row_of_the_base_and_says_so() -> None:
    """An in-process loop has no clients; of several rows none is picked at random."""
    alone = report(row(system="in-process", settings={}), row())
    (pair,) = compare_systems(alone, "in-process").pairs
    assert pair.warnings == ("settings: none / clients=4",)
    several = report(*(row(system="in-process", settings={"threads": n}) for n in (1, 2)), row())
    found = compare_systems(several, "in-process")
    assert found.pairs == ()
    assert found.unmatched == ("without in-process of its settings: single_stream grpc-unix clients=4",)


def saved(folder: Path, name: str, made: Report) -> str:
    (folder / name).write_bytes(report_json(made))
    return str(folder / name)


def test_compare_command_prints_ratios_warnings_and_the_unmatched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And writes JSON that its types read, and that fits the published schema."""
    base = saved(tmp_path, "a.json", report(row(), row(system="\x1b[2Jnull")))
    other = saved(tmp_path, "b.json", report(faster(pack="reference")))
    out = tmp_path / "c.json"
    assert main(["compare", base, other, "--json", str(out)]) == 0
    told = capsys.readouterr().out
    for words in (
        "better",
        "no difference shown",
        "! pack: own / reference",
        "not compared, only in a.json",
    ):
        assert words in told
    assert "\x1b" not in told
    schema = json.loads((ROOT / "docs" / "bench-compare.schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(json.loads(out.read_text()))
    found = msgspec.json.decode(out.read_bytes(), type=Comparison)
    assert found == compare_reports(
        report(row(), row(system="\x1b[2Jnull")), report(faster(pack="reference")), NAMES
    )


def test_compare_command_of_one_report_needs_a_base_that_is_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With what there is in the message."""
    path = saved(tmp_path, "a.json", report(row(), row(system="null")))
    assert main(["compare", path, "--base", "null"]) == 0
    assert "grpc-unix / null" in capsys.readouterr().out
    for arguments in ([path], [path, path, "--base", "null"], [path, "--base", "nobody"]):
        with pytest.raises(LiveGateError) as caught:
            main(["compare", *arguments])
        assert caught.value.code == ErrorCode.PARAM_FAILURE
    assert "grpc-unix, null" in caught.value.message
