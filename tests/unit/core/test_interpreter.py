"""Processes of our own, started from a folder where somebody left modules."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from livegate.app import supervisor
from livegate.core.interpreter import START, module_command
from livegate.ingest import video
from support import HANG_S


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """A folder with a livegate and a msgspec of somebody else."""
    (tmp_path / "livegate").mkdir()
    for place in (tmp_path / "livegate/__init__.py", tmp_path / "msgspec.py", tmp_path / "runpy.py"):
        place.write_text("open('sprung', 'w')\n")
    return tmp_path


@pytest.mark.parametrize("command", [supervisor.COMMAND, video.COMMAND], ids=["camera", "video"])
def test_process_takes_no_code_from_the_folder_it_is_called_in(
    trap: Path, command: tuple[str, ...]
) -> None:
    """A stick with a folder `livegate` on it, and root who stands there."""
    subprocess.run(command, cwd=trap, stdin=subprocess.DEVNULL, capture_output=True, timeout=HANG_S)
    assert not (trap / "sprung").exists()


def test_module_gets_its_arguments_and_is_the_main_one() -> None:
    """As with -m."""
    command = [*module_command("calendar"), "2026", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=HANG_S)
    assert "January 2026" in done.stdout


def test_process_of_an_isolated_interpreter_is_isolated() -> None:
    """An installed bundle runs so: no variable leads its cameras elsewhere."""
    look = "from livegate.core.interpreter import module_command; print(*module_command('m')[1:3])"
    command = [sys.executable, "-I", "-c", look]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=HANG_S)
    assert done.stdout.split() == ["-I", "-c"]
    assert module_command("m")[1:] == ("-c", START, "m")
