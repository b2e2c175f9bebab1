"""From a trained network to the file that the runtime loads.

Opset 17 and IR version 10 at most: onnxruntime 1.23.2, the newest for Python 3.10, must load it.
"""

from __future__ import annotations

import io
import warnings
from pathlib import Path

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
    graph = onnx.load_from_string(stream.getvalue())
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


def _props(graph: onnx.ModelProto) -> dict[str, str]:
    return {entry.key: entry.value for entry in graph.metadata_props}
