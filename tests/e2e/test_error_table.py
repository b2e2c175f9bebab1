"""Every code of the table that LiveGate raises, driven through a public face: code and text.

`DRIVERS` has one entry for each code that is not reserved; a test holds the two sets together, so a
new code cannot come without a way to see it.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from e2e.camera_drivers import CAMERA_DRIVERS
from e2e.pictures import PATH, body, jpeg, smooth
from e2e.running import Running, run_cli, start, wait_until
from livegate.app.build import build_service
from livegate.app.server import build_dialects
from livegate.backends.ascend.messages import AclError, run_error
from livegate.backends.tensorrt.messages import failure
from livegate.client import FrameProducer, LivenessClient
from livegate.core.errors import EngineError, ErrorCode, LiveGateError
from livegate.core.telemetry import Metrics
from livegate.engines.builds import BuildBoard, BuildProgress
from livegate.gateway.fetch import Fetcher
from livegate.gateway.http import Gateway
from livegate.gateway.listener import HttpListener
from livegate.grpcapi.server import GrpcServer
from livegate.service.actions import ActionService
from livegate.service.cameras import Cameras
from livegate.service.challenges import Challenges
from livegate.service.reload import ModelReloader
from livegate.service.streams import Streams
from livegate.shm.turns import FrameQueues
from support import config_with

APP = "d0a1b2c3d4e5f60718293a4b5c6d7e8f"
KEY = "0123456789abcdef0123456789abcdef"
Said = tuple[int, str]
"""A code and the text that came with it."""


class BrokenPipeline:
    """Accepts everything; running it raises what it was told to."""

    algo_tasks = (1031,)
    engines = ()

    def __init__(self, error: Exception) -> None:
        self._error = error

    def plan(self, algo_tasks: object) -> tuple[()]:
        return ()

    def run(self, *arguments: object) -> dict[str, Any]:
        raise self._error

    def judge(self, *arguments: object) -> tuple[()]:
        return ()

    def close(self) -> None:
        pass


@contextmanager
def faces(pipeline: Any, board: BuildBoard | None = None) -> Iterator[tuple[str, str]]:
    """The gRPC and HTTP faces in this process, over a pipeline of the test's; None = still warming.

    `board` tells of an engine that is being built meanwhile.
    """
    config = config_with(grpc={"bind": "127.0.0.1:0", "socket": ""})
    metrics = Metrics()
    service = build_service(config, metrics, board)
    if pipeline is not None:
        service.start(pipeline)
    addresses: list[str] = []
    started, ended = threading.Event(), threading.Event()

    async def live() -> None:
        streams, cameras = Streams(service, None, metrics), Cameras(config, service, metrics)
        challenges = Challenges(config, service, metrics)
        actions = ActionService(config, service, metrics, challenges)
        models = ModelReloader(service, lambda wish: pipeline, metrics)
        grpc = GrpcServer(config.grpc, service, streams, cameras, actions, challenges, models, metrics)
        app = Gateway(
            build_dialects(config), service, actions, Fetcher(config.urls), config.http, metrics
        ).app
        http = HttpListener("http", "127.0.0.1:0", app)
        await grpc.start()
        await http.start()
        addresses.extend((f"127.0.0.1:{grpc.port}", f"127.0.0.1:{http.port}"))
        started.set()
        await asyncio.to_thread(ended.wait, 60)
        await grpc.stop(0)
        await http.stop(1)

    thread = threading.Thread(target=lambda: asyncio.run(live()))
    thread.start()
    assert started.wait(60)
    try:
        yield addresses[0], addresses[1]
    finally:
        ended.set()
        thread.join(60)
        service.close()


def over_grpc(address: str, *pictures: bytes, timeout_s: float = 60) -> Said:
    with LivenessClient(address, retries=0) as client, pytest.raises(LiveGateError) as caught:
        client.analyze(list(pictures) or jpeg(), timeout_s=timeout_s)
    return int(caught.value.code), caught.value.text


def over_http(address: str, content: bytes = b"", **headers: str) -> Said:
    answer = requests.post(f"http://{address}{PATH}", content, headers=headers, timeout=60)
    data = answer.json()["data"]
    return data["task_code"], data["msg"]


def broken(error: Exception) -> Callable[[Path], list[Said]]:
    def drive(folder: Path) -> list[Said]:
        with faces(BrokenPipeline(error)) as (grpc, http):
            return [over_grpc(grpc), over_http(http, body(jpeg()))]

    return drive


def served(*arguments: str) -> Callable[[Callable[[Running], list[Said]]], Any]:
    """Drive against a real server with these flags."""

    def decorate(ask: Callable[[Running], list[Said]]) -> Callable[[Path], list[Said]]:
        def drive(folder: Path) -> list[Said]:
            running = start(folder, *arguments)
            try:
                return ask(running)
            finally:
                running.stop()

        return drive

    return decorate


def command(*arguments: str, env: dict[str, str] | None = None) -> Callable[[Path], list[Said]]:
    """Drive with the command; {folder} is replaced."""

    def drive(folder: Path) -> list[Said]:
        filled = [argument.replace("{folder}", str(folder)) for argument in arguments]
        done = run_cli(*filled, env={"LIVEGATE_CACHE": str(folder / "cache"), **(env or {})})
        assert done.returncode == 2, done.stderr
        for line in done.stderr.splitlines():
            for code in ErrorCode:
                if f"{int(code)} {code.symbol}" in line:
                    return [(int(code), f"{code.english}: {line}")]
        raise AssertionError(done.stderr)

    return drive


def _ok(folder: Path) -> list[Said]:
    running = start(folder)
    try:
        answer = requests.post(running.url(PATH), body(jpeg()), timeout=60).json()
        assert "task_code" not in answer["data"]
        return [(0, "ok: " + answer["data"]["algo_task"])]
    finally:
        running.stop()


def _warming(folder: Path) -> list[Said]:
    with faces(None) as (grpc, http):
        return [over_grpc(grpc), over_http(http, body(jpeg()))]


@served("--set", "limits.max_image_bytes=100")
def _out_of_range(running: Running) -> list[Said]:
    return [over_grpc(running.grpc), over_http(running.http, body(jpeg()))]


@served("--set", "aipaas.auth=hmac", "--set", "grpc.tokens=t0ken-of-grpc")
def _no_permission(running: Running) -> list[Said]:
    return [over_grpc(running.grpc), over_http(running.http, body(jpeg()))]


@served("--workers", "1", "--set", "server.queue_timeout_s=0.02")
def _timeout(running: Running) -> list[Said]:
    with busy(running, 1):
        return [over_http(running.http, body(jpeg()))]


@served("--workers", "1", "--set", "server.queue_capacity=1")
def _queue_full(running: Running) -> list[Said]:
    with busy(running):
        return [over_grpc(running.grpc), over_http(running.http, body(jpeg()))]


@served("--workers", "1")
def _queue_stopped(running: Running) -> list[Said]:
    with busy(running):
        running.process.terminate()
        wait_until(lambda: "DRAINING" in running.get("/readyz")[1])
        return [over_grpc(running.grpc), over_http(running.http, body(jpeg()))]


@contextmanager
def busy(running: Running, requests_in_flight: int = 2) -> Iterator[None]:
    """A long request in the only worker, and others that wait behind it."""
    content = body(*[smooth(3840, 2160)] * 16)
    long = [
        threading.Thread(target=lambda: requests.post(running.url(PATH), content, timeout=60))
        for _ in range(requests_in_flight)
    ]
    for number, thread in enumerate(long):
        thread.start()
        wait_until(lambda: running.running() == 1 and running.queue_depth() == number)  # noqa: B023
    yield
    for thread in long:
        thread.join(60)


def _unknown_path(folder: Path) -> list[Said]:
    with faces(BrokenPipeline(RuntimeError())) as (_, http):
        answer = requests.post(f"http://{http}/nothing", timeout=60)
        assert answer.status_code == 404
        return [(answer.json()["code"], answer.json()["msg"])]


def _unknown_method(folder: Path) -> list[Said]:
    with faces(BrokenPipeline(RuntimeError())) as (_, http):
        answer = requests.get(f"http://{http}{PATH}", timeout=60)
        assert answer.status_code == 405
        return [(answer.json()["code"], answer.json()["msg"])]


def _busy_socket(folder: Path) -> list[Said]:
    running = start(folder)
    try:
        second = start(folder, waits=False)
        assert second.process.wait(60) == 2
        line = next(row for row in second.log.read_text().splitlines() if "1017" in row)
        return [(1017, f"{ErrorCode.BUSY.english}: {line}")]
    finally:
        running.stop()


def _rate_limited(folder: Path) -> list[Said]:
    from livegate.gateway.auth import Authorization, sign
    from livegate.gateway.dialect import Head

    apps = folder / "apps.toml"
    apps.write_text(f'[aipaas]\napps = [{{id = "{APP}", key = "{KEY}", rate_limit_rps = 0.001}}]\n')
    running = start(folder, "--config", str(apps), "--set", "aipaas.clock_window_s=2000000000")
    try:
        given = Authorization(APP, "BJ", 1745214270, 1800, ("x-app-id",), "")
        head = Head("POST", PATH, "", {"x-app-id": APP}, "r")
        signature = sign(KEY, given, head)
        headers = {"X-APP-ID": APP, "Authorization": f"{given.prefix}/x-app-id/{signature}"}
        first = requests.post(running.url(PATH), body(jpeg()), headers=headers, timeout=60)
        assert first.json()["data"]["results"]
        limited = requests.post(running.url(PATH), body(jpeg()), headers=headers, timeout=60)
        assert limited.status_code == 429
        return [(limited.json()["data"]["task_code"], limited.json()["data"]["msg"])]
    finally:
        running.stop()


def _taken_camera(folder: Path) -> list[Said]:
    running = start(folder)
    path = folder / "frames.sock"
    try:
        with (
            FrameProducer(path, camera="door", width=64, height=64),
            pytest.raises(LiveGateError) as caught,
            FrameProducer(path, camera="door", width=64, height=64),
        ):
            pass
        return [(int(caught.value.code), f"{caught.value.code.english}: {caught.value.message}")]
    finally:
        running.stop()


def _empty_queue(folder: Path) -> list[Said]:
    """Inside the server: what a consumer of the frame queue hears when no frame came."""
    with pytest.raises(LiveGateError) as caught:
        FrameQueues[object]().pop(timeout_s=0)
    return [(int(caught.value.code), caught.value.text)]


def _unreadable(folder: Path) -> list[Said]:
    (folder / "loop").symlink_to(folder / "loop")
    return command("config", "show", "--config", "{folder}/loop")(folder)


def _not_toml(folder: Path) -> list[Said]:
    (folder / "bad.toml").write_text("[[[")
    return command("config", "show", "--config", "{folder}/bad.toml")(folder)


def _cache_not_writable(folder: Path) -> list[Said]:
    """The cache's place is taken by a file; the stick holds a file with the right digest."""
    from support import shared

    (folder / "taken").write_text("")
    stick = shared("models", "reference")
    arguments = ("models", "pull", "--from", str(stick))
    return command(*arguments, env={"LIVEGATE_CACHE": f"{folder}/taken"})(folder)


