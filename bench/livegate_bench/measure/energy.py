"""What the box draws while it is measured: counted by the processor, or felt on the board's rails."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from livegate.core.sensors import Sensors
from livegate_bench.rows import Energy

SYSFS = Path("/sys")
EVERY_S = 0.1
WHOLE_BOX = ("VDD_IN", "POM_5V_IN", "VDD_TOTAL")
"""Rails that all others of a Jetson hang on, by module; their sum counts the same watts twice.

VIN_SYS_5V0 is none: on an AGX Orin it is what is left beside the rails of GPU and CPU.
"""
MONITORS = "ina"
"""Chips that watch a board's rails; a battery that is charged and a graphics card are none of it."""


class EnergyMeter:
    """Joules since the start: RAPL's counters where they may be read, else rails, ten times a second."""

    def __init__(
        self,
        sysfs: Path = SYSFS,
        now_s: Callable[[], float] = time.perf_counter,
        every_s: float = EVERY_S,
    ) -> None:
        """Begin."""
        self._sensors, self._now_s, self._every_s = Sensors(sysfs), now_s, every_s
        self._began = self._sensors.counters()
        self._joules, self._last_s = 0.0, now_s()
        self._watts = None if self._began else self.rail_watts()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._feel, daemon=True)
        if self._watts is not None:
            self._thread.start()

    def rail_watts(self) -> tuple[str, float] | None:
        """The rail of the whole box, else the sum of the board's; None without any."""
        rails = [rail for rail in self._sensors.rails() if rail.name.startswith(MONITORS)]
        for rail in rails:
            if rail.name.endswith(WHOLE_BOX):
                return rail.name, rail.watts
        return ("sum of all rails", sum(rail.watts for rail in rails)) if rails else None

    def feel(self) -> None:
        """Count the time since the last look at what is drawn now."""
        now_s, watts = self._now_s(), self.rail_watts()
        if watts is not None:
            self._joules += watts[1] * (now_s - self._last_s)
            self._watts = watts
        self._last_s = now_s

    def stop(self) -> tuple[str, float] | None:
        """(sensor, joules) from the start to now; None where the box has no sensor."""
        self._over.set()
        if self._began:
            then = {counter.name: counter for counter in self._began}
            pairs = [(now, then[now.name]) for now in self._sensors.counters() if now.name in then]
            return "RAPL packages", sum(now.since(before) for now, before in pairs)
        if self._watts is None:
            return None
        self._thread.join()
        self.feel()
        return self._watts[0], self._joules

    def _feel(self) -> None:
        while not self._over.wait(self._every_s):
            self.feel()


def energy_from(
    readings: list[tuple[str, float] | None], seconds: float, requests: int
) -> Energy | None:
    """What all windows used together; None when one of them has no reading."""
    found = [reading for reading in readings if reading is not None]
    if not found or len(found) < len(readings) or not requests or seconds <= 0:
        return None
    joules = sum(reading[1] for reading in found)
    return Energy(sensor=found[0][0], joules_per_request=joules / requests, watts=joules / seconds)
