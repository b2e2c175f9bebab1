"""Other runtimes in the bench: asked as they are, held to our answer, and never left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.wrappers_pb2 import BytesValue

from livegate.core.config import Config
from livegate.core.errors import SetupError
from livegate_bench.failure import BenchError
from livegate_bench.peers import clients, triton
from livegate_bench.peers import process as process_module
from livegate_bench.peers.answers import Answer, answer_from_json, why_different
from livegate_bench.peers.clients import LINKS, peer_class
from livegate_bench.peers.guard import Guard
from livegate_bench.peers.process import EndedEarly, PeerError, running
from livegate_bench.peers.server import Shop, engines_told, serving
from livegate_bench.peers.table import PEERS, Peer, checkout, peer_of
from livegate_bench.scenarios import peers as scenario
from livegate_bench.sut import Box
from livegate_bench.system import Place, Refused, system_class, system_names

PICTURE = b"\xff\xd8 a picture"
OURS = Answer(1, 0.9)
GOOD = b'{"faces": 1, "score": 0.905}'
ENGINE = {
    "model_id": "lg_detect", "network": "detect", "sha256": "ab" * 32, "backend": "onnxruntime 1",
    "provider_asked": "cpu", "provider": "cpu", "precision": "fp32", "compiles_in_runs": False,
}  # fmt: skip
ENDLESS = (sys.executable, "-S", "-c", "import signal; print('waiting', flush=True); signal.pause()")


@contextmanager
def http_peer(answer: bytes, status: int = 200) -> Iterator[tuple[str, list[tuple[str, str, bytes]]]]:
    """Answers every POST alike; tells where it is and what it was sent."""
    seen: list[tuple[str, str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            seen.append((self.path, self.headers["Content-Type"], body))
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def place(address: str) -> Place:
    return Place(Config(), PICTURE, Box(os.getpid(), address, "", "", address, ""))


def bench() -> Any:
    """As much of a Bench as a peer needs."""
    said: list[str] = []
    return SimpleNamespace(
        place=lambda server: Place(Config(), PICTURE, server.box),
        stack=ExitStack(),
        pace=SimpleNamespace(seconds=1.0),
        picture=PICTURE,
        said=said,
        say=said.append,
    )


def fake_process() -> Any:
    return SimpleNamespace(status=lambda: None)


def once(process: Any, why_not: Callable[[], str]) -> None:
    """Waits for nobody."""
    if why := why_not():
        raise PeerError(why)


def test_every_peer_has_a_program_pinned_requirements_a_readme_and_a_client() -> None:
    """The table and the folders are the same, and no requirement is left to the day it is installed."""
    top = checkout()
    assert top is not None
    folders = {path.parent.name for path in (top / "bench" / "peers").glob("*/server.py")}
    assert {peer.folder for peer in PEERS} == folders
    assert len({peer.system for peer in PEERS}) == len(PEERS)
    for peer in PEERS:
        folder = top / "bench" / "peers" / peer.folder
        assert peer.link in LINKS
        assert (folder / "README.md").read_text().strip()
        lines = (folder / "requirements.txt").read_text().splitlines()
        wanted = [line for line in lines if line and not line.startswith("#")]
        assert all("==" in line for line in wanted)
        names = {line.partition("==")[0].lower() for line in wanted}
        assert {"onnxruntime", "numpy", "opencv-python-headless", "simplejpeg", "openvino"} <= names


def test_a_peer_is_a_system_by_its_name_but_in_no_list() -> None:
    """Other scenarios cannot take it: its server is not theirs."""
    for peer in PEERS:
        assert system_class(peer.system).is_served
        assert peer_of(peer.system) is peer
        assert peer.system not in system_names()
    with pytest.raises(SetupError, match="nobody"):
        system_class("nobody")


def test_http_peer_sends_the_jpeg_itself_or_in_a_form_over_one_connection() -> None:
    """The body is the picture; LitServe takes a form."""
    with http_peer(GOOD) as (address, seen):
        for name in ("peer-fastapi-careful", "peer-litserve"):
            system = peer_class(name)(place(address))
            ask = system.caller()
            ask()
            ask()
            system.close()
    assert seen[0] == seen[1] == ("/judge", "image/jpeg", PICTURE)
    path, kind, body = seen[2]
    assert path == "/predict"
    assert kind.startswith("multipart/form-data")
    assert PICTURE in body


def test_http_peer_dials_anew_after_a_pause_in_which_servers_hang_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else the first request of each round would fail."""
    times = iter([0.0, 1.0, 1.0, 2.5, 2.5, 8.0, 8.0])
    closed: list[int] = []
    monkeypatch.setattr(clients, "time", SimpleNamespace(monotonic=lambda: next(times)))
    with http_peer(GOOD) as (address, seen):
        system = peer_class("peer-fastapi-naive")(place(address))
        ask = system.caller()
        close = clients.HttpLink.close
        monkeypatch.setattr(
            clients.HttpLink, "close", lambda link: (closed.append(len(seen)), close(link))
        )
        for _ in range(3):
            ask()
        assert closed == [2]
        assert len(seen) == 3
        system.close()


