"""Peers as systems of the bench: the same load, the same picture, each over its own interface."""

from __future__ import annotations

import mmap
import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import grpc

from livegate_bench.generator.http_link import TIMEOUT_S, HttpLink, form
from livegate_bench.peers import triton
from livegate_bench.peers.answers import Answer, answer_from_json
from livegate_bench.peers.table import Peer, peer_of
from livegate_bench.system import Ask, Place, Refused, System

Answering = Callable[[], Answer]
IDLE_S = 2.0
"""Between rounds a connection stands still and uvicorn hangs up after 5 s: dial anew, as pools do."""


class PeerSystem(System):
    """Base: whoever asks gets an answer that was read, not only received."""

    peer: ClassVar[Peer]

    def answering(self) -> Answering:
        """One more client, which hands over what it was told."""
        raise NotImplementedError

    def caller(self) -> Ask:
        """The same for the load."""
        answering = self.answering()

        def ask() -> None:
            answering()

        return ask


class HttpPeer(PeerSystem):
    """POST over a connection that is kept."""

    def answering(self) -> Answering:
        """A connection of its own."""
        link = HttpLink(self.place.server.http)
        self.stack.callback(link.close)
        body, kind = self.place.picture, "image/jpeg"
        if self.peer.link == "form":
            body, kind = form("picture", body)

        used_s = time.monotonic()

        def ask() -> Answer:
            nonlocal used_s
            idle_s, used_s = time.monotonic() - used_s, time.monotonic()
            if idle_s > IDLE_S:
                link.close()
            status, text = link.post(self.peer.path, body, {"Content-Type": kind})
            if status != 200:
                raise Refused(str(status))
            return answer_from_json(text)

        return ask


class GrpcPeer(PeerSystem):
    """A unary call over one channel for all threads, as our own client has it."""

    def __init__(self, place: Place) -> None:
        """Connect with the first request."""
        super().__init__(place)
        self._channel = grpc.insecure_channel(place.server.tcp)
        self.stack.callback(self._channel.close)

    def answering(self) -> Answering:
        """BytesValue there and back."""
        from google.protobuf.wrappers_pb2 import BytesValue

        call = self._channel.unary_unary(
            self.peer.path,
            request_serializer=BytesValue.SerializeToString,
            response_deserializer=BytesValue.FromString,
        )
        # Ray Serve asks which application is meant; others do not look.
        metadata = (("application", "judge"),)

        def ask() -> Answer:
            message = BytesValue(value=self.place.picture)
            return answer_from_json(
                _told(lambda: call(message, timeout=TIMEOUT_S, metadata=metadata)).value
            )

        return ask


class TritonPeer(GrpcPeer):
    """The same with Triton's messages."""

    def answering(self) -> Answering:
        """The picture is copied into each request, as a protobuf client would."""
        call = self._channel.unary_unary(triton.INFER)

        def ask() -> Answer:
            message = triton.request(self.peer.path, self.place.picture)
            return answer_from_json(triton.raw_output(_told(lambda: call(message, timeout=TIMEOUT_S))))

        return ask


class TritonRegionPeer(GrpcPeer):
    """The picture in a shared-memory region of each client, the rest over gRPC."""

    def answering(self) -> Answering:
        """The region is made with the first request, when there is a server to tell."""
        picture, name = self.place.picture, f"livegate-bench-{secrets.token_hex(8)}"
        region: mmap.mmap | None = None
        message = triton.request_in_region(self.peer.path, name, len(picture))
        call = self._channel.unary_unary(triton.INFER)

        def ask() -> Answer:
            nonlocal region
            region = region or self._region(name, len(picture))
            region[:] = picture
            return answer_from_json(triton.raw_output(_told(lambda: call(message, timeout=TIMEOUT_S))))

        return ask

    def _region(self, name: str, size: int) -> mmap.mmap:
        """Its name is taken away as soon as the server has it: nothing is left in /dev/shm."""
        file = Path("/dev/shm") / name
        with file.open("x+b") as opened:
            try:
                os.posix_fallocate(opened.fileno(), 0, size)
                region = mmap.mmap(opened.fileno(), size)
                register = self._channel.unary_unary(triton.REGISTER)
                message = triton.registration(name, size)
                _told(lambda: register(message, timeout=TIMEOUT_S, metadata=triton.AUTHORITY))
            finally:
                file.unlink()
        self.stack.callback(region.close)
        return region


LINKS: dict[str, type[PeerSystem]] = {
    "http": HttpPeer,
    "form": HttpPeer,
    "grpc": GrpcPeer,
    "triton": TritonPeer,
    "triton-shm": TritonRegionPeer,
}


def peer_class(system: str) -> type[PeerSystem]:
    """How a peer is asked.

    Raises:
        KeyError: there is no such peer.
    """
    peer = peer_of(system)
    return type("Plugin", (LINKS[peer.link],), {"peer": peer})


def _told(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except grpc.RpcError as error:
        raise Refused(str(error.code().name)) from error
