"""The CUDA kernels on the GPU at hand against the same arithmetic on the CPU.

Nothing serves with these kernels yet, so a box where they are not to be had is none the worse. One that
has them and computes something else has a GPU, a driver or a compiler that is not to be trusted.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Mapping

import msgspec
import numpy as np

from livegate.app.build import build_store, chosen_manifest
from livegate.core.config import Config
from livegate.core.errors import SetupError
from livegate.core.frame import Frame, Pixels
from livegate.core.resources import resource_dir
from livegate.core.results import Face
from livegate.devices.device import Device, DeviceMemory, open_device
from livegate.devices.modules import KernelModule
from livegate.engines.base import Array
from livegate.kernels.code import load_code
from livegate.kernels.faces import (
    FaceLimits,
    candidate_bytes,
    faces_from_found,
    found_bytes,
    launch_face_detection,
)
from livegate.kernels.launch import Launch
from livegate.kernels.pictures import (
    DeviceCrop,
    DeviceFrame,
    Target,
    TensorFormat,
    crop_of_letterbox,
    crop_of_region,
    launch_face_crops,
    launch_letterbox,
)
from livegate.manifests.schema import InputTensor, Letterbox, Manifest, YunetGrid
from livegate.preprocess.cpu import tensor_from_crop, tensor_from_letterbox
from livegate.preprocess.ops import CropPlan, plan_letterbox
from livegate.preprocess.scratch import Scratch
from livegate.selftest.report import Check, Figure, Status
from livegate.selftest.stage import Course, Found, one
from livegate.tasks.face_detection import Plugin

WAIT_S = 60.0
"""NVRTC may have to compile first."""
WIDTH, HEIGHT, LONG_SIDE, CROP_SIDE = 640, 480, 320, 112
MAX_LEVELS = 1
"""OpenCV rounds on the way, the kernels at the end."""
MAX_SCORE, MAX_PIXELS = 1e-5, 1e-2
LoadModule = Callable[[str], KernelModule]


class Comparison(msgspec.Struct, frozen=True):
    """One kernel beside the CPU, or why none could be launched."""

    kernel: str = ""
    difference: float = 0.0
    limit: float = 0.0
    unit: str = ""
    absent: str = ""


def compare_kernels(course: Course) -> Found:
    """The check `kernels`."""
    found = list(course.apart(f"{__name__}:answers", course.config, Comparison, wait_s=WAIT_S))
    if absent := "; ".join(told.absent for told in found if told.absent):
        return one(Check(name="kernels", status=Status.NOT_RUN, reason=absent))
    problems = [
        f"{told.kernel} is {told.difference:.3g} {told.unit} off the CPU, allowed are {told.limit:.3g}"
        for told in found
        if not told.difference <= told.limit
    ]
    figures = tuple(Figure(name=told.kernel, value=told.difference, unit=told.unit) for told in found)
    status = Status.FAIL if problems else Status.PASS
    return one(Check(name="kernels", status=status, reason="; ".join(problems), figures=figures))


def answers(asked: bytes) -> Iterator[Comparison]:
    """In a process of its own."""
    config = msgspec.json.decode(asked, type=Config)
    try:
        device = open_device()
        folder = resource_dir("kernels")
    except SetupError as error:
        yield Comparison(absent=error.message)
        return

    def load(operation: str) -> KernelModule:
        facts = device.facts
        return KernelModule(load_code(operation, facts.capability, facts.cuda, folder).content)

    manifest = chosen_manifest(Plugin.name, config, build_store(config))
    try:
        yield from GpuBench(device, load).comparisons(manifest, config)
    except SetupError as error:
        yield Comparison(absent=error.message)


class GpuBench:
    """A GPU with the kernels on it."""

    def __init__(self, device: Device, load_module: LoadModule) -> None:
        """Launch nothing yet."""
        self._device, self._load_module = device, load_module

    def comparisons(self, manifest: Manifest, config: Config) -> Iterator[Comparison]:
        """Every kernel once.

        Raises:
            SetupError: INIT_FAIL when there is no code for this GPU.
        """
        pixels = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        with self._device.current():
            yield self._letterbox(pixels)
            yield self._crop(pixels)
            if isinstance(manifest.decode, YunetGrid):
                yield self._detection(manifest, manifest.decode, config)

    def _letterbox(self, pixels: Pixels) -> Comparison:
        plan = plan_letterbox(WIDTH, HEIGHT, Letterbox(multiple_of=32), LONG_SIDE)
        spec = _picture_spec(plan.input_width, plan.input_height)
        told = np.empty((1, plan.input_height, plan.input_width, 3), np.uint8)

        def launch(frame: int, tensor: int) -> Launch:
            source = DeviceFrame.bgr(frame, WIDTH, HEIGHT, pixels.strides[0])
            target = Target(tensor, spec, TensorFormat.NHWC_UINT8)
            return launch_letterbox(source, crop_of_letterbox(source, plan, 0, target))

        self._run("letterbox", pixels, told, launch)
        expected = tensor_from_letterbox(Frame(pixels, 0), plan, spec, 0, Scratch(), "selftest")
        return _levels("letterbox", told, expected)

    def _crop(self, pixels: Pixels) -> Comparison:
        plan, spec = CropPlan(101, 53, 502, 430), _picture_spec(CROP_SIDE, CROP_SIDE)
        told = np.empty((1, CROP_SIDE, CROP_SIDE, 3), np.uint8)
        size = ctypes.sizeof(DeviceCrop)
        crops = self._device.allocate(size)

        def launch(frame: int, tensor: int) -> Launch:
            source = DeviceFrame.bgr(frame, WIDTH, HEIGHT, pixels.strides[0])
            crop = crop_of_region(plan, Target(tensor, spec, TensorFormat.NHWC_UINT8))
            self._fill(crops, np.frombuffer(bytes(crop), np.uint8))
            return launch_face_crops(source, [crop], crops.address)

        try:
            self._run("face_crops", pixels, told, launch)
        finally:
            crops.free()
        expected = tensor_from_crop(Frame(pixels, 0), plan, spec, Scratch(), "selftest")
        return _levels("face_crops", told, expected)

    def _detection(self, manifest: Manifest, rule: YunetGrid, config: Config) -> Comparison:
        task, frame = Plugin(manifest, config), Frame(np.zeros((HEIGHT, WIDTH, 3), np.uint8), 0)
        crop = manifest.networks[0].crop
        assert isinstance(crop, Letterbox)  # the task has just held it to that
        plan = plan_letterbox(WIDTH, HEIGHT, crop, config.face_detection.input_size)
        own = config.face_detection.min_score
        limits = FaceLimits(
            manifest.threshold("min_score") if own is None else own,
            manifest.threshold("nms_iou"),
            config.face_detection.max_faces,
        )
        grids = drawn_grids(rule, plan.input_width, plan.input_height)
        held = {name: self._device.allocate(grid.nbytes) for name, grid in grids.items()}
        told = np.empty(found_bytes(limits.max_faces), np.uint8)
        try:
            for name, grid in grids.items():
                self._fill(held[name], grid.reshape(-1).view(np.uint8))
            addresses = {name: memory.address for name, memory in held.items()}

            def launch(candidates: int, found: int) -> Launch:
                return launch_face_detection(
                    rule, addresses, plan, limits, candidates_address=candidates, found_address=found
                )

            self._run("face_detection", np.zeros(candidate_bytes(rule, plan), np.uint8), told, launch)
        finally:
            for memory in held.values():
                memory.free()
        apart = faces_apart(faces_from_found(told.tobytes(), rule), task.interpret(frame, {}, [grids]))
        return Comparison("face_detection", apart, 1.0, "times what is allowed")

    def _run(
        self, operation: str, given: Array, told: Array, launch: Callable[[int, int], Launch]
    ) -> None:
        """One launch over an array that is copied in, and one that is copied out."""
        device, module = self._device, self._load_module(operation)
        source, target = device.allocate(given.nbytes), device.allocate(told.nbytes)
        pinned, stream, event = device.pin(told.nbytes), device.stream(), device.event()
        try:
            self._fill(source, given.reshape(-1).view(np.uint8))
            module.launch(launch(source.address, target.address), stream)
            stream.copy_out(pinned, target, told.nbytes)
            stream.mark(event)
            event.wait()
            told.reshape(-1).view(np.uint8)[:] = pinned.array[: told.nbytes]
        finally:
            for memory in (source, target, pinned):
                memory.free()
            stream.close()
            event.close()
            module.close()

    def _fill(self, memory: DeviceMemory, content: Array) -> None:
        pinned, stream, event = (
            self._device.pin(content.size),
            self._device.stream(),
            self._device.event(),
        )
        try:
            pinned.array[: content.size] = content
            stream.copy_in(memory, pinned, content.size)
            stream.mark(event)
            event.wait()
        finally:
            pinned.free()
            stream.close()
            event.close()


def drawn_grids(rule: YunetGrid, width: int, height: int) -> Mapping[str, Array]:
    """Outputs of a detector in which every tenth cell may be a face; the same on every box."""
    random = np.random.default_rng(2)
    named = (
        (rule.class_output, 1),
        (rule.object_output, 1),
        (rule.box_output, 4),
        (rule.landmark_output, 10),
    )
    grids = {}
    for stride in rule.strides:
        cells = (width // stride) * (height // stride)
        for name, values in named:
            drawn = random.uniform(0, 1, (1, cells, values)).astype(np.float32)
            if name == rule.object_output:
                drawn[random.random((1, cells, 1)) >= 0.1] = 0
            grids[f"{name}_{stride}"] = drawn
    return grids


def faces_apart(told: tuple[Face, ...], expected: tuple[Face, ...]) -> float:
    """The greatest difference, in parts of what is allowed; infinite for other faces."""
    if len(told) != len(expected):
        return 1e9
    worst = 0.0
    for face, other in zip(told, expected, strict=True):
        worst = max(worst, abs(face.score - other.score) / MAX_SCORE)
        places = zip(_places(face), _places(other), strict=True)
        worst = max(worst, *(abs(place - wanted) / MAX_PIXELS for place, wanted in places))
    return worst


def _places(face: Face) -> tuple[float, ...]:
    box = (face.box.x, face.box.y, face.box.width, face.box.height)
    return (*box, *(place for point in face.landmarks for place in point))


def _picture_spec(width: int, height: int) -> InputTensor:
    shape = (1, height, width, 3)
    return InputTensor(name="pixels", shape=shape, layout="NHWC", dtype="uint8", colour="BGR")


def _levels(kernel: str, told: Array, expected: Array) -> Comparison:
    apart = int(np.abs(told.astype(np.int16) - expected).max())
    return Comparison(kernel, apart, MAX_LEVELS, "levels of 255")
