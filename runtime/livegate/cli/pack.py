"""`livegate pack`: pictures or a video as one file of liveness data, sealed where there is a key.

Exit status: 0 = written, 2 = an error.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.markup import escape

from livegate.cli.output import answers
from livegate.core.config import LimitsConfig
from livegate.core.errors import ErrorCode, RequestError
from livegate.core.files import read_file, write_file

MAX_FILE_BYTES = 64 << 20
MAX_KEY_BYTES = 4096


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("pack", help="make a liveness-data container for the Linkface dialect")
    parser.add_argument("out", metavar="OUT", help="the file to write")
    media = parser.add_mutually_exclusive_group(required=True)
    media.add_argument("--image", nargs="+", metavar="FILE", help="pictures of one resolution")
    media.add_argument("--video", metavar="FILE", help="a video")
    parser.add_argument(
        "--motions", default="", metavar="WORDS", help='what the person was asked for: "BLINK NOD"'
    )
    parser.add_argument("--device-id", required=True, metavar="ID", help="A-Z a-z 0-9 . _ -, 1 to 64")
    parser.add_argument("--key-file", metavar="FILE", help="the device's key, 64 hexadecimal digits")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write the container."""
    from livegate.client.container import key_from_text, motions_from_text, pack_liveness_data

    key = None
    if options.key_file:
        text = _read(options.key_file, MAX_KEY_BYTES).decode("utf-8-sig", "replace")
        key = key_from_text(options.device_id, text)
    content = pack_liveness_data(
        device_id=options.device_id,
        images=_pictures(options.image or ()),
        video=_video(options.video) if options.video else b"",
        motions=motions_from_text(options.motions),
        key=key,
    )
    write_file(Path(options.out), content)
    how = f"sealed for {options.device_id}" if key else "not sealed: whoever has it can change it"
    answers().print(f"{escape(options.out)}: {len(content)} bytes, {how}")
    return 0


def _pictures(names: Sequence[str]) -> list[bytes]:
    """Files that the box can decode, of one resolution."""
    from livegate.ingest.image import frame_from_bytes

    contents, sizes = [], {}
    for name in names:
        contents.append(_read(name, MAX_FILE_BYTES))
        frame = frame_from_bytes(contents[-1], LimitsConfig(), name=name)
        sizes[frame.width, frame.height] = name
    if len(sizes) > 1:
        told = ", ".join(f"{name} has {width}x{height}" for (width, height), name in sizes.items())
        raise RequestError(ErrorCode.PARAM_FAILURE, f"pictures of one resolution are packed: {told}")
    return contents


def _video(name: str) -> bytes:
    """A file that may be a video: whether it is one, the box finds out in a process of its own."""
    from livegate.ingest.headers import read_header

    content = _read(name, MAX_FILE_BYTES)
    if not content or read_header(content) is not None:
        what = "is empty" if not content else "is a picture"
        raise RequestError(ErrorCode.DECODE_FAIL, f"{name} {what}", hint="--image takes pictures")
    return content


def _read(name: str, max_bytes: int) -> bytes:
    content = read_file(name, max_bytes)
    if len(content) > max_bytes:
        raise RequestError(ErrorCode.OUT_OF_RANGE, f"{name} has more than {max_bytes} bytes")
    return content
