"""Build an environment for each peer of bench/peers below build/peers: its requirements, this checkout.

A peer whose requirements cannot be installed here is told, with the reason; the bench tells it again.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
PROGRAMS, ENVIRONMENTS = TOP / "bench" / "peers", TOP / "build" / "peers"
LIMIT_S = 1200


def build(folder: Path) -> str:
    """Why there is no environment; "" when there is. One that is there and fits is kept."""
    requirements = folder / "requirements.txt"
    target, why = ENVIRONMENTS / folder.name, ENVIRONMENTS / f"{folder.name}.why"
    made_of = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()
    stamp = target / "made-of.txt"
    if stamp.is_file() and stamp.read_text() == made_of:
        return ""
    print(f"building the environment of {folder.name}", flush=True)
    shutil.rmtree(target, ignore_errors=True)
    why.unlink(missing_ok=True)
    install = [target / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-cache-dir"]
    problem = (
        _run([sys.executable, "-m", "venv", target])
        or _run([*install, "--requirement", requirements])
        # Without what it declares: a peer may pin older releases of what the work does not need.
        or _run([*install, "--no-deps", "--editable", TOP])
    )
    if problem:
        why.write_text(f"its requirements cannot be installed here: {problem}\n")
        return problem
    stamp.write_text(made_of)
    return ""


def _run(command: list[str | Path]) -> str:
    """The last line of what a command says when it fails; "" when it does not."""
    try:
        done = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        return f"it took more than {LIMIT_S} s"
    said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
    return "" if done.returncode == 0 else (said or done.stderr.splitlines() or ["no word why"])[-1]


def main() -> int:
    """All of them, or those that are named; 1 when there is not one."""
    named = sys.argv[1:]
    folders = sorted(path.parent for path in PROGRAMS.glob("*/requirements.txt"))
    chosen = [folder for folder in folders if not named or folder.name in named]
    ENVIRONMENTS.mkdir(parents=True, exist_ok=True)
    problems = {folder.name: build(folder) for folder in chosen}
    for name, problem in problems.items():
        print(f"{name}: {f'left out: {problem}' if problem else 'ready'}")
    return 0 if chosen and not all(problems.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
