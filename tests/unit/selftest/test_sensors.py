"""Heat, throttling and power out of a folder that is laid out as /sys."""

from __future__ import annotations

from pathlib import Path

import pytest

from livegate.core.commands import ask
from livegate.core.config import Config
from livegate.core.sensors import Sensors
from livegate.selftest.heat import feel_heat
from livegate.selftest.report import Status
from livegate.selftest.stage import SYSFS, Course
from livegate.selftest.tools import GPU_FIELDS, gpu_problems, gpu_states, power_mode
from sysfs_kit import cool_box, write


@pytest.fixture
def sysfs(tmp_path: Path) -> Path:
    return cool_box(tmp_path)


def feel(sysfs: Path, before: dict[str, int] | None = None) -> tuple[Status, str]:
    throttled = Sensors(sysfs).throttles() if before is None else before
    course = Course(Config(), 1e9, sysfs, throttled_before=throttled)
    (check,) = feel_heat(course).checks
    return check.status, check.reason


def test_cool_box_passes_with_its_figures(sysfs: Path) -> None:
    """Temperatures and rails with their units."""
    course = Course(Config(), 1e9, sysfs, throttled_before=Sensors(sysfs).throttles())
    (check,) = feel_heat(course).checks
    assert (check.status, check.reason) == (Status.PASS, "")
    figures = {figure.name: (figure.value, figure.unit) for figure in check.figures}
    assert figures == {
        "cpu-thermal": (45.5, "degrees Celsius"),
        "ina3221 VDD_IN": (4.9, "W"),
        "nvme Composite": (38.85, "degrees Celsius"),
    }
    assert check.facts == {"cores below their greatest clock": "0 of 1"}


@pytest.mark.parametrize(
    ("milli", "said"),
    [(99_000, "99 stops"), (104_500, "99 stops"), (90_000, "85 slows"), (85_000, "85 slows")],
)
def test_heat_at_a_trip_point_fails_with_both_temperatures(sysfs: Path, milli: int, said: str) -> None:
    """At the passive point the kernel slows the box, at the hot or critical one it stops it."""
    write(sysfs / "class/thermal/thermal_zone0/temp", milli)
    status, reason = feel(sysfs)
    assert status is Status.FAIL
    assert f"cpu-thermal is at {milli / 1e3:.0f} degrees" in reason
    assert said in reason


def test_heat_just_below_the_first_trip_point_passes(sysfs: Path) -> None:
    """The limit itself is the limit."""
    write(sysfs / "class/thermal/thermal_zone0/temp", 84_999)
    assert feel(sysfs)[0] is Status.PASS


def test_disk_above_its_own_limit_fails(sysfs: Path) -> None:
    """Other chips tell their critical temperature themselves."""
    write(sysfs / "class/hwmon/hwmon1/temp1_input", 85_000)
    assert "nvme Composite is at 85" in feel(sysfs)[1]


@pytest.mark.parametrize("limit", [0, -274_000, 2_147_483_647])
def test_trip_point_of_nonsense_is_none(sysfs: Path, limit: int) -> None:
    """Firmware writes such numbers where there is no trip point."""
    for number in (0, 1):
        write(sysfs / f"class/thermal/thermal_zone0/trip_point_{number}_temp", limit)
    assert feel(sysfs)[0] is Status.PASS


def test_sensor_that_is_not_there_is_left_out(sysfs: Path) -> None:
    """A zone without a sensor tells -40 or -274 degrees, or cannot be read."""
    write(sysfs / "class/thermal/thermal_zone0/temp", -274_000)
    write(sysfs / "class/hwmon/hwmon1/temp1_input", "")
    assert Sensors(sysfs).heats() == ()


@pytest.mark.parametrize("path", ["core_throttle_count", "oc"])
def test_throttling_fails_only_when_it_happens_during_the_test(sysfs: Path, path: str) -> None:
    """The counters count from the box's start: what they say first is the past."""
    found = {
        "core_throttle_count": "devices/system/cpu/cpu0/thermal_throttle/core_throttle_count",
        "oc": "class/hwmon/hwmon0/oc3_event_cnt",
    }[path]
    before = Sensors(sysfs).throttles()
    assert before[found] == 7
    assert feel(sysfs, before)[0] is Status.PASS
    write(sysfs / found, 9)
    status, reason = feel(sysfs, before)
    assert status is Status.FAIL
    assert "throttled 2 times during the test" in reason


def test_box_without_any_sensor_is_not_run(tmp_path: Path) -> None:
    """A virtual machine has none: nothing is known, which is no failure."""
    assert feel(tmp_path) == (Status.NOT_RUN, "this box shows no sensor")


def test_gpu_that_slows_itself_down_fails() -> None:
    """As nvidia-smi tells it; what a GPU does not support is left out."""
    values = ["Orin", "71", "[N/A]", "Not Active", "Active", "Not Active"]
    states = gpu_states(lambda command: ", ".join(values) + "\n")
    assert states[0]["temperature.gpu"] == "71"
    assert "power.draw" not in states[0]
    assert gpu_problems(states) == ("Orin slows itself down (sw_thermal_slowdown)",)
    assert gpu_states(lambda command: "") == gpu_states(lambda command: "an, error\n") == ()


def test_gpu_is_asked_only_on_this_box(sysfs: Path) -> None:
    """The sensors of another root are not mixed with this box's commands."""
    asked = []
    for root in (sysfs, SYSFS):
        feel_heat(Course(Config(), 1e9, root), ask=lambda command: asked.append(command[0]) or "")
    assert asked == ["nvidia-smi", "npu-smi", "nvpmodel"]
    assert len(GPU_FIELDS) == 6


def test_power_mode_is_the_jetsons_own_word() -> None:
    """The first line of `nvpmodel -q` that names it."""
    said = "NV Fan Mode:quiet\nNV Power Mode: 15W\n0\n"
    assert power_mode(lambda command: said) == "15W"
    assert power_mode(lambda command: "") == ""


@pytest.mark.parametrize(
    ("program", "said"), [("echo told", "told\n"), ("echo told; exit 9", ""), ("exec sleep 60", "")]
)
def test_command_that_fails_or_hangs_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, said: str
) -> None:
    """A driver that is stuck does not hold the selftest up."""
    tool = tmp_path / "npu-tool"
    tool.write_text(f"#!/bin/sh\n{program}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    if "sleep" in program:
        monkeypatch.setattr("livegate.core.commands.ASK_S", 0.2)
    assert ask(("npu-tool",)) == said
    assert ask(("no-such-tool",)) == ""
