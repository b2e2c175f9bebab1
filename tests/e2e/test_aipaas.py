"""The AIPaaS dialect of a real server, as its clients and its enemies see it."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import support
from e2e.pictures import PATH, body, jpeg, message, png_bomb
from e2e.running import Running, environment, start, wait_until

JSON = {"Content-Type": "application/json", "X-APP-ID": "app"}


def post(server: Running, content: bytes | dict[str, Any], **headers: str) -> requests.Response:
    sent = content if isinstance(content, bytes) else json.dumps(content).encode()
    with requests.Session() as session:
        return session.post(server.url(PATH), sent, headers={**JSON, **headers}, timeout=60)


def is_alive(server: Running) -> bool:
    return post(server, body(jpeg())).json()["code"] == 1020


def test_good_request_has_the_contracts_fields_and_types(server: Running) -> None:
    """Names, order-free, and types: text stays text, numbers stay numbers."""
    answer = post(server, body(jpeg(320, 240)))
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json"
    found = answer.json()
    assert set(found) == {"code", "data"}
    data = found["data"]
    assert found["code"] == 1020
    assert (data["task_id"], data["algo_task"], data["frame_image"]) == ("task_1", "1031", "")
    assert (data["src_width"], data["src_height"]) == (320, 240)
    assert (data["frame_width"], data["frame_height"]) == (320, 240)
    assert (data["frame_id"], data["frame_pts"], data["detect_objects"]) == (0, 0, [])
    assert isinstance(data["timestamp"], int)
    assert data["timestamp"] > 1_700_000_000_000  # milliseconds
    assert [set(result) for result in data["results"]] == [{"algo_type", "score"}]
    assert data["results"][0]["algo_type"] == "1031"
    assert isinstance(data["results"][0]["score"], float)


def test_request_id_comes_back_and_is_made_when_missing(server: Running) -> None:
    """The caller's id when it is sane, one of ours otherwise."""
    good = post(server, body(jpeg()), **{"X-Request-Id": "kiosk-7"})
    assert good.headers["X-Request-Id"] == "kiosk-7"
    odd = post(server, body(jpeg()), **{"X-Request-Id": "a b\tc"})
    assert re.fullmatch("[0-9a-f]{32}", odd.headers["X-Request-Id"])


@pytest.mark.parametrize(
    "algo",
    [
        {"algoTask": 1031},
        {"algoTask": 1031, "algoConfig": {}},
        {"algoTask": 1031, "algoConfig": None},
        {"algoTask": 1031, "algoConfig": {"silentface": {"algoType": "wrong"}}},
        {"algoTask": 1031, "algoConfig": {"silentface": {"algoType": 7}}},
        {"algoTask": 1031, "algoConfig": {"silentface": None}},
        {"algoTask": 1031, "extra": [1]},
    ],
)
def test_algo_type_wrong_or_missing_is_no_error(server: Running, algo: dict[str, Any]) -> None:
    """The contract keeps old clients working, whatever they put there."""
    assert post(server, message(jpeg(), algoTasks=[algo])).json()["data"]["results"]


def test_java_like_client_any_field_order_is_answered(server: Running) -> None:
    """A hash map gives its keys in any order; headers come in any case; extra fields are ignored."""
    task = message(jpeg())["data"]
    shuffled = {
        "data": {
            "imageList": task["imageList"],
            "unknown": {"a": [1, 2]},
            "algoTasks": [{"algoConfig": {"silentface": {"algoType": 1031}}, "algoTask": 1031}],
            "taskId": "task_1",
        },
        "code": 1019,
    }
    headers = {
        "authorization": "anything",
        "device-uuid": "d-1",
        "x-app-id": "app",
        "content-type": "application/json;charset=UTF-8",
        "User-Agent": "Hutool",
        "Accept": "text/html,application/json;q=0.9",
    }
    answer = requests.post(server.url(PATH), json.dumps(shuffled), headers=headers, timeout=60)
    assert answer.json()["data"]["task_id"] == "task_1"


def test_seeds_python_sample_works_unmodified(server: Running, tmp_path: Path) -> None:
    """The vendor's own sample, with nothing changed but the URL and the placeholders."""
    text = support.shared("seeds", "000_8f029d881a3fd524.txt").read_text()
    sample = text[text.index("import json\nimport hashlib") :]
    image = message(jpeg())["data"]["imageList"][0]["image"]
    sample = sample.replace('url = "算法调用地址"', f'url = "{server.url(PATH)}"')
    sample = sample.replace("yourImageBase64", image)
    assert server.url(PATH) in sample
    # The page lost the sample's indentation; Python needs it back, the statements stay as they are.
    script = tmp_path / "sample.py"
    script.write_text(_indented(sample))
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=60, check=True
    )
    assert '"code":1020' in done.stderr
    assert "Request completed in" in done.stderr


