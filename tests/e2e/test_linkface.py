"""The Linkface dialect of a real server: the cloud's own samples, every status, recordings, videos."""

from __future__ import annotations

import functools
import http.server
import json
import os
import re
import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

import support
from clips import GREY, clip
from e2e import linkface_kit as kit
from e2e.linkface_kit import (
    CHECK,
    DEVICE,
    GOOD,
    HACK,
    IDENTITY,
    QUERY,
    SELFIE,
    UPLOAD,
    Said,
    answered,
    curl,
    linkface_server,
    post,
    raw,
    said,
    send,
)
from e2e.pictures import jpeg, png_bomb
from e2e.running import Running, run_cli, start
from e2e.test_error_table import BrokenPipeline, busy, faces
from livegate.client import Motion, pack_liveness_data
from livegate.core.errors import EngineError
from livegate.core.results import Decision, Verdict
from livegate.gateway.linkface import LinkfaceStatus

PICTURE = jpeg(320, 240)
LARGE = jpeg(1600, 1200)
"""Above 1 MB: what others would put into a file."""


@pytest.fixture(scope="module")
def linkface(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with linkface_server(tmp_path_factory.mktemp("l")) as running:
        yield running


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A second and a half of grey, with room for a face that counts."""
    path = tmp_path_factory.mktemp("v") / "a.mp4"
    return clip(path, [GREY] * 36, size=(320, 240), fps=24).read_bytes()


def packed(**content: Any) -> bytes:
    return pack_liveness_data(device_id=DEVICE.device_id, **(content or {"images": [PICTURE]}))


# --- the cloud's samples --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "flags", [(), ("-H", "Expect: 100-continue"), ("-H", "Expect:"), ("--http1.0",)]
)
def test_curl_sample(linkface: Running, tmp_path: Path, flags: tuple[str, ...]) -> None:
    """Id and secret in the query, the file in a form; with and without a wait for 100 Continue."""
    (tmp_path / "IMAGE").write_bytes(LARGE)
    told = curl(linkface, HACK + QUERY, tmp_path, "-F", "file=@IMAGE", *flags)
    assert told["status"] == "OK"
    assert 0 <= told["score"] <= 1
    assert re.fullmatch("[0-9a-f]{32}", told["liveness_data_id"])


def test_libcurl_and_php_sample(linkface: Running, tmp_path: Path) -> None:
    """curl_formadd and CURLFile: id and secret are parts of the form, before the file."""
    (tmp_path / "face.jpg").write_bytes(LARGE)
    fields = [f"-F{name}={value}" for name, value in GOOD.items()]
    told = curl(linkface, HACK, tmp_path, *fields, "-F", "file=@face.jpg;type=application/octet-stream")
    assert told["status"] == "OK"


def test_python_sample(linkface: Running) -> None:
    """requests.post(url, files=files, data=data)."""
    answer = post(linkface, HACK, files={"file": PICTURE}, data=GOOD)
    assert isinstance(answered(answer)["score"], float)


def test_java_and_ruby_sample(linkface: Running) -> None:
    """The file first, id and secret after it; parts with Content-Type and Content-Transfer-Encoding."""
    rows = [
        b'Content-Disposition: form-data; name="file"; filename="card.jpg"\r\n'
        b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n" + PICTURE,
        *(
            f'Content-Disposition: form-data; name="{name}"\r\n'
            "Content-Type: text/plain; charset=US-ASCII\r\n"
            f"Content-Transfer-Encoding: 8bit\r\n\r\n{value}".encode()
            for name, value in GOOD.items()
        ),
    ]
    body = b"".join(b"--QxF-1\r\n" + row + b"\r\n" for row in rows) + b"--QxF-1--\r\n"
    answer = post(
        linkface, HACK, data=body, headers={"Content-Type": "multipart/form-data; boundary=QxF-1"}
    )
    assert answered(answer)


def test_android_helpers_form(linkface: Running) -> None:
    """`boundary=` without a blank, a Content-Length in every part."""
    boundary = str(uuid.uuid4())

    def part(disposition: str, kind: str, content: bytes) -> bytes:
        head = (
            f"--{boundary}\r\nContent-Disposition: form-data; {disposition}\r\nContent-Type: {kind}\r\n"
            f"Content-Length: {len(content)}\r\n\r\n"
        )
        return head.encode() + content + b"\r\n"

    parts = [
        part(f'name="{name}"', "text/plain; charset=UTF-8", value.encode())
        for name, value in GOOD.items()
    ]
    parts.append(part('name="file"; filename="file"', "application/octet-stream", packed()))
    body = b"".join(parts) + f"--{boundary}--\r\n".encode()
    headers = {"Content-Type": f"multipart/form-data;boundary={boundary}"}
    assert answered(post(linkface, HACK, data=body, headers=headers))


@pytest.mark.parametrize("name", ["liveness_data_file", "chunk"])
def test_ios_sample_of_the_field(linkface: Running, name: str) -> None:
    """appendPartWithFileData:name:@"liveness_data_file", as image/jpeg, whatever it is."""
    files = {"liveness_data_file": (name, packed(), "image/jpeg")}
    assert answered(post(linkface, HACK, files=files, data=GOOD))


def test_ios_sample_of_the_method_has_no_permission(linkface: Running) -> None:
    """identity/liveness_idnumber_verification: this box has no register of persons."""
    files = {"liveness_data_file": ("chunk", packed(), "image/jpeg")}
    status, code, reason = said(post(linkface, IDENTITY, files=files, data=GOOD))
    assert (status, code) == ("NO_PERMISSION", 403)
    assert "no register" in reason


@pytest.mark.parametrize("how", ["data", "json", "params"])
def test_url_variants_are_read_in_every_form(linkface: Running, how: str) -> None:
    """urlencoded, JSON and query; this box fetches nothing that is not listed."""
    fields = {**GOOD, "liveness_data_url": "http://192.0.2.1/脸"}
    assert said(post(linkface, HACK, **{how: fields}))[:2] == ("DOWNLOAD_ERROR", 400)


def test_expectation_is_answered_before_the_body(linkface: Running) -> None:
    """libcurl waits a second for it."""
    host, _, port = linkface.http.partition(":")
    body = b"liveness_data_id=x"
    head = (
        f"POST {HACK}{QUERY} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
        "Connection: close\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        "Expect: 100-continue\r\n\r\n"
    )
    with socket.create_connection((host, int(port)), timeout=kit.HANG_S) as line:
        line.sendall(head.encode())
        assert line.recv(4096).startswith(b"HTTP/1.1 100")
        line.sendall(body)
        assert b"INVALID_ARGUMENT" in b"".join(iter(lambda: line.recv(65536), b""))


# --- every row of the table -----------------------------------------------------------------------

Driver = Callable[[Running, Path], list[Said]]


def each(*asks: Callable[[Running], requests.Response]) -> Driver:
    return lambda server, folder: [said(ask(server)) for ask in asks]


def in_process(pipeline: Any, *asks: Callable[[Running], requests.Response]) -> Driver:
    """Against a server in this process, which lets everybody in."""

    def drive(server: Running, folder: Path) -> list[Said]:
        with faces(pipeline) as (_, http):
            here = Running(server.process, "", http, "", "", server.log)
            return [said(ask(here)) for ask in asks]

    return drive


class EmptyPipeline(BrokenPipeline):
    """Finds nobody."""

    def run(self, *arguments: object) -> dict[str, Any]:
        return {}

    def judge(self, algo_tasks: Any, *arguments: object) -> tuple[Verdict, ...]:
        return tuple(Verdict(n, "t", Decision.NO_FACE, -1.0, (), (-1.0,)) for n in algo_tasks)


def hack(content: bytes) -> Callable[[Running], requests.Response]:
    return lambda server: send(server, HACK, content)


def selfie(content: bytes) -> Callable[[Running], requests.Response]:
    return lambda server: send(server, SELFIE, content)


def plain(path: str, **data: str) -> Callable[[Running], requests.Response]:
    return lambda server: send(server, path, None, **data)


def another(api_id: str) -> Callable[[Running], requests.Response]:
    return lambda server: send(server, HACK, PICTURE, api_id=api_id)


def second_call(api_id: str) -> Driver:
    def drive(server: Running, folder: Path) -> list[Said]:
        with linkface_server(folder) as own:
            assert answered(another(api_id)(own))
            return [said(another(api_id)(own))]

    return drive


def damaged(server: Running, folder: Path) -> list[Said]:
    """Pictures, videos and containers that are not whole; the cloud's own blob."""
    sealed = pack_liveness_data(device_id=DEVICE.device_id, images=[PICTURE], key=DEVICE)
    flipped = sealed[:-1] + bytes([sealed[-1] ^ 1])
    contents = [
        *(b"\x0a\x20" + os.urandom(300), PICTURE[:-500], PICTURE[:99], sealed[:-1], flipped, png_bomb()),
        *(packed(images=[png_bomb()]), packed(images=[PICTURE, jpeg(64, 64)]), b"GIF89a" + bytes(99)),
        *(packed(video=b"no video at all"), b"\0\0\0\x18ftypmp42" + bytes(200)),
    ]
    return [said(send(server, HACK, content)) for content in contents]


def encodings(server: Running, folder: Path) -> list[Said]:
    asks = [
        post(server, f"{HACK}{QUERY}&liveness_data_url=%FF"),
        post(server, HACK + QUERY, data=b"liveness_data_id=%C3%28"),
        post(server, HACK, data={**GOOD, "name": "脸".encode("gbk")}, files={"file": PICTURE}),
    ]
    return [said(answer) for answer in asks]


def late_download(server: Running, folder: Path) -> list[Said]:
    """A host that accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        flags = ("--set", f"urls.allow={url}", "--set", "urls.networks=127.0.0.0/8")
        with linkface_server(folder, *flags, "--set", "urls.timeout_s=0.3") as own:
            return [
                said(send(own, HACK, None, liveness_data_url=f"{url}a")),
                said(send(own, CHECK, None, liveness_data_url=f"{url}a", motions="NOD")),
                said(send(own, SELFIE, None, url=f"{url}a")),
                said(send(own, UPLOAD, None, url=f"{url}a")),
            ]


def unknown_paths(server: Running, folder: Path) -> list[Said]:
    paths = ["/hackness/none", f"{HACK}/", "/face/anti_hack", "/data/x", f"{HACK}%0A", "/liveness/"]
    wrong_method = requests.get(server.url(HACK + QUERY), timeout=kit.HANG_S)
    image = requests.get(server.url(f"/liveness/liveness_image/x{QUERY}"), timeout=kit.HANG_S)
    return [said(wrong_method), said(image), *(said(post(server, path + QUERY)) for path in paths)]


DRIVERS: dict[LinkfaceStatus, Driver] = {
    LinkfaceStatus.ENCODING_ERROR: encodings,
    LinkfaceStatus.DOWNLOAD_TIMEOUT: late_download,
    LinkfaceStatus.DOWNLOAD_ERROR: each(
        plain(HACK, liveness_data_url="http://169.254.169.254/latest"),
        plain(SELFIE, url="file:///etc/passwd"),
        plain(UPLOAD, url="https://127.0.0.1/"),
        plain(CHECK, liveness_data_url="gopher://x", motions="NOD"),
    ),
    LinkfaceStatus.INVALID_ARGUMENT: each(
        plain(HACK),
        plain(HACK, liveness_data_id="unknown"),
        plain(HACK, liveness_data_id="a", liveness_data_url="http://h/"),
        plain(HACK, file="a text"),
        plain(UPLOAD),
        plain(CHECK, motions="NOD"),
        lambda server: send(server, CHECK, PICTURE),
        lambda server: send(server, CHECK, PICTURE, motions="NOD", complexity="9"),
        lambda server: post(server, HACK + QUERY, data=b"{"),
        lambda server: post(
            server, HACK + QUERY, data=b"--", headers={"Content-Type": "multipart/form-data"}
        ),
        lambda server: post(server, HACK + QUERY, data=bytes(33 << 20)),
    ),
    LinkfaceStatus.WRONG_LIVENESS_DATA: damaged,
    LinkfaceStatus.NO_FACE_DETECTED: in_process(
        EmptyPipeline(OSError()), hack(PICTURE), selfie(PICTURE)
    ),
    LinkfaceStatus.IMAGE_ID_NOT_EXIST: each(plain(SELFIE, image_id="unknown")),
    LinkfaceStatus.IMAGE_FILE_SIZE_TOO_BIG: each(selfie(bytes(6 << 20))),
    LinkfaceStatus.CORRUPT_IMAGE: each(selfie(b"text"), selfie(PICTURE[:-500]), selfie(b"\xff\xd8" * 9)),
    LinkfaceStatus.INVALID_IMAGE_FORMAT_OR_SIZE: each(
        selfie(b"GIF89a" + bytes(99)), selfie(png_bomb()), selfie(jpeg(16, 16))
    ),
    LinkfaceStatus.UNAUTHORIZED: each(
        another("nobody"),
        lambda server: post(server, HACK, files={"file": PICTURE}),
        lambda server: post(server, HACK),
        lambda server: post(server, f"{HACK}{QUERY}x", files={"file": PICTURE}),
        lambda server: post(server, HACK, json={"api_id": 1, "api_secret": None}),
    ),
    LinkfaceStatus.KEY_EXPIRED: each(another(kit.LATE_ID)),
    LinkfaceStatus.RATE_LIMIT_EXCEEDED: second_call(kit.SLOW_ID),
    LinkfaceStatus.NO_PERMISSION: each(
        lambda server: send(server, IDENTITY, PICTURE),
        plain("/ocr/idcard"),
        plain("/data/verify_id_name"),
    ),
    LinkfaceStatus.OUT_OF_QUOTA: second_call(kit.POOR_ID),
    LinkfaceStatus.NOT_FOUND: unknown_paths,
    LinkfaceStatus.INTERNAL_ERROR: in_process(
        BrokenPipeline(EngineError("network x: broken")), hack(PICTURE), selfie(PICTURE)
    ),
}


def test_every_row_that_is_not_reserved_has_a_driver() -> None:
    """A status that can be told is driven below; OK is what every other test sees."""
    rows = {row for row in LinkfaceStatus if not row.is_reserved}
    assert set(DRIVERS) == rows - {LinkfaceStatus.OK}


@pytest.mark.parametrize("row", DRIVERS, ids=lambda row: row.name)
def test_row_comes_out_with_its_status(row: LinkfaceStatus, linkface: Running, folder: Path) -> None:
    """Through the samples' client: status, HTTP status, a reason."""
    for status, code, reason in DRIVERS[row](linkface, folder):
        assert (status, code) == (row.value, row.http_status), reason
        assert reason
    assert linkface.process.poll() is None


def test_busy_and_warming_boxes_are_503(linkface: Running, folder: Path) -> None:
    """Try again: the cloud has no status for it."""
    told = in_process(None, hack(PICTURE))(linkface, folder)
    running = start(folder, "--workers", "1", "--set", "server.queue_capacity=1")
    try:
        with busy(running):
            told.append(said(send(running, HACK, PICTURE)))
    finally:
        running.stop()
    assert [one[:2] for one in told] == [("INTERNAL_ERROR", 503)] * 2


def test_slow_body_is_408(folder: Path) -> None:
    """An argument that does not come."""
    with linkface_server(folder, "--set", "http.body_timeout_s=0.3") as running:
        head = f"POST {HACK}{QUERY} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nx"
        answer = raw(running, head.encode())
    assert answer.startswith(b"HTTP/1.1 408")
    assert b'"status":"INVALID_ARGUMENT"' in answer


# --- recordings -----------------------------------------------------------------------------------


def test_recorded_exchange(linkface: Running) -> None:
    """Byte for byte: what a client sends and what it reads, but for ids."""
    body = (
        b"--------------------------d74496d66958873e\r\n"
        b'Content-Disposition: form-data; name="note"\r\n\r\n'
        b"nothing that is asked for\r\n"
        b"--------------------------d74496d66958873e--\r\n"
    )
    head = (
        b"POST /hackness/liveness_hack_detect?api_id=ID-of-the-kiosk&api_secret=SECRET-of-the-kiosk "
        b"HTTP/1.1\r\nHost: cloudapi.linkface.cn\r\nUser-Agent: curl/7.68.0\r\nAccept: */*\r\n"
        b"Content-Length: 164\r\nX-Request-Id: a892b593c0354b0e989b5db67a331607\r\n"
        b"Connection: close\r\nContent-Type: multipart/form-data; "
        b"boundary=------------------------d74496d66958873e\r\n\r\n"
    )
    answer = raw(linkface, head + body)
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert answer.partition(b"\r\n\r\n")[2] == (
        b'{"status":"INVALID_ARGUMENT","reason":"must specify \'liveness_data_file\', '
        b"'liveness_data_url' or 'liveness_data_id' argument\","
        b'"request_id":"TIDa892b593c0354b0e989b5db67a331607"}'
    )


def test_recorded_answer(linkface: Running) -> None:
    """The fields of a good answer, in the order of the cloud's page, and their types."""
    answer = send(linkface, HACK, PICTURE)
    pattern = (
        rb'\{"request_id":"TID[0-9a-f]{32}","status":"OK","score":0\.\d+,'
        rb'"liveness_data_id":"[0-9a-f]{32}"\}'
    )
    assert re.fullmatch(pattern, answer.content)
    assert answer.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("is_sealed", [False, True])
def test_packed_by_the_command_and_judged(linkface: Running, folder: Path, is_sealed: bool) -> None:
    """livegate pack, then the samples' client; a second time is a replay."""
    (folder / "a.jpg").write_bytes(PICTURE)
    (folder / "key").write_text(DEVICE.key.hex())
    flags = ["--key-file", str(folder / "key")] if is_sealed else []
    images = ["--image", str(folder / "a.jpg"), str(folder / "a.jpg")]
    done = run_cli("pack", str(folder / "out"), *images, "--device-id", DEVICE.device_id, *flags)
    assert done.returncode == 0, done.stderr
    content = (folder / "out").read_bytes()
    assert answered(send(linkface, HACK, content))["score"] > 0.98
    assert "judged already" in said(send(linkface, HACK, content))[2]


def test_sealed_only_box_refuses_everything_else(folder: Path) -> None:
    """linkface.require_sealed."""
    with linkface_server(folder, extra="require_sealed = true") as running:
        for content in (PICTURE, packed()):
            assert "sealed containers only" in said(send(running, HACK, content))[2]
        sealed = pack_liveness_data(device_id=DEVICE.device_id, images=[PICTURE], key=DEVICE)
        assert answered(send(running, HACK, sealed))


def test_full_queue_burns_no_container(folder: Path) -> None:
    """Refused for want of room, the same container is judged a moment later."""
    running = start(folder, "--workers", "1", "--set", "server.queue_capacity=1")
    try:
        container = packed()
        with busy(running):
            assert said(send(running, HACK, container))[1] == 503
        assert answered(send(running, HACK, container))
    finally:
        running.stop()


def test_one_of_many_copies_is_judged(linkface: Running) -> None:
    """Eight at once."""
    container, codes = packed(), []

    def ask() -> None:
        codes.append(send(linkface, HACK, container).status_code)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(kit.HANG_S)
    assert sorted(codes) == [200] + [400] * 7


def test_container_from_before_a_restart_is_refused(folder: Path) -> None:
    """Whether it was judged is not known any more."""
    container = packed()
    with linkface_server(folder) as running:
        assert "before this server" in said(send(running, HACK, container))[2]


def test_video_is_judged_without_actions(linkface: Running, video: bytes) -> None:
    """Plain, and in a container that names motions: the score is about the hack."""
    for content in (video, packed(video=video, motions=[Motion.NOD])):
        told = send(linkface, HACK, content)
        assert told.json()["status"] in ("OK", "NO_FACE_DETECTED")
        assert "score" in answered(told)


def test_check_liveness_answers_motions(linkface: Running, video: bytes) -> None:
    """The null backend's face does nothing: no motion passes, and the reasons are told."""
    told = answered(send(linkface, CHECK, video, motions="BLINK YAW", complexity="0", anti_hack="true"))
    assert told["result"]["passed"] is False
    assert [one["motion"] for one in told["result"]["motions"]] == ["BLINK", "YAW"]
    assert {one["passed"] for one in told["result"]["motions"]} == {False}
    assert "ACTION_MISSING" in told["result"]["reasons"]
    assert 0 <= told["anti_hack_result"]["score"] <= 1


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """A host with a picture and a container."""
    (tmp_path / "face.jpg").write_bytes(PICTURE)
    (tmp_path / "blob").write_bytes(b"no picture")
    handler = functools.partial(QuietHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as host:
        thread = threading.Thread(target=host.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{host.server_port}/"
        host.shutdown()
        thread.join(kit.HANG_S)


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Says nothing on standard error."""

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing."""


def test_url_is_fetched_where_the_operator_lists_it(folder: Path, site: str) -> None:
    """And read as if it had been sent; what is not there, or leads nowhere, is told."""
    flags = ("--set", f"urls.allow={site}", "--set", "urls.networks=127.0.0.0/8")
    with linkface_server(folder, *flags, extra="uploads = true") as running:
        assert answered(send(running, HACK, None, liveness_data_url=f"{site}face.jpg"))["score"] > 0.98
        assert answered(send(running, SELFIE, None, url=f"{site}face.jpg"))["image_id"]
        stored = answered(send(running, UPLOAD, None, url=f"{site}face.jpg"))["liveness_data_id"]
        assert answered(send(running, HACK, None, liveness_data_id=stored))
        blob = said(send(running, HACK, None, liveness_data_url=f"{site}blob"))
        absent = said(send(running, HACK, None, liveness_data_url=f"{site}absent"))
    assert blob[:2] == ("WRONG_LIVENESS_DATA", 400)
    assert absent[:2] == ("DOWNLOAD_ERROR", 400)


def test_uploads_are_off_unless_the_operator_says_so(linkface: Running) -> None:
    """A fresh id that a later request finds unknown."""
    stored = answered(send(linkface, UPLOAD, PICTURE))["liveness_data_id"]
    assert "unknown or has expired" in said(send(linkface, HACK, None, liveness_data_id=stored))[2]


def test_uploads_are_kept_where_the_operator_says_so(folder: Path) -> None:
    """And judged by their id."""
    with linkface_server(folder, extra="uploads = true") as running:
        stored = answered(send(running, UPLOAD, PICTURE))["liveness_data_id"]
        told = answered(send(running, HACK, None, liveness_data_id=stored))
        assert told["liveness_data_id"] == stored
        assert answered(send(running, SELFIE, None, image_id=stored))["image_id"] == stored


# --- real models ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    models = support.reference_flags()
    folder = tmp_path_factory.mktemp("r")
    with linkface_server(folder, *models, backend="onnxruntime") as running:
        yield running


def test_real_person_is_no_hack(real: Running) -> None:
    """A photograph of one person, plain and packed: well below 0.98."""
    photo = support.shared("media", "stills", "image_T1.jpg").read_bytes()
    for content in (photo, packed(images=[photo, photo])):
        assert answered(send(real, HACK, content))["score"] < 0.9
    assert answered(send(real, SELFIE, photo))["score"] < 0.9


@pytest.mark.parametrize(
    ("name", "motion"),
    [("nod", "NOD"), ("mouth", "MOUTH"), ("turn_image_left", "YAW"), ("turn_image_right", "YAW")],
)
def test_drawn_head_passes_its_own_motion_only(real: Running, name: str, motion: str) -> None:
    """Both sides are YAW; another motion does not pass."""
    content = support.shared("media", "rendered", f"ict_a_{name}.mp4").read_bytes()
    other = "MOUTH" if motion != "MOUTH" else "NOD"
    for asked in (motion, other):
        told = answered(send(real, CHECK, content, motions=asked, anti_hack="true"))
        (result,) = told["result"]["motions"]
        assert result["passed"] is (asked == motion)
        assert told["result"]["passed"] is (asked == motion and told["anti_hack_result"]["score"] < 0.98)
    assert json.loads(json.dumps(told))["anti_hack_result"]["status"] == "OK"
