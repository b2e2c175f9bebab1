"""From a trained network to the file that the runtime loads.

Opset 17 and IR version 10 at most: onnxruntime 1.23.2, the newest for Python 3.10, must load it.
"""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch

from livegate_training.course import Export
from livegate_training.recipe import Recipe

OPSET, IR_VERSION = 17, 8


def write_onnx(export: Export, recipe: Recipe, path: Path) -> Path:
    """Write one graph, with the digest of the recipe that made it."""
    free = {name: dict(axes) for name, axes in export.free.items()}
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter that needs no further package is an old one
        torch.onnx.export(
            export.module.cpu().eval(),
            (export.example,),
            stream,  # type: ignore[arg-type]
            input_names=["pixels"],
            output_names=list(export.outputs),
            dynamic_axes=free,
            opset_version=OPSET,
            dynamo=False,
        )
    graph = with_scales_in_weights(onnx.load_from_string(stream.getvalue()))
    graph.ir_version = min(graph.ir_version, IR_VERSION)
    graph.producer_name, graph.doc_string = "livegate_training", ""
    for key, value in (
        ("livegate_recipe", f"{recipe.model}.{recipe.name}"),
        ("livegate_recipe_sha256", recipe.digest),
        ("livegate_seed", str(recipe.seed)),
    ):
        onnx.helper.set_model_props(graph, {**_props(graph), key: value})
    onnx.checker.check_model(graph)
    path.parent.mkdir(parents=True, exist_ok=True)
    waiting = path.with_suffix(".part")
    onnx.save(graph, str(waiting))
    waiting.rename(path)
    return path


def with_scales_in_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """`pixels * a - b`, read by one convolution, as `pixels - b / a` and weights times a.

    One pass over the picture less. With a power of two the answers are the same to the last bit.
    """
    graph = model.graph
    weights = {one.name: one for one in graph.initializer}
    constants = {node.output[0]: node for node in graph.node if node.op_type == "Constant"}
    makers = {name: node for node in graph.node for name in node.output}
    for less in [node for node in graph.node if node.op_type == "Sub"]:
        times = makers.get(less.input[0])
        readers = [node for node in graph.node if less.output[0] in node.input]
        if times is None or times.op_type != "Mul" or [one.op_type for one in readers] != ["Conv"]:
            continue
        if not {times.input[1], less.input[1]} <= constants.keys():
            continue
        factor, offset = (constants[one.input[1]].attribute[0].t for one in (times, less))
        scale, kernel = onnx.numpy_helper.to_array(factor), weights[readers[0].input[1]]
        kernel.CopyFrom(_tensor(onnx.numpy_helper.to_array(kernel) * scale, kernel.name))
        offset.CopyFrom(_tensor(onnx.numpy_helper.to_array(offset) / scale, offset.name))
        less.input[0] = times.input[0]
        graph.node.remove(constants[times.input[1]])
        graph.node.remove(times)
    return model


def _tensor(numbers: Any, name: str) -> onnx.TensorProto:
    return onnx.numpy_helper.from_array(np.asarray(numbers, np.float32), name)


def _props(graph: onnx.ModelProto) -> dict[str, str]:
    return {entry.key: entry.value for entry in graph.metadata_props}