# (first line, last line, depth) of the sample; every other line is at depth 0.
BLOCKS = [(42, 45, 1), (47, 47, 1), (48, 53, 2), (54, 55, 3), (56, 57, 4), (58, 58, 5), (59, 59, 6)]
BLOCKS += [(60, 60, 7), (61, 63, 6), (64, 66, 4), (67, 67, 3), (68, 68, 4), (69, 69, 1), (70, 70, 2)]


def _indented(flat: str) -> str:
    """Give the flattened sample its blocks back."""
    depths = {line: depth for first, last, depth in BLOCKS for line in range(first, last + 1)}
    lines = enumerate(flat.splitlines(), 1)
    return "\n".join("    " * depths.get(number, 0) + line for number, line in lines)


BAD = [
    ("empty body", b"", 1004),
    ("blank body", b" \n ", 1004),
    ("not JSON", b"code=1019", 1004),
    ("cut JSON", body(jpeg())[:-9], 1004),
    ("not UTF-8", b'{"code": 1019, "data": {"taskId": "\xff\xfe"}}', 1004),
    ("deep nesting", b'{"x":' + b"[" * 100_000, 1004),
    ("a list", b"[]", 1031),
    ("null", b"null", 1031),
    ("no code", json.dumps({"data": message(jpeg())["data"]}).encode(), 1031),
    ("no data", b'{"code": 1019}', 1031),
    ("data of the wrong type", b'{"code": 1019, "data": []}', 1031),
    ("code as text", body(jpeg(), code="1019"), 1031),
    ("code as a bool", body(jpeg(), code=True), 1031),
    ("unknown code", body(jpeg(), code=1025), 1031),
    ("taskId missing", body(jpeg(), taskId=None), 1031),
    ("taskId of 2000 letters", body(jpeg(), taskId="x" * 2000), 1031),
    ("taskId a number", body(jpeg(), taskId=7), 1031),
    ("algoTasks empty", body(jpeg(), algoTasks=[]), 1031),
    ("algoTask as text", body(jpeg(), algoTasks=[{"algoTask": "1031"}]), 1031),
    ("unknown algoTask", body(jpeg(), algoTasks=[{"algoTask": 4711}]), 1031),
    ("huge algoTask", body(jpeg(), algoTasks=[{"algoTask": 10**30}]), 1031),
    ("no image", body(), 1031),
    ("imageList of texts", body(jpeg(), imageList=["aGVsbG8="]), 1031),
    ("image null", body(jpeg(), imageList=[{"image": None}]), 1031),
    ("17 images", body(*[jpeg()] * 17), 1031),
    ("two resolutions", body(jpeg(64, 64), jpeg(64, 65)), 1031),
    ("1x1 picture", body(jpeg(1, 1)), 1031),
    ("base64 garbage", body(jpeg(), imageList=[{"image": "@@@@"}]), 1028),
    ("base64 of the wrong length", body(jpeg(), imageList=[{"image": "abcde"}]), 1028),
    ("a data URI", body(jpeg(), imageList=[{"image": "data:image/jpeg;base64,aGk="}]), 1028),
    ("empty image", body(jpeg(), imageList=[{"image": ""}]), 1028),
    ("truncated JPEG", body(jpeg()[:-200]), 1028),
    ("text file as picture", body(b"I am a text file named .jpg\n" * 20), 1028),
    ("PNG bomb", body(png_bomb()), 1009),
    ("picture of too many bytes", body(bytes(9 << 20)), 1009),
]


