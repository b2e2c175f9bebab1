"""The installer that lies beside a bundle, for a box with nothing but Python: `python3 NAME.pyz`.

It is a zip archive of the modules of this folder that need Python's own library only, and the digest of
the one bundle that it was made with. Whoever starts it believes it; so compare its sha256 with the one
that `livegate bundle` printed, or bring it on another way than the bundle.
"""

from __future__ import annotations

import argparse
import json
import pkgutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from livegate.bundles.box import this_python
from livegate.bundles.install import Order, install
from livegate.bundles.installation import Installation
from livegate.bundles.trust import DigestTrust, PublicKey
from livegate.core.errors import ErrorCode, LiveGateError, SetupError

TICKET = "ticket.json"


@dataclass(frozen=True, slots=True)
class Ticket:
    """What an installer knows of its bundle."""

    name: str
    digest: str
    public_key: PublicKey

    def to_bytes(self) -> bytes:
        """As it lies in the installer."""
        tables = {"name": self.name, "digest": self.digest, "key": self.public_key.raw.hex()}
        return json.dumps(tables, sort_keys=True).encode()


def main(arguments: Sequence[str]) -> int:
    """Install, or go back; 0 = done, 2 = an error."""
    parser = argparse.ArgumentParser(
        prog=Path(sys.argv[0]).name, description="Install LiveGate on this box, without a network."
    )
    parser.add_argument("bundle", nargs="?", metavar="BUNDLE", help="else the one beside this file")
    parser.add_argument("--root", default="/opt/livegate", metavar="DIR", help="where versions lie")
    parser.add_argument("--python", default=this_python(), metavar="PATH", help="Python to install for")
    parser.add_argument("--older", action="store_true", help="take a bundle older than what serves")
    parser.add_argument("--rollback", action="store_true", help="back to the version before")
    options = parser.parse_args(arguments)
    place = Installation(Path(options.root))
    try:
        if options.rollback:
            with place.alone():
                print(f"{place.rollback()} serves from the next start on")  # noqa: T201
        else:
            _install(options, place)
    except LiveGateError as error:
        print(f"livegate: {error}", file=sys.stderr)  # noqa: T201
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def _install(options: argparse.Namespace, place: Installation) -> None:
    ticket = read_ticket()
    known = place.keys()
    if known and ticket.public_key not in known:
        raise SetupError(
            ErrorCode.NO_PERMISSION,
            f"this box believes other keys than {ticket.public_key.fingerprint[:16]}",
            hint=f"`{place.root}/current/bin/livegate install-bundle --key FILE` adds one",
        )
    beside = Path(sys.argv[0]).absolute().parent / ticket.name
    bundle = Path(options.bundle) if options.bundle else beside
    order = Order(
        bundle, DigestTrust(ticket.digest), options.python, (ticket.public_key,), options.older
    )
    version = install(order, place, _tell)
    print(after(place, version))  # noqa: T201


def after(place: Installation, version: str) -> str:
    """What the person at the box reads at the end."""
    command = place.root / "current/bin/livegate"
    replaced = place.replaced(version)
    kept = f"\n{replaced} is kept: {command} rollback" if replaced else ""
    return f"{version} is installed and serves from the next start on: {command} serve{kept}"


def read_ticket() -> Ticket:
    """The ticket of this installer.

    Raises:
        SetupError: NO_EXIST when this is none.
    """
    try:
        content = pkgutil.get_data(__package__, TICKET)
    except OSError:
        content = None
    if content is None:
        raise SetupError(ErrorCode.NO_EXIST, "this is no installer of a bundle")
    tables = json.loads(content)
    return Ticket(tables["name"], tables["digest"], PublicKey(bytes.fromhex(tables["key"])))


def _tell(text: str) -> None:
    print(text, file=sys.stderr)  # noqa: T201
