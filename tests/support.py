"""What several test rooms share: where things lie, pictures made by hand, a tiny model, a clock."""

from __future__ import annotations

import hashlib
import struct
import subprocess
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest

from livegate.core.config import Config
from livegate.core.errors import SetupError
from livegate.core.frame import Frame
from livegate.core.results import StageTimes, VideoVerdict
from livegate.engines.base import Capability
from livegate.engines.choice import Way, Wish
from livegate.engines.model import RunOptions, load_model
from livegate.manifests.schema import Manifest, Network, manifest_from_tables, read_manifest

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
HANG_S = 30.0
"""A hang detector for waits on other threads, never a promise of speed."""


def shared(*parts: str) -> Path:
    """A path below the project's shared folder; skips the test where it is absent."""
    path = SHARED.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"{path} is not there: this test compares with the project's shared folder")
    return path


def reference_flags() -> tuple[str, ...]:
    """What makes a command use the reference pack of the shared folder; skips where it is absent."""
    return "--models", str(shared("models", "reference")), "--pack", "reference"


REFERENCE: Mapping[str, Mapping[str, Any]] = {"models": {"pack": "reference"}}
"""Sections for `config_with`."""


def astronaut() -> np.ndarray:
    """NASA's portrait of Eileen Collins, 512x512 BGR; skips where scikit-image is absent."""
    data = pytest.importorskip("skimage.data", reason="scikit-image is not installed: no [demo] extra")
    return np.ascontiguousarray(data.astronaut()[..., ::-1])


