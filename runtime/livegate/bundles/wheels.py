"""The wheels of a bundle: resolved by uv for the target, fetched by digest, proved to be all.

pip's own flags for other platforms evaluate markers for the machine that they run on: exceptiongroup and
tomli, which Python 3.10 needs, are then missing. uv evaluates them for the target.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from livegate.bundles.box import release
from livegate.bundles.manifest import Target
from livegate.core.errors import ErrorCode, SetupError
from livegate.core.files import read_file
from livegate.core.tomlfile import read_toml
from livegate.manifests.download import Fetch, length_of

GLIBC = ("2.17", "2.28", *(f"2.{minor}" for minor in range(31, 41)))
"""The levels that uv has."""
OLD_NAMES = {"manylinux1": "2.5", "manylinux2010": "2.12", "manylinux2014": "2.17"}
MACHINES = ("x86_64", "aarch64")
MAX_WHEEL_BYTES = 4 << 30
SHOWN_LINES = 12
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Wheel:
    """One wheel, and where it comes from: a URL, or a path where there is none."""

    project: str
    release: str
    name: str
    sha256: str
    bytes: int
    url: str = ""
    path: Path | None = None


class Resolver:
    """uv, for one target."""

    def __init__(self, target: Target, find_links: Sequence[Path] = ()) -> None:
        """Find uv.

        Raises:
            SetupError: INIT_FAIL when it is not here.
        """
        self._uv = find_uv()
        self._links = [
            part for folder in find_links for part in ("--find-links", str(folder.absolute()))
        ]
        level = max(
            known for known in map(release, GLIBC) if known <= max(release(target.glibc), (2, 17))
        )
        platform = f"{target.machine}-manylinux_{level[0]}_{level[1]}"
        self._for_target = ("--python-platform", platform, "--python-version", target.python)
        self._target = target

    def resolve(self, requirements: Iterable[str]) -> list[Wheel]:
        """Every wheel that the requirements need on the target, sorted by project.

        Raises:
            SetupError: INIT_FAIL with uv's words.
        """
        packages = self._lock(requirements, *self._links)
        return [self._wheel(package) for package in sorted(packages, key=lambda one: str(one["name"]))]

    def prove_closure(self, requirements: Iterable[str], folder: Path, wheels: Sequence[Wheel]) -> None:
        """Resolve once more with the wheels of a folder and nothing else; all of them must be used.

        Raises:
            SetupError: INIT_FAIL.
        """
        alone = ("--offline", "--no-index", "--find-links", str(folder))
        packages = self._lock(requirements, *alone)
        found = {(str(one["name"]), str(one.get("version", ""))) for one in packages}
        expected = {(wheel.project, wheel.release) for wheel in wheels}
        if found != expected:
            different = ", ".join(" ".join(pair) for pair in sorted(found ^ expected))
            raise SetupError(
                ErrorCode.INIT_FAIL, f"the wheels do not close over themselves: {different}"
            )

    def build(self, source: Path, out: Path) -> Path:
        """The wheel of a checkout.

        Raises:
            SetupError: INIT_FAIL with uv's words.
        """
        self._run("build", "--wheel", "--quiet", "--out-dir", str(out), str(source))
        (built,) = out.glob("*.whl")
        return built

    def _lock(self, requirements: Iterable[str], *flags: str) -> list[dict[str, Any]]:
        with tempfile.TemporaryDirectory(prefix="livegate-") as folder:
            asked, lock = Path(folder, "requirements.in"), Path(folder, "pylock.toml")
            asked.write_text("".join(f"{requirement}\n" for requirement in requirements))
            how = (*("--format", "pylock.toml", "--only-binary", ":all:", "--quiet"), *flags)
            self._run("pip", "compile", *how, *self._for_target, "-o", str(lock), str(asked))
            packages: list[dict[str, Any]] = read_toml(lock).get("packages", [])
        return packages

    def _run(self, *arguments: str) -> None:
        done = subprocess.run(
            [self._uv, *arguments], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
        if done.returncode:
            said = " ".join(" ".join(done.stderr.splitlines()[-SHOWN_LINES:]).split())
            raise SetupError(
                ErrorCode.INIT_FAIL,
                f"uv finds no wheels for {self._target}: {said}",
                hint="another --glibc or --python may have them; --find-links DIR adds a folder",
            )

    def _wheel(self, package: dict[str, Any]) -> Wheel:
        """The best of the wheels that fit."""
        project, version = str(package["name"]), str(package.get("version", ""))
        fitting = [one for one in package.get("wheels", []) if rank(_name(one), self._target)]
        if "archive" in package:
            fitting = [package["archive"]]
        if not fitting:
            raise SetupError(ErrorCode.INIT_FAIL, f"{project} {version} has no wheel for {self._target}")
        best = max(fitting, key=lambda one: rank(_name(one), self._target))
        if (path := _path(best)) is not None:
            return _local(project, version, path)
        sha256 = best.get("hashes", {}).get("sha256", "")
        if not sha256:
            raise SetupError(
                ErrorCode.INIT_FAIL,
                f"the index tells no sha256 of {_name(best)}",
                hint="put the wheel into a folder and name it: --find-links DIR",
            )
        size = best.get("size") or length_of(best["url"])
        return Wheel(project, version, _name(best), sha256, size, url=best["url"])


def rank(name: str, target: Target) -> tuple[int, ...]:
    """How well a wheel of that file name fits: empty when not, greater is better.

    Made for the platform beats made for any, then a newer Python's interface, then a newer glibc.
    """
    parts = name.removesuffix(".whl").split("-")
    if not name.endswith(".whl") or len(parts) not in (5, 6):
        return ()
    python, platform = parts[-3], parts[-1]
    minor = max((int(found) for found in re.findall(r"(?:cp|py)3(\d+)", python)), default=0)
    levels = [level for tag in platform.split(".") if (level := _glibc(tag, target)) is not None]
    if not levels:
        return ()
    lowest = min(levels)
    return (1, int(platform != "any"), minor, *lowest) if lowest <= release(target.glibc) else ()


def _glibc(tag: str, target: Target) -> tuple[int, ...] | None:
    """The release of glibc that a platform tag asks for; None for another platform."""
    if tag == "any":
        return (0, 0)
    kind, _, machine = tag.partition("_")
    if kind in OLD_NAMES:
        return release(OLD_NAMES[kind]) if machine == target.machine else None
    match = re.fullmatch(r"manylinux_(\d+)_(\d+)_(\w+)", tag)
    if match and match[3] == target.machine:
        return (int(match[1]), int(match[2]))
    return (0, 0) if tag == f"linux_{target.machine}" else None


def gather(wheels: Iterable[Wheel], folder: Path, cache: Path, tell: Tell) -> None:
    """Bring the wheels into a folder; what was downloaded stays in the cache.

    Raises:
        SetupError: as Fetch.bring; WRITE_FAIL.
    """
    fetch = Fetch()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for wheel in wheels:
            source = wheel.path
            if source is None:
                source = cache / wheel.sha256 / wheel.name
                if not source.is_file():
                    tell(f"downloading {wheel.name}, {wheel.bytes >> 10} KiB")
                    fetch.bring(wheel.url, wheel, source, lambda done_bytes: None)
            shutil.copyfile(source, folder / wheel.name)
    except SetupError as error:
        hint = "run it again, what came is kept; or --find-links DIR with the wheel"
        raise SetupError(error.code, error.message, hint=hint) from error
    except OSError as error:
        why = f"{error.filename or folder} cannot be written: {error.strerror}"
        raise SetupError(ErrorCode.WRITE_FAIL, why, hint="free some space") from error


def find_uv() -> str:
    """The path of uv.

    Raises:
        SetupError: INIT_FAIL.
    """
    try:
        from uv import find_uv_bin

        return str(find_uv_bin())
    except (ImportError, FileNotFoundError):
        found = shutil.which("uv")
    if found is None:
        raise SetupError(
            ErrorCode.INIT_FAIL,
            "uv is not here, and a bundle's wheels are resolved with it",
            hint="pip install 'livegate[bundle]', or put uv on the PATH",
        )
    return found


def _name(wheel: dict[str, Any]) -> str:
    where = wheel.get("name") or wheel.get("url") or wheel.get("path", "")
    return unquote(urlsplit(str(where)).path.rpartition("/")[2])


def _path(wheel: dict[str, Any]) -> Path | None:
    """Where a wheel of this machine lies; None for one of an index."""
    if "path" in wheel:
        return Path(wheel["path"])
    parts = urlsplit(str(wheel.get("url", "")))
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


def _local(project: str, version: str, path: Path) -> Wheel:
    content = read_file(path, MAX_WHEEL_BYTES)
    version = version or path.name.split("-")[1]
    sha256 = hashlib.sha256(content).hexdigest()
    return Wheel(project, version, path.name, sha256, len(content), path=path.absolute())
