"""Heat, throttling and power as the kernel tells them: read, never set.

The root is a parameter: a folder that is laid out as /sys.

Source: the kernel's ABI documents: thermal (thermal_zone*/temp in thousandths of a degree, trip points
passive, hot, critical), hwmon (temp*_crit, power*_input in millionths of a watt, curr*_input in
thousandths of an ampere, in*_input in thousandths of a volt), cpu (thermal_throttle counters, cpufreq
in kHz), powercap (energy_uj in millionths of a joule, from 0 to max_energy_range_uj and over again);
oc*_event_cnt of a Jetson's over-current throttling: Jetson Linux developer guide, power and performance.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from livegate.core.machine import first_line_of

SLOWS, STOPS = ("passive",), ("hot", "critical")
"""Trip points: at the first the kernel slows the processor down, at the others it stops the box."""
SENSIBLE_C = (1.0, 150.0)
"""Firmware marks a trip point or a sensor that is not there by numbers far outside."""


@dataclass(frozen=True, slots=True)
class Heat:
    """One sensor, and the temperatures at which something happens; all in degrees Celsius."""

    name: str
    now_c: float
    slows_c: float | None
    stops_c: float | None

    @property
    def problem(self) -> str:
        """What is wrong with it; empty when nothing is."""
        for limit, what in ((self.stops_c, "stops the box"), (self.slows_c, "slows the box down")):
            if limit is not None and self.now_c >= limit:
                return f"{self.name} is at {self.now_c:.0f} degrees Celsius, and {limit:.0f} {what}"
        return ""


@dataclass(frozen=True, slots=True)
class Rail:
    """What one rail draws."""

    name: str
    watts: float


@dataclass(frozen=True, slots=True)
class Counter:
    """The joules that one part of the processor has used, since some moment."""

    name: str
    joules: float
    wraps_at: float

    def since(self, before: Counter) -> float:
        """Joules from then to now; the counter may have begun anew once."""
        spent = self.joules - before.joules
        return spent if spent >= 0 else spent + self.wraps_at


class Sensors:
    """The sensors below one folder."""

    def __init__(self, root: Path) -> None:
        """Nothing is read yet."""
        self._root = root

    def heats(self) -> tuple[Heat, ...]:
        """Every temperature, zones first; a sensor that tells nonsense is left out."""
        return tuple(heat for heat in (*self._zones(), *self._hwmon_heats()) if _is_sensible(heat.now_c))

    def throttles(self) -> dict[str, int]:
        """How often each part was throttled since the start of the box."""
        found: dict[str, int] = {}
        for pattern in (
            "devices/system/cpu/cpu*/thermal_throttle/*_throttle_count",
            "class/hwmon/hwmon*/oc*_event_cnt",
        ):
            for path in sorted(self._root.glob(pattern)):
                count = _number(path)
                if count is not None:
                    found[str(path.relative_to(self._root))] = int(count)
        return found

    def rails(self) -> tuple[Rail, ...]:
        """Every rail whose power is told, or its voltage and current, as on a Jetson."""
        found = []
        for chip in sorted(self._root.glob("class/hwmon/hwmon*")):
            name = first_line_of(chip / "name") or chip.name
            powers = sorted(chip.glob("power*_input"))
            for path in powers:
                watts = _number(path)
                if watts is not None:
                    found.append(Rail(f"{name} {_label(path)}", watts / 1e6))
            # Who tells his power tells his current, too; an INA3221's fourth is the sum of the others.
            for path in () if powers else sorted(chip.glob("curr[1-3]_input")):
                amperes, volts = _number(path), _number(chip / path.name.replace("curr", "in"))
                if amperes is not None and volts is not None:
                    rail = _label(chip / path.name.replace("curr", "in"))
                    found.append(Rail(f"{name} {rail}", amperes * volts / 1e6))
        return tuple(found)

    def counters(self) -> tuple[Counter, ...]:
        """The energy of each processor package (RAPL), where we may read it: often only root may."""
        found = []
        for zone in sorted(self._root.glob("class/powercap/*-rapl:*")):
            joules, range_ = _number(zone / "energy_uj"), _number(zone / "max_energy_range_uj")
            name = first_line_of(zone / "name")
            # What lies within a package has a zone of its own, and is in the package's sum already.
            if joules is not None and range_ is not None and name.startswith("package"):
                found.append(Counter(f"RAPL {name}", joules / 1e6, range_ / 1e6))
        return tuple(found)

    def governors(self) -> tuple[str, ...]:
        """What sets the clocks of the cores: each governor once; none where the kernel does not."""
        paths = self._root.glob("devices/system/cpu/cpu*/cpufreq/scaling_governor")
        return tuple(sorted({governor for path in paths if (governor := first_line_of(path))}))

    def clocks_mhz(self, cores: Iterable[int]) -> tuple[int, ...]:
        """The clock of each of these cores; empty unless all are told."""
        folder = self._root / "devices/system/cpu"
        found = [_number(folder / f"cpu{core}/cpufreq/scaling_cur_freq") for core in cores]
        told = [khz for khz in found if khz is not None]
        return tuple(round(khz / 1e3) for khz in told) if len(told) == len(found) else ()

    def slowed_clocks(self) -> tuple[int, int] | None:
        """(cores whose greatest allowed clock is below what they can, all cores); None if untold."""
        pairs = []
        for folder in sorted(self._root.glob("devices/system/cpu/cpu*/cpufreq")):
            allowed, possible = (
                _number(folder / "scaling_max_freq"),
                _number(folder / "cpuinfo_max_freq"),
            )
            if allowed is not None and possible is not None:
                pairs.append(allowed < possible)
        return (sum(pairs), len(pairs)) if pairs else None

    def _zones(self) -> Iterator[Heat]:
        for zone in sorted(self._root.glob("class/thermal/thermal_zone*")):
            now = _number(zone / "temp")
            if now is not None:
                name = first_line_of(zone / "type") or zone.name
                yield Heat(name, now / 1e3, self._trip(zone, SLOWS), self._trip(zone, STOPS))

    def _trip(self, zone: Path, kinds: tuple[str, ...]) -> float | None:
        """The lowest trip point of these kinds."""
        found = []
        for path in zone.glob("trip_point_*_type"):
            limit = _number(zone / path.name.replace("_type", "_temp"))
            if first_line_of(path) in kinds and limit is not None and _is_sensible(limit / 1e3):
                found.append(limit / 1e3)
        return min(found, default=None)

    def _hwmon_heats(self) -> Iterator[Heat]:
        for chip in sorted(self._root.glob("class/hwmon/hwmon*")):
            name = first_line_of(chip / "name") or chip.name
            for path in sorted(chip.glob("temp*_input")):
                now, limit = _number(path), _number(Path(str(path).replace("_input", "_crit")))
                if now is not None:
                    stops = limit / 1e3 if limit is not None and _is_sensible(limit / 1e3) else None
                    yield Heat(f"{name} {_label(path)}", now / 1e3, None, stops)


def _number(path: Path) -> float | None:
    text = first_line_of(path)
    return float(text) if re.fullmatch(r"-?\d+", text) else None


def _label(path: Path) -> str:
    return first_line_of(Path(str(path).replace("_input", "_label"))) or path.name.partition("_")[0]


def _is_sensible(degrees: float) -> bool:
    return SENSIBLE_C[0] <= degrees <= SENSIBLE_C[1]
