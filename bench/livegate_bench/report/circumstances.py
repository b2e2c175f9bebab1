"""The tables of a page that say under what circumstances its figures stand."""

from __future__ import annotations

from collections.abc import Sequence

from livegate_bench.comparison.measures import percentile_word, settings_words, short
from livegate_bench.report.csvtable import engine_lines
from livegate_bench.report.svg import Markup, join, tag
from livegate_bench.rows import Conditions, EngineRun, Report, Row


def facts(report: Report) -> Markup:
    """Machine, versions and every network that ran."""
    machine = report.machine
    pairs = {
        "CPU": f"{machine.cpu}, {machine.cores} cores",
        "CPU features": " ".join(machine.features) or "none told",
        "memory": f"{machine.memory_bytes / 2**30:.1f} GiB",
        "board": machine.board or "not told",
        "accelerators": ", ".join(machine.accelerators) or "none on PCI",
        "driver": machine.driver or "none",
        "power mode": machine.power_mode or "not available",
        "kernel": machine.kernel,
        "Python": machine.python,
        **{f"{name}": version for name, version in sorted(machine.versions.items())},
        "git revision": report.git_revision or "not a checkout",
    }
    terms = [join(tag("dt", name), tag("dd", value)) for name, value in pairs.items()]
    return join(tag("dl", *terms), _engines(report.rows))


def _engines(rows: Sequence[Row]) -> Markup:
    runs = list(dict.fromkeys(run for row in rows for run in row.engines))
    if not runs:
        return tag("p", "No engine was told.", class_="quiet")
    heads = ("network", "backend", "provider asked", "provider that ran", "precision", "sha256")
    return tag("table", tag("thead", _heads(heads)), tag("tbody", *(_engine(run) for run in runs)))


def _engine(run: EngineRun) -> Markup:
    is_other = run.provider_asked not in (run.provider, "", "any", "auto")
    ran = tag("b", run.provider) if is_other else run.provider
    cells = [f"{run.model_id}/{run.network}", run.backend, run.provider_asked, ran, run.precision]
    return tag("tr", *(tag("td", cell) for cell in [*cells, tag("code", run.sha256[:16])]))


def _heads(names: Sequence[str]) -> Markup:
    return tag("tr", *(tag("th", name) for name in names))


def rows_table(rows: Sequence[Row]) -> Markup:
    """What was asked of each row and what else it found."""
    heads = ("row", "asked", "measured", "latency, ms", "cost of a request", "lost", "engines")
    lines = [_row(row) for row in rows]
    return tag("table", tag("thead", _heads(heads)), tag("tbody", *lines), class_="dense")


def _row(row: Row) -> Markup:
    cells = [
        [tag("b", f"{row.scenario} {row.system}"), *_state(row)],
        _asked(row),
        _measured(row),
        _latency(row),
        _cost(row),
        _lost(row),
        engine_lines(row) or ["–"],
    ]
    return tag("tr", *(_cell(cell) for cell in cells), class_=None if row.is_stable else "unstable")


def _cell(lines: Sequence[str]) -> Markup:
    return tag("td", *(tag("div", line) for line in lines))


def _state(row: Row) -> list[str]:
    if row.is_stable:
        return ["stable"]
    return [tag("span", "unstable", class_="flag"), row.unstable_because or "no reason told"]


def _asked(row: Row) -> list[str]:
    return [
        *settings_words(row.settings),
        f"pack {row.pack}",
        f"detector {row.detector_input} px",
        f"{row.threads} threads",
        f"seed {row.seed}",
    ]


def _measured(row: Row) -> list[str]:
    return [
        f"{row.requests} requests",
        f"{short(row.seconds)} s",
        f"{short(row.rate_per_s)} /s",
        f"{len(row.windows)} windows",
        *(f"{name} {short(value)}" for name, value in sorted(row.figures.items())),
    ]


def _latency(row: Row) -> list[str]:
    if row.latency is None:
        return ["not measured"]
    names = ("min", "mean", "p50", "p90", "p95", "p99", "p99_9", "max")
    words = [f"{name.replace('_', '.')} {short(getattr(row.latency, name + '_ms'))}" for name in names]
    lines = [", ".join(words[at : at + 2]) for at in range(0, len(words), 2)]
    stop = row.latency.early_stop
    if stop is not None:
        bound = f"≤ {short(stop.bound_ms)}" if stop.bound_ms is not None else "takes more requests"
        lines.append(f"{percentile_word(stop.percentile)} {bound} ({stop.confidence:.0%} sure)")
    return [*lines, f"of {row.latency.count}"]


def _cost(row: Row) -> list[str]:
    energy = row.energy
    joules = (
        f"{short(energy.joules_per_request)} J, {short(energy.watts)} W ({energy.sensor})"
        if energy is not None
        else "energy not available"
    )
    return [
        f"core-ms {short(row.core_ms_per_request)}",
        f"of load {short(row.load_core_ms_per_request)}",
        f"copied {_in(row.bytes_copied_per_request, 1000, 'kB')}",
        joules,
        f"resident {_in(row.rss_bytes, 2**20, 'MiB')}",
    ]


def _in(size: int | None, unit: int, name: str) -> str:
    return "–" if size is None else f"{short(size / unit)} {name}"


def _lost(row: Row) -> list[str]:
    drops = [f"dropped {name}: {count}" for name, count in sorted(row.drops.items())]
    return [*drops, *(f"error {name}: {count}" for name, count in sorted(row.errors.items()))] or [
        "none"
    ]


def conditions_table(rows: Sequence[Row]) -> Markup:
    """Clocks, heat, throttling and load around each row."""
    heads = (
        "row",
        "when",
        "governor",
        "clocks, MHz",
        "hottest, °C",
        "throttled",
        "load, 1 min",
        "stolen",
    )
    lines = []
    for row in rows:
        name = " ".join([row.scenario, row.system, *settings_words(row.settings)])
        lines += [_conditions(name, "before", row.before), _conditions("", "after", row.after)]
    return tag("table", tag("thead", _heads(heads)), tag("tbody", *lines), class_="dense")


def _conditions(name: str, when: str, found: Conditions) -> Markup:
    clocks = " ".join(map(str, found.clocks_mhz)) if found.clocks_mhz else "not available"
    cells = [
        *(name, when, found.governor or "not available", clocks),
        *(short(found.hottest_celsius), short(found.throttle_events)),
        *(short(found.load_1min), f"{found.stolen:.1%}"),
    ]
    return tag("tr", *(tag("td", cell) for cell in cells))
