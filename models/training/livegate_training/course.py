"""What a model brings to the training loop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Array = NDArray[Any]


class Course(Protocol):
    """One model's part: its network, its loss, what it tells of a validation set."""

    def network(self, samples: Mapping[str, Array]) -> nn.Module:
        """A network with random weights."""

    def loss(self, network: nn.Module, batch: Mapping[str, Tensor], rng: np.random.Generator) -> Tensor:
        """A scalar to make small; may vary the pictures with `rng`."""

    def report(self, network: nn.Module, samples: Mapping[str, Array]) -> dict[str, float]:
        """Figures of a set that was not trained on; `network` is in evaluation mode."""

    def exported(self, network: nn.Module) -> list[Export]:
        """The graphs that leave training."""


class Export:
    """One graph: a module, an example of its input, names, which dimensions are free."""

    def __init__(
        self,
        name: str,
        module: nn.Module,
        example: Tensor,
        outputs: tuple[str, ...],
        free: Mapping[str, Mapping[int, str]],
    ) -> None:
        """`name` becomes the file's."""
        self.name = name
        self.module = module
        self.example = example
        self.outputs = outputs
        self.free = free


def batch_at(samples: Mapping[str, Array], numbers: Array) -> dict[str, Tensor]:
    """Some samples as tensors."""
    return {key: torch.from_numpy(array[numbers]) for key, array in samples.items()}
