"""The gRPC face of a real server."""

from __future__ import annotations

import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import psutil
import pytest
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from grpc_status import rpc_status

from e2e.pictures import jpeg, smooth
from e2e.running import Running, run_cli, start, wait_until
from livegate.client import FACE_DETECTION, SILENT_LIVENESS, LivenessClient
from livegate.client.codec import request_bytes
from livegate.core.errors import ErrorCode, LiveGateError
from livegate.core.results import Decision

SERVICE = "livegate.v1.LivenessService"


def call(address: str, method: str, content: bytes, **options: object) -> grpc.RpcError:
    """The error that a raw call ends with."""
    with grpc.insecure_channel(address) as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(f"/{SERVICE}/{method}")(content, timeout=30, **options)
    return caught.value


def error_info(error: grpc.RpcError) -> ErrorInfo:
    status = rpc_status.from_call(error)
    info = ErrorInfo()
    assert status.details[0].Unpack(info)
    assert status.code == error.code().value[0]
    assert status.message == error.details()
    return info


def test_analyze_good_request_is_answered_in_full(server: Running) -> None:
    """The answer mirrors the task and says what ran, where, and where the time went."""
    with LivenessClient(server.grpc) as client:
        answer = client.analyze(
            jpeg(320, 240), algo_tasks=(SILENT_LIVENESS, FACE_DETECTION), task_id="t", request_id="r1"
        )
    assert (answer.code, answer.task_id, answer.request_id) == (1020, "t", "r1")
    assert (answer.width, answer.height) == (320, 240)
    assert [result.algo_task for result in answer.results] == [1031, 9001]
    assert answer.results[0].decision is Decision.SPOOF  # the null backend lets nobody in
    assert answer.faces
    assert len(answer.faces[0].face.landmarks) == 5
    assert {engine.provider for engine in answer.engines} == {"null"}
    assert set(answer.stages_ms) == {"queue", "decode", "preprocess", "infer", "postprocess"}


def test_analyze_over_unix_socket_is_the_same_service(server: Running) -> None:
    """The socket answers, and only its owner may connect."""
    with LivenessClient(f"unix:{server.socket}") as client:
        assert client.status()["state"] == "READY"
    assert Path(server.socket).stat().st_mode & 0o077 == 0


def test_error_good_message_with_bad_content_carries_error_info(server: Running) -> None:
    """Every error has the domain, the symbol as the reason, and the number."""
    with LivenessClient(server.grpc) as client, pytest.raises(LiveGateError) as caught:
        client.analyze(b"not a picture")
    assert caught.value.code is ErrorCode.DECODE_FAIL
    info = error_info(caught.value.__cause__)
    assert info.domain == "livegate"
    assert info.reason == "APP_ERR_COMM_DECODE_FAIL"
    assert info.metadata["code"] == "1028"
    assert "Image decode fail: image 1 of 1" in caught.value.__cause__.details()


def test_error_garbage_message_is_1004_with_details(server: Running) -> None:
    """Bytes that are no protobuf get an error of ours, not the transport's."""
    error = call(server.grpc, "Analyze", b"\xff\xff\xff\xff")
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert error_info(error).metadata["code"] == "1004"


def test_error_unknown_method_is_1005_with_details(server: Running) -> None:
    """A method that is not there says so in our manner."""
    error = call(server.grpc, "Nothing", b"")
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED
    assert error_info(error).metadata["code"] == "1005"


def test_error_message_above_limit_is_refused_and_server_lives(server: Running) -> None:
    """17 MiB against the limit of 16: the transport refuses, the next request is answered."""
    with LivenessClient(server.grpc) as client:
        with pytest.raises(LiveGateError) as caught:
            client.analyze(bytes(17 << 20))
        assert caught.value.code is ErrorCode.OUT_OF_RANGE
        assert client.analyze(jpeg()).code == 1020


def test_health_warm_server_is_serving(server: Running) -> None:
    """grpc.health.v1 knows the server and the service, and nothing else."""
    with grpc.insecure_channel(server.grpc) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        for name in ("", SERVICE):
            answer = stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=30)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(grpc.RpcError) as caught:
            stub.Check(health_pb2.HealthCheckRequest(service="other"), timeout=30)
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_reflection_lists_the_service(server: Running) -> None:
    """A client without stubs finds the service and its messages."""
    with grpc.insecure_channel(server.grpc) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        assert SERVICE in database.get_services()
        file = database.FindFileContainingSymbol(SERVICE)
        assert "AnalyzeRequest" in [kind.name for kind in file.message_type]


