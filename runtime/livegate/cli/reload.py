"""`livegate models reload`: other models into a running server, without losing a request.

Exit status: 0 = the new models serve, 2 = the old ones go on, or no answer. It needs the Unix socket
or one of grpc.admin_tokens.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from livegate.cli.output import answers, print_json, table
from livegate.cli.target import add_target, connect

if TYPE_CHECKING:
    from livegate.client import ModelsReloaded

TIMEOUT_S = 600.0
"""Engines may be compiled, which takes minutes on a small box."""


def add(actions: Any) -> None:
    """Add the action to the parser of `livegate models`."""
    parser = actions.add_parser("reload", help="let a running server load its models anew")
    add_target(parser)
    parser.add_argument("--pack", default="", help="in the place of models.pack, until the next reload")
    parser.add_argument(
        "--use",
        type=_task_and_model,
        action="append",
        default=[],
        metavar="TASK=MODEL",
        help="over models.use, until the next reload; repeatable",
    )
    parser.add_argument("--timeout", type=float, default=TIMEOUT_S, metavar="S", help="for all of it")
    parser.add_argument("--json", action="store_true", help="as one JSON object")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Reload, then print what serves now."""
    with connect(options) as client:
        reloaded = client.reload_models(
            pack=options.pack, use=dict(options.use), timeout_s=options.timeout
        )
    if options.json:
        print_json(reloaded)
    else:
        _print(reloaded)
    return 0


def _print(reloaded: ModelsReloaded) -> None:
    shown = table("model", "network", "backend", "provider", "precision", "sha256")
    for engine in reloaded.engines:
        texts = (engine.model_id, engine.network, engine.backend, engine.provider, engine.precision)
        shown.add_row(*map(escape, texts), engine.sha256[:12])
    answers().print(shown)
    answers().print(
        "what served before is closed"
        if reloaded.is_drained
        else "what served before ends with the requests that began with it",
        highlight=False,
    )


def _task_and_model(text: str) -> tuple[str, str]:
    task, separator, model = text.partition("=")
    if not (separator and task and model):
        raise argparse.ArgumentTypeError(f"{text!r} is not TASK=MODEL")
    return task, model
