"""The loop: one for all models, seeded, resumable; a resumed run equals one that was never stopped.

What a step sees depends on the seed and on the step's number alone. A checkpoint holds the weights,
their running mean, the optimiser's state, torch's random state and the step.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from livegate_training.course import Course, batch_at
from livegate_training.recipe import Recipe
from livegate_training.seeds import seeded

Array = NDArray[Any]
Say = Callable[[str], None]


@dataclass(slots=True)
class State:
    """A run between two steps."""

    network: nn.Module
    mean: nn.Module
    optimiser: torch.optim.Optimizer
    step: int


class InBfloat16(nn.Module):
    """A network whose convolutions and products are taken in bfloat16; what comes out is float32."""

    def __init__(self, network: nn.Module) -> None:
        """Around a network that returns a tensor or a tuple of them."""
        super().__init__()
        self._network = network

    def forward(self, seen: Any) -> Any:
        """What the network tells, as float32."""
        device = next(self._network.parameters()).device.type
        with torch.autocast(device, torch.bfloat16):
            told = self._network(seen)
        return told.float() if isinstance(told, Tensor) else tuple(one.float() for one in told)


class Training:
    """One run of one recipe."""

    def __init__(
        self, recipe: Recipe, course: Course, samples: Mapping[str, Array], checkpoint: Path, device: str
    ) -> None:
        """Continue from `checkpoint` where it is there and of this recipe, else begin."""
        self._recipe = recipe
        self._course = course
        self._samples = samples
        self._checkpoint = checkpoint
        self._device = device
        self.state = self._begun()
        if checkpoint.exists():
            self._load()

    def begin_with(self, network: nn.Module) -> None:
        """Take these weights in place of random ones, before the first step."""
        for own in (self.state.network, self.state.mean):
            own.load_state_dict(network.state_dict())

    def run(self, say: Say, *, until: int | None = None) -> nn.Module:
        """Train to the recipe's last step, or to `until`; the running mean of the weights."""
        plan, state = self._recipe.training, self.state
        last = min(plan.steps, plan.steps if until is None else until)
        begun, first, total = time.monotonic(), state.step, 0.0
        while state.step < last:
            total += self._step()
            if state.step % 50 == 0 or state.step == last:
                left = (time.monotonic() - begun) / (state.step - first) * (last - state.step)
                say(f"step {state.step} of {last}, loss {total / 50:.4f}, {left:.0f} s left")
                total = 0.0
            if state.step % plan.save_every == 0 or state.step == last:
                self._save()
        return state.mean.eval()

    def _step(self) -> float:
        plan, state = self._recipe.training, self.state
        rng = seeded(self._recipe.seed, "step", state.step)
        torch.manual_seed(int(rng.integers(2**31)))
        for group in state.optimiser.param_groups:
            group["lr"] = plan.learning_rate * _slope(state.step, plan.warm_up, plan.steps)
        batch = batch_at(self._samples, self._chosen(state.step))
        on_device = {key: values.to(self._device) for key, values in batch.items()}
        state.network.train()
        network = InBfloat16(state.network) if plan.bfloat16 else state.network
        loss = self._course.loss(network, on_device, rng)
        state.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(state.network.parameters(), 5.0)
        state.optimiser.step()
        state.step += 1
        _follow(state.mean, state.network, min(plan.average, state.step / (state.step + 10)))
        return float(loss.detach())

    def _chosen(self, step: int) -> Array:
        """The samples of a step: each once in a turn, in an order of that turn."""
        count, batch = len(next(iter(self._samples.values()))), self._recipe.training.batch
        batch = min(batch, count)
        turns = count // batch
        order = seeded(self._recipe.seed, "turn", step // turns).permutation(count)
        start = step % turns * batch
        return order[start : start + batch]

    def _begun(self) -> State:
        torch.manual_seed(self._recipe.seed)
        network = self._course.network(self._samples).to(self._device)
        plan = self._recipe.training
        optimiser = torch.optim.AdamW(
            network.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay
        )
        return State(network, copy.deepcopy(network), optimiser, 0)

    def _save(self) -> None:
        state = self.state
        self._checkpoint.parent.mkdir(parents=True, exist_ok=True)
        waiting = self._checkpoint.with_suffix(".part")
        stored = {
            "digest": self._recipe.digest,
            "network": state.network.state_dict(),
            "mean": state.mean.state_dict(),
            "optimiser": state.optimiser.state_dict(),
            "random": torch.get_rng_state(),
            "step": state.step,
        }
        torch.save(stored, waiting)
        waiting.rename(self._checkpoint)

    def _load(self) -> None:
        stored = torch.load(self._checkpoint, map_location=self._device, weights_only=True)
        if stored["digest"] != self._recipe.digest:
            raise ValueError(
                f"{self._checkpoint} is of another recipe (digest {stored['digest'][:12]}, asked "
                f"{self._recipe.digest[:12]}): name another WORK folder or remove it"
            )
        self.state.network.load_state_dict(stored["network"])
        self.state.mean.load_state_dict(stored["mean"])
        self.state.optimiser.load_state_dict(stored["optimiser"])
        torch.set_rng_state(stored["random"].cpu())
        self.state.step = int(stored["step"])


def _slope(step: int, warm_up: int, steps: int) -> float:
    """The learning rate's part: up in a line, down in a half cosine to a hundredth."""
    if step < warm_up:
        return (step + 1) / warm_up
    way = (step - warm_up) / max(1, steps - warm_up)
    return 0.01 + 0.99 * (1 + math.cos(math.pi * way)) / 2


@torch.no_grad()
def _follow(mean: nn.Module, network: nn.Module, decay: float) -> None:
    own: dict[str, Tensor] = mean.state_dict()
    for name, value in network.state_dict().items():
        if value.dtype.is_floating_point:
            own[name].lerp_(value, 1 - decay)
        else:
            own[name].copy_(value)


def in_parts(count: int, size: int = 200) -> list[Array]:
    """Numbers 0..count in pieces that fit into memory."""
    return [np.arange(start, min(count, start + size)) for start in range(0, count, size)]
