"""Who may come in: the accepting thread, the list of users, and how many connections each may have."""

from __future__ import annotations

import errno
import os
import socket
import threading
from collections import Counter
from pathlib import Path

from livegate.core.config import FramesConfig
from livegate.core.errors import AuthError, ErrorCode, LiveGateError, RequestError
from livegate.shm.connection import Host, Peer, ProducerConnection, peer_of, refuse_at_the_door
from livegate.shm.flood import MessageAllowance
from livegate.shm.listener import SocketListener

OUT_OF_FDS = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS)


class Door:
    """Accepts peers and gives each a conversation in a thread of its own."""

    def __init__(self, path: Path, config: FramesConfig, host: Host) -> None:
        """Listen.

        Raises:
            SetupError: BUSY when a live server has the path, and whatever keeps it from listening.
        """
        self._config = config
        self._host = host
        self._lock = threading.Lock()
        self._connections: dict[ProducerConnection, threading.Thread] = {}
        self._stopping = threading.Event()
        # The file's mode is the outer door, SO_PEERCRED the inner one: who is not our user can come
        # to the inner one only if somebody else than us is on the list.
        mode = 0o666 if any(uid != own_uid() for uid in config.allow_uids) else 0o600
        self._listener = SocketListener(path, mode=mode)
        self._thread = threading.Thread(
            target=self._accept, args=(self._listener.socket,), name="livegate-frames", daemon=True
        )
        self._thread.start()

    @property
    def connections(self) -> int:
        """Open connections, of producers and of those that have not said hello."""
        with self._lock:
            return len(self._connections)

    def close(self, timeout_s: float) -> None:
        """Stop listening, say goodbye to everybody, wait for the threads; again if need be."""
        with self._lock:
            is_first = not self._stopping.is_set()
            self._stopping.set()
        if is_first:
            self._listener.close()
        self._thread.join(timeout_s)
        with self._lock:
            connections = dict(self._connections)
        for connection in connections:
            connection.hang_up()
        for thread in connections.values():
            thread.join(timeout_s)

    def _accept(self, listener: socket.socket) -> None:
        while not self._stopping.is_set():
            try:
                connection, _ = listener.accept()
            except OSError as error:
                if error.errno in OUT_OF_FDS:
                    self._stopping.wait(0.05)  # who connects waits in the backlog meanwhile
                    continue
                return
            self._let_in(connection)

    def _let_in(self, connection: socket.socket) -> None:
        peer = peer_of(connection)
        try:
            self._check(peer)
        except LiveGateError as error:
            self._host.refused(error, peer, is_fatal=True)
            refuse_at_the_door(connection, error)
            return
        talk = ProducerConnection(
            connection,
            peer,
            self._host,
            MessageAllowance(self._config.max_messages_per_s),
            max_wait_s=self._config.block_timeout_ms / 1e3,
        )
        name = f"livegate-frames-{peer.pid}"
        thread = threading.Thread(target=self._serve, args=(talk,), name=name, daemon=True)
        with self._lock:
            self._connections[talk] = thread
        thread.start()

    def _serve(self, talk: ProducerConnection) -> None:
        try:
            talk.serve()
        finally:
            with self._lock:
                self._connections.pop(talk, None)

    def _check(self, peer: Peer) -> None:
        """Whether a peer may talk to us.

        Raises:
            AuthError: its uid is not on the list.
            RequestError: FULL when its uid has as many connections as it may.
        """
        if peer.uid not in {own_uid(), *self._config.allow_uids}:
            raise AuthError(
                f"uid {peer.uid} may not hand over frames", hint="add it to frames.allow_uids"
            )
        with self._lock:
            count = Counter(talk.peer.uid for talk in self._connections)[peer.uid]
        if count >= self._config.max_connections:
            raise RequestError(
                ErrorCode.FULL,
                f"uid {peer.uid} has {count} connections open, it may have no more",
                hint="close some, or raise frames.max_connections",
            )


def own_uid() -> int:
    """Whose process this is, as SO_PEERCRED would say."""
    return os.geteuid()