@pytest.mark.parametrize(("content", "code"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
def test_bad_input_has_its_code_and_server_lives(server: Running, content: bytes, code: int) -> None:
    """A clear error in the contract's shape, and the next request is answered."""
    answer = post(server, content)
    assert answer.status_code == 200
    found = answer.json()
    assert found["code"] == 1020
    assert found["data"]["task_code"] == code
    assert found["data"]["msg"]
    assert is_alive(server)


def test_failure_of_a_known_task_names_it(server: Running) -> None:
    """As soon as the task is known its id stands in the failure, too."""
    broken = json.dumps({"code": 1019, "data": {"taskId": "task_1"}}).encode()
    for content in (body(b"text"), body(jpeg(), imageList=[{"image": "@"}]), body(), broken):
        assert post(server, content).json()["data"]["task_id"] == "task_1"


def test_images_nine_and_sixteen_are_answered(server: Running) -> None:
    """The contract advises eight; sixteen are the limit."""
    for count in (9, 16):
        assert post(server, body(*[jpeg()] * count)).json()["data"]["results"]


def test_base64_with_line_breaks_is_read(server: Running) -> None:
    """MIME encoders break lines."""
    task = message(jpeg())
    image = task["data"]["imageList"][0]
    text = image["image"]
    for separator in ("\r\n", "\n", "\r", " "):
        image["image"] = separator.join(re.findall(".{1,76}", text))
        assert post(server, task).json()["data"]["results"]


def test_detection_beside_liveness_fills_detect_objects(server: Running) -> None:
    """9001 in the same request: boxes and landmarks of every picture."""
    tasks = [{"algoTask": 1031}, {"algoTask": 9001}]
    data = post(server, message(jpeg(), jpeg(), algoTasks=tasks)).json()["data"]
    assert data["algo_task"] == "1031,9001"
    assert [result["algo_type"] for result in data["results"]] == ["1031", "9001"]
    assert {found["image_index"] for found in data["detect_objects"]} == {0, 1}
    assert len(data["detect_objects"][0]["landmarks"]) == 5


def test_body_of_100_mib_is_413_and_not_kept(server: Running) -> None:
    """A declared length above the limit is refused before a byte of it is read."""
    answer = post(server, bytes(100 << 20))
    assert answer.status_code == 413
    assert answer.json()["data"]["task_code"] == 1009
    assert is_alive(server)


def test_chunked_body_above_limit_is_413(server: Running) -> None:
    """Without a declared length the limit holds while it is read."""
    chunks = (bytes(1 << 20) for _ in range(40))
    answer = requests.post(server.url(PATH), chunks, headers=JSON, timeout=60)
    assert answer.status_code == 413
    assert is_alive(server)


def test_unknown_path_and_method_are_404_and_405(server: Running) -> None:
    """What no dialect serves is said so in JSON."""
    missing = requests.post(server.url("/nothing"), timeout=60)
    assert (missing.status_code, missing.json()["code"]) == (404, 1016)
    wrong = requests.get(server.url(PATH), timeout=60)
    assert (wrong.status_code, wrong.json()["code"]) == (405, 1005)
    assert wrong.headers["Allow"] == "POST"
    slash = requests.post(server.url(PATH + "/"), timeout=60, allow_redirects=False)
    assert (slash.status_code, slash.json()["code"]) == (404, 1016)


@pytest.mark.parametrize("size", [1 << 20, 6 << 20])
def test_refusal_arrives_although_its_body_was_not_wanted(server: Running, size: int) -> None:
    """A connection that is closed on unread bytes is reset, and the client never learns why."""
    for _ in range(5):
        with contextlib.closing(http.client.HTTPConnection(server.http)) as connection:
            for _ in range(2):  # the connection is good for another request, too
                connection.request("POST", "/nowhere", bytes(size))
                answer = connection.getresponse()
                assert (answer.status, json.loads(answer.read())["code"]) == (404, 1016)
    assert is_alive(server)


def test_body_that_was_not_asked_for_is_not_waited_for(server: Running) -> None:
    """Its client need not send it any more: the next request would be taken for it."""
    host, port = server.http.split(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(
            b"POST /nowhere HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 99\r\n\r\n"
        )
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 404")
    assert b"connection: close" in answer.lower()


def test_slow_body_is_408(folder: Path) -> None:
    """A body that does not come is not waited for, and its connection is closed."""
    running = start(folder, "--set", "http.body_timeout_s=0.3")
    try:
        host, _, port = running.http.partition(":")
        head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{{"
        with socket.create_connection((host, int(port)), timeout=60) as slow:
            slow.sendall(head.encode())
            answer = b"".join(iter(lambda: slow.recv(4096), b""))
        assert answer.startswith(b"HTTP/1.1 408")
        assert b'"task_code":1011' in answer
        assert is_alive(running)
    finally:
        running.stop()


def test_head_that_does_not_come_ends_the_connection(folder: Path) -> None:
    """Silent connections and endless heads are closed, so that they cannot fill the listener."""
    running = start(folder, "--set", "http.head_timeout_s=0.3")
    host, _, port = running.http.partition(":")
    try:
        for sent in (b"", b"POST / HTTP/1.1\r\nHost: x\r\n"):
            with socket.create_connection((host, int(port)), timeout=60) as silent:
                silent.sendall(sent)
                assert silent.recv(100) == b""
        with socket.create_connection((host, int(port)), timeout=60) as endless:
            endless.sendall(b"POST / HTTP/1.1\r\n")
            with contextlib.suppress(OSError):  # the server hangs up in the middle
                for _ in range(400):
                    endless.sendall(b"x: " + b"y" * 1000 + b"\r\n")
            with contextlib.suppress(OSError):
                assert b"200" not in endless.recv(100)
        assert is_alive(running)
    finally:
        running.stop()


def test_bodies_in_flight_have_a_budget(folder: Path) -> None:
    """What all bodies together may take is bounded; the surplus is 5003, and comes back free.

    A length that somebody only declares takes nothing of it.
    """
    running = start(folder, "--set", "http.max_in_flight_mib=1")
    host, _, port = running.http.partition(":")
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n{{"
    try:
        with socket.create_connection((host, int(port)), timeout=60) as greedy:
            greedy.sendall(head.encode())
            for _ in range(3):
                assert "results" in post(running, body(jpeg())).json()["data"]
            greedy.sendall(bytes(990_000))
            wait_until(lambda: post(running, bytes(100_000)).json()["data"]["task_code"] == 5003)
        wait_until(lambda: "results" in post(running, body(jpeg())).json()["data"])
    finally:
        running.stop()


def test_client_gone_midway_costs_nothing(server: Running) -> None:
    """Whoever hangs up in the middle of its body disturbs nobody."""
    host, _, port = server.http.partition(":")
    for _ in range(20):
        connection = http.client.HTTPConnection(host, int(port), timeout=60)
        connection.putrequest("POST", PATH)
        connection.putheader("Content-Length", "5000")
        connection.endheaders(b"{" * 100)
        connection.close()
    assert is_alive(server)
    wait_until(lambda: 'code="1024"' in server.get("/metrics")[1])


def test_client_gone_while_waiting_leaves_the_queue(folder: Path) -> None:
    """A request whose client hung up is not run."""
    from e2e.pictures import smooth

    running = start(folder, "--workers", "1")
    host, _, port = running.http.partition(":")
    content = body(*[smooth(3840, 2160)] * 16)
    connections = []
    try:
        for _ in range(3):
            connection = http.client.HTTPConnection(host, int(port), timeout=60)
            connection.request("POST", PATH, content, JSON)
            connections.append(connection)
        wait_until(lambda: running.queue_depth() == 2)
        for connection in connections[1:]:
            connection.close()
        wait_until(lambda: running.queue_depth() == 0)
        assert json.loads(connections[0].getresponse().read())["code"] == 1020
        assert (
            'livegate_verdicts_total{decision="SPOOF",task="silent_liveness"} 1.0'
            in (running.get("/metrics")[1])
        )
    finally:
        connections[0].close()
        running.stop()


GOOD = body(jpeg(48, 48), jpeg(48, 48, seed=1))


@given(st.data())
@settings(
    max_examples=1000,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_mutated_requests_are_answered_and_never_a_defect(server: Running, data: Any) -> None:
    """Bytes changed, cut, doubled or put in: always an answer of the contract, never 1001 or 1002."""
    content = bytearray(GOOD)
    for _ in range(data.draw(st.integers(1, 8))):
        place = data.draw(st.integers(0, len(content) - 1))
        match data.draw(st.sampled_from(["set", "cut", "put", "double", "end"])):
            case "set":
                content[place] = data.draw(st.integers(0, 255))
            case "cut":
                del content[place : place + data.draw(st.integers(1, 50))]
            case "put":
                content[place:place] = data.draw(st.binary(min_size=1, max_size=20))
            case "double":
                content[place:place] = content[place : place + 30]
            case _:
                del content[max(1, place) :]
        if not content:
            break
    host, _, port = server.http.partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=60)
    try:
        connection.request("POST", PATH, bytes(content), JSON)
        answer = connection.getresponse()
        found = json.loads(answer.read())
    finally:
        connection.close()
    assert answer.status == 200
    assert found["code"] == 1020
    assert found["data"].get("task_code", 0) not in (1001, 1002)
    assert server.process.poll() is None


def test_no_pixels_and_no_bodies_in_the_log(server: Running) -> None:
    """What was sent does not stand in the log, whatever became of it."""
    marker = "U0VDUkVUUElYRUxT"
    post(server, body(jpeg(), imageList=[{"image": marker}]))
    post(server, b'{"secret": "' + marker.encode() + b'"')
    assert marker not in server.log.read_text()


def test_environment_of_the_test_server_is_clean() -> None:
    """A setting of the developer's shell does not reach the servers under test."""
    assert not [name for name in environment() if name.startswith("LIVEGATE_")]
