"""Kernels on a GPU: code into the driver, launches into a stream.

The driver is opened by name and spoken to through ctypes, as NVRTC is: the libraries that reach memory
and streams differ (devices/drivers), these four calls do not.

Source: CUDA Driver API, module management and execution control.
"""

from __future__ import annotations

import ctypes
from typing import Any

from livegate.core.errors import ErrorCode, SetupError
from livegate.devices.device import CudaError, Stream
from livegate.kernels.launch import Launch

DRIVER = "libcuda.so.1"


class KernelModule:
    """The code of one operation. Every call needs the device's context in the calling thread."""

    def __init__(self, content: bytes, driver: Any = None) -> None:
        """Load a cubin or a fatbin.

        Raises:
            SetupError: INIT_FAIL when the driver is not here.
            CudaError: it holds nothing for this GPU.
        """
        self._driver = driver or open_driver()
        self._module = ctypes.c_void_p()
        # A cubin says its own length; a text has to end.
        self._call("cuModuleLoadData", ctypes.byref(self._module), ctypes.c_char_p(content))

    def launch(self, launch: Launch, stream: Stream) -> None:
        """Put one launch into a stream; its arguments are copied before this returns.

        Raises:
            CudaError: there is no such kernel, or the device refuses the launch.
        """
        function = ctypes.c_void_p()
        name = launch.kernel.encode()
        self._call("cuModuleGetFunction", ctypes.byref(function), self._module, name)
        places = [ctypes.addressof(argument) for argument in launch.arguments]
        arguments = (ctypes.c_void_p * len(places))(*places)
        sides = [ctypes.c_uint(side) for side in (*launch.grid, *launch.block)]
        shared_bytes, more = ctypes.c_uint(0), None
        self._call(
            "cuLaunchKernel",
            function,
            *sides,
            shared_bytes,
            ctypes.c_void_p(stream.handle),
            arguments,
            more,
        )

    def close(self) -> None:
        """Give the code back; a second time is harmless."""
        module, self._module = self._module, ctypes.c_void_p()
        if module:
            self._call("cuModuleUnload", module)

    def _call(self, name: str, *arguments: Any) -> None:
        status = getattr(self._driver, name)(*arguments)
        if status != 0:
            raise CudaError(f"error {status}", name)


def open_driver(name: str = DRIVER) -> ctypes.CDLL:
    """The driver's library.

    Raises:
        SetupError: INIT_FAIL when it does not load.
    """
    try:
        return ctypes.CDLL(name)
    except OSError as error:
        raise SetupError(
            ErrorCode.INIT_FAIL, f"{name} does not load: {error}", hint="install NVIDIA's driver"
        ) from error
