"""How far the tensors inside a network go on the pictures of one door: what an int8 engine is made with.

A file in the folder of built engines, found by the network that it was measured on and by how its input
is cut, so that a network that two models share is measured once. It holds numbers and no pixels.
"""

from __future__ import annotations

import hashlib

import msgspec

from livegate.core.errors import ErrorCode, SetupError
from livegate.engines.cache import EngineCache
from livegate.manifests.schema import Network, Sha256

METHOD = "least squares 1"
"""Which way reaches are chosen (engines/magnitudes.py); those of another one are measured again."""
HOW = "`livegate engines build --precision int8 --calibrate DIR`, with pictures of this door"


class Ranges(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What was measured of one network; nothing in it tells one picture from another."""

    key: Sha256
    network: str
    method: str
    runs: int
    """Inputs that were seen."""
    reaches: dict[str, float]
    """How far from zero each tensor goes, by name."""

    @property
    def digest(self) -> str:
        """What an engine that was made with them is known by."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()


def ranges_key(network: Network, model: bytes) -> str:
    """The digest of the file and of everything that makes its input."""
    parts = [hashlib.sha256(model).hexdigest(), network.input, network.crop, METHOD]
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()


def keep_ranges(cache: EngineCache, ranges: Ranges) -> None:
    """Write them beside the engines.

    Raises:
        SetupError: WRITE_FAIL.
    """
    cache.keep_note(ranges.key, msgspec.json.encode(ranges, order="deterministic"))


def find_ranges(cache: EngineCache, network: Network, model: bytes) -> Ranges:
    """Those that were measured of exactly this network.

    Raises:
        SetupError: MODELINIT_FAIL when there are none, or they are damaged or not this user's.
    """
    key = ranges_key(network, model)
    body = cache.note(key)
    if body is None:
        raise _unmeasured(network, "was never measured for int8 on this box")
    try:
        ranges = msgspec.json.decode(body, type=Ranges)
    except msgspec.MsgspecError as error:
        raise _unmeasured(network, f"has int8 ranges of another version ({error})") from error
    if ranges.key != key:
        raise _unmeasured(network, "has int8 ranges of another network")
    return ranges


def _unmeasured(network: Network, why: str) -> SetupError:
    return SetupError(
        ErrorCode.MODELINIT_FAIL,
        f"network {network.name} {why}: {HOW}",
        fields={"network": network.name, "engine": ""},
    )
