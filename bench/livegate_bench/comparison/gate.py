"""Limits that a report must keep, from a TOML file. What cannot be judged has failed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from livegate.core.errors import ErrorCode, SetupError, first_line
from livegate.core.tomlfile import read_toml
from livegate_bench.comparison.differences import differences, machine_differences
from livegate_bench.comparison.matching import key_of, partner_of
from livegate_bench.comparison.measures import (
    COMPARED,
    GAINS,
    is_measure,
    label,
    measure,
    measure_names,
    short,
)
from livegate_bench.comparison.pairing import Ratio, ratio_of
from livegate_bench.report.reportfile import read_report
from livegate_bench.rows import Machine, Part, Report, Row, Setting


class Limit(Part, frozen=True, kw_only=True):
    """What every row of a scenario and system, and of the settings in `where`, must keep.

    Either `at_most` or `at_least` or both, of the figure or of its ratio to another system; or
    `most_worse`, a part: how much worse than in the report `baseline` (a path beside the gate's file).
    """

    scenario: str
    system: str
    figure: str
    where: dict[str, Setting] = msgspec.field(default_factory=dict)
    at_most: float | None = None
    at_least: float | None = None
    ratio_to: str | None = None
    baseline: str | None = None
    most_worse: float | None = None


class _GateFile(Part, frozen=True, kw_only=True):
    limit: tuple[Limit, ...]


@dataclass(frozen=True, slots=True)
class Gate:
    """Limits with the reports that they name."""

    limits: tuple[Limit, ...]
    baselines: dict[str, Report]


@dataclass(frozen=True, slots=True)
class Judgement:
    """One limit on one row: `row` is what was looked for where there is none."""

    row: str
    figure: str
    value: float | None
    limit: str
    is_kept: bool
    reason: str = ""


def read_gate(path: Path) -> Gate:
    """The limits of a file, each of which can be judged; their baselines are read.

    Raises:
        SetupError: OPEN_FAIL or READ_FAIL; CONFIG_ADD_FAIL when a limit says nothing or too much.
    """
    try:
        limits = msgspec.convert(read_toml(path), _GateFile).limit
    except msgspec.ValidationError as error:
        raise _refused(path, first_line(error)) from error
    if not limits:
        raise _refused(path, "it has no limits")
    for number, limit in enumerate(limits, 1):
        for wrong in _wrong(limit):
            raise _refused(path, f"limit {number} ({limit.scenario} {limit.system}): {wrong}")
    names = {limit.baseline for limit in limits if limit.baseline}
    return Gate(limits, {name: read_report(path.parent / name) for name in sorted(names)})


def _refused(path: Path, why: str) -> SetupError:
    return SetupError(ErrorCode.CONFIG_ADD_FAIL, f"{path} is no gate: {why}")


def _wrong(limit: Limit) -> Iterator[str]:
    """What is wrong with a limit by itself."""
    if not is_measure(limit.figure):
        known = ", ".join([*measure_names(), "figures.NAME", "stages_ms.NAME"])
        yield f'no row has a figure "{limit.figure}"; there are {known}'
    bounds = [limit.at_most, limit.at_least, limit.most_worse]
    if any(bound is not None and not math.isfinite(bound) for bound in bounds):
        yield "a limit must be a finite number"
    has_bound = limit.at_most is not None or limit.at_least is not None
    if (limit.baseline is None) != (limit.most_worse is None):
        yield "baseline and most_worse belong together"
    elif has_bound == (limit.baseline is not None):
        yield "it takes either at_most or at_least, or baseline with most_worse"
    elif limit.baseline is not None and limit.ratio_to is not None:
        yield "ratio_to and baseline exclude each other"
    if limit.most_worse is not None and limit.most_worse < 0:
        yield "most_worse must not be negative"
    if limit.most_worse is not None and limit.figure not in COMPARED:
        yield f"against a baseline there are {', '.join(COMPARED)}"


def judge(report: Report, gate: Gate) -> list[Judgement]:
    """Every limit on every row that it names: at least one judgement for each limit."""
    return [judgement for limit in gate.limits for judgement in _judge(report, limit, gate)]


def _judge(report: Report, limit: Limit, gate: Gate) -> Iterator[Judgement]:
    rows = [row for row in report.rows if _is_named(row, limit)]
    if not rows:
        where = " ".join(f"{name}={value}" for name, value in limit.where.items())
        sought = f"{limit.scenario} {limit.system} {where}".strip()
        yield Judgement(sought, limit.figure, None, _limit_words(limit), False, "there is no such row")
    for row in rows:
        value, reason = _value(report, row, limit, gate)
        yield Judgement(
            f"{row.scenario} {label(row)}",
            limit.figure,
            value,
            _limit_words(limit),
            not reason,
            reason,
        )


def _is_named(row: Row, limit: Limit) -> bool:
    if (row.scenario, row.system) != (limit.scenario, limit.system):
        return False
    return all(
        name in row.settings and _is_same(row.settings[name], sought)
        for name, sought in limit.where.items()
    )


def _is_same(value: Setting, sought: Setting) -> bool:
    """4 is 4.0, but true is not 1."""
    return value == sought and isinstance(value, bool) == isinstance(sought, bool)


def _value(report: Report, row: Row, limit: Limit, gate: Gate) -> tuple[float | None, str]:
    """The value that was judged, and why the limit is not kept; "" when it is."""
    value = measure(row, limit.figure)
    if not row.is_stable:
        return value, f"the row is unstable: {row.unstable_because or 'no reason told'}"
    if limit.baseline is not None:
        return _against_baseline(report.machine, row, limit, gate.baselines[limit.baseline])
    if limit.ratio_to is not None:
        return _against_system(report.rows, row, limit)
    return value, _over(value, limit)


def _over(value: float | None, limit: Limit) -> str:
    if value is None:
        return "the row has no such figure"
    if limit.at_most is not None and not value <= limit.at_most:
        return f"more than {short(limit.at_most)}"
    if limit.at_least is not None and not value >= limit.at_least:
        return f"less than {short(limit.at_least)}"
    return ""


def _against_system(rows: Sequence[Row], row: Row, limit: Limit) -> tuple[float | None, str]:
    base = partner_of(rows, row, limit.ratio_to or "")
    if base is None:
        return None, f"there is no row of {limit.ratio_to} with these settings"
    if not base.is_stable:
        return None, f"{limit.ratio_to} was unstable: {base.unstable_because or 'no reason told'}"
    if limit.figure in COMPARED:
        ratio = ratio_of(base, row, limit.figure, is_paired=True)
        value = ratio.ratio if ratio else None
    else:
        first, second = measure(base, limit.figure), measure(row, limit.figure)
        value = second / first if first and second is not None else None
    return value, _over(value, limit)


def _against_baseline(
    machine: Machine, row: Row, limit: Limit, baseline: Report
) -> tuple[float | None, str]:
    base = next((other for other in baseline.rows if key_of(other) == key_of(row)), None)
    if base is None:
        return None, "the baseline has no such row"
    unlike = [*machine_differences(baseline.machine, machine), *differences(base, row)]
    if unlike:
        return None, f"the baseline is of other circumstances: {unlike[0]}"
    ratio = ratio_of(base, row, limit.figure, is_paired=False)
    if ratio is None or ratio.low is None or ratio.high is None:
        return ratio.ratio if ratio else None, "there are too few windows or requests for an interval"
    return ratio.ratio, _regression(ratio, limit.most_worse or 0.0)


def _regression(ratio: Ratio, most_worse: float) -> str:
    """Worse only where the whole interval says so."""
    low, high = ratio.low or 0.0, ratio.high or 0.0
    is_worse = high < 1 - most_worse if ratio.figure in GAINS else low > 1 + most_worse
    return f"worse: the interval is {short(low)} .. {short(high)}" if is_worse else ""


def _limit_words(limit: Limit) -> str:
    bounds = (("at least", limit.at_least), ("at most", limit.at_most))
    words = [f"{name} {short(bound)}" for name, bound in bounds if bound is not None]
    if limit.most_worse is not None:
        words.append(f"at most {limit.most_worse:.1%} worse than {limit.baseline}")
    if limit.ratio_to is not None:
        words.append(f"of {limit.ratio_to}")
    return " ".join(words)
