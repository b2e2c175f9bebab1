"""What else differs between two rows or two runs, so that a ratio may tell of that."""

from __future__ import annotations

from collections.abc import Callable

from livegate_bench.comparison.measures import measure, settings_words
from livegate_bench.rows import Machine, Report, Row

_OF_ROW: tuple[tuple[str, Callable[[Row], object]], ...] = (
    ("pack", lambda row: row.pack),
    ("detector size", lambda row: row.detector_input),
    ("threads", lambda row: row.threads),
    ("judged percentile", lambda row: row.percentile),
)
MOST_LOST = 0.01
"""Above that part of failures or drops a figure tells of what was left."""
_OF_ENGINE = (
    ("models", "sha256"), ("backend", "backend"), ("provider", "provider"), ("precision", "precision"),
)  # fmt: skip


def differences(base: Row, other: Row) -> list[str]:
    """What besides the system was not the same, or makes a row doubtful."""
    found = [f"{name}: {get(base)} / {get(other)}" for name, get in _OF_ROW if get(base) != get(other)]
    if base.picture and other.picture and base.picture != other.picture:  # older reports do not tell
        found.append(f"picture: {base.picture} / {other.picture}")
    found += _engine_differences(base, other)
    if base.settings != other.settings:
        words = [" ".join(settings_words(row.settings)) or "none" for row in (base, other)]
        found.append(f"settings: {words[0]} / {words[1]}")
    for row in (base, other):
        if not row.is_stable:
            found.append(f"{row.system} was unstable: {row.unstable_because or 'no reason told'}")
    for name in ("errors_part", "drops_part"):
        lost = [measure(row, name) or 0.0 for row in (base, other)]
        if max(lost) > MOST_LOST and lost[0] != lost[1]:
            found.append(f"{name}: {lost[0]:.3f} / {lost[1]:.3f}")
    return found


def _engine_differences(base: Row, other: Row) -> list[str]:
    """Of networks that both ran, how; then which ones only one of them tells."""
    first, second = ({f"{e.model_id}/{e.network}": e for e in row.engines} for row in (base, other))
    both = [network for network in first if network in second]
    found = []
    for name, field in _OF_ENGINE:
        told = [(getattr(first[n], field)[:12], getattr(second[n], field)[:12], n) for n in both]
        found += [f"{name}: {a} / {b} ({network})" for a, b, network in told if a != b]
    # Another system may tell no engines (null, a peer): that is no difference in them.
    if base.system == other.system or (first and second):
        words = [", ".join(sorted(set(mine) - set(both))) for mine in (first, second)]
        if any(words):
            found.append(f"networks of one only: {words[0] or 'none'} / {words[1] or 'none'}")
    return found


def machine_differences(base: Machine, other: Machine) -> list[str]:
    """What makes it another machine; versions of packages are no part of that."""
    names = ("cpu", "cores", "features", "board", "accelerators", "power_mode", "memory_bytes")
    return [
        "another machine: CPU features differ"
        if name == "features"
        else f"another machine: {name} {_in_words(base, name)} / {_in_words(other, name)}"
        for name in names
        if _machine_part(base, name) != _machine_part(other, name)
    ]


def _machine_part(machine: Machine, name: str) -> object:
    if name == "features":
        return sorted(machine.features)
    if name == "memory_bytes":  # the kernel's own share changes from boot to boot
        return round(machine.memory_bytes / 2**30)
    return getattr(machine, name)


def _in_words(machine: Machine, name: str) -> object:
    return (
        ", ".join(machine.accelerators) or "none" if name == "accelerators" else getattr(machine, name)
    )


def version_differences(base: Report, other: Report) -> list[str]:
    """Of settings, LiveGate, Python, kernel, driver, packages: compared on purpose, or good to know."""
    first, second = _versions(base), _versions(other)
    return [
        f"{name}: {first.get(name, 'none')} / {second.get(name, 'none')}"
        for name in dict.fromkeys([*first, *second])
        if first.get(name) != second.get(name)
    ]


def _versions(report: Report) -> dict[str, str]:
    return {
        "settings": " ".join(report.settings) or "none",
        "livegate": f"{report.livegate} {report.git_revision or ''}".strip(),
        "python": report.machine.python,
        "kernel": report.machine.kernel,
        "driver": report.machine.driver or "none",
        **dict(sorted(report.machine.versions.items())),
    }
