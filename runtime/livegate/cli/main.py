"""The command `livegate`: one file of this folder for each sub-command."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from livegate import __version__
from livegate.cli import bench
from livegate.cli.output import errors
from livegate.core.errors import LiveGateError

COMMANDS = (
    *("serve", "detect", "verify", "challenge", "pack", "status", "cameras"),
    *("doctor", "selftest", "models", "engines", "evaluate", "config", "bench"),
    *("bundle", "install_bundle", "rollback"),
)
"""In the order of the help; each is a module of this folder with `add` and `run`."""
EXIT_ERROR = 2


def entry() -> None:
    """What the installed script calls."""
    # Else gRPC's core writes a line of its own into the log for each handshake that fails.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    sys.exit(main(sys.argv[1:]))


def main(arguments: Sequence[str]) -> int:
    """Run one command; the exit status is 2 for every error."""
    parser = argparse.ArgumentParser(
        prog="livegate", description="Face liveness on this box, without a cloud."
    )
    parser.add_argument("--version", action="version", version=f"livegate {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in COMMANDS:
        importlib.import_module(f"livegate.cli.{name}").add(commands)
    try:
        # argparse would take the harness's options for its own.
        if arguments[:1] == ["bench"]:
            return bench.run(arguments[1:])
        if arguments[:1] == ["tune"]:
            return bench.run(arguments)
        options = parser.parse_args(arguments)
        status: int = options.run(options)
    except LiveGateError as error:
        errors().print(f"livegate: {error}", style="red", markup=False, highlight=False)
        return EXIT_ERROR
    except KeyboardInterrupt:
        return 130
    except Exception:  # noqa: BLE001 - 1 means "a spoof"; a defect of ours must not look like one
        errors().print_exception()
        return EXIT_ERROR
    return status