def test_token_required_and_missing_is_1010(folder: Path) -> None:
    """With tokens configured only a bearer of one is answered; the token is in no log."""
    running = start(folder, "--set", "grpc.tokens=first-secret,second-secret")
    try:
        with LivenessClient(running.grpc) as client, pytest.raises(LiveGateError) as caught:
            client.analyze(jpeg())
        assert caught.value.code is ErrorCode.NO_PERMISSION
        assert caught.value.__cause__.code() is grpc.StatusCode.UNAUTHENTICATED
        with LivenessClient(running.grpc, token="second-secret") as client:
            assert client.analyze(jpeg()).code == 1020
    finally:
        assert running.stop() == 0
    assert "second-secret" not in running.log.read_text()


def test_socket_of_live_server_is_not_stolen(server: Running) -> None:
    """A second server on the same socket is refused with 1017; the first keeps answering."""
    second = start(Path(server.socket).parent, waits=False)
    assert second.process.wait(60) == 2
    assert "1017" in second.log.read_text()
    with LivenessClient(f"unix:{server.socket}") as client:
        assert client.analyze(jpeg()).code == 1020


def test_socket_of_killed_server_is_taken_over(folder: Path) -> None:
    """A socket file that a kill -9 left behind does not stop the next server."""
    first = start(folder)
    first.process.kill()
    first.process.wait(60)
    assert Path(first.socket).exists()
    second = start(folder)
    try:
        with LivenessClient(f"unix:{second.socket}") as client:
            assert client.analyze(jpeg()).code == 1020
    finally:
        assert second.stop() == 0


def test_exposed_address_without_credentials_is_refused(folder: Path) -> None:
    """Binding to every interface without credentials ends at start and says the way out."""
    for face in ("grpc", "http", "metrics"):
        done = run_cli(
            *("serve", "--backend", "null", "--socket", "", "--frames", ""),
            *("--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--metrics", "127.0.0.1:0"),
            *(f"--{face}", "0.0.0.0:0"),
        )
        assert done.returncode == 2
        assert "1013" in done.stderr
        assert "127.0.0.1" in done.stderr


@pytest.fixture
def slow(folder: Path) -> Running:
    """One worker, and requests that keep it busy (see `heavy`)."""
    running = start(folder, "--workers", "1")
    yield running
    running.stop()


@pytest.fixture(scope="module")
def heavy() -> list[bytes]:
    """Sixteen large pictures: a request that takes a worker a while."""
    return [smooth(3840, 2160)] * 16


def test_burst_above_queue_is_refused_at_once_and_the_rest_answered(
    slow: Running, heavy: list[bytes]
) -> None:
    """200 in flight against 64 places: the surplus is 5003, every accepted one is answered."""
    process = psutil.Process(slow.process.pid)
    light = jpeg(128, 128)
    outcomes: list[int] = []
    lock = threading.Lock()

    def one(client: LivenessClient, pictures: list[bytes]) -> None:
        try:
            code = client.analyze(pictures, timeout_s=60).code
        except LiveGateError as error:
            code = int(error.code)
        with lock:
            outcomes.append(code)

    with LivenessClient(slow.grpc, retries=0) as client, ThreadPoolExecutor(201) as pool:
        sizes = []
        for _ in range(6):
            outcomes.clear()
            blocker = pool.submit(one, client, heavy[:8])
            for waiting in [pool.submit(one, client, [light]) for _ in range(200)]:
                waiting.result(60)
            blocker.result(60)
            sizes.append(process.memory_info().rss)
            assert set(outcomes) == {1020, 5003}
            assert outcomes.count(1020) >= 64
            assert len(outcomes) == 201
        assert slow.queue_depth() == 0
    # Bursts leave nothing behind: the later ones need no more than the first ones, but for noise.
    assert max(sizes[3:]) < max(sizes[:3]) + (32 << 20)


