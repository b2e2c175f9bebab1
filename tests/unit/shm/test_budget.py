"""Memory is asked for before it is taken."""

from __future__ import annotations

from pathlib import Path

import pytest

from livegate.core.errors import ErrorCode, RequestError
from livegate.shm.budget import MIB, SegmentBudget, machine_rooms


def test_budget_above_ceiling_is_refused_with_the_missing_amount() -> None:
    """1006 at once, naming the limit and what is missing."""
    budget = SegmentBudget(10 * MIB, dict)
    budget.take(8 * MIB)
    with pytest.raises(RequestError, match=r"1\.0 MiB are missing") as caught:
        budget.take(3 * MIB)
    assert caught.value.code is ErrorCode.OUT_OF_MEM
    assert caught.value.fields == {"missing_bytes": str(MIB), "limit": "frames.ceiling_mib"}
    assert budget.taken_bytes == 8 * MIB


def test_budget_given_back_can_be_taken_again() -> None:
    """The sum is of what lives."""
    budget = SegmentBudget(10 * MIB, dict)
    budget.take(10 * MIB)
    budget.give_back(10 * MIB)
    budget.take(10 * MIB)
    assert budget.taken_bytes == 10 * MIB


def test_budget_with_less_machine_than_ceiling_names_the_machine() -> None:
    """The tightest limit decides."""
    budget = SegmentBudget(1 << 40, lambda: {"MemAvailable": 5 * MIB, "group": 2 * MIB})
    with pytest.raises(RequestError, match="group leaves 2"):
        budget.take(3 * MIB)
    budget.take(2 * MIB)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_rooms_of_cgroup_v2_count_every_group_above_us(tmp_path: Path) -> None:
    """The limit of a parent binds too, `max` is none, idle file pages are no use of memory."""
    write(tmp_path / "proc/meminfo", "MemTotal: 9999 kB\nMemAvailable:    2048 kB\n")
    write(tmp_path / "proc/self/cgroup", "0::/outer/inner\n")
    groups = tmp_path / "sys/fs/cgroup"
    write(groups / "outer/memory.max", "1000000\n")
    write(groups / "outer/memory.current", "900000\n")
    write(groups / "outer/memory.stat", "anon 5\ninactive_file 300000\n")
    write(groups / "outer/inner/memory.max", "max\n")
    write(groups / "outer/inner/memory.current", "800000\n")
    assert machine_rooms(tmp_path) == {
        "MemAvailable": 2048 * 1024,
        str(groups / "outer/memory.max"): 400000,
    }


def test_rooms_of_cgroup_v1_are_read(tmp_path: Path) -> None:
    """The older tree has other names."""
    write(tmp_path / "proc/self/cgroup", "5:freezer:/x\n4:cpu,memory:/box\n")
    group = tmp_path / "sys/fs/cgroup/memory/box"
    write(group / "memory.limit_in_bytes", "1048576\n")
    write(group / "memory.usage_in_bytes", "1000000\n")
    write(group / "memory.stat", "inactive_file 1\ntotal_inactive_file 424\n")
    assert machine_rooms(tmp_path) == {str(group / "memory.limit_in_bytes"): 49000}


def test_rooms_in_a_container_use_the_mounts_top(tmp_path: Path) -> None:
    """The host's path of the group is not there; the group itself is the top of the mount."""
    write(tmp_path / "proc/self/cgroup", "0::/system.slice/docker-1234\n")
    write(tmp_path / "sys/fs/cgroup/memory.max", "1048576\n")
    write(tmp_path / "sys/fs/cgroup/memory.current", "48576\n")
    assert list(machine_rooms(tmp_path).values()) == [1000000]


def test_rooms_of_a_machine_without_proc_are_none(tmp_path: Path) -> None:
    """What cannot be read limits nothing."""
    assert machine_rooms(tmp_path) == {}


def test_rooms_of_this_machine_have_memory() -> None:
    """The real files are understood."""
    assert machine_rooms()["MemAvailable"] > 0
