"""A box with TensorRT and our kernels without a GPU: fakes of both libraries, kernels on this CPU."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from cuda_fake import FakeGpu
from kernels_on_cpu import InOrder
from livegate.app.build import TASKS
from livegate.app.engines import golden_gate
from livegate.backends.tensorrt import Plugin
from livegate.core.config import Config
from livegate.core.frame import RawPixels
from livegate.core.plugins import load_plugin
from livegate.devices.device import GpuFacts
from livegate.engines.base import EngineOptions, Preprocess
from livegate.engines.builds import Watch
from livegate.engines.cache import EngineCache
from livegate.engines.choice import Wish
from livegate.engines.model import Model, RunOptions, load_model
from livegate.kernels.launch import Launch
from livegate.manifests.store import ModelStore
from livegate.pipelines.pipeline import Pipeline, Step
from support import shipped_manifest, tiny_manifest, tiny_onnx, way


class Box:
    """A box with TensorRT, whose kernels a test can spoil."""

    def __init__(self, trt: Any, gpu: FakeGpu, folder: Path) -> None:
        """Nothing is built."""
        self.trt, self.gpu = trt, gpu
        self.spoil: Callable[[Launch, int], None] = lambda launch, number: None
        self.modules: list[Spoilt] = []
        self.cache = EngineCache(folder)
        self.plugin = Plugin(self.cache, self.load)

    def load(self, facts: GpuFacts) -> Any:
        """The kernels."""
        self.modules.append(Spoilt(self))
        return self.modules[-1]

    def engine(self, preprocess: Preprocess, network: Any = None, model: bytes = b"") -> Any:
        """A built engine, by default of the tiny network."""
        model = model or tiny_onnx()
        network = network or tiny_manifest(model).networks[0]
        options = EngineOptions("gpu", preprocess=preprocess)
        self.plugin.build(network, model, options, Watch("tiny", "tiny", lambda progress: None))
        return self.plugin.load(network, model, options)


class Spoilt(InOrder):
    """The kernels, and whether they were given back."""

    def __init__(self, box: Box) -> None:
        """Of that box."""
        super().__init__(box.gpu)
        self.is_closed, self._box = False, box

    def launch(self, launch: Launch, stream: Any) -> None:
        """As the test says."""
        self._box.spoil(launch, self.launches)
        super().launch(launch, stream)

    def close(self) -> None:
        """Remember it."""
        self.is_closed = True
        super().close()


def nv12_of(pixels: np.ndarray) -> RawPixels:
    """A picture as a camera gives it."""
    height, width = pixels.shape[:2]
    planar = cv2.cvtColor(pixels, cv2.COLOR_BGR2YUV_I420)
    u, v = planar[height:].reshape(2, height // 2, width // 2)
    pairs = np.stack((u, v), axis=-1).reshape(height // 2, width)
    return RawPixels(np.concatenate((planar[:height], pairs)).astype(np.uint8), is_nv12=True)


def pipeline(
    box: Box,
    preprocess: Any,
    models: tuple[str, ...] = ("lg_detect", "lg_silent", "lg_face"),
    config: Config | None = None,
) -> Pipeline:
    """Tasks of the starter pack."""
    steps, config = [], config or Config()
    for model_id in models:
        model = loaded(box, model_id, preprocess)
        task = load_plugin(TASKS, model.manifest.task).Plugin(model.fed_manifest, config)
        steps.append(Step(task, model))
    return Pipeline(steps)


def loaded(box: Box, model_id: str, preprocess: Preprocess) -> Model:
    """A model on TensorRT, built, warm and proved."""
    store = ModelStore([])
    manifest = tiny_manifest(tiny_onnx()) if model_id == "tiny" else shipped_manifest(model_id)
    read = (lambda file: tiny_onnx()) if model_id == "tiny" else store.read
    watch = Watch(model_id, "n", lambda progress: None)
    for network in manifest.networks:
        content = read(manifest.file(network.file))
        box.plugin.build(network, content, EngineOptions("gpu"), watch)
    options = RunOptions(Wish("tensorrt", "gpu", "require"), preprocess=preprocess)
    side = 8 if model_id == "tiny" else 320
    dims = {"batch": 1, "height": side, "width": side}
    gate = golden_gate(manifest.id, store)
    ways = [way(box.plugin, "gpu")]
    return load_model(manifest, lambda: ways, read, options, dims, gate)
