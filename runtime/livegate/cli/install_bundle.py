"""`livegate install-bundle`: verify a bundle and let it serve, without a network.

Exit status: 0 = it serves from the next start on, 2 = an error, and what served still does.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from livegate.bundles.box import this_python
from livegate.bundles.installation import Installation, default_root
from livegate.cli.output import answers, errors


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("install-bundle", help="install a bundle, without a network")
    parser.add_argument("bundle", metavar="BUNDLE", help="the file that `livegate bundle` made")
    parser.add_argument(
        "--root", metavar="DIR", help="where versions lie; else this one's, /opt/livegate"
    )
    parser.add_argument("--key", metavar="FILE", help="a public key to believe from now on, too")
    parser.add_argument("--python", default=this_python(), metavar="PATH", help="Python to install for")
    parser.add_argument("--older", action="store_true", help="take a bundle older than what serves")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Install."""
    from livegate.bundles.bootstrap import after
    from livegate.bundles.install import Order, install
    from livegate.bundles.trust import KeyTrust, read_keys

    place = Installation(Path(options.root) if options.root else default_root())
    new_keys = read_keys(Path(options.key)) if options.key else ()
    trust = KeyTrust((*place.keys(), *new_keys))
    order = Order(Path(options.bundle), trust, options.python, new_keys, options.older)
    version = install(order, place, _tell)
    answers().print(after(place, version), markup=False, highlight=False)
    return 0


def _tell(text: str) -> None:
    errors().print(text, markup=False, highlight=False)
