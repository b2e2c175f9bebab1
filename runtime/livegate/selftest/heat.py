"""Heat, throttling and power after everything else has run: a box at rest is cool and proves nothing."""

from __future__ import annotations

from livegate.core.commands import Ask, ask
from livegate.core.sensors import Sensors
from livegate.devices.npusmi import npu_states
from livegate.selftest.report import Check, Figure, Status
from livegate.selftest.stage import SYSFS, Course, Found, one
from livegate.selftest.tools import gpu_problems, gpu_states, power_mode


def feel_heat(course: Course, *, ask: Ask = ask) -> Found:
    """The check `heat_and_power`. A sensor root of another box has no commands of this one."""
    sensors, ask = Sensors(course.sysfs), ask if course.sysfs == SYSFS else _silence
    heats, rails, gpus = sensors.heats(), sensors.rails(), gpu_states(ask)
    after = sensors.throttles()
    rises = {
        name: count - course.throttled_before.get(name, 0)
        for name, count in after.items()
        if count > course.throttled_before.get(name, 0)
    }
    problems = [heat.problem for heat in heats if heat.problem]
    problems += [f"throttled {times} times during the test ({name})" for name, times in rises.items()]
    problems += gpu_problems(gpus)
    npus = npu_states(ask)
    problems += [npu.problem for npu in npus if npu.problem]
    figures = [Figure(name=heat.name, value=heat.now_c, unit="degrees Celsius") for heat in heats]
    figures += [Figure(name=rail.name, value=round(rail.watts, 3), unit="W") for rail in rails]
    facts = {
        f"gpu {number} {name}": value for number, gpu in enumerate(gpus) for name, value in gpu.items()
    }
    facts |= {npu.name: npu.fact for npu in npus}
    if mode := power_mode(ask):
        facts["power mode"] = mode
    if clocks := sensors.slowed_clocks():
        facts["cores below their greatest clock"] = f"{clocks[0]} of {clocks[1]}"
    is_told = bool(heats or rails or gpus or npus or after)
    status = Status.FAIL if problems else Status.PASS if is_told else Status.NOT_RUN
    reason = "; ".join(problems) if is_told else "this box shows no sensor"
    return one(
        Check(name="heat_and_power", status=status, reason=reason, figures=tuple(figures), facts=facts)
    )


def _silence(command: object) -> str:
    return ""