@pytest.mark.parametrize(
    ("status", "answer", "code"),
    [(503, GOOD, "503"), (200, b"oops", "NoAnswer"), (200, b"[]", "NoAnswer"), (200, b"{}", "NoAnswer")],
)
def test_an_answer_that_is_none_is_refused(status: int, answer: bytes, code: str) -> None:
    """It must not count as answered."""
    with http_peer(answer, status) as (address, _):
        system = peer_class("peer-fastapi-naive")(place(address))
        with pytest.raises(Refused) as refused:
            system.caller()()
        system.close()
    assert refused.value.code == code


@contextmanager
def grpc_peer(
    path: str,
    answer: Callable[[bytes], bytes],
    others: dict[str, Callable[[bytes], bytes]] | None = None,
) -> Iterator[str]:
    """Bytes in, bytes out; `others` are methods of the same service."""
    service = path.split("/")[1]
    handlers = {
        name.split("/")[2]: grpc.unary_unary_rpc_method_handler(
            lambda request, _, work=work: work(request)
        )
        for name, work in {path: answer, **(others or {})}.items()
    }
    server = grpc.server(ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(0).wait()


def test_grpc_peer_sends_bytes_value_and_reads_it_and_names_what_went_wrong() -> None:
    """Ray Serve's proxy takes any message; a status is the error's code."""

    def answer(request: bytes) -> bytes:
        assert BytesValue.FromString(request).value == PICTURE
        return BytesValue(value=GOOD).SerializeToString()

    peer = peer_of("peer-ray-serve-grpc")
    with grpc_peer(peer.path, answer) as address:
        system = peer_class(peer.system)(place(address))
        assert system.answering()() == Answer(1, 0.905)
        system.close()
    with grpc_peer("/some.Other/Method", answer) as address:
        system = peer_class(peer.system)(place(address))
        with pytest.raises(Refused) as refused:
            system.caller()()
        system.close()
    assert refused.value.code == "UNIMPLEMENTED"


def triton_messages() -> tuple[Any, Any, Any]:
    """ModelInferRequest, ModelInferResponse, SystemSharedMemoryRegisterRequest: the fields in use."""
    field = descriptor_pb2.FieldDescriptorProto
    text, raw, number = field.TYPE_STRING, field.TYPE_BYTES, field.TYPE_INT64
    file = descriptor_pb2.FileDescriptorProto(name="infer.proto", package="t", syntax="proto3")
    tensor = file.message_type.add(name="Tensor")
    tensor.field.add(name="name", number=1, type=text, label=1)
    tensor.field.add(name="datatype", number=2, type=text, label=1)
    tensor.field.add(name="shape", number=3, type=number, label=3)
    entry = file.message_type.add(name="Entry")  # on the wire a map is a list of these
    entry.field.add(name="key", number=1, type=text, label=1)
    entry.field.add(name="value", number=2, type=field.TYPE_MESSAGE, type_name=".t.Value", label=1)
    value = file.message_type.add(name="Value")
    value.field.add(name="int64", number=2, type=number, label=1)
    value.field.add(name="string", number=3, type=text, label=1)
    kind = field.TYPE_MESSAGE
    tensor.field.add(name="parameters", number=4, type=kind, type_name=".t.Entry", label=3)
    region = file.message_type.add(name="Region")
    for place, (name, its) in enumerate((("name", text), ("key", text), ("offset", 4), ("size", 4)), 1):
        region.field.add(name=name, number=place, type=its, label=1)
    for name, tensors, contents in (("Request", 5, 7), ("Response", 5, 6)):
        message = file.message_type.add(name=name)
        message.field.add(name="model_name", number=1, type=text, label=1)
        message.field.add(
            name="tensors", number=tensors, type=field.TYPE_MESSAGE, type_name=".t.Tensor", label=3
        )
        message.field.add(name="raw", number=contents, type=raw, label=3)
        message.field.add(name="flag", number=15, type=field.TYPE_BOOL, label=1)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    found = [pool.FindMessageTypeByName(f"t.{name}") for name in ("Request", "Response", "Region")]
    return tuple(message_factory.GetMessageClass(one) for one in found)  # type: ignore[return-value]


def test_triton_messages_are_what_protobuf_makes_of_them() -> None:
    """Written by hand, read by protobuf, and the other way round."""
    request, response, region = triton_messages()
    sent = request.FromString(triton.request("judge", PICTURE * 100))
    assert (sent.model_name, list(sent.raw)) == ("judge", [PICTURE * 100])
    (tensor,) = sent.tensors
    assert (tensor.name, tensor.datatype) == ("picture", "UINT8")
    assert list(tensor.shape) == [len(PICTURE) * 100]
    sent = request.FromString(triton.request_in_region("judge", "here", 300))
    assert not sent.raw
    told = {one.key: one.value.string or one.value.int64 for one in sent.tensors[0].parameters}
    assert told == {"shared_memory_region": "here", "shared_memory_byte_size": 300}
    made = region.FromString(triton.registration("here", 300))
    assert (made.name, made.key, made.offset, made.size) == ("here", "/here", 0, 300)
    answer = response(model_name="judge", tensors=[{"name": "answer"}], raw=[GOOD], flag=True)
    assert triton.raw_output(answer.SerializeToString()) == GOOD
    for broken in (b"", response(flag=True).SerializeToString(), b"\x80"):
        with pytest.raises(Refused):
            triton.raw_output(broken)


def test_triton_peer_reads_the_raw_output() -> None:
    """The whole way, through gRPC."""
    _, response, _ = triton_messages()
    with grpc_peer(triton.INFER, lambda _: response(raw=[GOOD]).SerializeToString()) as address:
        system = peer_class("peer-pytriton-grpc")(place(address))
        assert system.answering()() == Answer(1, 0.905)
        system.close()


def test_triton_region_is_registered_once_for_each_client_filled_each_time_and_leaves_no_name() -> None:
    """The picture goes through memory that the server opened by its name before that was taken away."""
    request, response, region = triton_messages()
    opened: dict[str, int] = {}
    seen: list[bytes] = []

    def register(message: bytes) -> bytes:
        made = region.FromString(message)
        assert made.size == len(PICTURE)
        opened[made.name] = os.open(f"/dev/shm{made.key}", os.O_RDONLY)
        return b""

    def infer(message: bytes) -> bytes:
        (tensor,) = request.FromString(message).tensors
        name = next(one.value.string for one in tensor.parameters if one.value.string)
        seen.append(os.pread(opened[name], len(PICTURE), 0))
        return bytes(response(raw=[GOOD]).SerializeToString())

    with grpc_peer(triton.INFER, infer, {triton.REGISTER: register}) as address:
        system = peer_class("peer-pytriton-shm")(place(address))
        for ask in system.callers(2):
            ask()
            ask()
        system.close()
    assert seen == [PICTURE] * 4
    assert len(opened) == 2
    for name, descriptor in opened.items():
        assert not (Path("/dev/shm") / name).exists()
        os.close(descriptor)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b'{"faces": 2, "score": 0.9}', "2 faces where we find 1"),
        (b'{"faces": 1, "score": 0.88}', "score is 0.880 where ours is 0.900"),
        (b'{"faces": 1, "score": NaN}', "score is nan"),
    ],
)
def test_a_peer_that_answers_something_else_is_not_timed(
    answer: bytes, why: str, tmp_path: Path
) -> None:
    """Another job at another speed is no comparison."""
    ours = bench()
    with http_peer(answer) as (address, _), ours.stack:
        box = place(address).server
        with pytest.raises(PeerError, match=why):
            serving(ours, PEERS[0], (fake_process(), box, tmp_path / "told"), OURS, once)


