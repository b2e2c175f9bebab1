"""A part of a frame that an engine's own device turns into the input tensor.

To tasks and pipelines it is an input like any other: it comes out of the same calls as a tensor of the
CPU, goes into the same feeds, can be copied and compared. Only the engine that asked for it, by an
input of the kind CutInput, looks inside.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from numpy.typing import NDArray

from livegate.core.frame import Frame
from livegate.manifests.schema import InputTensor
from livegate.preprocess.ops import CropPlan, LetterboxPlan, TurnedPlan

MAX_COPIED_BYTES = 64 << 20
"""A frame that is larger is left to the CPU: each worker would keep room for a copy of it twice."""
Plan = LetterboxPlan | CropPlan | TurnedPlan


class CutInput(InputTensor, frozen=True):
    """A manifest's input whose engine makes it of the frame itself."""

    takes_copies: bool = False
    """Whether also of frames that have to be copied to its device first."""

    def takes(self, frame: Frame) -> bool:
        """Whether the engine is handed this frame; else the tensor is made by the CPU."""
        if frame.pixels.nbytes > MAX_COPIED_BYTES:  # in place, too: the device may be refused the memory
            return False
        return self.takes_copies or (frame.raw is not None and frame.raw.block is not None)


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """What part of which frame; good as long as the frame."""

    frame: Frame
    plan: Plan
    spec: InputTensor
    pad: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the tensor, a batch of one."""
        if isinstance(self.plan, LetterboxPlan):
            height, width = self.plan.input_height, self.plan.input_width
        else:
            height, width = int(self.spec.height), int(self.spec.width)
        return (1, height, width, 3) if self.spec.is_picture else (1, 3, height, width)

    def copy(self) -> Cut:
        """Itself: nobody writes into it."""
        return self

    def __eq__(self, other: object) -> bool:
        """Whether the same tensor comes of both."""
        if not isinstance(other, Cut):
            return NotImplemented
        is_same = (self.plan, self.spec, self.pad) == (other.plan, other.spec, other.pad)
        return self.frame is other.frame and is_same

    __hash__ = None  # type: ignore[assignment]


def cut_input(spec: InputTensor, *, takes_copies: bool) -> CutInput:
    """A manifest's input as one that its engine cuts out."""
    told = {name: getattr(spec, name) for name in spec.__struct_fields__}
    return CutInput(**told, takes_copies=takes_copies)


def as_tensor(cut: Cut) -> NDArray[Any]:
    """A cut for feeds, whose type is that of tensors: all but its engine hand it on unseen."""
    return cast("NDArray[Any]", cut)
