"""Reports as files: read with every claim checked, written whole or not at all."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import jsonschema
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench_kit import bare_row, latency, report, row, varied_report
from livegate.core.errors import ErrorCode, SetupError
from livegate_bench.report.reportfile import MAX_BYTES, not_finite, read_report, report_json, write_file
from livegate_bench.rows import Report
from support import ROOT

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
SETTINGS = st.dictionaries(
    st.text(max_size=8), st.none() | st.booleans() | st.text(max_size=8) | NUMBERS, max_size=4
)


@settings(max_examples=50, deadline=None)
@given(
    SETTINGS, st.dictionaries(st.text(max_size=8), NUMBERS, max_size=4), st.text(max_size=12), NUMBERS
)
def test_report_written_and_read_is_the_same(
    asked: dict[str, str | float | bool | None], figures: dict[str, float], system: str, rate: float
) -> None:
    """To the last digit."""
    made = report(row(settings=asked, figures=figures, system=system, rate_per_s=rate), bare_row())
    assert msgspec.json.decode(report_json(made), type=Report) == made


def test_report_file_fits_the_published_schema_and_reads_back(tmp_path: Path) -> None:
    """docs/bench.schema.json is what others validate with."""
    made, path = varied_report(), tmp_path / "r.json"
    write_file(path, report_json(made))
    schema = json.loads((ROOT / "docs" / "bench.schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(json.loads(path.read_text()))
    assert read_report(path) == made


def changed(**changes: object) -> bytes:
    return json.dumps({**json.loads(report_json(report())), **changes}).encode()


CROOKED = msgspec.structs.replace(latency(), edges_ms=(1.0, 0.5), counts=(3,))
BAD = {
    "empty": (b"", "truncated"),
    "not JSON": (b"hello", "malformed"),
    "not UTF-8": (b'{"format":"\xff"}', "utf-8"),
    "a list": (b"[]", "Expected `object`"),
    "another file": (b"{}", "without a format"),
    "a later version": (changed(format="livegate.bench/2"), 'of format "livegate.bench/2"'),
    "an unknown field": (changed(mood="good"), "unknown field `mood`"),
    "a wrong type": (changed(seconds="60"), "$.seconds"),
    "a missing field": (b'{"format":"livegate.bench/1"}', "missing required field"),
    "a number that is none": (changed(seconds=0).replace(b'"seconds": 0', b'"seconds": 1e999'), "range"),
    "a nest": (b'{"format":' + b"[" * 100_000, "Expected `str`"),
    "a crooked histogram": (report_json(report(row(latency=CROOKED))), "histogram of row 0"),
}


@pytest.mark.parametrize("name", BAD)
def test_file_that_is_no_report_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    """With the file's name and why."""
    content, why = BAD[name]
    path = tmp_path / "bad.json"
    path.write_bytes(content)
    with pytest.raises(SetupError) as caught:
        read_report(path)
    assert caught.value.code == ErrorCode.READ_FAIL
    assert str(path) in caught.value.message
    assert why in caught.value.message
    assert "\n" not in caught.value.message


def test_file_that_is_missing_or_a_folder_is_told(tmp_path: Path) -> None:
    """Neither is a defect of ours."""
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(SetupError) as caught:
            read_report(path)
        assert caught.value.code == ErrorCode.OPEN_FAIL


def test_huge_file_is_refused_unread(tmp_path: Path) -> None:
    """By its size: 200 MB of nothing take no memory."""
    path = tmp_path / "huge.json"
    with path.open("wb") as file:
        os.truncate(file.fileno(), 200 << 20)
    with pytest.raises(SetupError, match=str(MAX_BYTES)) as caught:
        read_report(path)
    assert caught.value.code == ErrorCode.OUT_OF_RANGE


def test_not_finite_names_every_place() -> None:
    """Of a figure that is no number."""
    bad = report(row(figures={"a": math.nan}, rate_per_s=math.inf))
    assert sorted(not_finite(bad)) == ["report.rows[0].figures.a", "report.rows[0].rate_per_s"]
    assert not list(not_finite(varied_report()))


def test_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk costs the new report, not the old one, and leaves no part behind."""
    path = tmp_path / "r.json"
    path.write_bytes(b"old")

    def full(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space"):
        write_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert [left.name for left in tmp_path.iterdir()] == ["r.json"]


def test_write_through_a_link_keeps_link_and_mode(tmp_path: Path) -> None:
    """What the operator arranged stays."""
    target, link = tmp_path / "target.json", tmp_path / "link.json"
    target.write_bytes(b"old")
    target.chmod(0o640)
    link.symlink_to(target)
    write_file(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert target.stat().st_mode & 0o777 == 0o640


def test_committed_reports_can_be_read() -> None:
    """The README's figures are of reports that this version shows."""
    names = {file.name for file in (ROOT / "bench" / "reports").glob("*.json") if read_report(file).rows}
    shown = {"full.json", "peers.json", "overload.json", "frame-queue.json", "fleet-turnstile.json"}
    assert shown <= names
