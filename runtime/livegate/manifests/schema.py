"""A model as data: what models/<id>/manifest.toml may say.

Unknown fields are refused with their path. The rules (crop, decode) are tagged by `rule`; a task
that meets a rule it does not know refuses the model at load, never at the first request.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from livegate.core.errors import ErrorCode, SetupError
from livegate.core.tomlfile import read_toml

Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
Dim = int | str
Shape = tuple[int, ...]
Side = Annotated[int, Meta(ge=1, le=1024)]
Triple = tuple[float, float, float]
NO_MEAN: Triple = (0.0, 0.0, 0.0)
NO_SCALE: Triple = (1.0, 1.0, 1.0)


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of a manifest."""


class Upstream(Part, frozen=True):
    """Where a third-party file comes from."""

    repository: str
    commit: str
    path: str


class ModelFile(Part, frozen=True):
    """One file of weights: found by its digest, wherever it lies."""

    name: str
    sha256: Sha256
    bytes: Annotated[int, Meta(ge=1)]
    licence: str
    caution: str = ""
    upstream: Upstream | None = None


class Letterbox(Part, frozen=True, tag_field="rule", tag="letterbox_top_left"):
    """Whole frame, scaled so that its long side fits, padded at the right and below.

    Both sides of the input are multiples of `multiple_of`; the padding has the value `pad`.
    """

    multiple_of: Annotated[int, Meta(ge=1)]
    pad: int = 0


class EnlargeShiftInside(Part, frozen=True, tag_field="rule", tag="enlarge_shift_inside"):
    """The face box enlarged about its centre, shifted to stay inside the picture, stretched.

    The factor shrinks to what the picture has room for; the aspect ratio is not kept.
    """

    enlarge: Annotated[float, Meta(gt=0)]


class EnlargeLevelEyes(Part, frozen=True, tag_field="rule", tag="enlarge_level_eyes"):
    """The face box enlarged about its centre, turned until the eyes are level, stretched.

    With `is_square` the box first becomes a square of its longer side. What lies outside the picture
    is `pad`.
    """

    enlarge: Annotated[float, Meta(gt=0)]
    is_square: bool
    pad: int = 0


class SquareInside(Part, frozen=True, tag_field="rule", tag="square_inside"):
    """An upright square about the face, its side `enlarge` times the longer side of the face box.

    The side is at most the picture's longer one. The square is shifted inside the picture where there is
    room; where there is none it lies about the picture's middle, and what is outside is `pad`.
    With `at_most_px` it is no longer than that either: at the input's own side nothing is scaled.
    """

    enlarge: Annotated[float, Meta(gt=0)]
    at_most_px: Annotated[int, Meta(gt=0)] | None = None
    pad: int = 0


Crop = Letterbox | EnlargeShiftInside | EnlargeLevelEyes | SquareInside


class InputTensor(Part, frozen=True):
    """The one input: (pixel * scale - mean) in the stated layout and colour order.

    `mean` and `scale` are in the colour order of the tensor; scale 1 and mean 0 leave 0..255. With
    uint8, NHWC and BGR the resized picture itself is the tensor; the network does the arithmetic.
    """

    name: str
    shape: tuple[Dim, Dim, Dim, Dim]
    layout: Literal["NCHW", "NHWC"]
    dtype: Literal["float32", "uint8"]
    colour: Literal["BGR", "RGB"]
    mean: Triple = NO_MEAN
    scale: Triple = NO_SCALE

    @property
    def height(self) -> Dim:
        """The dimension of the rows."""
        return self.shape[2] if self.layout == "NCHW" else self.shape[1]

    @property
    def width(self) -> Dim:
        """The dimension of the columns."""
        return self.shape[3] if self.layout == "NCHW" else self.shape[2]

    @property
    def is_picture(self) -> bool:
        """The tensor is the resized picture itself, byte for byte."""
        return self.dtype == "uint8"

    def as_picture(self) -> InputTensor:
        """The tensor of a device that does the arithmetic itself: the picture, byte for byte."""
        batch = self.shape[0]
        return InputTensor(
            name=self.name,
            shape=(batch, self.height, self.width, 3),
            layout="NHWC",
            dtype="uint8",
            colour="BGR",
        )

    def problem(self) -> str | None:
        """The field that contradicts another, and why; None when none does."""
        if self.layout != ("NHWC" if self.is_picture else "NCHW"):
            return f"layout: {self.layout} does not go with {self.dtype}"
        for field, value, own in (
            ("colour", self.colour, "BGR"),
            ("mean", self.mean, NO_MEAN),
            ("scale", self.scale, NO_SCALE),
        ):
            if self.is_picture and value != own:
                return f"{field}: a uint8 input is the picture as it is, {own}"
        return None


