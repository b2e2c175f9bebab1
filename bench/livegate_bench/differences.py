"""What else differs between two rows or two runs, so that a ratio may tell of that."""

from __future__ import annotations

from collections.abc import Callable

from livegate_bench.measures import settings_words
from livegate_bench.rows import Machine, Report, Row

_OF_ROW: tuple[tuple[str, Callable[[Row], object]], ...] = (
    ("pack", lambda row: row.pack),
    ("detector size", lambda row: row.detector_input),
    ("threads", lambda row: row.threads),
    ("judged percentile", lambda row: row.percentile),
    ("models", lambda row: _of_engines(row, "sha256")),
    ("backend", lambda row: _of_engines(row, "backend")),
    ("provider", lambda row: _of_engines(row, "provider")),
    ("precision", lambda row: _of_engines(row, "precision")),
)


def differences(base: Row, other: Row) -> list[str]:
    """What besides the system was not the same, or makes a row doubtful."""
    found = [
        f"{name}: {_told(get(base))} / {_told(get(other))}"
        for name, get in _OF_ROW
        if get(base) != get(other) and _is_known(base, other, name)
    ]
    if base.settings != other.settings:
        words = [" ".join(settings_words(row.settings)) or "none" for row in (base, other)]
        found.append(f"settings: {words[0]} / {words[1]}")
    for row in (base, other):
        if not row.is_stable:
            found.append(f"{row.system} was unstable: {row.unstable_because or 'no reason told'}")
    return found


def _is_known(base: Row, other: Row, name: str) -> bool:
    """Another system may tell no engines (null, a peer): that is no difference in them."""
    of_engines = name in ("models", "backend", "provider", "precision")
    return not of_engines or base.system == other.system or bool(base.engines and other.engines)


def _of_engines(row: Row, name: str) -> dict[str, str]:
    return {f"{e.model_id}/{e.network}": getattr(e, name)[:12] for e in row.engines}


def _told(value: object) -> str:
    if isinstance(value, dict):
        if not value:
            return "none told"
        told = sorted(set(value.values()))
        return f"{', '.join(told)} ({', '.join(sorted(value))})"
    return str(value)


def machine_differences(base: Machine, other: Machine) -> list[str]:
    """What makes it another machine; versions of packages are no part of that."""
    names = ("cpu", "cores", "features", "board", "power_mode", "memory_bytes")
    return [
        "another machine: CPU features differ"
        if name == "features"
        else f"another machine: {name} {getattr(base, name)} / {getattr(other, name)}"
        for name in names
        if _machine_part(base, name) != _machine_part(other, name)
    ]


def _machine_part(machine: Machine, name: str) -> object:
    if name == "features":
        return sorted(machine.features)
    if name == "memory_bytes":  # the kernel's own share changes from boot to boot
        return round(machine.memory_bytes / 2**30)
    return getattr(machine, name)


def version_differences(base: Report, other: Report) -> list[str]:
    """Of LiveGate, Python, the kernel and packages: compared on purpose, or good to know of."""
    first, second = _versions(base), _versions(other)
    return [
        f"{name}: {first.get(name, 'none')} / {second.get(name, 'none')}"
        for name in dict.fromkeys([*first, *second])
        if first.get(name) != second.get(name)
    ]


def _versions(report: Report) -> dict[str, str]:
    return {
        "livegate": f"{report.livegate} {report.git_revision or ''}".strip(),
        "python": report.machine.python,
        "kernel": report.machine.kernel,
        **dict(sorted(report.machine.versions.items())),
    }