def _client_left(folder: Path) -> list[Said]:
    """Seen in the metrics only: there is nobody to answer."""
    import socket

    running = start(folder)
    try:
        host, _, port = running.http.partition(":")
        with socket.create_connection((host, int(port))) as leaver:
            leaver.sendall(f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{{".encode())
        wait_until(lambda: 'code="1024"' in running.get("/metrics")[1])
        return [(1024, f"{ErrorCode.CONNECTION_CLOSE.english}: counted")]
    finally:
        running.stop()


def _no_server(folder: Path) -> list[Said]:
    return [over_grpc("127.0.0.1:1")]


def _both(content: bytes, *pictures: bytes) -> Callable[[Path], list[Said]]:
    def drive(folder: Path) -> list[Said]:
        running = start(folder)
        try:
            said = [over_http(running.http, content)]
            return [*said, over_grpc(running.grpc, *pictures)] if pictures else said
        finally:
            running.stop()

    return drive


def _tampered(folder: Path) -> list[Said]:
    (folder / "yunet_n_dynamic.onnx").write_bytes(b"something else")
    place = ("--models", "{folder}", "--pack", "reference")
    arguments = ("detect", *place, "--backend", "onnxruntime", "{folder}/p.jpg")
    (folder / "p.jpg").write_bytes(jpeg())
    said = command(*arguments)(folder)
    assert hashlib.sha256(b"something else").hexdigest() in said[0][1]
    assert "models pull" in said[0][1]
    return said


def _building(folder: Path) -> list[Said]:
    """An engine is being built before the box serves."""
    board = BuildBoard()
    board.show(BuildProgress("yunet_n", "detector", "timing", 0.4, 20.0, 30.0))
    with faces(None, board) as (grpc, http):
        return [over_grpc(grpc), over_http(http, body(jpeg()))]


DRIVERS: dict[ErrorCode, Callable[[Path], list[Said]]] = {
    ErrorCode.OK: _ok,
    ErrorCode.INNER: broken(ZeroDivisionError("a defect of ours")),
    ErrorCode.INVALID_PARAM: _both(b""),
    ErrorCode.UNREALIZED: _unknown_method,
    ErrorCode.OUT_OF_MEM: broken(MemoryError()),
    ErrorCode.ALLOC_MEM: broken(
        failure("no engine was built", ["cudaErrorMemoryAllocation: out of memory"])
    ),
    ErrorCode.STREAM_INVALID: broken(
        run_error("network detector", AclError(107003, "acl.mdl.execute_async"))
    ),
    ErrorCode.OUT_OF_RANGE: _out_of_range,
    ErrorCode.NO_PERMISSION: _no_permission,
    ErrorCode.TIMEOUT: _timeout,
    ErrorCode.NOT_INIT: _warming,
    ErrorCode.INPROGRESS: _building,
    ErrorCode.INIT_FAIL: command("serve", "--backend", "null", "--grpc", "0.0.0.0:0"),
    ErrorCode.NO_EXIST: _unknown_path,
    ErrorCode.BUSY: _busy_socket,
    ErrorCode.EXIST: _taken_camera,
    ErrorCode.FULL: _rate_limited,
    ErrorCode.OPEN_FAIL: _unreadable,
    ErrorCode.READ_FAIL: _not_toml,
    ErrorCode.WRITE_FAIL: _cache_not_writable,
    ErrorCode.CONNECTION_CLOSE: _client_left,
    ErrorCode.CONNECTION_FAILURE: _no_server,
    ErrorCode.DECODE_FAIL: _both(body(b"text"), b"text"),
    ErrorCode.MODELINIT_FAIL: _tampered,
    ErrorCode.MODELINFER_FAIL: broken(EngineError("network x: broken")),
    ErrorCode.PARAM_FAILURE: _both(body(), *[jpeg()] * 17),
    ErrorCode.CONFIG_ADD_FAIL: command("config", "show", "--set", "no.such=1"),
    ErrorCode.QUEUE_EMPTY: _empty_queue,
    ErrorCode.QUEUE_STOPED: _queue_stopped,
    ErrorCode.QUEUE_FULL: _queue_full,
    **CAMERA_DRIVERS,
}


def test_every_code_that_is_not_reserved_has_a_driver() -> None:
    """A code that can be raised is driven below; a reserved one is not."""
    assert set(DRIVERS) == {code for code in ErrorCode if not code.is_reserved}


@pytest.mark.parametrize("code", DRIVERS, ids=lambda code: code.symbol)
def test_code_comes_out_with_its_text(code: ErrorCode, folder: Path) -> None:
    """Through each face that can show it: the number, and the table's text before the message."""
    for number, text in DRIVERS[code](folder):
        assert number == int(code)
        assert text.startswith(f"{code.english}: ")
        assert len(text) > len(code.english) + 2


def test_defect_is_told_without_its_inside(folder: Path) -> None:
    """1002 names the kind of defect, not its message: that is for the log."""
    for _, text in DRIVERS[ErrorCode.INNER](folder):
        assert "ZeroDivisionError" in text
        assert "a defect of ours" not in text


def test_error_body_is_json_of_the_contract() -> None:
    """The outer shape of a failure, exactly."""
    with faces(BrokenPipeline(EngineError("x"))) as (_, http):
        answer = requests.post(f"http://{http}{PATH}", body(jpeg()), timeout=60)
    assert json.loads(answer.content) == {
        "code": 1020,
        "data": {"task_id": "task_1", "task_code": 1030, "msg": "Model infer fail: x"},
    }
