"""Which peers there are, and where a checkout has them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

PREFIX = "peer-"
Link = Literal["http", "form", "grpc", "triton", "triton-shm"]
"""HTTP with the JPEG as body or in a form, gRPC with BytesValue, Triton's inference protocol."""


@dataclass(frozen=True, slots=True)
class Peer:
    """One system of the bench. Two may share a server: that in the folder."""

    name: str
    folder: str
    link: Link
    path: str = "/judge"

    @property
    def system(self) -> str:
        """As rows name it."""
        return PREFIX + self.name


PEERS = (
    Peer("fastapi-naive", "fastapi_naive", "http"),
    Peer("fastapi-careful", "fastapi_careful", "http"),
    Peer("litserve", "litserve", "form", "/predict"),
    Peer("ray-serve-http", "ray_serve", "http"),
    Peer("ray-serve-grpc", "ray_serve", "grpc", "/livegate.peers.Judge/Judge"),
    Peer("pytriton-grpc", "pytriton", "triton", "judge"),
    Peer("pytriton-shm", "pytriton", "triton-shm", "judge"),
)


def peer_names() -> tuple[str, ...]:
    """All of them."""
    return tuple(peer.name for peer in PEERS)


def peer_of(system: str) -> Peer:
    """The peer of a row's system.

    Raises:
        KeyError: there is none.
    """
    return {peer.system: peer for peer in PEERS}[system]


def checkout() -> Path | None:
    """The folder with bench/peers; None of an installed wheel, which has none of it."""
    top = Path(__file__).resolve().parents[3]
    return top if (top / "bench" / "peers" / "work.py").is_file() else None
