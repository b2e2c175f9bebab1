"""Which backend and provider a model gets: its own entry, the manifest's list, the policy."""

from __future__ import annotations

import copy
from typing import Any

import msgspec
import pytest

from livegate.core.errors import ErrorCode, SetupError
from livegate.engines.base import Capability, Policy
from livegate.engines.choice import Way, Wish, precision_for, ways_to_run, wish_for
from livegate.manifests.schema import manifest_from_tables
from support import FakeBackend, config_with, tiny_manifest, tiny_tables

MANIFEST = tiny_manifest()
"""Lists onnxruntime, openvino, null."""


class Box:
    """A box with some backends; remembers which of them were looked at."""

    def __init__(self, **providers: tuple[str, ...]) -> None:
        self.seen: list[str] = []
        self._providers = providers

    def load(self, name: str) -> Any:
        """A backend by name."""
        if name not in (*self._providers, *MANIFEST.backends):
            raise SetupError(ErrorCode.NO_EXIST, f"there is no backends plug-in named {name!r}")
        return Member(self, name)

    def probe(self, name: str) -> Capability:
        """Note it and tell."""
        self.seen.append(name)
        providers = self._providers.get(name, ())
        why = "" if providers else "it is not installed"
        return Capability(name, "1", providers, why, computes=name != "null")


class Member:
    """One backend of a box."""

    def __init__(self, box: Box, name: str) -> None:
        self._box, self._name = box, name

    def probe(self) -> Capability:
        """Ask the box."""
        return self._box.probe(self._name)


FULL = {"onnxruntime": ("cuda", "cpu"), "openvino": ("cpu",), "null": ("null",)}


def order(box: Box, backend: str, provider: str, policy: Policy) -> list[str]:
    """The ways as backend/provider."""
    ways = ways_to_run(MANIFEST, Wish(backend, provider, policy), box.load)
    return [f"{way.capability.backend}/{way.provider}" for way in ways]


@pytest.mark.parametrize(
    ("asked", "policy", "expected"),
    [
        ("onnxruntime/auto", "require", ["onnxruntime/cuda"]),
        ("openvino/cpu", "require", ["openvino/cpu"]),
        ("auto/auto", "require", ["onnxruntime/cuda"]),
        ("onnxruntime/cpu", "prefer", ["onnxruntime/cpu", "onnxruntime/cuda", "openvino/cpu"]),
        ("openvino/cpu", "prefer", ["openvino/cpu", "onnxruntime/cuda", "onnxruntime/cpu"]),
        ("openvino/gpu", "any", ["openvino/cpu", "onnxruntime/cuda", "onnxruntime/cpu"]),
        ("auto/cpu", "any", ["onnxruntime/cpu", "onnxruntime/cuda", "openvino/cpu"]),
        ("null/auto", "require", ["null/null"]),
    ],
)
def test_ways_follow_the_policy(asked: str, policy: Policy, expected: list[str]) -> None:
    """The asked one first, then its other providers, then the manifest's other backends; never null."""
    backend, provider = asked.split("/")
    assert order(Box(**FULL), backend, provider, policy) == expected


def test_ways_look_at_no_backend_before_its_turn() -> None:
    """A library is not imported while one before it does."""
    box = Box(**FULL)
    next(ways_to_run(MANIFEST, Wish("onnxruntime", "auto", "prefer"), box.load))
    assert box.seen == ["onnxruntime"]


def test_auto_backend_passes_over_what_is_not_here() -> None:
    """The first of the manifest's list that is installed; under `require` too."""
    box = Box(openvino=("cpu",))
    assert order(box, "auto", "auto", "require") == ["openvino/cpu"]
    assert order(box, "onnxruntime", "auto", "prefer") == ["openvino/cpu"]


@pytest.mark.parametrize("backend", ["auto", "onnxruntime"])
@pytest.mark.parametrize("policy", ["require", "prefer", "any"])
def test_box_without_any_backend_is_refused(backend: str, policy: Policy) -> None:
    """1013 with the reason of the one that was asked for; null is no way out."""
    with pytest.raises(SetupError, match="onnxruntime cannot run here: it is not installed") as caught:
        order(Box(null=("null",)), backend, "auto", policy)
    assert caught.value.code is ErrorCode.INIT_FAIL


def test_backend_that_the_manifest_does_not_list_is_refused() -> None:
    """1029 with the list, under every policy: nobody has compared its numbers."""
    with pytest.raises(SetupError, match="not proved on the backend other") as caught:
        order(Box(other=("cpu",), **FULL), "other", "auto", "any")
    assert caught.value.code is ErrorCode.MODELINIT_FAIL
    assert "onnxruntime, openvino, null" in caught.value.message
    assert "engine.use.tiny" in caught.value.hint


def test_backend_that_there_is_not_is_refused() -> None:
    """A misspelt name is 1016, not 1029."""
    with pytest.raises(SetupError) as caught:
        order(Box(**FULL), "onnxrntime", "auto", "any")
    assert caught.value.code is ErrorCode.NO_EXIST


def test_networks_share_the_backends_of_their_model() -> None:
    """A model runs where all of its networks were proved; where that is nowhere, it is refused."""
    tables = tiny_tables(b"")
    second = copy.deepcopy(tables["networks"][0])
    second.update(name="second", backends=["openvino", "null"])
    tables["networks"].append(second)
    assert manifest_from_tables(tables, origin="a test").backends == ("openvino", "null")
    second["backends"] = ["other"]
    with pytest.raises(SetupError, match="no backend that all of them list"):
        manifest_from_tables(tables, origin="a test")


def test_wish_of_a_model_is_its_own_entry_or_the_general_one() -> None:
    """An entry without a provider leaves it to the box; the policy is one for all."""
    use = {"one": "openvino", "two": "openvino/gpu"}
    engine = config_with(engine={"provider": "cuda", "policy": "prefer", "use": use}).engine
    assert wish_for("one", engine) == Wish("openvino", "auto", "prefer")
    assert wish_for("two", engine) == Wish("openvino", "gpu", "prefer")
    assert wish_for("three", engine) == Wish("onnxruntime", "cuda", "prefer")


@pytest.mark.parametrize(
    ("asked", "listed", "had", "expected"),
    [
        ("fp16", ("fp32", "fp16"), ("fp32", "fp16"), "fp16"),
        ("fp16", ("fp32",), ("fp32", "fp16"), "fp32"),
        ("fp16", ("fp32", "fp16"), ("fp32",), "fp32"),
        ("fp32", ("fp32", "fp16"), ("fp32", "fp16"), "fp32"),
        ("fp16", ("int8",), ("fp32", "fp16"), "int8"),
        ("fp32", ("int8",), ("fp32", "fp16"), "int8"),
    ],
)
def test_precision_is_the_wish_where_manifest_and_backend_have_it(
    asked: Any, listed: Any, had: Any, expected: str
) -> None:
    """Elsewhere the weights run as they are, under every policy."""
    network = msgspec.structs.replace(tiny_manifest(b"x").networks[0], precisions=listed)
    capability = Capability("fake", "1", ("gpu",), precisions=had)
    way = Way(FakeBackend(lambda *asked: {}), capability, "gpu")
    assert precision_for(network, way, Wish("fake", "gpu", "require", asked)) == expected
