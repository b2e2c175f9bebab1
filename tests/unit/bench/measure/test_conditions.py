"""The box, the circumstances and the energy, out of folders that are laid out as / and /sys."""

from __future__ import annotations

from pathlib import Path

import pytest

from livegate.core.sensors import Sensors
from livegate_bench.measure.conditions import Watcher, machine
from livegate_bench.measure.energy import EnergyMeter, energy_from
from sysfs_kit import cool_box, write

CPUINFO = "model name\t: A processor\nflags\t\t: fpu avx2 avx512_vnni sse\ncpu MHz\t\t: 2500.4\n\n"
CPUINFO += "model name\t: A processor\ncpu MHz\t\t: 1400.0\n"


def box(root: Path) -> Path:
    """A whole box that is well."""
    cool_box(root / "sys")
    write(root / "proc/cpuinfo", CPUINFO)
    write(root / "proc/meminfo", "MemTotal:       2048 kB")
    write(root / "proc/loadavg", "0.75 0.50 0.25 1/100 4242")
    write(root / "proc/stat", "cpu  100 0 100 800 0 0 0 0 0 0")
    return root


def test_conditions_are_what_the_kernel_tells(tmp_path: Path) -> None:
    """Clocks from cpuinfo where cpufreq has none; the hottest sensor; all throttling together."""
    found = Watcher(box(tmp_path), cores=(1,)).before
    assert (found.governor, found.clocks_mhz, found.hottest_celsius) == (None, (1400,), 45.5)
    assert (found.throttle_events, found.load_1min, found.stolen) == (14, 0.75, 0.0)


def test_clocks_of_cpufreq_and_its_governors_go_first(tmp_path: Path) -> None:
    """Of the cores that may be used; each governor once."""
    root = box(tmp_path)
    for core, governor in enumerate(("powersave", "performance", "powersave")):
        folder = root / f"sys/devices/system/cpu/cpu{core}/cpufreq"
        write(folder / "scaling_governor", governor)
        write(folder / "scaling_cur_freq", 1_500_000 + core * 1000)
    found = Watcher(root, cores=(0, 2)).before
    assert (found.governor, found.clocks_mhz) == ("performance, powersave", (1500, 1502))


def test_stolen_time_is_a_part_of_the_time_since_the_begin(tmp_path: Path) -> None:
    """50 of 200 ticks."""
    watcher = Watcher(box(tmp_path), cores=(0,))
    write(tmp_path / "proc/stat", "cpu  200 0 100 850 0 0 0 50 0 0")
    assert watcher.look().stolen == pytest.approx(0.25)


def test_box_that_tells_nothing_has_nulls(tmp_path: Path) -> None:
    """Never zeros."""
    found = Watcher(tmp_path, cores=(0,)).before
    assert (found.governor, found.clocks_mhz, found.hottest_celsius) == (None, None, None)
    assert found.throttle_events is None


def test_machine_names_the_features_that_matter(tmp_path: Path) -> None:
    """And a Jetson's power mode."""
    found = machine(box(tmp_path), ask=lambda _: "NV Power Mode: MAXN\n0\n")
    assert (found.cpu, found.features) == ("A processor", ("avx2", "avx512_vnni"))
    assert (found.memory_bytes, found.power_mode) == (2048 << 10, "MAXN")
    assert machine(tmp_path, ask=lambda _: "").power_mode is None


def rapl(root: Path, number: int, name: str, joules: float) -> None:
    zone = root / f"class/powercap/intel-rapl:{number}"
    write(zone / "name", name)
    write(zone / "energy_uj", round(joules * 1e6))
    write(zone / "max_energy_range_uj", 1000 * 10**6)


def test_energy_of_packages_is_counted_and_their_parts_are_not(tmp_path: Path) -> None:
    """A counter that began anew meanwhile goes on where it ended."""
    rapl(tmp_path, 0, "package-0", 990)
    rapl(tmp_path, 1, "package-1", 10)
    rapl(tmp_path, 2, "dram", 10)
    meter = EnergyMeter(tmp_path)
    rapl(tmp_path, 0, "package-0", 5)
    rapl(tmp_path, 1, "package-1", 30)
    rapl(tmp_path, 2, "dram", 500)
    assert meter.stop() == ("RAPL packages", pytest.approx(15 + 20))


def test_energy_of_a_board_is_felt_on_the_rail_that_all_hang_on(tmp_path: Path) -> None:
    """4.9 W for two seconds; the other rails are parts of it."""
    cool_box(tmp_path)
    chip = tmp_path / "class/hwmon/hwmon0"
    write(chip / "in2_label", "VDD_CPU_GPU_CV")
    write(chip / "in2_input", 5000)
    write(chip / "curr2_input", 400)
    times = iter([10.0, 11.0, 12.0])
    meter = EnergyMeter(tmp_path, now_s=lambda: next(times), every_s=60)
    meter.feel()
    assert meter.stop() == ("ina3221 VDD_IN", pytest.approx(9.8))


def test_energy_of_a_board_without_such_a_rail_is_the_sum_of_its_own(tmp_path: Path) -> None:
    """As on an AGX Orin, where VIN_SYS_5V0 is one beside others; a battery is no part of it.

    A chip that tells its power counts once; the fourth current of an INA3221 is the sum of others.
    """
    chips: tuple[dict[str, object], ...] = (
        {
            "name": "ina3221",
            "in1_label": "VDD_GPU_SOC",
            "in1_input": 10_000,
            "curr1_input": 2500,
            "in2_label": "VDD_CPU_CV",
            "in2_input": 10_000,
            "curr2_input": 800,
            "in3_label": "VIN_SYS_5V0",
            "in3_input": 5000,
            "curr3_input": 1200,
            "in4_input": 5000,
            "curr4_input": 4500,
        },
        {"name": "ina226", "power1_input": 24_000_000, "in1_input": 24_000, "curr1_input": 1000},
        {"name": "BAT0", "power1_input": 45_000_000},
        {"name": "amdgpu", "power1_input": 9_000_000},
    )
    for number, chip in enumerate(chips):
        for name, value in chip.items():
            write(tmp_path / f"class/hwmon/hwmon{number}/{name}", value)
    meter = EnergyMeter(tmp_path, every_s=60)
    assert meter.rail_watts() == ("sum of all rails", pytest.approx(25 + 8 + 6 + 24))
    meter.stop()


def test_energy_without_a_sensor_is_none(tmp_path: Path) -> None:
    """So is that of a row with a window that has none."""
    assert EnergyMeter(tmp_path).stop() is None
    assert energy_from([None, ("RAPL packages", 3.0)], 1.0, 10) is None
    found = energy_from([("RAPL packages", 3.0), ("RAPL packages", 5.0)], 2.0, 4)
    assert found is not None
    assert (found.joules_per_request, found.watts) == (2.0, 4.0)


def test_counter_that_may_not_be_read_is_left_out(tmp_path: Path) -> None:
    """Only root may, on many kernels."""
    write(tmp_path / "class/powercap/intel-rapl:0/name", "package-0")
    write(tmp_path / "class/powercap/intel-rapl:0/max_energy_range_uj", 1)
    assert Sensors(tmp_path).counters() == ()
