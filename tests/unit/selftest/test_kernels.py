"""The kernels on a GPU beside the CPU: found right, found wrong, and not there."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator

import numpy as np
import pytest

from cuda_fake import FakeGpu, install_fake
from kernels_on_cpu import built_modules
from livegate.core.config import Config
from livegate.core.errors import ErrorCode, SetupError
from livegate.devices.device import CudaError, Device, load_driver
from livegate.devices.modules import KernelModule, open_driver
from livegate.kernels.launch import Launch
from livegate.selftest.kernels import Comparison, GpuBench, answers, compare_kernels
from livegate.selftest.report import Status
from selftest_parts import course
from support import config_with, shipped_manifest


@pytest.fixture(scope="module")
def built() -> tuple[ctypes.CDLL, bytes]:
    """A driver's calls for modules without a GPU, and the kernels as it takes them."""
    return built_modules()


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Iterator[Device]:
    gpu = FakeGpu()
    install_fake(monkeypatch, "cuda_python", gpu)
    yield load_driver("cuda_python").open(0)
    assert gpu.blocks == {}, "memory of the GPU was not given back"
    assert gpu.streams == {}


def compared(device: Device, driver: ctypes.CDLL, code: bytes) -> dict[str, Comparison]:
    bench = GpuBench(device, lambda operation: KernelModule(code, driver))
    manifest = shipped_manifest("lg_detect")
    return {told.kernel: told for told in bench.comparisons(manifest, Config())}


def test_kernels_that_compute_rightly_are_within_their_limits(
    device: Device, built: tuple[ctypes.CDLL, bytes]
) -> None:
    """Their own sources, launched through the driver's calls, beside the CPU's way."""
    found = compared(device, *built)
    assert list(found) == ["letterbox", "face_crops", "face_detection"]
    assert all(told.difference <= told.limit for told in found.values()), found


class Wrong(KernelModule):
    """Launches with something else than it was given."""

    def launch(self, launch: Launch, stream: object) -> None:
        for argument in launch.arguments:
            if hasattr(argument, "pad"):
                argument.inner_width -= 9
            if hasattr(argument, "min_score"):
                argument.min_score = 0.9
        super().launch(launch, stream)


def test_kernels_that_compute_wrongly_are_beyond_their_limits(
    device: Device, built: tuple[ctypes.CDLL, bytes]
) -> None:
    """Another place of a pixel, other faces."""
    bench = GpuBench(device, lambda operation: Wrong(built[1], built[0]))
    found = {told.kernel: told for told in bench.comparisons(shipped_manifest("lg_detect"), Config())}
    assert found["letterbox"].difference > found["letterbox"].limit
    assert found["face_detection"].difference > found["face_detection"].limit


def test_module_that_holds_nothing_for_the_gpu_is_refused(
    device: Device, built: tuple[ctypes.CDLL, bytes]
) -> None:
    """The driver's status and its call."""
    with device.current():
        with pytest.raises(CudaError, match="cuModuleLoadData: error 200"):
            KernelModule(b"/no/such/code", built[0])
        module = KernelModule(built[1], built[0])
        stream = device.stream()
        with pytest.raises(CudaError, match="cuModuleGetFunction: error 500"):
            module.launch(Launch("livegate_nothing", (1, 1, 1), (1, 1, 1), ()), stream)
        stream.close()
        for _ in range(2):
            module.close()


def test_driver_that_is_not_here_is_1013() -> None:
    """With the library's name."""
    with pytest.raises(SetupError, match=r"libnothing\.so") as caught:
        open_driver("libnothing.so")
    assert caught.value.code is ErrorCode.INIT_FAIL


def test_check_without_a_gpu_is_not_run_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most boxes have none."""
    planted = course(monkeypatch, config_with(), kernels="no_gpu")
    (check,) = compare_kernels(planted).checks
    assert (check.status, check.reason) == (Status.NOT_RUN, "no NVIDIA GPU is reached: planted")


def test_check_with_a_difference_fails_with_both_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which kernel, by how much, and how much is allowed."""
    planted = course(monkeypatch, config_with(), kernels="wrong_kernel")
    (check,) = compare_kernels(planted).checks
    assert check.status is Status.FAIL
    assert check.reason == "face_crops is 7 levels of 255 off the CPU, allowed are 1"


def test_answers_without_a_gpu_say_why(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `open_device` says."""

    def refuse() -> Device:
        raise SetupError(ErrorCode.INIT_FAIL, "no NVIDIA GPU is reached: planted")

    monkeypatch.setattr("livegate.selftest.kernels.open_device", refuse)
    import msgspec

    (told,) = answers(msgspec.json.encode(Config()))
    assert told.absent == "no NVIDIA GPU is reached: planted"
    assert np.isfinite(told.difference)
