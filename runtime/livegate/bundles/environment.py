"""The Python environment of a version: made from the bundle's wheels, with the bundle's pip, offline.

pip runs from its own wheel, so a box needs neither pip nor ensurepip (Debian has both in a package of
their own), and the environment has no pip afterwards.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from livegate.core.errors import ErrorCode, SetupError

STEP_TIMEOUT_S = 1800
"""A hang detector: minutes are usual on a small box."""
FOREIGN = ("PIP_", "PYTHON", "VIRTUAL_ENV", "UV_")
SET_BY_LAUNCHERS = ("LIVEGATE_CONFIG", "LIVEGATE_MODELS")
SHOWN_LINES = 4
LAUNCHER = """\
#!/bin/sh
# This version of LiveGate, with the box's own configuration or the bundle's, and the bundle's models.
here=$(dirname "$(dirname "$(readlink -f "$0")")")
root=$(dirname "$(dirname "$here")")
if [ -z "${LIVEGATE_CONFIG:-}" ]; then
  for file in "$root/livegate.toml" "$here/config/livegate.toml"; do
    if [ -f "$file" ]; then export LIVEGATE_CONFIG="$file"; break; fi
  done
fi
export LIVEGATE_MODELS="${LIVEGATE_MODELS:-$here/models}"
exec "$here/venv/bin/python" -I -m livegate "$@"
"""


def make_environment(
    folder: Path, python: str, wheels: Sequence[Path], lock: int, *, sees_system_packages: bool
) -> None:
    """Make `folder`/venv and install the wheels, all of them; their dependencies must be among them.

    Raises:
        SetupError: INIT_FAIL with what was said; NO_EXIST when no wheel is pip's.
    """
    pip = next((wheel for wheel in wheels if wheel.name.startswith("pip-")), None)
    if pip is None:
        raise SetupError(ErrorCode.NO_EXIST, "the bundle has no pip", hint="make the bundle anew")
    others = [str(wheel) for wheel in wheels if wheel != pip]
    how = ["--without-pip", *(["--system-site-packages"] if sees_system_packages else [])]
    run_step("the environment", [python, "-I", "-m", "venv", *how, str(folder / "venv")], lock)
    inside = str(folder / "venv/bin/python")
    flags = ("--isolated", "--no-index", "--no-cache-dir", "--quiet", "--ignore-installed")
    run_step("the wheels", [inside, "-I", str(pip / "pip"), "install", *flags, *others], lock)


def write_launcher(folder: Path) -> Path:
    """Write the command of a version, which finds its models and configuration by itself."""
    path = folder / "bin" / "livegate"
    path.parent.mkdir(mode=0o755)
    path.write_text(LAUNCHER)
    path.chmod(0o755)
    return path


def prove(launcher: Path, lock: int) -> None:
    """Have a version do all that a start does but listen: configuration, models, the golden gate.

    The launcher isolates Python by itself; a vendor's compiler may need the variables for its own. What
    another version's launcher has set, when that version installs this one, is not for this one.

    Raises:
        SetupError: INIT_FAIL with what it said.
    """
    versions = launcher.resolve().parents[2]
    environ = {
        name: value
        for name, value in os.environ.items()
        if name not in SET_BY_LAUNCHERS or not Path(value).resolve().is_relative_to(versions)
    }
    run_step("`serve --check`", [str(launcher), "serve", "--check"], lock, environ)


def run_step(
    what: str, command: Sequence[str], lock: int, environ: Mapping[str, str] | None = None
) -> None:
    """Run one step to its end, under the installation's lock; without variables a clean environment.

    Raises:
        SetupError: INIT_FAIL.
    """
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=STEP_TIMEOUT_S,
            check=False,
            env=clean_environment(os.environ) if environ is None else environ,
            pass_fds=(lock,),
            umask=0o022,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise _failed(what, str(error)) from error
    if done.returncode:
        lines = done.stdout.decode("utf-8", "replace").strip().splitlines()
        raise _failed(what, " | ".join(lines[-SHOWN_LINES:]) or f"status {done.returncode}")


def clean_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables without those that lead Python or pip elsewhere."""
    return {name: value for name, value in environ.items() if not name.startswith(FOREIGN)}


def _failed(what: str, why: str) -> SetupError:
    return SetupError(
        ErrorCode.INIT_FAIL,
        f"the new version is not taken: {what} failed: {why}",
        hint="what served still does",
    )
