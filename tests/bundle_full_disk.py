"""Installs on a small file system that is full: `bundle_full_disk.py FOLDER KEYS FREE_KIB OLD NEW`.

The check of free space is taken away: what is looked at is what happens where the room really ends.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

from bundle_kills import serving
from livegate.bundles.box import this_python
from livegate.bundles.install import Order, install
from livegate.bundles.installation import Installation
from livegate.bundles.trust import KeyTrust, read_keys
from livegate.core.errors import LiveGateError

SIZE_MIB = 16


def main(arguments: Sequence[str]) -> None:
    """Mount, install the old one, fill up, fail with the new one, make room, install it."""
    folder, keys = Path(arguments[0]), read_keys(Path(arguments[1]))
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE_MIB}m", "none", str(folder)], check=True)
    shutil.disk_usage = lambda path: SimpleNamespace(free=1 << 40)  # type: ignore[assignment,misc]
    old, new = (Order(Path(name), KeyTrust(keys), this_python()) for name in arguments[3:])
    place, ballast = Installation(folder / "root"), folder / "ballast"
    install(old, place, lambda text: None)
    found = os.statvfs(folder)
    with ballast.open("wb") as out:
        os.posix_fallocate(out.fileno(), 0, found.f_bavail * found.f_frsize - int(arguments[2]) * 1024)
    code = 0
    try:
        install(new, place, lambda text: None)
    except LiveGateError as error:
        code = int(error.code)
        print(error, file=sys.stderr)
    left = sorted(path.name for path in place.versions.iterdir())
    told = {"code": code, "served": serving(place.root), "left": left, "kept": place.finished()}
    ballast.unlink()
    install(new, place, lambda text: None)
    print(json.dumps({**told, "installed": serving(place.root)}))


if __name__ == "__main__":
    main(sys.argv[1:])
