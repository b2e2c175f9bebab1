"""The unit, its drop-ins and the Dockerfiles: what can be known about them without the target."""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from livegate.cli import models, serve
from livegate.core.tomlfile import read_toml
from support import ROOT

DEPLOY = ROOT / "docs" / "deploy"
UNIT = DEPLOY / "livegate.service"
DROP_INS = ("none", "jetson.conf", "ascend.conf")
DOCKERFILES = sorted(DEPLOY.glob("Dockerfile.*"))
MOST_EXPOSED = 3.0
"""Of 10, as `systemd-analyze security` counts; a unit without any line of hardening has 9.6."""


def unit_in(folder: Path, drop_in: str) -> Path:
    """The unit where systemd-analyze finds it, its command one that is there."""
    text = UNIT.read_text().replace("/opt/livegate/current/bin/livegate", "/bin/true")
    (folder / UNIT.name).write_text(text)
    if drop_in != "none":
        more = folder / f"{UNIT.name}.d"
        more.mkdir()
        shutil.copy(DEPLOY / drop_in, more / drop_in)
    return folder / UNIT.name


def require_command(arguments: list[str]) -> None:
    """`livegate ARGUMENTS` is understood, or the parser ends the test."""
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(required=True)
    for module in (serve, models):
        module.add(commands)
    parser.parse_args(arguments)


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    """systemd-analyze; skips where it is absent."""
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed")
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("drop_in", DROP_INS)
def test_unit_is_understood(tmp_path: Path, drop_in: str) -> None:
    """Every section, key and value: systemd says not one word."""
    told = analyze("verify", "--man=no", str(unit_in(tmp_path, drop_in)))
    ours = [line for line in (told.stderr + told.stdout).splitlines() if "livegate" in line]
    assert (told.returncode, ours) == (0, [])


def test_unit_with_an_unknown_key_is_found(tmp_path: Path) -> None:
    """The check above can fail."""
    unit = unit_in(tmp_path, "none")
    unit.write_text(unit.read_text().replace("PrivateTmp=", "PrivateTemp="))
    assert "PrivateTemp" in analyze("verify", "--man=no", str(unit)).stderr


@pytest.mark.parametrize("drop_in", DROP_INS)
def test_unit_is_hardened(tmp_path: Path, drop_in: str) -> None:
    """Little is left to whoever breaks a decoder."""
    told = analyze("security", "--offline=yes", "--no-pager", str(unit_in(tmp_path, drop_in)))
    found = re.search(r"Overall exposure level for livegate\.service: ([0-9.]+)", told.stdout)
    assert found, told.stderr
    assert float(found[1]) <= MOST_EXPOSED


@pytest.mark.parametrize(
    "line",
    [
        *("Type=notify", "WatchdogSec=30", "Restart=always", "StartLimitIntervalSec=0"),
        *("NoNewPrivileges=yes", "PrivateTmp=yes", "ProtectSystem=strict", "MemoryMax=2G"),
    ],
)
def test_unit_keeps_its_promise(line: str) -> None:
    """What docs/deploy.md says of it."""
    assert line in UNIT.read_text().splitlines()


def test_unit_starts_with_a_command_that_exists() -> None:
    """`livegate serve` and `livegate models reload` are commands, with these arguments."""
    for key in ("ExecStart", "ExecReload"):
        found = re.search(rf"^{key}=/opt/livegate/current/bin/livegate (.+)$", UNIT.read_text(), re.M)
        assert found
        require_command(found[1].split())


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.suffix)
def test_dockerfile_names_extras_and_commands_that_exist(path: Path) -> None:
    """The extras of the wheel, and the arguments of the server."""
    text = path.read_text()
    extras = read_toml(ROOT / "pyproject.toml")["project"]["optional-dependencies"]
    named = re.findall(r"\*\.whl\)\[([a-z,$A-Z]+)\]", text)
    defaults = dict(re.findall(r"^ARG (\w+)=(\S+)$", text, re.M))
    assert named
    for name in named[0].split(","):
        assert defaults.get(name.removeprefix("$"), name) in extras
    command = re.search(r"^CMD (\[.+\])$", text, re.M)
    assert command
    require_command(re.findall(r'"([^"]+)"', command[1]))
    assert "USER livegate" in text
    assert text.rindex("USER livegate") > text.rindex("RUN ")


def test_image_does_not_carry_the_checkout_s_debris() -> None:
    """What `COPY . /source` must not take along."""
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert {".git", ".venv*", "build", "dist"} <= set(ignored)