def alone() -> tuple[str, ...]:
    """What to write before a command so that it has no network; nothing where that cannot be had."""
    unshare = ("unshare", "--map-root-user", "--net")
    try:
        is_had = subprocess.run((*unshare, "true"), capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        is_had = False
    if not is_had:
        print("no network namespace can be made here: the network was left on")
    return unshare if is_had else ()


def shipped_manifest(model_id: str) -> Manifest:
    """A manifest of this checkout."""
    return read_manifest(ROOT / "models" / model_id / "manifest.toml")


def config_with(**sections: Mapping[str, Any]) -> Config:
    """The default configuration with some keys of some sections replaced."""
    config = Config()
    changed = {
        name: msgspec.structs.replace(getattr(config, name), **keys) for name, keys in sections.items()
    }
    return msgspec.structs.replace(config, **changed)


def video_verdict(**changes: Any) -> VideoVerdict:
    """A video of a second and a half of somebody who did nothing, with some fields changed."""
    own: dict[str, Any] = {
        "code": 9003,
        "task_id": "",
        "request_id": "r",
        "timestamp_ms": 1,
        "is_alive": True,
        "reasons": (),
        "actions": (),
        "events": (),
        "silent": None,
        "picture": b"",
        "picture_box": None,
        "picture_pts_ms": 0,
        "src_width": 64,
        "src_height": 48,
        "duration_ms": 1500,
        "frames": 36,
        "samples": 20,
        "sample_fps": 15,
        "most_faces": 1,
        "codec": "h264",
        "container": "mp4",
        "engines": (),
        "stages": StageTimes(),
    }
    return VideoVerdict(**{**own, **changes})


class FakeClock:
    """Nanoseconds that pass only when told."""

    def __init__(self, now_ns: int = 0) -> None:
        """Start at `now_ns`."""
        self.now_ns = now_ns

    def __call__(self) -> int:
        """The time."""
        return self.now_ns


class Gate:
    """A call that blocks a worker until it is opened, and says when it has begun."""

    def __init__(self) -> None:
        """Closed."""
        self.entered = threading.Event()
        self._opened = threading.Event()

    def __call__(self) -> str:
        """Wait to be opened."""
        self.entered.set()
        assert self._opened.wait(HANG_S), "nobody opened the gate"
        return "through"

    def open(self) -> None:
        """Let it through."""
        self._opened.set()


# --- pictures -----------------------------------------------------------------------------------


def picture(width: int = 96, height: int = 64) -> np.ndarray:
    """Four quadrants, blue, green, red, white from left to right and down, in BGR: no symmetry."""
    pixels = np.zeros((height, width, 3), np.uint8)
    half_h, half_w = height // 2, width // 2
    pixels[:half_h, :half_w] = (255, 0, 0)
    pixels[:half_h, half_w:] = (0, 255, 0)
    pixels[half_h:, :half_w] = (0, 0, 255)
    pixels[half_h:, half_w:] = (255, 255, 255)
    return pixels


def noise(width: int, height: int, seed: int = 0) -> np.ndarray:
    """Random pixels."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def frame(width: int = 96, height: int = 64) -> Frame:
    """A frame of noise."""
    return Frame(noise(width, height), captured_ns=0)


def encoded(suffix: str, pixels: np.ndarray, *flags: int) -> bytes:
    """A picture as a file of that kind."""
    is_made, content = cv2.imencode(suffix, pixels, list(flags))
    assert is_made
    return content.tobytes()


def webp_lossless(pixels: np.ndarray) -> bytes:
    """A VP8L file; OpenCV takes a quality above 100 for lossless."""
    return encoded(".webp", pixels, cv2.IMWRITE_WEBP_QUALITY, 101)


def tiff_with_orientation(orientation: int, order: str = "<", *, kind: int = 3) -> bytes:
    """The body of an Exif block that holds nothing but tag 274."""
    mark = {"<": b"II*\0", ">": b"MM\0*"}[order]
    entry = struct.pack(f"{order}HHIHH", 274, kind, 1, orientation, 0)
    return mark + struct.pack(f"{order}IH", 8, 1) + entry + struct.pack(f"{order}I", 0)


def jpeg_segment(marker: int, body: bytes) -> bytes:
    """One JPEG segment with its length."""
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def jpeg_with_exif(jpeg: bytes, tiff: bytes) -> bytes:
    """A JPEG file with an APP1 Exif segment right after SOI."""
    return jpeg[:2] + jpeg_segment(0xE1, b"Exif\0\0" + tiff) + jpeg[2:]


def png_chunk(kind: bytes, body: bytes) -> bytes:
    """One PNG chunk with its length and checksum."""
    import zlib

    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_with_exif(png: bytes, tiff: bytes) -> bytes:
    """A PNG file with an eXIf chunk right after IHDR."""
    return png[:33] + png_chunk(b"eXIf", tiff) + png[33:]


def png_bomb(width: int, height: int) -> bytes:
    """A PNG whose header promises a huge picture; the pixels are a few bytes of rubbish."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = (png_chunk(b"IHDR", header), png_chunk(b"IDAT", b"x" * 64), png_chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def webp_chunk(kind: bytes, body: bytes) -> bytes:
    """One RIFF chunk, padded to an even length."""
    return kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def webp_extended(webp: bytes, width: int, height: int, tiff: bytes | None = None) -> bytes:
    """A simple WebP file as an extended one (VP8X), with an EXIF chunk if `tiff` is given."""
    flags = 0x08 if tiff is not None else 0
    canvas = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    chunks = webp_chunk(b"VP8X", bytes([flags, 0, 0, 0]) + canvas) + webp[12:]
    if tiff is not None:
        chunks += webp_chunk(b"EXIF", tiff)
    return b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WEBP" + chunks


# --- a model of one multiplication --------------------------------------------------------------


def tiny_onnx(*more_outputs: str) -> bytes:
    """doubled = 2 * x over (batch, 3, height, width), and copies of it; opset 17, IR 9."""
    from onnx import TensorProto, helper

    shape = ["batch", 3, "height", "width"]
    graph = helper.make_graph(
        [
            helper.make_node("Mul", ["x", "two"], ["doubled"]),
            *(helper.make_node("Identity", ["doubled"], [name]) for name in more_outputs),
        ],
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name in ("doubled", *more_outputs)
        ],
        [helper.make_tensor("two", TensorProto.FLOAT, [], [2.0])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return model.SerializeToString()


def tiny_tables(content: bytes) -> dict[str, Any]:
    """The tables of a manifest for `tiny_onnx`."""
    shape = ["batch", 3, "height", "width"]
    return {
        "id": "tiny",
        "task": "silent_liveness",
        "title": "doubles its input",
        "files": [
            {
                "name": "tiny.onnx",
                "sha256": hashlib.sha256(content).hexdigest(),
                "bytes": max(1, len(content)),
                "licence": "Apache-2.0",
            }
        ],
        "networks": [
            {
                "name": "tiny",
                "file": "tiny.onnx",
                "backends": ["onnxruntime", "openvino", "null"],
                "precisions": ["fp32"],
                "ranges": {"batch": [1, 1, 2], "height": [1, 8, 128], "width": [1, 8, 128]},
                "sizes": [[1, 1], [2, 2], [4, 5], [8, 8], [9, 2]],
                "input": {
                    "name": "x",
                    "shape": shape,
                    "layout": "NCHW",
                    "dtype": "float32",
                    "colour": "BGR",
                },
                "crop": {"rule": "letterbox_top_left", "multiple_of": 32},
                "outputs": [{"name": "doubled", "shape": shape}],
            }
        ],
        "decode": {"rule": "softmax_mean", "output": "doubled", "genuine_class": 1},
        "thresholds": {"genuine": 0.5},
    }


def tiny_manifest(content: bytes = b"", **changes: Any) -> Manifest:
    """The manifest of `tiny_onnx`, with other values for some of its top-level keys."""
    return manifest_from_tables({**tiny_tables(content), **changes}, origin="a test")


# --- a backend that answers what a test wants ---------------------------------------------------


class FakeEngine:
    """Answers with `answer(network, feeds)` and counts."""

    def __init__(self, network: Network, provider: str, answer: Callable[..., Any]) -> None:
        """Keep the answer."""
        self.network = network
        self.provider = provider
        self.runs = 0
        self.is_closed = False
        self._answer = answer

    def run(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Count and answer."""
        self.runs += 1
        return self._answer(self.network, feeds)

    def close(self) -> None:
        """Remember it."""
        self.is_closed = True


class FakeBackend:
    """Has the providers it is told to have; loading on one of `broken` fails."""

    def __init__(
        self,
        answer: Callable[..., Any],
        *,
        providers: tuple[str, ...] = ("fast", "slow"),
        broken: Mapping[str, SetupError] | None = None,
    ) -> None:
        """Keep what to be."""
        self.engines: list[FakeEngine] = []
        self._answer = answer
        self._providers = providers
        self._broken = broken or {}

    def probe(self) -> Capability:
        """What it was told."""
        return Capability("fake", "1.0", self._providers)

    def why_not(self, provider: str) -> str:
        """Nothing is known."""
        return ""

    def load(self, network: Network, model: bytes, options: Any) -> FakeEngine:
        """An engine, or the error of that provider."""
        if options.provider in self._broken:
            raise self._broken[options.provider]
        engine = FakeEngine(network, options.provider, self._answer)
        self.engines.append(engine)
        return engine


class OpenGate:
    """A golden gate that lets every engine pass, for backends that compute nothing real."""

    def admit(self, *asked: Any) -> float:
        """Nothing strays."""
        return 0.0


def way(backend: Any, provider: str = "") -> Way:
    """A backend on one of its providers, its best one by default."""
    capability = backend.probe()
    return Way(backend, capability, provider or capability.providers[0])


def run_options(backend: str = "fake", provider: str = "auto", policy: Any = "require") -> RunOptions:
    """What somebody asks for."""
    return RunOptions(Wish(backend, provider, policy))


def null_model(manifest: Manifest, dims: Mapping[str, int]) -> Any:
    """A model on the null backend."""
    from livegate.backends.null import Plugin

    ways = [way(Plugin())]
    options = run_options("null")
    return load_model(manifest, lambda: ways, lambda file: b"", options, dims, OpenGate())


def null_pipeline(config: Config, *, with_actions: bool = False) -> Any:
    """The tasks for pictures, or all of them, on the null backend, without any weights."""
    from livegate.pipelines.pipeline import Pipeline, Step
    from livegate.tasks.face_detection import Plugin as FaceDetection
    from livegate.tasks.head_pose import Plugin as HeadPosePlugin
    from livegate.tasks.landmarks import Plugin as Landmarks
    from livegate.tasks.silent_liveness import Plugin as SilentLiveness

    plugins: list[tuple[Any, str]] = [(SilentLiveness, "minifasnet_pair"), (FaceDetection, "yunet_n")]
    if with_actions:
        plugins += [(Landmarks, "pfld_ghostone"), (HeadPosePlugin, "fsanet_pair")]
    steps = []
    for plugin, model_id in plugins:
        manifest = shipped_manifest(model_id)
        task = plugin(manifest, config)
        steps.append(Step(task, null_model(manifest, task.warm_dims)))
    return Pipeline(steps)