def test_a_peer_that_answers_as_we_do_is_timed_with_what_it_says_it_runs(tmp_path: Path) -> None:
    """Scores may differ in the last digits; its engines stand in the row."""
    told = tmp_path / "told.json"
    told.write_text(json.dumps([ENGINE]))
    ours = bench()
    with http_peer(GOOD) as (address, _), ours.stack:
        one = serving(ours, PEERS[0], (fake_process(), place(address).server, told), OURS, once)
    assert [engine.model_id for engine in one.own.engines] == ["lg_detect"]
    assert one.own.server.box.metrics == ""
    assert why_different(OURS, answer_from_json(GOOD)) == ""


@pytest.mark.parametrize("text", [None, "no JSON", '[{"model_id": "lg_detect"}]'])
def test_a_peer_that_does_not_tell_what_it_runs_is_not_timed(text: str | None, tmp_path: Path) -> None:
    """A figure without its engine is a rumour."""
    told = tmp_path / "told.json"
    if text is not None:
        told.write_text(text)
    with pytest.raises(PeerError, match="does not tell"):
        engines_told(told)


def test_a_peer_that_dies_is_told_with_its_last_words() -> None:
    """Not waited for any longer."""
    dying = (sys.executable, "-S", "-c", "print('first'); print('no such model'); raise SystemExit(3)")
    with running(dying, os.environ) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        with pytest.raises(PeerError, match=r"status 3: first / no such model"):
            process.wait_until_ready(lambda: "no", sleep=pytest.fail)


