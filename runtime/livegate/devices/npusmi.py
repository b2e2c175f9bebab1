"""What Huawei's npu-smi says of the NPUs of a box: their health and temperature.

Source: npu-smi command reference: `info -m` maps NPU and chip to names, `info -t health` answers OK,
Warning, Alarm, Critical or UNKNOWN, `info -t temp` degrees Celsius.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from livegate.core.commands import Ask, ask

GOOD = "OK"
MAX_CHIPS = 16
"""A box has one or a few; each costs two questions."""
CHIP = re.compile(r"^\s*(\d+)\s+(\d+)\s+(\d+)\s+(\S.*?)\s*$")
"""NPU, chip, logic id, name; the controller of a card has a dash for its logic id."""


@dataclass(frozen=True, slots=True)
class NpuState:
    """One chip. `celsius` is None where it is not told."""

    name: str
    health: str
    celsius: float | None

    @property
    def fact(self) -> str:
        """For people."""
        heat = "" if self.celsius is None else f", {self.celsius:.0f} degrees Celsius"
        return f"health {self.health}{heat}"

    @property
    def problem(self) -> str:
        """What is wrong; empty when nothing is, or nothing is told."""
        is_told = self.health not in ("", "UNKNOWN")
        return f"{self.name} reports health {self.health}" if is_told and self.health != GOOD else ""


def npu_states(ask: Ask = ask) -> tuple[NpuState, ...]:
    """Every chip that npu-smi knows; none where it is not here."""
    found = [CHIP.match(line) for line in ask(("npu-smi", "info", "-m")).splitlines()]
    chips = [match.groups() for match in found if match][:MAX_CHIPS]
    return tuple(_state(npu, chip, name, ask) for npu, chip, _, name in chips)


def _state(npu: str, chip: str, name: str, ask: Ask) -> NpuState:
    def told(what: str) -> str:
        said = ask(("npu-smi", "info", "-t", what, "-i", npu, "-c", chip))
        values = [line.partition(":")[2].strip() for line in said.splitlines() if ":" in line]
        return values[-1] if values else ""

    heat = re.match(r"\d+", told("temp"))
    health = told("health")
    return NpuState(f"npu {npu}.{chip} ({name})", health or "UNKNOWN", float(heat[0]) if heat else None)
