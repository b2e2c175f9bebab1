"""The process that a load runs in, as the bench holds it."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from typing import TypeVar

from livegate.core.config import LogConfig
from livegate.core.errors import LiveGateError
from livegate.core.telemetry import configure_logging
from livegate_bench.failure import BenchError
from livegate_bench.generator.loadgen import Order, Taken
from livegate_bench.rows import EngineRun
from livegate_bench.system import Place, system_class

T = TypeVar("T")
LOOK_EVERY_S = 0.2
SPARE_S = 90.0
"""Longer than anything that an order waits for: a load that takes so much more hangs."""
WARM_S = 180.0
END_S = 5.0


@dataclass(frozen=True, slots=True)
class Warm:
    """The system answered once."""

    engines: tuple[EngineRun, ...]


@dataclass(frozen=True, slots=True)
class Failed:
    """Why the load cannot go on."""

    why: str


def work(orders: Connection, name: str, place: Place) -> None:
    """Do what is ordered until None is, or whoever orders is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the bench hears it, and ends this
    configure_logging(LogConfig(level="warning"))
    try:
        system = system_class(name)(place)
        try:
            system.callers(1)[0]()
            orders.send(Warm(system.engines))
            while (order := orders.recv()) is not None:
                spent_s = time.process_time()
                taken: Taken = order.run(system)
                orders.send(replace(taken, cpu_s=time.process_time() - spent_s))
        finally:
            system.close()
    except (EOFError, BrokenPipeError):
        return
    except (LiveGateError, OSError) as error:
        orders.send(Failed(str(error) or type(error).__name__))
    except Exception:  # noqa: BLE001 - it would be lost with the process
        orders.send(Failed(traceback.format_exc()))


class Load:
    """One system under load, in a process of its own. Use it in a with-block."""

    def __init__(self, name: str, place: Place, check: Callable[[], None] = lambda: None) -> None:
        """Start it and wait until the system has answered once.

        `check` is called while it is waited for, and raises when waiting is in vain.

        Raises:
            BenchError: the system does not answer.
        """
        self.name, self._check = name, check
        context = multiprocessing.get_context("spawn")
        self._orders, theirs = context.Pipe()
        self._process = context.Process(target=work, args=(theirs, name, place), daemon=True)
        self._process.start()
        theirs.close()
        try:
            self.engines = self._answer(Warm, WARM_S).engines
        except BaseException:
            self.end(at_once=True)
            raise

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid or os.getpid()

    def take(self, order: Order) -> Taken:
        """Have something done.

        Raises:
            BenchError: the load died or hangs; what `check` raises.
        """
        try:
            self._orders.send(order)
        except OSError:
            self._check()
            raise BenchError(f"the load of {self.name} ended by itself") from None
        return self._answer(Taken, order.seconds + SPARE_S)

    def end(self, *, at_once: bool = False) -> None:
        """Let it go when it is done; it is killed when it does not go, or when it must not go on."""
        if at_once:
            self._process.kill()
        with contextlib.suppress(OSError):
            self._orders.send(None)
        self._process.join(END_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._orders.close()

    def __enter__(self) -> Load:
        """Started."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> None:
        """Ended."""
        self.end(at_once=error is not None)

    def _answer(self, kind: type[T], limit_s: float) -> T:
        until_s = time.monotonic() + limit_s
        while not self._orders.poll(LOOK_EVERY_S):
            self._check()
            if not self._process.is_alive() and not self._orders.poll():
                raise BenchError(f"the load of {self.name} ended by itself")
            if time.monotonic() > until_s:
                raise BenchError(f"the load of {self.name} said nothing for {limit_s:.0f} s")
        try:
            answer = self._orders.recv()
        except (EOFError, OSError):
            raise BenchError(f"the load of {self.name} ended by itself") from None
        if isinstance(answer, Failed):
            self._check()
            raise BenchError(f"the system {self.name} does not work: {answer.why}")
        assert isinstance(answer, kind)
        return answer