class OutputTensor(Part, frozen=True):
    """One output; named dimensions may be expressions of the input's (see dims.py)."""

    name: str
    shape: tuple[Dim, ...]


Precision = Literal["fp32", "fp16", "int8"]
Extent = Annotated[int, Meta(ge=1, le=4096)]
Tolerance = Annotated[float, Meta(gt=0, le=1)]


class Golden(Part, frozen=True):
    """Which drawn faces an engine is proved on (engines/specimen.py).

    `sides` are height and width where the network leaves them free; every second picture lies on its
    side. They are such that the outputs' dimensions come out whole.
    """

    seed: Annotated[int, Meta(ge=0)] = 1
    pictures: Annotated[int, Meta(ge=1, le=16)] = 2
    sides: tuple[Side, Side] = (96, 128)


class Network(Part, frozen=True):
    """One graph: its file, its tensors, how its input is cut from a frame.

    `tolerance` is how far an engine of a precision may stray from the golden outputs: parts of an
    output's greatest value, or absolute where that is below 1. `ranges` are least, usual and greatest
    extent of each free dimension of the input, for backends that build engines for ranges.
    """

    name: str
    file: str
    backends: tuple[str, ...]
    precisions: Annotated[tuple[Precision, ...], Meta(min_length=1)]
    input: InputTensor
    crop: Crop
    outputs: Annotated[tuple[OutputTensor, ...], Meta(min_length=1)]
    golden: Golden = Golden()
    tolerance: dict[Precision, Tolerance] = msgspec.field(default_factory=lambda: {"fp32": 1e-4})
    ranges: dict[str, tuple[Extent, Extent, Extent]] = {}
    sizes: tuple[tuple[Extent, Extent], ...] = ()
    """Heights and widths for backends that build for sizes instead of ranges; empty: worked out."""
    float_products: tuple[str, ...] = ()
    """Convolutions and matrix products, by name, that stay in floating point in int8."""

    def __post_init__(self) -> None:
        """Ranges rise, and are of dimensions that the input leaves free."""
        for name, told in self.ranges.items():
            if name not in self.input.shape:
                raise ValueError(f"ranges: the input has no free dimension {name!r}")
            if list(told) != sorted(told):
                raise ValueError(f"ranges: {name} is {list(told)}, not least, usual, greatest")

    def extents(self) -> tuple[Shape, Shape, Shape]:
        """The least, the usual and the greatest shape of the input.

        Raises:
            SetupError: MODELINIT_FAIL when a free dimension has no range.
        """
        free = {dim for dim in self.input.shape if isinstance(dim, str)}
        if missing := sorted(free - set(self.ranges)):
            raise SetupError(
                ErrorCode.MODELINIT_FAIL,
                f"network {self.name}: the manifest has no ranges for {', '.join(missing)}",
                hint="[networks.ranges], docs/models.md",
            )
        least, usual, greatest = (
            tuple(dim if isinstance(dim, int) else self.ranges[dim][which] for dim in self.input.shape)
            for which in range(3)
        )
        return least, usual, greatest

    @property
    def precision(self) -> Precision:
        """That of an engine which runs the weights as they are: the first one."""
        return self.precisions[0]

    def require_outputs(self, names: Iterable[str]) -> None:
        """Hold that there are outputs of these names.

        Raises:
            SetupError: MODELINIT_FAIL when one is missing.
        """
        missing = sorted(set(names) - {output.name for output in self.outputs})
        if missing:
            raise SetupError(
                ErrorCode.MODELINIT_FAIL,
                f"network {self.name} has no output {', '.join(missing)}, which its decode rule reads",
            )


class YunetGrid(Part, frozen=True, tag_field="rule", tag="yunet_grid"):
    """Outputs <class>_<stride>, <object>_<stride>, <box>_<stride>, <landmarks>_<stride>.

    For the cell at (row, column) of a grid with stride s: score = sqrt(class * object), both clipped
    to 0..1; centre = ((column, row) + box[0:2]) * s; size = exp(box[2:4]) * s; landmark k =
    ((column, row) + landmarks[2k:2k+2]) * s. All in input pixels.
    """

    strides: tuple[int, ...]
    class_output: str
    object_output: str
    box_output: str
    landmark_output: str
    landmarks: tuple[str, ...]


class SoftmaxMean(Part, frozen=True, tag_field="rule", tag="softmax_mean"):
    """Softmax of each network's logits, averaged over the networks; the score is one class of it."""

    output: str
    genuine_class: int


class SoftmaxHarmonicMean(Part, frozen=True, tag_field="rule", tag="softmax_harmonic_mean"):
    """Softmax of each network's logits; the score is the harmonic mean of one class.

    A network that is sure of an attack outweighs those that see nothing; in an average it does not.
    """

    output: str
    genuine_class: int