def test_a_peer_that_never_gets_ready_is_given_up_after_its_limit_and_ended() -> None:
    """By the clock that was handed in; nothing of it is left."""
    seconds = iter(range(1000))
    slept: list[float] = []
    with running(ENDLESS, os.environ) as process:
        with pytest.raises(PeerError, match=r"not ready after 20 s \(refused\)"):
            process.wait_until_ready(
                lambda: "refused", limit_s=20, now=lambda: next(seconds), sleep=slept.append
            )
        assert len(slept) == 20
    assert process.status() is not None
    assert process._members() == {}


def test_a_paused_peer_stands_still_as_a_whole_and_goes_on() -> None:
    """The kernel tells both."""
    with running(ENDLESS, os.environ) as process:
        process.pause()
        assert os.waitid(os.P_PID, process.pid, os.WSTOPPED) is not None
        process.resume()
        assert os.waitid(os.P_PID, process.pid, os.WCONTINUED) is not None


def test_ending_a_peer_ends_what_went_off_into_a_session_of_its_own() -> None:
    """Whoever carries the mark belongs to it, though its parent is gone."""
    child = "import os, signal; os.setsid(); os.write(1, b'off\\n'); signal.pause()"
    parent = (
        "import subprocess, sys\n"
        f"one = subprocess.Popen([sys.executable, '-S', '-c', {child!r}], stdout=subprocess.PIPE)\n"
        "one.stdout.readline()\n"
        "print(one.pid, flush=True)\n"
        "raise SystemExit(0)\n"
    )
    with running((sys.executable, "-S", "-c", parent), os.environ) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        stray = int(process.said())
        assert stray in process._members()
    assert process._members() == {}


def test_peers_of_a_bench_that_was_killed_are_killed_though_they_stand_still() -> None:
    """The end of the guard's pipe is the death of the bench; who is stopped cannot tidy up."""
    with running(ENDLESS, os.environ) as process:
        process.pause()
        assert process._guard.lose() == 0
        assert process._first.wait() == -signal.SIGKILL


def test_guard_that_is_told_to_leave_kills_nobody() -> None:
    """Whoever carries the mark lives on: the bench has ended its peers by itself."""
    guard = Guard(b"MARKED=1")
    with subprocess.Popen(ENDLESS, env={"MARKED": "1"}, stdout=subprocess.DEVNULL) as marked:
        guard.leave()
        assert marked.poll() is None
        marked.kill()


