"""A folder that is laid out as /sys, of a box that is well."""

from __future__ import annotations

from pathlib import Path


def write(path: Path, value: object) -> None:
    """One attribute."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{value}\n")


def cool_box(root: Path) -> Path:
    """One zone with its trip points, a rail, a disk, and counters that have counted before."""
    zone = root / "class/thermal/thermal_zone0"
    for name, value in {
        "type": "cpu-thermal",
        "temp": 45_500,
        "trip_point_0_type": "passive",
        "trip_point_0_temp": 85_000,
        "trip_point_1_type": "critical",
        "trip_point_1_temp": 99_000,
        "trip_point_2_type": "active",
        "trip_point_2_temp": 30_000,
    }.items():
        write(zone / name, value)
    rail = {"name": "ina3221", "in1_label": "VDD_IN", "in1_input": 5000, "curr1_input": 980}
    disk = {"name": "nvme", "temp1_label": "Composite", "temp1_input": 38_850, "temp1_crit": 84_850}
    for number, chip in enumerate((rail | {"oc3_event_cnt": 7}, disk)):
        for name, value in chip.items():
            write(root / f"class/hwmon/hwmon{number}/{name}", value)
    cpu = root / "devices/system/cpu/cpu0"
    write(cpu / "thermal_throttle/core_throttle_count", 7)
    write(cpu / "cpufreq/scaling_max_freq", 1_500_000)
    write(cpu / "cpufreq/cpuinfo_max_freq", 1_500_000)
    return root
