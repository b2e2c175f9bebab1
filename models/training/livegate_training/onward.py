"""Training that goes on from networks which were finished: their graphs give the weights back.

A finished graph has its normalisations folded into the convolutions before them. One batch tells them
apart again: whatever scale a filter gets, the normalisation behind it takes away, and the network
answers as the graph does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor, nn

FIRST = 256
"""Samples that the normalisations are measured on."""


@torch.no_grad()
def take_over(network: nn.Module, graph: Path, pixels: Tensor) -> None:
    """Give `network`, (N, S, S, 3) uint8 to (N, 2), the weights of its finished `graph`.

    `pixels`: samples as training sees them. Its modules must stand in the order of the graph's nodes.

    Raises:
        ValueError: the graph is of another shape.
    """
    stored = onnx.load(str(graph)).graph
    numbers = {one.name: onnx.numpy_helper.to_array(one).copy() for one in stored.initializer}
    nodes = [node for node in stored.node if node.op_type in ("Conv", "Gemm")]
    layers = list(_layers(network))
    if [layer.weight.shape for layer, _ in layers] != [numbers[n.input[1]].shape for n in nodes]:
        raise ValueError(f"{graph} is of another shape than the recipe's network: other width or views")
    hooks = []
    for (layer, normal), node in zip(layers, nodes, strict=True):
        weight, bias = (torch.from_numpy(numbers[name]) for name in node.input[1:3])
        if normal is None:
            layer.weight.copy_(weight)
            layer.bias.copy_(bias)  # type: ignore[union-attr]
            continue
        scale = _of_new_ones(weight)
        layer.weight.copy_(weight * scale[:, None, None, None])
        hooks.append(normal.register_forward_pre_hook(_measured(scale, bias)))
    network.eval()(pixels)
    for hook in hooks:
        hook.remove()


def _layers(network: nn.Module) -> Iterator[tuple[nn.Conv2d | nn.Linear, nn.BatchNorm2d | None]]:
    """Convolutions with the normalisations behind them, and linear layers, in their order."""
    modules = list(network.modules())
    for number, module in enumerate(modules):
        if isinstance(module, nn.Linear):
            yield module, None
        elif isinstance(module, nn.Conv2d):
            behind = modules[number + 1]
            assert isinstance(behind, nn.BatchNorm2d)
            yield module, behind


def _of_new_ones(weight: Tensor) -> Tensor:
    """(C,) what brings each filter to the size of those that begin: steps are meant for these."""
    size = weight.flatten(1).square().mean(1).sqrt()
    return 1 / (size.clamp_min(1e-6) * np.sqrt(3 * weight[0].numel()))


def _measured(scale: Tensor, bias: Tensor) -> Callable[[nn.Module, tuple[Tensor]], None]:
    """A hook that lets a normalisation answer (x / scale + bias), as the graph does."""

    def measure(normal: nn.Module, seen: tuple[Tensor]) -> None:
        (planes,) = seen
        spread, mean = torch.var_mean(planes, dim=(0, 2, 3))
        assert isinstance(normal, nn.BatchNorm2d)
        assert normal.running_mean is not None
        assert normal.running_var is not None
        normal.running_mean.copy_(mean)
        normal.running_var.copy_(spread)
        normal.weight.copy_((spread + normal.eps).sqrt() / scale)
        normal.bias.copy_(mean / scale + bias)

    return measure
