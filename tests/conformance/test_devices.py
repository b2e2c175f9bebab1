"""What every way to a GPU must do, whichever library it goes through; one suite for all of them.

Each driver runs on a fake of its library (tests/cuda_fake.py), and on the real one where a GPU is.
"""

from __future__ import annotations

import mmap
import sys
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from cuda_fake import MAPPED_APART, FakeGpu, install_fake
from livegate.core.errors import ErrorCode, SetupError
from livegate.core.plugins import plugin_names
from livegate.devices.device import ORDER, CudaError, Device, GpuFacts, load_driver, open_device
from support import HANG_S

NAMES = plugin_names("livegate.devices.drivers")
Reached = tuple[str, FakeGpu | None]
"""A driver, and the fake that it runs on; None for a real GPU."""


@pytest.fixture(params=[*(f"{name} on a fake" for name in NAMES), *NAMES])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Reached:
    """A driver, and the fake that it runs on, if it does not run on a GPU."""
    name, _, is_fake = request.param.partition(" ")
    if not is_fake:
        return name, None
    gpu = FakeGpu()
    install_fake(monkeypatch, name, gpu)
    return name, gpu


@pytest.fixture
def device(way: Reached) -> Device:
    """The first GPU."""
    try:
        return load_driver(way[0]).open(0)
    except SetupError as error:
        if way[1] is None:
            pytest.skip(f"no GPU is reached through {way[0]}: {error.message}")
        raise


@pytest.fixture
def current(device: Device) -> Iterator[Device]:
    """The GPU with its context."""
    with device.current():
        yield device


def test_every_driver_is_tried() -> None:
    """The order names every file of the folder."""
    assert sorted(ORDER) == sorted(NAMES)


def test_open_tells_the_facts_that_plans_depend_on(device: Device) -> None:
    """Name, capability and CUDA release are there; memory is more than nothing."""
    facts = device.facts
    assert isinstance(facts, GpuFacts)
    assert facts.name
    assert facts.capability >= (5, 0)
    assert facts.cuda >= (11, 0)
    assert facts.total_bytes > 0


def test_open_number_that_is_not_there_is_refused(way: Reached, device: Device) -> None:
    """A GPU that the box does not have is 1013."""
    with pytest.raises(SetupError) as caught:
        load_driver(way[0]).open(99)
    assert caught.value.code is ErrorCode.INIT_FAIL


def test_copies_come_back_as_they_went(current: Device) -> None:
    """Bytes that went in and out again are the same; what lies behind them is left alone."""
    stream, event, memory = current.stream(), current.event(), current.allocate(1000)
    there, back = current.pin(1000), current.pin(1000)
    there.array[:] = np.arange(1000) % 251
    back.array[:] = 7
    stream.copy_in(memory, there, 1000)
    stream.copy_out(back, memory, 600)
    stream.mark(event)
    event.wait()
    np.testing.assert_array_equal(back.array[:600], there.array[:600])
    assert (back.array[600:] == 7).all()
    for held in (memory, there, back):
        held.free()
    event.close()
    stream.close()


def test_memory_is_an_address_and_a_size(current: Device) -> None:
    """What TensorRT is given is an integer that is not null; no two blocks share it."""
    one, other = current.allocate(64), current.allocate(64)
    assert one.address
    assert one.address != other.address
    assert (one.size, other.size) == (64, 64)
    assert isinstance(current.stream().handle, int)
    one.free()
    other.free()


def test_free_gives_the_memory_back_once(current: Device) -> None:
    """What was freed is free again, and freeing it twice is harmless."""
    memory, pinned = current.allocate(64 << 20), current.pin(4096)
    held = current.free_bytes()
    memory.free()
    assert current.free_bytes() > held
    memory.free()
    pinned.free()
    pinned.free()
    assert not pinned.array.size


def test_allocate_more_than_there_is_says_out_of_memory(current: Device) -> None:
    """A device without room says so in a way that we can tell from other errors."""
    with pytest.raises(CudaError) as caught:
        current.allocate(1 << 50)
    assert caught.value.is_out_of_memory


def test_allocate_nothing_is_an_error_of_another_kind(current: Device) -> None:
    """Zero bytes are refused, and that is no lack of memory."""
    with pytest.raises(CudaError) as caught:
        current.allocate(0)
    assert not caught.value.is_out_of_memory


def test_current_is_of_one_thread(device: Device) -> None:
    """A thread that did not ask for the context has none; afterwards it is gone again."""
    seen: list[object] = []

    def look() -> None:
        try:
            seen.append(device.free_bytes())
        except CudaError as error:
            seen.append(error)

    with device.current():
        thread = threading.Thread(target=look)
        thread.start()
        thread.join(HANG_S)
    assert isinstance(seen[0], CudaError)
    with pytest.raises(CudaError):
        device.free_bytes()


