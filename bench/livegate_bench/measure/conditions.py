"""The box and the circumstances of a figure, as a row carries them."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from pathlib import Path

from livegate.core.commands import Ask, ask
from livegate.core.machine import (
    accelerators,
    board,
    cpu,
    driver,
    first_line_of,
    lines,
    memory_bytes,
    package_versions,
)
from livegate.core.sensors import Sensors
from livegate.selftest.tools import power_mode
from livegate_bench.measure.machine import PACKAGES
from livegate_bench.rows import Conditions, Machine

ROOT = Path("/")
TOLD = ("avx", "avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8", "f16c", "fma")
TOLD_BY_ARM = ("asimd", "asimddp", "asimdhp", "fphp", "i8mm", "bf16", "sve", "sve2")
STEAL = 7
"""Column of /proc/stat, counted from the first number."""


def machine(root: Path = ROOT, ask: Ask = ask) -> Machine:
    """What does not change while it is measured."""
    model, flags = cpu(root)
    return Machine(
        cpu=model,
        cores=len(os.sched_getaffinity(0)),
        features=tuple(name for name in (*TOLD, *TOLD_BY_ARM) if name in flags),
        memory_bytes=memory_bytes("MemTotal", root),
        board=board(root),
        kernel=platform.release(),
        python=platform.python_version(),
        versions=package_versions(PACKAGES),
        power_mode=power_mode(ask) or None,
        driver=driver(root),
        accelerators=accelerators(root),
    )


class Watcher:
    """Takes the conditions at the begin and at the end of a row."""

    def __init__(self, root: Path = ROOT, cores: Sequence[int] | None = None) -> None:
        """Begin."""
        self._root = root
        self._cores = sorted(os.sched_getaffinity(0)) if cores is None else cores
        self._ticks = self._spent_ticks()
        self.before = self.look()

    def look(self) -> Conditions:
        """How it is now, and what was stolen since the begin."""
        sensors = Sensors(self._root / "sys")
        heats, throttles = sensors.heats(), sensors.throttles()
        governors = sensors.governors()
        return Conditions(
            governor=", ".join(governors) or None,
            clocks_mhz=sensors.clocks_mhz(self._cores) or self._clocks_of_cpuinfo() or None,
            hottest_celsius=max((heat.now_c for heat in heats), default=None),
            throttle_events=sum(throttles.values()) if throttles else None,
            load_1min=float((first_line_of(self._root / "proc/loadavg").split() or ["0"])[0]),
            stolen=self._stolen(),
        )

    def _clocks_of_cpuinfo(self) -> tuple[int, ...]:
        """In a virtual machine often all that there is."""
        told = [line.partition(":") for line in lines(self._root / "proc/cpuinfo")]
        clocks = [round(float(value)) for name, _, value in told if name.strip() == "cpu MHz"]
        return tuple(clocks[core] for core in self._cores if core < len(clocks))

    def _stolen(self) -> float:
        stolen, every = (now - then for now, then in zip(self._spent_ticks(), self._ticks, strict=True))
        return min(1.0, max(0.0, stolen / every)) if every > 0 else 0.0

    def _spent_ticks(self) -> tuple[int, int]:
        """(stolen, all) of all cores together since the box started."""
        numbers = [int(word) for word in first_line_of(self._root / "proc/stat").split()[1:9]]
        return (numbers[STEAL] if len(numbers) > STEAL else 0), sum(numbers)
