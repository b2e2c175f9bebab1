"""CSV: the same cells come back, and a spreadsheet runs nothing."""

from __future__ import annotations

import csv
import io

from bench_kit import bare_row, report, row, varied_report
from livegate_bench.report.csvtable import report_csv


def lines(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


def test_csv_read_back_has_each_row_with_its_figures() -> None:
    """Numbers to the last digit, open keys under their prefix, nothing told as an empty cell."""
    made = varied_report()
    found = lines(report_csv(made))
    assert len(found) == len(made.rows)
    for line, told in zip(found, made.rows, strict=True):
        assert line["system"] == told.system
        assert float(line["rate_per_s"]) == told.rate_per_s
        assert line["latency.p99_ms"] == (repr(told.latency.p99_ms) if told.latency else "")
        for name, value in told.stages_ms.items():
            assert float(line[f"stages_ms.{name}"]) == value
        for name, count in (*told.drops.items(),):
            assert int(line[f"drops.{name}"]) == count
        assert line["is_stable"] == str(told.is_stable).lower()
    assert found[0]["settings.clients"] == "1"
    assert found[0]["engines"] == "lg_detect/detect onnxruntime/cpu fp32"
    assert found[-1]["latency.p50_ms"] == found[-1]["rss_bytes"] == found[-1]["settings.clients"] == ""


def test_csv_columns_do_not_hang_on_the_order_of_rows_or_keys() -> None:
    """A script that reads them finds them where they were."""
    first = row(settings={"b": 1, "a": 2}, errors={"9": 1})
    second = row(settings={"c": 3}, errors={"1": 1})
    heads = [report_csv(report(*rows)).splitlines()[0] for rows in ((first, second), (second, first))]
    assert heads[0] == heads[1]
    assert b"errors.1,errors.9" in heads[0]
    assert b"settings.a,settings.b,settings.c" in heads[0]


def test_csv_of_a_name_with_commas_quotes_and_lines_stays_one_row() -> None:
    """RFC 4180."""
    odd = 'a,"b"\nc'
    (line,) = lines(report_csv(report(bare_row(system=odd))))
    assert line["system"] == odd


def test_csv_cell_that_a_spreadsheet_would_run_is_made_text() -> None:
    """Text that begins as a formula; a negative number stays a number."""
    (line,) = lines(report_csv(report(bare_row(system="=1+1", figures={"lead": -2.5}))))
    assert line["system"] == "'=1+1"
    assert line["figures.lead"] == "-2.5"
