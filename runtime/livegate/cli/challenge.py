"""`livegate challenge CAMERA`: have the person in front of a camera do what nobody could foresee.

Exit status: 0 = alive, 1 = not, 2 = an error.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from livegate.cli.output import answers, errors, print_json
from livegate.cli.target import add_target, connect
from livegate.core.challenge import PromptKind
from livegate.core.errors import ErrorCode, LiveGateError
from livegate.core.files import write_file

if TYPE_CHECKING:
    from livegate.client import ChallengeResult, Prompt

ALIVE, NOT_ALIVE = 0, 1
STYLES = {PromptKind.GOOD: "green", PromptKind.PASSED: "green", PromptKind.FAILED: "red"}


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("challenge", help="let the person in front of a camera prove to be one")
    parser.add_argument("camera", metavar="CAMERA", help="its name: `livegate cameras list`")
    parser.add_argument("--language", choices=("en", "zh"), default="en", help="of the prompts")
    parser.add_argument("--picture", metavar="FILE", help="write the best picture there, as JPEG")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    add_target(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Start a challenge on the camera, print its prompts as they come, and how it ended."""
    with connect(options) as client:
        started = client.start_challenge()
        with client.watch(options.camera, challenge=started.nonce) as stream:
            for answer in stream:
                if answer.error is not None:
                    errors().print(f"livegate: {answer.error}", markup=False, highlight=False)
                if answer.prompt is not None:
                    (_print_prompt_json if options.json else _print_prompt)(answer.prompt, options)
                if answer.challenge is not None:
                    return _conclude(answer.challenge, options)
    raise LiveGateError(ErrorCode.CONNECTION_CLOSE, "the box ended the call before the challenge's end")


def _conclude(result: ChallengeResult, options: argparse.Namespace) -> int:
    if options.json:
        print_json(
            {
                "alive": result.is_alive,
                "reasons": result.reasons,
                "actions": [
                    {"action": one.action, "accepted": one.is_accepted, "confidence": one.confidence}
                    for one in result.actions
                ],
                "silent": result.silent,
                "duration_ms": result.duration_ms,
                "samples": result.samples,
                "picture_bytes": len(result.picture),
            }
        )
    else:
        score = f"{result.silent.score:.4f}" if result.silent else "none"
        word = "[green]ALIVE[/]" if result.is_alive else "[red]NOT ALIVE[/]"
        seconds = f"{result.samples} pictures of {result.duration_ms / 1000:.1f} s"
        answers().print(f"{word}, silent liveness {score}, {seconds}", highlight=False)
        if result.reasons:
            errors().print(", ".join(result.reasons))
    if options.picture and result.picture:  # last: how it ended is told in any case
        write_file(Path(options.picture), result.picture)
    return ALIVE if result.is_alive else NOT_ALIVE


def _print_prompt(prompt: Prompt, options: argparse.Namespace) -> None:
    style = STYLES.get(prompt.kind, "bold")
    place = f"{prompt.index + 1}/{prompt.total}" if prompt.action else ""
    text = prompt.texts.get(options.language, prompt.kind.value)
    line = f"{prompt.remaining_ms / 1000:5.1f} s left  {place:>3}  {text}"
    answers().print(line, style=style, highlight=False)


def _print_prompt_json(prompt: Prompt, options: argparse.Namespace) -> None:
    print_json(
        {
            "prompt": prompt.kind,
            "action": prompt.action,
            "index": prompt.index,
            "total": prompt.total,
            "remaining_ms": prompt.remaining_ms,
            "text": prompt.texts.get(options.language, ""),
        }
    )
