"""A converted network, shared by all workers: each run borrows a lane.

What is loaded in a context is run and unloaded in it; each thread chooses its context, and several may
choose the same one.

Source: CANN, pyACL API: acl.rt.create_context, acl.rt.set_context.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Any

import numpy as np

from livegate.backends.ascend.converting import Profiles
from livegate.backends.ascend.lane import Lane, size_of
from livegate.backends.ascend.messages import AclError, check, run_error, setup_error
from livegate.core.errors import EngineError
from livegate.engines.base import Array, Feeds
from livegate.engines.tensors import fits, require_contiguous
from livegate.manifests.schema import InputTensor, Network


class AscendEngine:
    """One converted network, shared by all workers; each run borrows a lane."""

    def __init__(
        self,
        acl: Any,
        device: int,
        plan: bytes,
        network: Network,
        fed: InputTensor,
        profiles: Profiles,
        provider: str,
        lanes: int,
    ) -> None:
        """Make the context and the lanes.

        Raises:
            SetupError: as `setup_error`; MODELINIT_FAIL for a model with other tensors.
        """
        self.provider, self.input = provider, fed
        self._acl, self._network, self._profiles, self._plan = acl, network, profiles, plan
        self._idle: deque[Lane] = deque()
        self._lock, self._is_closed, self._lanes = threading.Lock(), False, 0
        fact = f"network {network.name}: the converted model"
        try:
            check(acl, "acl.rt.set_device", acl.rt.set_device(device))
            self._context, status = acl.rt.create_context(device)
            check(acl, "acl.rt.create_context", status)
        except AclError as error:
            raise setup_error(f"{fact} has no context", error) from error
        try:
            for _ in range(max(1, lanes)):
                self._idle.append(self._new_lane())
        except AclError as error:
            self.close()
            raise setup_error(f"{fact} does not load", error) from error
        except BaseException:
            self.close()
            raise

    def run(self, feeds: Feeds) -> dict[str, Array]:
        """Run once, or once a picture where the model is built for sizes; outputs are the caller's."""
        array = self._input(feeds)
        try:
            check(self._acl, "acl.rt.set_context", self._acl.rt.set_context(self._context))
            lane = self._borrow()
            try:
                outputs = self._run(lane, array)
            except BaseException:
                self._drop(lane)  # in whatever state it is
                raise
        except AclError as error:
            raise run_error(f"network {self._network.name}", error) from error
        self._give_back(lane)
        return outputs

    def close(self) -> None:
        """Give everything back; runs under way end first, each with its own lane."""
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, deque()
        if self._context is not None:
            self._acl.rt.set_context(self._context)
        for lane in idle:
            self._drop(lane)
        self._end_if_unused()

    def _run(self, lane: Lane, array: Array) -> dict[str, Array]:
        profiles = self._profiles
        if profiles.sizes:
            parts = [lane.run(array[number : number + 1], None) for number in range(len(array))]
            names = parts[0]
            return {name: np.concatenate([part[name] for part in parts]) for name in names}
        if not profiles.batches:
            return lane.run(array, None)
        batch = next(n for n in profiles.batches if n >= len(array))
        return {name: output[: len(array)] for name, output in lane.run(array, batch).items()}

    def _input(self, feeds: Feeds) -> Array:
        spec, name = self.input, self._network.name
        if self._is_closed:
            raise _closed(self._network)
        if set(feeds) != {spec.name}:
            raise EngineError(f"network {name}: the inputs are {sorted(feeds)}, not {spec.name!r}")
        require_contiguous(name, feeds)
        array = feeds[spec.name]
        if array.dtype != spec.dtype or not fits(array.shape, spec.shape) or not len(array):
            raise EngineError(f"network {name}: the input is {array.dtype} {array.shape}")
        least, _, greatest = self._network.extents()
        if not least[0] <= len(array) <= greatest[0]:
            raise EngineError(
                f"network {name}: {len(array)} pictures at once, its engine takes {least[0]} to "
                f"{greatest[0]}: the manifest's [networks.ranges]"
            )
        size = size_of(array, spec)
        if self._profiles.sizes and size not in self._profiles.sizes:
            raise EngineError(
                f"network {name}: a picture of {size[0]}x{size[1]} (height x width), and its engine was "
                "not built for it: the manifest's [networks.sizes]"
            )
        return array

    def _new_lane(self) -> Lane:
        lane = Lane(self._acl, self._plan, self._network, self.input, self._profiles)
        with self._lock:
            self._lanes += 1
        return lane

    def _borrow(self) -> Lane:
        with self._lock:
            if self._is_closed:
                raise _closed(self._network)
            if self._idle:
                return self._idle.pop()
        return self._new_lane()

    def _give_back(self, lane: Lane) -> None:
        with self._lock:
            if not self._is_closed:
                self._idle.append(lane)
                return
        self._drop(lane)

    def _drop(self, lane: Lane) -> None:
        lane.close()
        with self._lock:
            self._lanes -= 1
        self._end_if_unused()

    def _end_if_unused(self) -> None:
        """The context goes with the last lane of a closed engine."""
        with self._lock:
            if self._lanes or not self._is_closed:
                return
            context, self._context = self._context, None
        if context is not None:
            self._acl.rt.destroy_context(context)


def _closed(network: Network) -> EngineError:
    return EngineError(f"network {network.name}: its engine is closed")
