"""The steps of an installation that other programs take."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from livegate.bundles.environment import clean_environment, prove, run_step, write_launcher
from livegate.core.errors import ErrorCode, LiveGateError


@pytest.fixture
def lock(tmp_path: Path) -> int:
    """A descriptor, which is closed with the process."""
    return os.open(tmp_path, os.O_RDONLY | os.O_CLOEXEC)


def test_step_inherits_the_lock(lock: int) -> None:
    """While it outlives a killed installer, nobody else begins."""
    run_step("it", ["sh", "-c", f"test -e /proc/self/fd/{lock}"], lock)


def test_step_that_fails_tells_its_last_lines(lock: int) -> None:
    """From both of its outputs."""
    with pytest.raises(LiveGateError, match=r"it failed: out \| err") as caught:
        run_step("it", ["sh", "-c", "echo out; echo err >&2; exit 3"], lock)
    assert caught.value.code is ErrorCode.INIT_FAIL


def test_step_that_cannot_be_started_is_our_error(lock: int, tmp_path: Path) -> None:
    """A file without the right to run it."""
    (tmp_path / "x").touch()
    with pytest.raises(LiveGateError, match="Permission denied"):
        run_step("it", [str(tmp_path / "x")], lock)


def test_variables_that_lead_pip_and_python_elsewhere_are_left_out() -> None:
    """An index in the environment of whoever installs must not count."""
    own = {"PATH": "/bin", "LIVEGATE_CONFIG": "x", "HOME": "/"}
    foreign = {"PIP_INDEX_URL": "x", "PYTHONPATH": "x", "VIRTUAL_ENV": "x", "UV_INDEX": "x"}
    assert clean_environment({**own, **foreign}) == own


def test_trial_keeps_variables_of_a_vendors_compiler_from_python_itself(
    lock: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CANN's atc has a Python of its own, which PYTHONPATH leads; the launcher's is isolated."""
    launcher, python = write_launcher(tmp_path), tmp_path / "venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\ntest "$PYTHONPATH" = /toolkit && test "$1" = -I\n')
    python.chmod(0o755)
    monkeypatch.setenv("PYTHONPATH", "/toolkit")
    prove(launcher, lock)
