"""`livegate rollback`: let the version serve that was there before the last update.

Exit status: 0 = it serves from the next start on, 2 = an error.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from livegate.bundles.installation import Installation, default_root
from livegate.cli.output import answers


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("rollback", help="back to the version before the last bundle")
    parser.add_argument("--to", default="", metavar="VERSION", help="another one that is still here")
    parser.add_argument(
        "--root", metavar="DIR", help="where versions lie; else this one's, /opt/livegate"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Go back."""
    place = Installation(Path(options.root) if options.root else default_root())
    with place.alone():
        version = place.rollback(options.to)
    answers().print(f"{version} serves from the next start on", markup=False, highlight=False)
    return 0