Ring = Annotated[tuple[int, ...], Meta(min_length=6, max_length=8)]


class PointsInCrop(Part, frozen=True, tag_field="rule", tag="points_in_crop"):
    """`points` pairs (x, y) of one output, each a part 0..1 of the crop's width and height.

    Which of them is what, by index. A ring of six or eight begins at one corner, goes along the upper
    lid or lip to the other corner and back along the lower one, so that the second and the last face
    each other, as do the third and the last but one. An eye's ring begins at its outer corner; the
    lips' and `mouth_corners` begin at the image's left.
    """

    output: str
    points: Annotated[int, Meta(ge=1)]
    image_left_eye: Ring
    image_right_eye: Ring
    inner_lips: Ring
    nose_tip: int
    chin: int
    mouth_corners: tuple[int, int]

    def __post_init__(self) -> None:
        """A ring has as many points above as below."""
        for ring in (self.image_left_eye, self.image_right_eye, self.inner_lips):
            if len(ring) % 2:
                raise ValueError(f"a ring has six or eight points, this one {len(ring)}")

    @property
    def indices(self) -> tuple[int, ...]:
        """Every index that is named."""
        rings = (*self.image_left_eye, *self.image_right_eye, *self.inner_lips)
        return (*rings, self.nose_tip, self.chin, *self.mouth_corners)


class AnglesMean(Part, frozen=True, tag_field="rule", tag="angles_mean"):
    """Three angles in degrees of each network, averaged over the networks.

    `order` says which number is which, the `_positive` fields what a positive one means. Roll is as
    seen in the picture.
    """

    output: str
    order: tuple[
        Literal["yaw", "pitch", "roll"], Literal["yaw", "pitch", "roll"], Literal["yaw", "pitch", "roll"]
    ]
    yaw_positive: Literal["image_left", "image_right"]
    pitch_positive: Literal["up", "down"]
    roll_positive: Literal["clockwise", "anticlockwise"]


Decode = YunetGrid | SoftmaxMean | SoftmaxHarmonicMean | PointsInCrop | AnglesMean


class Manifest(Part, frozen=True):
    """One model: one algorithm's networks with everything that is needed to run them."""

    id: Annotated[str, Meta(pattern="^[a-z0-9_]+$")]
    task: str
    title: str
    files: tuple[ModelFile, ...]
    networks: tuple[Network, ...]
    decode: Decode
    thresholds: dict[str, float]
    classes: dict[str, str] = {}
    pack: str = ""
    """The pack that it is of; a model of none is taken only when it is named."""
    is_for_pilots: bool = False
    """Weights for integration and pilots: a server that others can reach says so when it starts."""

    @property
    def backends(self) -> tuple[str, ...]:
        """Those that all networks list, in the order of the first one."""
        first, *others = (network.backends for network in self.networks)
        return tuple(name for name in first if all(name in other for other in others))

    def file(self, name: str) -> ModelFile:
        """The file of that name."""
        return next(file for file in self.files if file.name == name)

    def threshold(self, name: str) -> float:
        """The threshold of that name.

        Raises:
            SetupError: MODELINIT_FAIL when there is none.
        """
        if name not in self.thresholds:
            raise SetupError(ErrorCode.MODELINIT_FAIL, f"model {self.id}: [thresholds] has no {name}")
        return self.thresholds[name]


def read_manifest(path: Path) -> Manifest:
    """Read and check one manifest.

    Raises:
        SetupError: OPEN_FAIL, READ_FAIL (not TOML), or MODELINIT_FAIL with the path of the field.
    """
    return manifest_from_tables(read_toml(path), origin=str(path))


def manifest_from_tables(tables: Mapping[str, object], *, origin: str) -> Manifest:
    """Check the tables of a manifest that came from `origin`."""
    try:
        manifest = msgspec.convert(tables, Manifest)
    except msgspec.ValidationError as error:
        raise _refused(origin, str(error)) from error
    named = {file.name for file in manifest.files}
    for number, network in enumerate(manifest.networks):
        if network.file not in named:
            raise _refused(origin, f"network {network.name!r} names no file of [[files]]")
        problem = network.input.problem()
        if problem is not None:
            raise _refused(origin, f"$.networks[{number}].input.{problem}")
        for precision in network.precisions:
            if precision not in network.tolerance:
                raise _refused(origin, f"$.networks[{number}].tolerance: there is none for {precision}")
    if not manifest.networks:
        raise _refused(origin, "there is no [[networks]]")
    if not manifest.backends:
        raise _refused(origin, "$.networks: there is no backend that all of them list")
    return manifest


def _refused(origin: str, why: str) -> SetupError:
    return SetupError(
        ErrorCode.MODELINIT_FAIL, f"{origin}: {why}", hint="docs/models.md lists every field"
    )
