"""The plug-in: what is here, which converted model is meant, convert it, load it.

As with TensorRT, `load` never converts: atc takes minutes. An offline model is for one chip and one
release of CANN.

Source: CANN, pyACL API: acl.init, acl.rt.get_device_count, acl.get_soc_name, acl.get_version; ATC guide,
--soc_version; installation guide (ascend_toolkit_install.info, version.info of the driver).
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from livegate.backends.ascend.aipp import aipp_config
from livegate.backends.ascend.converting import convert, fed_tensor, profiles_of
from livegate.backends.ascend.messages import REPEATED_INIT, AclError, check
from livegate.backends.ascend.running import AscendEngine
from livegate.core.commands import ask
from livegate.core.errors import ErrorCode, SetupError, first_line
from livegate.core.machine import ascend_driver, lines
from livegate.devices.npusmi import npu_states
from livegate.engines.base import BuildWatch, Capability, DeviceState, EngineOptions
from livegate.engines.cache import EngineCache, EngineKey
from livegate.manifests.schema import Network, Precision

NAME, NPU, DEVICE = "ascend", "npu", 0
PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16")
RECIPE = 1
"""Counts changes of what atc is told: models of another one are others."""
TOOLKIT = "/usr/local/Ascend/ascend-toolkit/latest"


class Plugin:
    """The Ascend backend."""

    def __init__(self, cache: EngineCache | None = None) -> None:
        """Look at nothing yet."""
        self._cache = cache or EngineCache()
        self._found: tuple[Capability, str] | None = None

    def probe(self) -> Capability:
        """What CANN finds on this box; looked for once, until something is found."""
        if self._found is None:
            capability, soc = self._look()
            if not capability.is_available:
                return capability
            self._found = capability, soc
        return self._found[0]

    def why_not(self, provider: str) -> str:
        """Nothing: the device was counted to list it."""
        return ""

    def devices(self) -> Sequence[DeviceState]:
        """Health as npu-smi tells it; nothing where that is not here."""
        return tuple(DeviceState(state.name, state.fact, state.problem) for state in npu_states(ask))

    def key(self, network: Network, model: bytes, options: EngineOptions) -> EngineKey:
        """Which converted model is meant.

        Raises:
            SetupError: INIT_FAIL for a provider that is not here; MODELINIT_FAIL for free dimensions
                without ranges, or too many sizes.
        """
        soc, profiles = self._require(options), profiles_of(network)
        fed = fed_tensor(network, options.precision)
        config = aipp_config(network.input) if fed != network.input else ""
        aipp = hashlib.sha256(config.encode()).hexdigest()[:16] if config else "none"
        batches, sizes = ",".join(map(str, profiles.batches)), ";".join(map(str, profiles.sizes))
        return EngineKey(
            backend=NAME,
            network=network.name,
            onnx_sha256=hashlib.sha256(model).hexdigest(),
            library=self.probe().version,
            cuda="",
            driver=ascend_driver(),
            gpu=soc,
            capability="",
            provider=options.provider,
            precision=options.precision,
            profile=network.extents(),
            flags=(f"recipe {RECIPE}", f"aipp {aipp}", f"batches {batches}", f"sizes {sizes}"),
        )

    def why_unbuilt(self, network: Network, model: bytes, options: EngineOptions) -> str:
        """Why there is no converted model that `load` would take."""
        try:
            plan = self._cache.plan(self.key(network, model, options))
        except SetupError as error:
            if error.code is not ErrorCode.MODELINIT_FAIL or "engine" not in error.fields:
                raise
            return error.message
        return _none_yet(network, options) if plan is None else ""

    def build(self, network: Network, model: bytes, options: EngineOptions, watch: BuildWatch) -> float:
        """Convert for this box and keep the model."""
        key = self.key(network, model, options)
        with self._cache.building():
            begun_s = time.monotonic()
            plan = convert(network, model, options.precision, key.gpu, watch)
            took_s = time.monotonic() - begun_s
            self._cache.keep(key, plan, took_s)
        return took_s

    def forecast_s(self, network: Network, model: bytes, options: EngineOptions) -> float | None:
        """What such a conversion took the last time."""
        return self._cache.forecast_s(self.key(network, model, options))

    def fits_here(self, key: EngineKey) -> bool | None:
        """Whether a kept model is for this box as it is now; None when that cannot be told here."""
        capability = self.probe()
        if self._found is None:
            return None
        return key.machine == (NAME, capability.version, "", ascend_driver(), self._found[1], "")

    def load(self, network: Network, model: bytes, options: EngineOptions) -> AscendEngine:
        """Load the model that was converted for exactly this; never converts."""
        acl = _pyacl()
        plan = self._cache.plan(self.key(network, model, options))
        if plan is None:
            raise SetupError(
                ErrorCode.MODELINIT_FAIL,
                _none_yet(network, options),
                hint="`livegate engines build` makes it, before the start",
            )
        fed = fed_tensor(network, options.precision)
        profiles = profiles_of(network)
        return AscendEngine(
            acl, DEVICE, plan, network, fed, profiles, options.provider, options.parallel_runs
        )

    def _look(self) -> tuple[Capability, str]:
        try:
            acl = _pyacl()
        except Exception as error:  # noqa: BLE001 - a broken install raises anything
            why = f"{type(error).__name__}: {first_line(error)}"
            hint = "install CANN and source its set_env.sh; docs/ascend.md"
            return Capability(NAME, "", (), f"{why}; {hint}"), ""
        version = ""
        try:
            status = acl.init()
            if status != REPEATED_INIT:  # ONNX Runtime's provider may have been there first
                check(acl, "acl.init", status)
            version = _version(acl)
            count, status = acl.rt.get_device_count()
            check(acl, "acl.rt.get_device_count", status)
            soc = acl.get_soc_name() if count else None
        except AclError as error:
            return Capability(NAME, version, (), f"no Ascend is reached: {error}"), ""
        except Exception as error:  # noqa: BLE001 - a library that does not fit its driver raises anything
            return Capability(NAME, version, (), f"CANN does not start: {first_line(error)}"), ""
        if not soc:
            why = "CANN is here, and no device (`npu-smi info`)"
            return Capability(NAME, version, (), why), ""
        return Capability(NAME, version, (NPU,), precisions=PRECISIONS), str(soc)

    def _require(self, options: EngineOptions) -> str:
        """The chip's name."""
        capability = self.probe()
        if self._found is None or options.provider not in capability.providers:
            why = capability.problem or f"ascend has no provider {options.provider!r}"
            raise SetupError(ErrorCode.INIT_FAIL, why, hint="`livegate doctor` shows what is here")
        return self._found[1]


def _pyacl() -> Any:
    """CANN's module, where PYTHONPATH of set_env.sh leads.

    An installed bundle runs isolated from PYTHONPATH: then it is looked for in the toolkit.
    """
    folder = str(_toolkit() / "python/site-packages")
    if sys.flags.isolated and folder not in sys.path:
        sys.path.append(folder)
    import acl

    return acl


def _toolkit() -> Path:
    return Path(os.environ.get("ASCEND_TOOLKIT_HOME", TOOLKIT))


def _version(acl: Any) -> str:
    """Of CANN where its toolkit tells it, and of the interface."""
    *numbers, status = acl.get_version()
    check(acl, "acl.get_version", status)
    interface = f"acl {'.'.join(map(str, numbers))}"
    for path in sorted(_toolkit().glob("*/ascend_toolkit_install.info")):
        for line in lines(path):
            if line.startswith("version="):
                return f"CANN {line.partition('=')[2].strip()}, {interface}"
    return interface


def _none_yet(network: Network, options: EngineOptions) -> str:
    return (
        f"network {network.name} has no converted model for this Ascend as it is now, "
        f"on {options.provider} in {options.precision}"
    )
