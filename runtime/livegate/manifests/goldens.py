"""Golden outputs on disk: small files, found by a key of everything that they depend on.

Those of our own models come with the package (models/<id>/golden/<key>.golden); others are made once on
the box and kept in the user's cache. A file that is damaged or of another key is as good as none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from livegate.core.files import replace_file
from livegate.core.telemetry import get_logger
from livegate.manifests.schema import ModelFile, Network
from livegate.manifests.store import cache_dir

DIGEST_BYTES = 32
MAX_BYTES = 16 << 20
Outputs = Mapping[str, NDArray[np.float32]]
log = get_logger("livegate.goldens")


class Tensor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """float32, little-endian, C order."""

    shape: tuple[int, ...]
    content: bytes


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One input, by its digest, and the outputs by name."""

    input_sha256: str
    outputs: dict[str, Tensor]

    @classmethod
    def of(cls, fed: NDArray[np.generic], outputs: Outputs) -> Case:
        """What a reference answered."""
        kept = {
            name: Tensor(array.shape, np.ascontiguousarray(array, "<f4").tobytes())
            for name, array in outputs.items()
        }
        return cls(input_digest(fed), kept)

    def output(self, name: str) -> NDArray[np.float32]:
        """One output as an array.

        Raises:
            KeyError, ValueError: there is none, or its bytes are not its shape's.
        """
        tensor = self.outputs[name]
        return np.frombuffer(tensor.content, "<f4").reshape(tensor.shape)


class GoldenOutputs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the reference answered for one network, and which version of it."""

    key: str
    reference: str
    cases: tuple[Case, ...]


def input_digest(fed: NDArray[np.generic]) -> str:
    """The sha256 of a tensor's bytes."""
    return hashlib.sha256(np.ascontiguousarray(fed).tobytes()).hexdigest()


def golden_key(network: Network, file: ModelFile, drawing: int) -> str:
    """The digest of the weights, the tensors, the recipe and the way of drawing."""
    parts = [file.sha256, network.input, network.outputs, network.golden, drawing]
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()


class GoldenShelf:
    """Where golden outputs are."""

    def __init__(self, package: Path, model_id: str) -> None:
        """Look beside the manifest first, then into the user's cache."""
        self._own = cache_dir() / "golden"
        self._folders = (package / model_id / "golden", self._own)

    def find(self, key: str) -> GoldenOutputs | None:
        """The outputs of that key, if an undamaged file holds them."""
        for folder in self._folders:
            path = folder / f"{key}.golden"
            try:
                with path.open("rb") as stream:
                    content = stream.read(MAX_BYTES)
            except FileNotFoundError:
                continue
            except OSError as error:
                log.warning("golden outputs not read", path=str(path), why=error.strerror)
                continue
            found = _decoded(content)
            if found is not None and found.key == key:
                return found
            log.warning("golden outputs damaged", path=str(path))
        return None

    def keep(self, outputs: GoldenOutputs) -> None:
        """Write into the cache, atomically; where that is not possible they are made again next time."""
        body = msgspec.msgpack.encode(outputs)
        path = self._own / f"{outputs.key}.golden"
        try:
            self._own.mkdir(parents=True, exist_ok=True)
            replace_file(path, hashlib.sha256(body).digest() + body)
        except OSError as error:
            log.warning("golden outputs not kept", path=str(path), why=error.strerror)


def _decoded(content: bytes) -> GoldenOutputs | None:
    digest, body = content[:DIGEST_BYTES], content[DIGEST_BYTES:]
    if hashlib.sha256(body).digest() != digest:
        return None
    try:
        return msgspec.msgpack.decode(body, type=GoldenOutputs)
    except msgspec.MsgspecError:
        return None
