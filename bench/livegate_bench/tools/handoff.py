"""How long a 1280x720 BGR frame takes from one process to another: by ticket, and as bytes.

Each frame is handed over by itself: loan, one row written, publish, verdict back. Every way is timed
from the producer's last line before it lets go of the frame to the consumer's first line with it.
Beside it, in the same run and with the same pacing, one byte goes to and fro over the same kind of
socket: the least that this machine's kernel and Python can do.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import socket
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np

from livegate.client.producer import FrameProducer
from livegate.core.config import FramesConfig
from livegate.core.errors import QueueError
from livegate.core.results import Decision
from livegate.shm.broker import Broker
from livegate.shm.outcome import Outcome

PACE_S = 0.002
SHAPE = (720, 1280, 3)
LARGE = [("grpc.max_receive_message_length", 8 << 20)]


def echo(connection: socket.socket) -> None:
    """Send every packet back."""
    while packet := connection.recv(64):
        connection.send(packet)


def consume(broker: Broker, sent_ns: Any, took_ns: list[int]) -> None:
    """Judge every frame until the stop."""
    with contextlib.suppress(QueueError):
        while True:
            with broker.pop() as lease:
                lease.view()
                took_ns.append(time.monotonic_ns() - sent_ns[lease.frame_id])
                lease.finish(Outcome(decision=Decision.GENUINE))


def child(path: Path, ping: socket.socket, sent_ns: Any, frames: int) -> None:
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
            with producer.loan(frame_id=number) as pixels:
                pixels[0] = number % 256
                sent_ns[number] = time.monotonic_ns()
            handed_ns.append(time.perf_counter_ns() - start_ns)
            producer.results(timeout_s=5)
            trips_ns.append(time.perf_counter_ns() - start_ns)
    show("one byte to and fro over SEQPACKET", pings_ns)
    show("loan, write a row, publish", handed_ns)
    show("the same, and the verdict back", trips_ns)


def show(what: str, times_ns: list[int]) -> None:
    """p50 and p99 in microseconds."""
    p50, p99 = np.percentile(times_ns, (50, 99)) / 1e3
    print(f"{what:42s} p50 {p50:7.1f} us   p99 {p99:7.1f} us   n {len(times_ns)}", flush=True)


def queue_child(frames_in: Any, sent_ns: Any, got: Any, frames: int) -> None:
    """The producer of the multiprocessing.Queue row: whole frames through a pipe."""
    frame = np.zeros(SHAPE, np.uint8)
    for number in range(frames):
        time.sleep(PACE_S)
        frame[0] = number % 256
        sent_ns[number] = time.monotonic_ns()
        frames_in.put(frame)
        got.acquire()  # one at a time: a backlog would be measured otherwise


def through_mp_queue(frames: int) -> list[int]:
    """Nanoseconds from put to got, for whole frames through multiprocessing.Queue."""
    context = multiprocessing.get_context("spawn")
    queue: Any = context.Queue()
    sent_ns = context.Array("q", frames, lock=False)
    got = context.Semaphore(0)
    child_process = context.Process(target=queue_child, args=(queue, sent_ns, got, frames))
    child_process.start()
    took_ns = []
    for number in range(frames):
        queue.get()
        took_ns.append(time.monotonic_ns() - sent_ns[number])
        got.release()
    child_process.join()
    return took_ns


def grpc_child(port: int, sent_ns: Any, frames: int) -> None:
    """The producer of the gRPC row: whole frames as bytes, unary, over loopback."""
    frame = np.zeros(SHAPE, np.uint8)
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=LARGE) as channel:
        send = channel.unary_unary("/bench/Frame")
        for number in range(frames):
            time.sleep(PACE_S)
            frame[0] = number % 256
            sent_ns[number] = time.monotonic_ns()
            send(frame.tobytes())


def through_grpc(frames: int) -> list[int]:
    """Nanoseconds from the call to the handler, for whole frames as gRPC bytes."""
    context = multiprocessing.get_context("spawn")
    sent_ns = context.Array("q", frames, lock=False)
    took_ns: list[int] = []

    def handle(content: bytes, _: Any) -> bytes:
        np.frombuffer(content, np.uint8).reshape(SHAPE)
        took_ns.append(time.monotonic_ns() - sent_ns[len(took_ns)])
        return b""

    server = grpc.server(ThreadPoolExecutor(1), options=LARGE)
    method = grpc.unary_unary_rpc_method_handler(handle)
    handlers = grpc.method_handlers_generic_handler("bench", {"Frame": method})
    server.add_generic_rpc_handlers((handlers,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    child_process = context.Process(target=grpc_child, args=(port, sent_ns, frames))
    child_process.start()
    child_process.join()
    server.stop(1).wait()
    return took_ns


def through_tickets(frames: int) -> list[int]:
    """Nanoseconds from publish to lease; prints the producer's own rows as it goes."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    context = multiprocessing.get_context("spawn")
    sent_ns = context.Array("q", frames, lock=False)
    took_ns: list[int] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "frames.sock"
        broker = Broker(path, FramesConfig())
        broker.start()
        consumer = threading.Thread(target=consume, args=(broker, sent_ns, took_ns))
        consumer.start()
        threading.Thread(target=echo, args=(ours,), daemon=True).start()
        producer = context.Process(target=child, args=(path, theirs, sent_ns, frames))
        producer.start()
        theirs.close()
        producer.join()
        broker.stop()
        consumer.join()
        ours.close()
    return took_ns


def add(scenarios: Any) -> None:
    """Add the scenario to the parser."""
    parser = scenarios.add_parser("handoff", help="a 1280x720 frame between processes, by ticket")
    parser.add_argument("--frames", type=int, default=1000)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Measure each way in turn, print, and print the ratios."""
    tickets = through_tickets(options.frames)
    rows = {
        "ticket: from publish to lease": tickets,
        "gRPC bytes: from the call to the handler": through_grpc(options.frames),
        "multiprocessing.Queue: from put to got": through_mp_queue(options.frames),
    }
    base = float(np.median(tickets))
    for name, took_ns in rows.items():
        show(name, took_ns)
        print(f"{'':42s} {float(np.median(took_ns)) / base:.1f} times the ticket's p50")
    return 0
