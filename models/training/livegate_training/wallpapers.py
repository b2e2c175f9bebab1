"""One folder of JPEG pictures out of unpacked packages of wallpapers.

What a picture is called decides on which side of the split it is, so its name is its path.
"""

from __future__ import annotations

from pathlib import Path

import cv2

QUALITY = 95
"""Of those that were PNG."""


def gather(unpacked: Path, target: Path) -> list[Path]:
    """Copy every JPEG and PNG below `unpacked` (`usr/share` of the packages) into `target`.

    Links are left out: they are pictures a second time.
    """
    target.mkdir(parents=True, exist_ok=True)
    made = []
    for file in sorted(unpacked.rglob("*")):
        if file.suffix.lower() not in (".jpg", ".png") or file.is_symlink() or not file.is_file():
            continue
        path = target / "-".join(file.relative_to(unpacked).with_suffix(".jpg").parts).lower()
        if file.suffix.lower() == ".jpg":
            path.write_bytes(file.read_bytes())
        else:
            picture = cv2.imread(str(file), cv2.IMREAD_COLOR)
            if picture is None:
                continue
            cv2.imwrite(str(path), picture, (cv2.IMWRITE_JPEG_QUALITY, QUALITY))
        made.append(path)
    return made
