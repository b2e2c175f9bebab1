"""A report as CSV: one line for each row, no nesting, the same columns in every line."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any

import msgspec

from livegate_bench.rows import Report, Row

FIXED = tuple(
    name
    for name in Row.__struct_fields__
    if name
    not in (
        *("settings", "latency", "windows", "stages_ms", "errors", "drops"),
        *("energy", "engines", "figures", "before", "after"),
    )
)
LATENCY = (
    "count", "mean_ms", "min_ms", "p50_ms", "p90_ms", "p95_ms", "p99_ms", "p99_9_ms", "max_ms",
)  # fmt: skip
OPEN = ("settings", "stages_ms", "errors", "drops", "figures")
"""Whose keys are columns of their own, sorted, each with the name before it."""
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def report_csv(report: Report) -> bytes:
    """UTF-8, RFC 4180; empty cells are values that the box could not tell."""
    lines = [_cells(report, row) for row in report.rows]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns(report), restval="")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in line.items()} for line in lines)
    return text.getvalue().encode()


def columns(report: Report) -> list[str]:
    """The same for the same keys, whatever the order of the rows."""
    opened = [
        f"{part}.{key}"
        for part in OPEN
        for key in sorted({key for row in report.rows for key in getattr(row, part)})
    ]
    return [
        *FIXED,
        *(f"latency.{name}" for name in LATENCY),
        *("early_stop.percentile", "early_stop.bound_ms", "energy.sensor", "energy.joules_per_request"),
        *("energy.watts", "windows", "engines"),
        *opened,
        *(f"{when}.{name}" for when in ("before", "after") for name in report_conditions()),
        *("machine.cpu", "machine.cores", "machine.board", "machine.power_mode", "machine.driver"),
        *("livegate", "git_revision"),
    ]


def report_conditions() -> tuple[str, ...]:
    """Of the box, before and after a row."""
    return ("governor", "clocks_mhz", "hottest_celsius", "throttle_events", "load_1min", "stolen")


def _cells(report: Report, row: Row) -> dict[str, Any]:
    stop = row.latency.early_stop if row.latency else None
    cells = {name: getattr(row, name) for name in FIXED}
    cells |= _parts("latency", row.latency, LATENCY)
    cells |= _parts("early_stop", stop, ("percentile", "bound_ms"))
    cells |= _parts("energy", row.energy, ("sensor", "joules_per_request", "watts"))
    cells |= {"windows": len(row.windows), "engines": "; ".join(engine_lines(row))}
    for part in OPEN:
        found: Mapping[str, Any] = getattr(row, part)
        cells |= {f"{part}.{key}": value for key, value in found.items()}
    cells |= _parts("before", row.before, report_conditions())
    cells |= _parts("after", row.after, report_conditions())
    cells |= _parts("machine", report.machine, ("cpu", "cores", "board", "power_mode", "driver"))
    return cells | {"livegate": report.livegate, "git_revision": report.git_revision}


def engine_lines(row: Row) -> list[str]:
    """Each network as it ran, and what was asked for where that is something else."""
    return [
        f"{run.model_id}/{run.network} {run.backend}/{run.provider} {run.precision}"
        + (f" (asked: {run.provider_asked})" if run.provider_asked != run.provider else "")
        for run in row.engines
    ]


def _parts(prefix: str, part: msgspec.Struct | None, names: tuple[str, ...]) -> dict[str, Any]:
    return {f"{prefix}.{name}": getattr(part, name) for name in names} if part is not None else {}


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    if isinstance(value, str) and value.startswith(FORMULA):
        return f"'{value}"  # or a spreadsheet would run it
    return str(value)
