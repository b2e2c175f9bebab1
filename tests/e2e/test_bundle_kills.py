"""Installers that are killed, and disks that are full: what served still does."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bundle_kit import MADE_S, signing_key, write_stub_bundle
from e2e.running import environment
from support import ROOT

KILLS = 50
BUNDLES = 60


def bundles(folder: Path, count: int, **changes: object) -> tuple[Path, list[str]]:
    """Bundles 1.0, 2.0, … and the file of the key that they are signed with."""
    key = signing_key()
    (folder / "keys").write_text(key.public.line)
    made = [
        write_stub_bundle(folder / f"{n}.bundle", key, f"{n}.0", made_s=MADE_S + n, **changes)
        for n in range(1, count + 1)
    ]
    return folder / "keys", [str(path) for path in made]


def run_kit(name: str, *arguments: str | Path, before: tuple[str, ...] = ()) -> list[dict[str, object]]:
    """The lines of a program of tests/."""
    command = [*before, sys.executable, str(ROOT / "tests" / name), *map(str, arguments)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=110, check=False, env=environment()
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_killed_installers_leave_a_version_that_serves_and_the_next_one_finishes(
    tmp_path: Path,
) -> None:
    """Fifty kills at drawn moments: always the old or the new version, whole; then the new one."""
    keys, made = bundles(tmp_path, BUNDLES)
    told = run_kit("bundle_kills.py", tmp_path / "root", keys, str(KILLS), *made)
    attempts = [line for line in told if "status" in line]
    ends = [line for line in told if "installed" in line]
    assert sum(line["status"] == -9 for line in attempts) == KILLS
    assert all(line["status"] in (-9, 0, 75) for line in attempts)
    for line in attempts:
        new = f"{float(str(line['before'])) + 1}"
        assert line["after"] in (line["before"], new)
    assert [line["installed"] for line in ends] == [f"{n}.0" for n in range(3, len(ends) + 3)]
    assert all(line["left"] == line["kept"] and len(line["left"]) == 2 for line in ends)  # type: ignore[arg-type]


def unshared() -> tuple[str, ...]:
    """What mounts a small file system of our own before a command; skips where that is not allowed."""
    unshare = ("unshare", "--map-root-user", "--mount")
    if shutil.which("unshare") is None:
        pytest.skip("there is no unshare: no small file system can be made")
    probe = (*unshare, "mount", "-t", "tmpfs", "none", "/mnt")
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("this user may mount nothing in a name space of its own: no small file system")
    return unshare


@pytest.mark.parametrize("free_kib", [0, 20, 200, 340])
def test_disk_that_fills_up_leaves_the_old_version_serving(tmp_path: Path, free_kib: int) -> None:
    """Wherever the room ends: 1021 or 1013, and a later installer with room finishes."""
    weights = {"models/tiny/more.bin": os.urandom(300 << 10)}
    keys, made = bundles(tmp_path, 2, more=weights)
    (tmp_path / "mnt").mkdir()
    (line,) = run_kit(
        "bundle_full_disk.py", tmp_path / "mnt", keys, str(free_kib), *made, before=unshared()
    )
    assert line["code"] in (1021, 1013)
    assert (line["served"], line["installed"]) == ("1.0", "2.0")
    assert line["left"] == line["kept"]
    assert len(line["left"]) == 1  # type: ignore[arg-type]
