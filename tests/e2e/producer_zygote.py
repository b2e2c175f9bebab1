"""Makes producer processes by the dozen: imports once, forks for each `spawn` line on stdin.

Each child connects to the control socket named in argv, says its pid, and obeys one line at a time;
the answer is `ok ...` or `error CODE`. It is made to be killed at any point.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import sys
import time
from contextlib import AbstractContextManager
from typing import TextIO

from livegate.client.producer import FrameProducer
from livegate.core.errors import LiveGateError
from livegate.core.frame import Pixels
from livegate.selftest.sealedframes import paint


class Puppet:
    """A producer that does what it is told."""

    def __init__(self) -> None:
        self.producer: FrameProducer | None = None
        self.block: AbstractContextManager[Pixels] | None = None
        self.pixels: Pixels | None = None
        self.frame_id = 0

    def connect(self, path: str, camera: str, width: str, height: str) -> str:
        self.producer = FrameProducer(path, camera=camera, width=int(width), height=int(height))
        self.producer.connect()
        return str(self.producer.slots)

    def loan(self) -> str:
        assert self.producer is not None
        self.frame_id += 1
        block = self.producer.loan(frame_id=self.frame_id)
        self.pixels = block.__enter__()
        self.block = block
        return str(self.frame_id)

    def write_half(self) -> str:
        assert self.pixels is not None
        self.pixels[: self.pixels.shape[0] // 2] = self.frame_id % 256
        return ""

    def publish(self) -> str:
        assert self.block is not None
        assert self.pixels is not None
        paint(self.pixels, self.frame_id)
        block, self.block, self.pixels = self.block, None, None
        block.__exit__(None, None, None)
        return str(self.frame_id)

    def results(self) -> str:
        assert self.producer is not None
        found = self.producer.results(timeout_s=20.0)
        return " ".join(f"{r.frame_id}:{int(r.outcome.code)}" for r in found)

    def run(self, seed: str) -> str:
        """Publish for ever, with stalls at every point; ends by being killed."""
        assert self.producer is not None
        dice = random.Random(int(seed))
        while True:
            self.frame_id += 1
            try:
                with self.producer.loan(frame_id=self.frame_id, timeout_s=0.1) as pixels:
                    self.stall(dice)
                    paint(pixels, self.frame_id)
                    self.stall(dice)
                self.producer.results()
            except LiveGateError as error:
                if error.code not in (5003, 1018):
                    raise
            self.stall(dice)

    def stall(self, dice: random.Random) -> None:
        if dice.random() < 0.2:
            time.sleep(dice.random() * 0.004)

    def setuid(self, uid: str) -> str:
        os.setgid(int(uid))
        os.setuid(int(uid))
        return ""


def obey(control: TextIO) -> None:
    puppet = Puppet()
    for line in control:
        name, *arguments = line.split()
        try:
            answer = f"ok {getattr(puppet, name)(*arguments)}"
        except LiveGateError as error:
            answer = f"error {int(error.code)}"
        control.write(f"{answer.strip()}\n")
        control.flush()


def child(control_path: str) -> None:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.connect(control_path)
    control = connection.makefile("rw")
    control.write(f"{os.getpid()}\n")
    control.flush()
    obey(control)


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no zombies: nobody waits for the killed
    for _ in sys.stdin:
        if os.fork() == 0:
            try:
                child(sys.argv[1])
            finally:
                os._exit(0)


if __name__ == "__main__":
    main()