def test_guard_of_a_peer_that_does_not_start_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or it would wait for the end of the bench."""
    guards: list[Guard] = []

    def kept(mark: bytes) -> Guard:
        guards.append(Guard(mark))
        return guards[-1]

    monkeypatch.setattr(process_module, "Guard", kept)
    with pytest.raises(FileNotFoundError), running(("/nowhere/at/all",), os.environ):
        pass
    assert [guard._process.poll() for guard in guards] == [0]


def test_a_peer_that_was_not_built_says_why(tmp_path: Path) -> None:
    """What pip said, else what to call; and when no peer is left there are no figures."""
    shop = Shop(tmp_path, tmp_path)
    with pytest.raises(PeerError, match="make bench-peers"):
        shop.python(PEERS[0])
    (tmp_path / f"{PEERS[0].folder}.why").write_text("no wheel for this Python\n")
    with pytest.raises(PeerError, match=r"^no wheel for this Python$"):
        shop.python(PEERS[0])


def test_peers_that_cannot_be_timed_are_left_out_aloud_and_none_is_no_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each with its reason."""
    monkeypatch.setattr(scenario, "our_answer", lambda *_: OURS)
    table = scenario.Table("documented", "plain", {}, (), 4)
    ours, left_out = bench(), list[str]()
    with pytest.raises(BenchError, match="no peer can be timed"):
        scenario.table_rows(ours, Shop(tmp_path, tmp_path), table, PEERS, left_out)
    assert [line.partition(" (documented): ")[0] for line in left_out] == [peer.name for peer in PEERS]
    assert sum("left out" in line for line in ours.said) == len(PEERS)


def test_peers_of_one_folder_share_a_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two faces of Ray Serve are one Ray Serve, awake for no longer than it is asked."""
    begun, done = list[str](), list[str]()

    @contextmanager
    def fake_started(shop: Shop, peer: Peer, *_: Any) -> Iterator[tuple[Any]]:
        begun.append(peer.folder)
        moves = [partial(done.append, f"{peer.folder} {move}") for move in ("pauses", "goes on")]
        yield (SimpleNamespace(pause=moves[0], resume=moves[1]),)

    monkeypatch.setattr(scenario, "started", fake_started)
    monkeypatch.setattr(scenario, "serving", lambda bench, peer, process, ours: done.append(peer.name))
    table = scenario.Table("documented", "plain", {}, (), 4)
    servers: dict[str, Any] = {}
    shop = Shop(tmp_path, tmp_path)
    with ExitStack() as stack:
        for name in ("ray-serve-http", "ray-serve-grpc", "litserve"):
            scenario._start(bench(), shop, table, peer_of(f"peer-{name}"), OURS, servers, stack)
    assert begun == ["ray_serve", "litserve"]
    assert done == [
        *("ray-serve-http", "ray_serve pauses"),
        *("ray_serve goes on", "ray-serve-grpc", "ray_serve pauses"),
        *("litserve", "litserve pauses"),
    ]


@pytest.mark.parametrize(("failures", "starts"), [(0, 1), (1, 2), (2, 2)])
def test_a_peer_that_ends_while_it_starts_is_started_once_more(
    failures: int, starts: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PyTriton's copies may miss each other; one that fails again is left out."""
    begun: list[str] = []

    @contextmanager
    def fake_started(shop: Shop, peer: Peer, *_: Any) -> Iterator[tuple[Any]]:
        begun.append(peer.folder)
        yield (SimpleNamespace(pause=lambda: None),)

    def fake_serving(*_: Any) -> None:
        if len(begun) <= failures:
            raise EndedEarly("it ended with status 1")

    monkeypatch.setattr(scenario, "started", fake_started)
    monkeypatch.setattr(scenario, "serving", fake_serving)
    table = scenario.Table("documented", "plain", {}, (), 4)
    refused = pytest.raises(PeerError) if failures == 2 else nullcontext()
    with ExitStack() as stack, refused:
        shop = Shop(tmp_path, tmp_path)
        scenario._start(bench(), shop, table, PEERS[0], OURS, {}, stack)
    assert len(begun) == starts


@pytest.mark.parametrize("text", ["lg_silent", "=openvino", "lg_silent="])
def test_an_engine_choice_that_is_none_is_refused(text: str) -> None:
    """Before anything is started."""
    with pytest.raises(BenchError, match="MODEL=BACKEND"):
        scenario._engines(SimpleNamespace(engine=[text]))  # type: ignore[arg-type]
