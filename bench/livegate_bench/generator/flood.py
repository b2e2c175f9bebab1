"""An open loop that one thread sends: for more requests at once than threads are good for.

A hundred threads that wait for answers hold up the one that should send; requests that are refused in
a millisecond would look as slow as their client.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass

from livegate_bench.generator.loadgen import Open, Taken, Tally, taken_from
from livegate_bench.system import AsyncAsk, System


@dataclass(frozen=True, slots=True)
class Flood(Open):
    """As Open; `most_at_once` requests are under way at most, and the next one then goes late."""

    def run(self, system: System) -> Taken:
        """In an event loop of its own; connections are made before the first is due."""
        return asyncio.run(self._flood(system))

    async def _flood(self, system: System) -> Taken:
        async with AsyncExitStack() as stack:
            ask = await system.async_ask(stack)
            await Tally(pause_s=0.0).ask_async(ask, time.perf_counter())
            return await self._send(ask)

    async def _send(self, ask: AsyncAsk) -> Taken:
        tally, places = Tally(pause_s=0.0), asyncio.Semaphore(self.most_at_once)
        under_way: set[asyncio.Task[None]] = set()
        gave_up = False
        started_s = time.perf_counter()

        async def send(due_s: float) -> None:
            tally.lates_s.append(time.perf_counter() - due_s)
            try:
                await tally.ask_async(ask, due_s)
            finally:
                places.release()

        for offset_s in self.due_s():
            due_s = started_s + float(offset_s)
            await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
            await places.acquire()
            if gave_up := time.perf_counter() - due_s > self.give_up_s:
                break
            task = asyncio.create_task(send(due_s))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
        if under_way:
            await asyncio.gather(*under_way)
        took_s = max(0.0 if gave_up else self.seconds, time.perf_counter() - started_s)
        return taken_from([tally], took_s, gave_up=gave_up)