def test_wait_tells_the_error_of_what_ran(way: Reached, current: Device) -> None:
    """What a kernel did wrong is raised where its result is waited for."""
    if way[1] is None:
        pytest.skip("a real GPU would be of no use to the tests behind this one")
    stream, event = current.stream(), current.event()
    way[1].failure = 700
    stream.mark(event)
    with pytest.raises(CudaError):
        event.wait()


def test_map_host_shows_the_memory_where_it_is(way: Reached, current: Device) -> None:
    """The device's own address for whole pages, as often as one comes and goes; parts are refused."""
    if not current.facts.reads_in_place:
        pytest.skip("this GPU has memory of its own")
    with mmap.mmap(-1, 4 * mmap.PAGESIZE) as pages:
        memory = np.frombuffer(pages, np.uint8)
        for _ in range(2):
            mapped = current.map_host(memory)
            assert mapped.address
            if way[1] is not None or current.facts.name == "CPU":  # libcuda_on_cpu.c
                assert mapped.address == memory.ctypes.data + MAPPED_APART
            mapped.close()
        with pytest.raises(CudaError):
            current.map_host(memory[1:100])
        del mapped, memory


def test_record_then_launch_repeats_the_work(current: Device) -> None:
    """Recording does nothing; each launch does all of it, on what is there then."""
    stream, event, memory = current.stream(), current.event(), current.allocate(64)
    there, back = current.pin(64), current.pin(64)
    there.array[:], back.array[:] = 1, 0

    def enqueue() -> None:
        stream.copy_in(memory, there, 64)
        stream.copy_out(back, memory, 64)

    if current.graphs_problem:
        with pytest.raises(CudaError, match="graphs"):
            stream.record(enqueue)
        return
    graph = stream.record(enqueue)
    stream.mark(event)
    event.wait()
    assert not back.array.any()
    for number in (2, 3):
        there.array[:] = number
        graph.launch(stream)
        stream.mark(event)
        event.wait()
        assert (back.array == number).all()
    graph.close()
    for held in (memory, there, back):
        held.free()


def test_record_of_what_raises_leaves_the_stream_as_it_was(current: Device) -> None:
    """Nothing of a recording that was given up is done, and the next work is."""
    stream, event, memory = current.stream(), current.event(), current.allocate(64)
    there, back = current.pin(64), current.pin(64)
    there.array[:], back.array[:] = 1, 0

    def enqueue() -> None:
        stream.copy_out(back, memory, 64)
        raise RuntimeError("not this time")

    with pytest.raises((RuntimeError, CudaError)):
        stream.record(enqueue)
    stream.copy_in(memory, there, 64)
    stream.mark(event)
    event.wait()
    assert not back.array.any()
    stream.copy_out(back, memory, 64)
    stream.mark(event)
    event.wait()
    assert (back.array == 1).all()
    for held in (memory, there, back):
        held.free()


@pytest.mark.parametrize("name", NAMES)
def test_open_without_a_gpu_is_told(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver that finds no device is 1013, and says so."""
    install_fake(monkeypatch, name, FakeGpu(count=0))
    with pytest.raises(SetupError, match=r"(?i)no[_ ](device|CUDA-capable)") as caught:
        load_driver(name).open(0)
    assert caught.value.code is ErrorCode.INIT_FAIL


@pytest.mark.parametrize("name", NAMES)
def test_open_without_the_library_is_told(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that is not installed is 1013 with the command that installs it."""
    monkeypatch.setitem(sys.modules, "cuda", None)
    monkeypatch.setitem(sys.modules, "cuda.bindings", None)
    monkeypatch.setitem(sys.modules, "pycuda", None)
    with pytest.raises(SetupError) as caught:
        load_driver(name).open(0)
    assert caught.value.code is ErrorCode.INIT_FAIL
    assert "pip install" in caught.value.hint


def test_open_device_takes_the_next_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the first library reaches nothing, the second one does."""
    install_fake(monkeypatch, "cuda_python", FakeGpu(count=0))
    install_fake(monkeypatch, "pycuda", FakeGpu())
    assert type(open_device()).__module__.endswith("pycuda")


def test_open_device_says_what_each_library_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where none reaches a GPU, the message has both reasons."""
    install_fake(monkeypatch, "cuda_python", FakeGpu(count=0))
    install_fake(monkeypatch, "pycuda", FakeGpu(count=0))
    with pytest.raises(SetupError, match=r"cuda_python: .*pycuda: ") as caught:
        open_device()
    assert caught.value.code is ErrorCode.INIT_FAIL
