"""Denormals are zero where networks run, and nowhere else."""

from __future__ import annotations

import platform
import threading

import numpy as np
import pytest

from livegate.backends.onnxruntime import Plugin
from livegate.engines import denormals
from livegate.engines.base import EngineOptions
from livegate.engines.denormals import PLACES, flush_denormals
from livegate.engines.pool import EnginePool
from support import HANG_S, tiny_manifest, tiny_onnx

pytestmark = pytest.mark.skipif(
    platform.machine() not in PLACES, reason=f"how {platform.machine()} does it is not known"
)


def tiny_product() -> float:
    """1e-40 times one: a denormal, or zero where they are flushed."""
    return float(np.multiply(np.float32(1e-40), np.ones(1, np.float32))[0])


def in_a_thread(call: object) -> object:
    """What a call returns in a fresh thread."""
    results: list[object] = []
    thread = threading.Thread(target=lambda: results.append(call()))  # type: ignore[operator]
    thread.start()
    thread.join(HANG_S)
    return results[0]


def test_flush_denormals_in_a_thread_is_of_that_thread_only() -> None:
    """The thread that asks computes zero; the one that started it still computes the denormal."""
    assert in_a_thread(tiny_product) != 0
    assert in_a_thread(lambda: (flush_denormals(), tiny_product())) == (True, 0.0)
    assert tiny_product() != 0


def test_flush_denormals_on_an_unknown_machine_is_false(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the layout is not known nothing is touched."""
    monkeypatch.setattr(denormals.platform, "machine", lambda: "riscv64")
    assert in_a_thread(lambda: (flush_denormals(), tiny_product() != 0)) == (False, True)


def test_worker_flushes_denormals_in_networks_loaded_after_it_was_started() -> None:
    """A worker that is older than the engine computes zero; the thread that loaded it does not."""
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: no [cpu] extra")
    pool = EnginePool(1, 1, watches_deadlines=False)
    onnx = tiny_onnx()
    engine = Plugin().load(tiny_manifest(onnx).networks[0], onnx, EngineOptions("cpu"))
    feeds = {"x": np.full((1, 3, 4, 4), 1e-40, np.float32)}

    def greatest_bits() -> int:
        # As integers: a comparison of floats would itself take a denormal for zero.
        return int(engine.run(feeds)["doubled"].view(np.uint32).max())

    assert greatest_bits() > 0
    assert pool.submit(greatest_bits).result(HANG_S) == 0
    pool.close()


def test_load_network_leaves_the_loading_thread_as_it_was() -> None:
    """Loading a network does not change what the main thread computes from then on."""
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: no [cpu] extra")
    onnx = tiny_onnx()
    Plugin().load(tiny_manifest(onnx).networks[0], onnx, EngineOptions("cpu"))
    assert tiny_product() != 0
