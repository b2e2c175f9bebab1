"""Writes the installer that lies beside a bundle: a zip archive that Python runs."""

from __future__ import annotations

import zipfile
from pathlib import Path

from livegate.bundles import bootstrap
from livegate.bundles.bootstrap import TICKET, Ticket
from livegate.core.resources import PACKAGE_DIR

MODULES = (
    *("__init__", "core/__init__", "core/errors", "core/files", "bundles/__init__"),
    *("bundles/manifest", "bundles/archive", "bundles/trust", "bundles/box", "bundles/environment"),
    *("bundles/installation", "bundles/install", "bundles/bootstrap"),
)
"""Those that an installation needs; they import each other and Python's own library, nothing else."""
MAIN = f"""\
import sys

if sys.version_info < (3, 10):
    sys.exit("livegate: Python 3.10 or newer is needed, this is %d.%d" % sys.version_info[:2])
from {bootstrap.__name__} import main

sys.exit(main(sys.argv[1:]))
"""
EPOCH = (1980, 1, 1, 0, 0, 0)


def write_installer(path: Path, ticket: Ticket) -> None:
    """Write it; the same modules and ticket give the same bytes.

    Raises:
        OSError: it cannot be written.
    """
    with zipfile.ZipFile(path, "w") as out:
        for name in MODULES:
            content = (PACKAGE_DIR / f"{name}.py").read_bytes()
            out.writestr(zipfile.ZipInfo(f"livegate/{name}.py", EPOCH), content)
        out.writestr(zipfile.ZipInfo(f"livegate/bundles/{TICKET}", EPOCH), ticket.to_bytes())
        out.writestr(zipfile.ZipInfo("__main__.py", EPOCH), MAIN)
