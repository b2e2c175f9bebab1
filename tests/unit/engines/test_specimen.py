"""Drawn faces are the same bytes everywhere, in the layout of the network, and faces to a detector."""

from __future__ import annotations

import copy
import hashlib
from typing import Any

import numpy as np
import pytest

from livegate.engines.specimen import DRAWING, draw_face, golden_inputs
from livegate.manifests.schema import manifest_from_tables
from support import shared, shipped_manifest, tiny_tables


def network_with(**changes: Any) -> Any:
    """The tiny network with other values in its input or its golden recipe."""
    tables = copy.deepcopy(tiny_tables(b""))
    network = tables["networks"][0]
    for name, values in changes.items():
        network.setdefault(name, {}).update(values)
    if "layout" in changes.get("input", {}):
        network["outputs"][0]["shape"] = changes["input"]["shape"]
    return manifest_from_tables(tables, origin="a test").networks[0]


@pytest.mark.parametrize(
    ("number", "height", "width", "digest"),
    [
        (0, 96, 128, "292373da26824bb67c46dfe22233984100269e7ec56400d9e6770d201261af50"),
        (1, 128, 96, "b99d47caacd0bfc2661471a91cd7cd6c78c1000b4042226e69b308ac67c09e89"),
        (0, 80, 80, "ab74132e69444186694c05f2f213539ad245dc8eefc740f05ecc163bedb413e1"),
    ],
)
def test_draw_face_is_the_same_bytes_everywhere(
    number: int, height: int, width: int, digest: str
) -> None:
    """Golden outputs are of these bytes: who draws otherwise counts DRAWING up."""
    assert DRAWING == 1
    pixels = draw_face(1, number, height, width)
    assert pixels.shape == (height, width, 3)
    assert pixels.dtype == np.uint8
    assert hashlib.sha256(pixels.tobytes()).hexdigest() == digest


def test_draw_face_differs_by_seed_and_number() -> None:
    """Each picture is one of its own."""
    drawn = {draw_face(seed, number, 64, 64).tobytes() for seed in (1, 2) for number in (0, 1, 2)}
    assert len(drawn) == 6


def test_golden_inputs_free_sides_change_places() -> None:
    """A network that takes any size is proved on two shapes."""
    shapes = [tensor.shape for tensor in golden_inputs(network_with(golden={"pictures": 3}))]
    assert shapes == [(1, 3, 96, 128), (1, 3, 128, 96), (1, 3, 96, 128)]


def test_golden_inputs_are_scaled_as_the_manifest_says() -> None:
    """pixel * scale - mean, planes in the tensor's colour order, float32, contiguous."""
    own = {"colour": "RGB", "scale": (0.5, 0.25, 2.0), "mean": (1.0, 2.0, 3.0)}
    network = network_with(input=own, golden={"sides": (8, 12), "pictures": 1})
    (tensor,) = golden_inputs(network)
    pixels = draw_face(1, 0, 8, 12).astype(np.float32)
    assert tensor.dtype == np.float32
    assert tensor.flags.c_contiguous
    np.testing.assert_array_equal(tensor[0, 0], pixels[..., 2] * 0.5 - 1)
    np.testing.assert_array_equal(tensor[0, 2], pixels[..., 0] * 2 - 3)


def test_golden_inputs_of_bytes_are_the_picture_itself() -> None:
    """uint8 NHWC is the drawing, byte for byte."""
    shape = ["batch", "height", "width", 3]
    network = network_with(input={"shape": shape, "layout": "NHWC", "dtype": "uint8"})
    first, second = golden_inputs(network)
    np.testing.assert_array_equal(first[0], draw_face(1, 0, 96, 128))
    assert (first.dtype, second.shape) == (np.uint8, (1, 128, 96, 3))


def test_drawn_faces_are_faces_to_the_detector() -> None:
    """A detector that saw nothing would answer next to zero, and prove nothing."""
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: no [cpu] extra")
    from livegate.backends.onnxruntime import Plugin
    from livegate.engines.base import EngineOptions
    from livegate.manifests.store import ModelStore

    manifest = shipped_manifest("yunet_n")
    (network,) = manifest.networks
    content = ModelStore([shared("models", "reference")]).read(manifest.files[0])
    engine = Plugin().load(network, content, EngineOptions("cpu"))
    for tensor in golden_inputs(network):
        outputs = engine.run({"input": tensor})
        scores = [outputs[f"cls_{stride}"] * outputs[f"obj_{stride}"] for stride in (8, 16, 32)]
        assert np.sqrt(max(score.max() for score in scores)) > 0.8
