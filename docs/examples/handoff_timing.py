"""How long a 1280x720 BGR frame takes from one process to another by ticket.

    python docs/examples/handoff_timing.py [FRAMES]

Each frame is handed over by itself: loan, one row written, publish, verdict back. Beside it, in the same
run and with the same pacing, one byte goes to and fro over the same kind of socket: the least that this
machine's kernel and Python can do.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from livegate.client.producer import FrameProducer
from livegate.core.config import FramesConfig
from livegate.core.errors import QueueError
from livegate.core.results import Decision
from livegate.shm.broker import Broker
from livegate.shm.outcome import Outcome

PACE_S = 0.002


def echo(connection: socket.socket) -> None:
    """Send every packet back."""
    while packet := connection.recv(64):
        connection.send(packet)


def consume(broker: Broker, waits_ns: list[int]) -> None:
    """Judge every frame until the stop."""
    with contextlib.suppress(QueueError):
        while True:
            with broker.pop() as lease:
                waits_ns.append(lease.queue_ns)
                lease.view()
                lease.finish(Outcome(decision=Decision.GENUINE))


def child(path: Path, ping: socket.socket, frames: int) -> None:
    """The producer: pings and frames in turn, so that both see the same machine."""
    pings_ns, trips_ns, handed_ns = [], [], []
    with FrameProducer(path, camera="bench", width=1280, height=720) as producer:
        for number in range(frames):
            time.sleep(PACE_S)
            start_ns = time.perf_counter_ns()
            ping.send(b"x")
            ping.recv(64)
            pings_ns.append(time.perf_counter_ns() - start_ns)
            time.sleep(PACE_S)
            start_ns = time.perf_counter_ns()
            with producer.loan() as pixels:
                pixels[0] = number % 256
            handed_ns.append(time.perf_counter_ns() - start_ns)
            producer.results(timeout_s=5)
            trips_ns.append(time.perf_counter_ns() - start_ns)
    show("one byte to and fro over SEQPACKET", pings_ns)
    show("loan, write a row, publish", handed_ns)
    show("the same, and the verdict back", trips_ns)


def show(what: str, times_ns: list[int]) -> None:
    """p50 and p99 in microseconds."""
    p50, p99 = np.percentile(times_ns, (50, 99)) / 1e3
    print(f"{what:36s} p50 {p50:7.1f} us   p99 {p99:7.1f} us   n {len(times_ns)}", flush=True)


def main() -> None:
    """Fork the producer before any thread is started, then serve it."""
    frames = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    go_read, go_write = os.pipe()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "frames.sock"
        pid = os.fork()
        if pid == 0:
            ours.close()
            os.read(go_read, 1)
            child(path, theirs, frames)
            os._exit(0)
        theirs.close()
        broker = Broker(path, FramesConfig())
        broker.start()
        waits_ns: list[int] = []
        consumer = threading.Thread(target=consume, args=(broker, waits_ns))
        consumer.start()
        threading.Thread(target=echo, args=(ours,), daemon=True).start()
        os.write(go_write, b"!")
        os.waitpid(pid, 0)
        broker.stop()
        consumer.join()
        show("from publish to lease, in the server", waits_ns)


if __name__ == "__main__":
    main()
