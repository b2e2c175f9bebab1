"""Closed-loop clients in a process of their own: each sends its next request after its answer."""

from __future__ import annotations

import threading
import time
from multiprocessing.connection import Connection

from livegate.client import LivenessClient


def work(orders: Connection, target: str, picture: bytes, clients: int) -> None:
    """For each number of seconds ordered, answer requests done, seconds taken, latencies (s)."""
    with LivenessClient(target, retries=0) as client:
        client.analyze(picture)
        orders.send("warm")
        while (seconds := orders.recv()) is not None:
            latencies: list[list[float]] = [[] for _ in range(clients)]
            until_s = time.perf_counter() + seconds
            loops = [
                threading.Thread(target=_loop, args=(client, picture, until_s, latencies[n]))
                for n in range(clients)
            ]
            started_s = time.perf_counter()
            for loop in loops:
                loop.start()
            for loop in loops:
                loop.join()
            flat = [latency for own in latencies for latency in own]
            orders.send((len(flat), time.perf_counter() - started_s, flat))


def _loop(client: LivenessClient, picture: bytes, until_s: float, latencies: list[float]) -> None:
    while (now_s := time.perf_counter()) < until_s:
        client.analyze(picture)
        latencies.append(time.perf_counter() - now_s)
