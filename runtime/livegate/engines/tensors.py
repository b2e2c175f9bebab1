"""Whether what a library found in a file, and what it is fed with, is what the manifest says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from livegate.core.errors import EngineError, ErrorCode, SetupError
from livegate.engines.base import Feeds
from livegate.manifests.schema import Network


@dataclass(frozen=True, slots=True)
class FoundTensor:
    """An input as a library tells of it: a type in the manifest's words, or in the library's own.

    A dimension that is no number is free.
    """

    dtype: str
    shape: tuple[int | str | None, ...]


def require_tensors(network: Network, inputs: Mapping[str, FoundTensor], outputs: Iterable[str]) -> None:
    """Refuse a file whose tensors are not the manifest's; more outputs than it names are fine.

    Raises:
        SetupError: MODELINIT_FAIL with everything that differs.
    """
    problems = []
    told, found = network.input, inputs.get(network.input.name)
    if set(inputs) != {told.name} or found is None:
        problems.append(f"inputs are {sorted(inputs)}, the manifest says {told.name!r}")
    elif found.dtype != told.dtype or not fits(found.shape, told.shape):
        problems.append(
            f"input {told.name} is {found.dtype} {list(found.shape)}, "
            f"the manifest says {told.dtype} {list(told.shape)}"
        )
    names = set(outputs)
    missing = [output.name for output in network.outputs if output.name not in names]
    if missing:
        problems.append(f"outputs {missing} are not among {sorted(names)}")
    if problems:
        raise SetupError(
            ErrorCode.MODELINIT_FAIL,
            f"network {network.name} of {network.file} is not what its manifest says: "
            + "; ".join(problems),
        )


def fits(found: Sequence[int | str | None], told: Sequence[int | str]) -> bool:
    """Same rank, and no two numbers that differ; what is no number, on either side, stands for any."""
    pairs = zip(found, told, strict=False)
    return len(found) == len(told) and all(
        a == b for a, b in pairs if isinstance(a, int) and isinstance(b, int)
    )


def require_contiguous(network_name: str, feeds: Feeds) -> None:
    """Refuse an array that a library would copy without a word, or read wrongly.

    Raises:
        EngineError: one is not C-contiguous.
    """
    for name, array in feeds.items():
        if not array.flags.c_contiguous:
            raise EngineError(f"network {network_name}: the input {name!r} is not C-contiguous")
