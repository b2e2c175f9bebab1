"""How the pictures of one camera are to be looked at."""

from __future__ import annotations

import math
from dataclasses import dataclass

from livegate.core.config import WHOLE, CameraConfig
from livegate.core.errors import ErrorCode, RequestError
from livegate.core.results import Face, Reason

ROTATIONS = (0, 90, 180, 270)
SLACK = 1e-6
"""For parts that were rounded to float32 on their way: 0.7 + 0.3 may be a little more than 1."""


@dataclass(frozen=True, slots=True)
class View:
    """Rotation in degrees clockwise, then mirroring; which faces count, in parts of the upright picture.

    `region` is left, top, width, height, each 0..1; a face counts when its centre lies there and its
    height is at least `min_face_height` (0..1) of the picture's.
    """

    rotation: int = 0
    mirror: bool = False
    region: tuple[float, float, float, float] = WHOLE
    min_face_height: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what cannot be.

        Raises:
            RequestError: REGION_ERROR for a region that is empty or reaches over the picture;
                PARAM_FAILURE for another rotation or height.
        """
        if self.rotation not in ROTATIONS:
            raise RequestError(
                ErrorCode.PARAM_FAILURE,
                f"the rotation is {self.rotation} degrees",
                hint=f"one of {', '.join(map(str, ROTATIONS))}",
            )
        if not 0 <= self.min_face_height <= 1:
            raise RequestError(
                ErrorCode.PARAM_FAILURE,
                f"the least height of a face is {self.min_face_height:g} of the picture's",
                hint="a part between 0 and 1",
            )
        x, y, width, height = self.region
        is_inside = 0 <= x < 1 and 0 <= y < 1 and x + width <= 1 + SLACK and y + height <= 1 + SLACK
        if not (all(map(math.isfinite, self.region)) and width > 0 and height > 0 and is_inside):
            raise RequestError(
                ErrorCode.REGION_ERROR,
                f"the region {', '.join(f'{part:g}' for part in self.region)} is not inside the picture",
                hint="left, top, width, height as parts of the picture, 0..1",
            )

    @property
    def takes_all(self) -> bool:
        """Whether there is no face that it objects to."""
        return self.region == WHOLE and self.min_face_height == 0

    def objection(self, face: Face, width: int, height: int) -> Reason | None:
        """Why a face of an upright picture of that size does not count; None when it does."""
        box = face.box
        if box.height < self.min_face_height * height:
            return Reason.FACE_TOO_SMALL
        x, y, region_width, region_height = self.region
        across = (box.x + box.width / 2) / width - x
        down = (box.y + box.height / 2) / height - y
        if 0 <= across <= region_width and 0 <= down <= region_height:
            return None
        # A face at the edge may have its centre outside the picture; the whole picture has no outside.
        return None if self.region == WHOLE else Reason.FACE_OUTSIDE_REGION


def view_of_camera(camera: CameraConfig) -> View:
    """The view of a configured camera. Raises as View."""
    return View(camera.rotation, camera.mirror, camera.region, camera.min_face_height)
