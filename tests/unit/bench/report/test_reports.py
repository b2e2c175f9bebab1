"""Delivering: what was measured is never lost, and what cannot be delivered is told before."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import pytest

from bench_kit import report, row, varied_report
from livegate.core.errors import ErrorCode, SetupError
from livegate_bench.main import main
from livegate_bench.report import reports
from livegate_bench.report.reportfile import read_report, report_json
from livegate_bench.report.reports import add_outputs, check_outputs, deliver

GATE = '[[limit]]\nscenario = "single_stream"\nsystem = "grpc-unix"\nfigure = "rate_per_s"\nat_least = '


def options(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_outputs(parser)
    return parser.parse_args(arguments)


def test_deliver_prints_the_rows_and_writes_what_was_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Doubts and findings stand in the table."""
    paths = [tmp_path / name for name in ("r.json", "r.csv", "r.html")]
    asked = options("--json", str(paths[0]), "--csv", str(paths[1]), "--html", str(paths[2]))
    check_outputs(asked)
    assert deliver(varied_report(), asked) == 0
    assert read_report(paths[0]) == varied_report()
    assert paths[1].read_bytes().startswith(b"scenario,system,")
    assert paths[2].read_bytes().startswith(b"<!DOCTYPE html>")
    told = capsys.readouterr().out
    for words in ("frame-queue", "UNSTABLE: the rates", "ready_s 2.31", "clients=16"):
        assert words in told


@pytest.mark.parametrize(("least", "status", "verdict"), [("100", 0, "kept"), ("101", 1, "FAILED")])
def test_deliver_gate_decides_the_status(
    least: str, status: int, verdict: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each limit with value, limit and verdict."""
    (tmp_path / "gate.toml").write_text(GATE + least)
    assert deliver(report(), options("--gate", str(tmp_path / "gate.toml"))) == status
    told = capsys.readouterr().out
    assert verdict in told
    assert f"at least {least}" in told


def test_deliver_page_that_cannot_be_written_costs_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """JSON is written, the table printed, the gate judged; then the error tells the path."""
    (tmp_path / "gate.toml").write_text(GATE + "101")
    page = tmp_path / "gone" / "r.html"
    asked = options(
        *("--json", str(tmp_path / "r.json"), "--html", str(page), "--gate", str(tmp_path / "gate.toml"))
    )
    with pytest.raises(SetupError, match="No such file") as caught:
        deliver(report(), asked)
    assert str(page) in caught.value.message
    assert read_report(tmp_path / "r.json") == report()
    assert "FAILED" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["json", "html"])
def test_deliver_report_whose_file_fails_is_kept_elsewhere(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the folder for temporary files, when no JSON of it is written."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(SetupError) as caught:
        deliver(report(), options(f"--{kind}", str(tmp_path / "gone" / "file")))
    (kept,) = tmp_path.glob("livegate-bench-*.json")
    assert str(kept) in caught.value.message
    assert read_report(kept) == report()


def test_deliver_figure_that_is_no_number_is_refused_after_the_rest(tmp_path: Path) -> None:
    """A NaN is a defect of the measurement: it is told, and its neighbours stay."""
    bad = report(row(figures={"ready_s": math.nan}))
    with pytest.raises(SetupError, match=r"report.rows\[0\].figures.ready_s is no number"):
        deliver(bad, options("--json", str(tmp_path / "r.json"), "--html", str(tmp_path / "r.html")))
    assert (tmp_path / "r.json").exists()
    assert (tmp_path / "r.html").exists()


def test_check_outputs_refuses_what_could_not_be_written(tmp_path: Path) -> None:
    """Before minutes are measured for nothing."""
    file = tmp_path / "file"
    file.write_text("")
    wrong = [
        ("--html", str(tmp_path)),
        ("--json", str(tmp_path / "gone" / "r.json")),
        ("--csv", str(file / "r.csv")),
        ("--json", str(file), "--csv", str(tmp_path / "." / "file")),
    ]
    for arguments in wrong:
        with pytest.raises(SetupError) as caught:
            check_outputs(options(*arguments))
        assert caught.value.code == ErrorCode.WRITE_FAIL
    (tmp_path / "gate.toml").write_text("limit = []")
    with pytest.raises(SetupError, match="no limits"):
        check_outputs(options("--gate", str(tmp_path / "gate.toml")))


def test_check_outputs_leaves_nothing_behind(tmp_path: Path) -> None:
    """An old report is not touched by a run that may fail."""
    old = tmp_path / "r.json"
    old.write_text("old")
    check_outputs(options("--json", str(old), "--html", str(tmp_path / "r.html")))
    check_outputs(options("--json", "/dev/null", "--csv", "/dev/null"))
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("r.json", "old")]


def test_show_makes_the_same_files_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From JSON alone."""
    path, page = tmp_path / "r.json", tmp_path / "r.html"
    path.write_bytes(report_json(varied_report()))
    assert main(["show", str(path), "--html", str(page), "--csv", str(tmp_path / "r.csv")]) == 0
    assert page.read_bytes() == reports.report_html(varied_report())
    assert "camera_fleet" in capsys.readouterr().out


def test_show_does_not_write_over_its_report(tmp_path: Path) -> None:
    """A slip of the hand does not cost a measurement."""
    path = tmp_path / "r.json"
    path.write_bytes(report_json(report()))
    with pytest.raises(SetupError) as caught:
        main(["show", str(path), "--html", str(tmp_path / "." / "r.json")])
    assert caught.value.code == ErrorCode.WRITE_FAIL
    assert read_report(path) == report()