def test_deadline_passes_in_queue_is_1011(slow: Running, heavy: list[bytes]) -> None:
    """A request that waits behind a long one ends at its own deadline and is never run."""
    with LivenessClient(slow.grpc) as client, ThreadPoolExecutor(2) as pool:
        long = [pool.submit(client.analyze, heavy, timeout_s=60) for _ in range(2)]
        wait_until(lambda: slow.queue_depth() == 1)
        with pytest.raises(LiveGateError) as caught:
            client.analyze(jpeg(), timeout_s=0.05)
        assert caught.value.code is ErrorCode.TIMEOUT
        assert not long[1].done()
        assert [one.result(60).code for one in long] == [1020, 1020]
    assert slow.queue_depth() == 0


def test_cancelled_call_leaves_the_queue(slow: Running, heavy: list[bytes]) -> None:
    """A client that gives up frees its place before a worker gets to it."""
    with LivenessClient(slow.grpc) as client, ThreadPoolExecutor(1) as pool:
        long = pool.submit(client.analyze, heavy, timeout_s=60)
        with grpc.insecure_channel(slow.grpc) as channel:
            method = channel.unary_unary(f"/{SERVICE}/Analyze")
            waiting = method.future(request_bytes(1019, "t", (1031,), heavy), timeout=60)
            wait_until(lambda: slow.queue_depth() == 1)
            waiting.cancel()
            wait_until(lambda: slow.queue_depth() == 0)
        assert not long.done()
        assert long.result(60).code == 1020


def test_sigterm_accepted_request_is_answered_then_exit_0(folder: Path, heavy: list[bytes]) -> None:
    """The drain finishes what was accepted, refuses what is new, and ends with 0."""
    running = start(folder, "--workers", "1")
    with LivenessClient(running.grpc) as client, ThreadPoolExecutor(2) as pool:
        accepted = [pool.submit(client.analyze, heavy, timeout_s=60) for _ in range(2)]
        wait_until(lambda: running.queue_depth() == 1)
        running.process.terminate()
        wait_until(lambda: "DRAINING" in running.get("/readyz")[1])
        with pytest.raises(LiveGateError) as caught:
            client.analyze(jpeg())
        assert caught.value.code is ErrorCode.QUEUE_STOPED
        assert [one.result(60).code for one in accepted] == [1020, 1020]
    assert running.process.wait(60) == 0


def test_second_signal_ends_at_once(folder: Path, heavy: list[bytes]) -> None:
    """Whoever asks twice does not want to wait."""
    running = start(folder, "--workers", "1")
    with LivenessClient(running.grpc) as client, ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(client.analyze, heavy, timeout_s=60) for _ in range(4)]
        wait_until(lambda: running.queue_depth() == 3)
        running.process.terminate()
        wait_until(lambda: "draining" in running.log.read_text())
        running.process.terminate()
        assert running.process.wait(60) == 128 + 15
        with pytest.raises(LiveGateError):
            calls[3].result(60)


def test_operations_port_tells_metrics_and_state(server: Running) -> None:
    """Prometheus finds the requests, the queue, the stages and the provider."""
    with LivenessClient(server.grpc) as client:
        client.analyze(jpeg())
    status, text = server.get("/metrics")
    assert status == 200
    for name in (
        'livegate_requests_total{code="0",face="grpc"}',
        "livegate_queue_depth",
        'livegate_stage_seconds_count{stage="infer"}',
        "livegate_provider_info",
        "livegate_faces_total",
        "livegate_ready 1.0",
    ):
        assert name in text
    assert re.search(r'livegate_stage_seconds_count\{stage="serialise"\} [1-9]', text)
    assert server.get("/livez") == (200, "ok\n")
    assert server.get("/readyz")[0] == 200


def test_metrics_token_required_and_missing_is_401(folder: Path) -> None:
    """/metrics asks for its token; /livez and /readyz do not."""
    running = start(folder, "--set", "metrics.tokens=scrape-me")
    try:
        assert running.get("/metrics")[0] == 401
        assert running.get("/livez")[0] == 200
    finally:
        running.stop()


def test_client_no_server_is_1025() -> None:
    """An address where nobody listens is a connection failure, not a hang."""
    started_s = time.monotonic()
    with LivenessClient("127.0.0.1:1") as client, pytest.raises(LiveGateError) as caught:
        client.analyze(jpeg(), timeout_s=20)
    assert caught.value.code is ErrorCode.CONNECTION_FAILURE
    assert time.monotonic() - started_s < 60
