"""The Huawei FRS dialect of a real server, through the official SDK, curl and hand-made requests."""

from __future__ import annotations

import base64
import contextlib
import functools
import json
import re
import resource
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from huaweicloudsdkcore.exceptions.exceptions import SslHandShakeException
from hypothesis import given, settings
from hypothesis import strategies as st

import support
from clips import GREY, clip
from e2e import frs_kit as kit
from e2e.frs_kit import PROJECT, TOKEN, Said, ask, frs_server, refusal, sdk
from e2e.fuzz import FUZZ, mutated
from e2e.pictures import jpeg, png_bomb, smooth
from e2e.running import Running, start
from e2e.test_error_table import BrokenPipeline, busy, faces
from livegate.core.errors import EngineError
from livegate.core.results import Decision, Verdict
from livegate.gateway.frs import FrsCode
from livegate.pipelines.pipeline import Pipeline
from tls_kit import TlsFiles, tls_files

LIVE_FACE = f"/v1/{PROJECT}/live-detect-face"
FACE = f"/v2/{PROJECT}/face-detect"
PICTURE = jpeg(320, 240)


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The SDK writes an id into the home folder, and heeds proxies."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("NO_PROXY", "127.0.0.1,localhost")
        yield


@pytest.fixture(scope="module")
def frs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with frs_server(tmp_path_factory.mktemp("f")) as running:
        yield running


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    return tls_files(tmp_path_factory.mktemp("t"))


@pytest.fixture(scope="module")
def https(tmp_path_factory: pytest.TempPathFactory, files: TlsFiles) -> Iterator[Running]:
    flags = ("--tls-cert", str(files.cert), "--tls-key", str(files.key))
    with frs_server(tmp_path_factory.mktemp("h"), *flags) as running:
        yield running


def face() -> Any:
    return kit.face(PICTURE)


def post(server: Running, path: str, content: Any, **options: Any) -> requests.Response:
    headers = {"X-Auth-Token": TOKEN, **options.pop("headers", {})}
    return requests.post(server.url(path), content, headers=headers, timeout=60, **options)


# --- the official SDK -----------------------------------------------------------------------------

LIVE_CALLS: list[tuple[str, Any]] = [
    ("detect_live_face_by_base64", lambda: kit.live_face(PICTURE)),
    ("detect_live_face_by_file", lambda: kit.live_face_file(PICTURE)),
]
FACE_CALLS: list[tuple[str, Any]] = [
    ("detect_face_by_base64", lambda: kit.face(PICTURE)),
    ("detect_face_by_base64_intl", lambda: kit.face(PICTURE)),
    ("detect_face_by_file", lambda: kit.face_file(PICTURE)),
    ("detect_face_by_file_intl", lambda: kit.face_file(PICTURE)),
]
VIDEO: dict[str, Any] = {"action_time": "0-500,500-1500", "nod_threshold": 12.5}
VIDEO_CALLS: list[tuple[str, Any]] = [
    ("detect_live_by_base64", lambda video: kit.live("1,3", kit.text(video), **VIDEO)),
    ("detect_live_by_base64_intl", lambda video: kit.live("1,3", kit.text(video), **VIDEO)),
    ("detect_live_by_file", lambda video: kit.live_file("1,3", video, **VIDEO)),
    ("detect_live_by_file_intl", lambda video: kit.live_file("1,3", video, **VIDEO)),
]


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A second and a half of grey."""
    path = tmp_path_factory.mktemp("v") / "a.mp4"
    return clip(path, [GREY] * 36, size=(128, 96), fps=24).read_bytes()


@pytest.fixture(params=["http", "https"])
def url(request: pytest.FixtureRequest) -> tuple[str, Path | None]:
    server: Running = request.getfixturevalue("frs" if request.param == "http" else "https")
    is_tls = request.param == "https"
    authority = request.getfixturevalue("files").authority if is_tls else None
    return f"{request.param}://{server.http}", authority


def calls(url: tuple[str, Path | None], name: str) -> list[Callable[[Any], Any]]:
    """The method of the sync and of the async client."""
    endpoint, authority = url
    later = sdk(endpoint, authority=authority, asynchronous=True)
    return [getattr(sdk(endpoint, authority=authority), name), getattr(later, f"{name}_async")]


@pytest.mark.parametrize(("name", "request_"), LIVE_CALLS, ids=[c[0] for c in LIVE_CALLS])
def test_sdk_reads_silent_liveness(url: tuple[str, Path | None], name: str, request_: Any) -> None:
    """Types, the picture, the warning for several faces, and the request's id."""
    for call in calls(url, name):
        answer = ask(call, request_)
        assert answer.result.alive is False
        assert 0 <= answer.result.confidence <= 1
        assert base64.b64decode(answer.result.picture) == PICTURE
        assert [warning.warning_code for warning in answer.warning_list] == [106]
        assert re.fullmatch("[0-9a-f]{32}", answer.x_request_id)


@pytest.mark.parametrize(("name", "request_"), FACE_CALLS, ids=[c[0] for c in FACE_CALLS])
def test_sdk_reads_faces(url: tuple[str, Path | None], name: str, request_: Any) -> None:
    """Boxes in whole pixels, the largest first; attributes that nothing measures are not there."""
    for call in calls(url, name):
        answer = ask(call, request_)
        boxes = [found.bounding_box for found in answer.faces]
        areas = [box.width * box.height for box in boxes]
        assert areas == sorted(areas, reverse=True)
        assert all(isinstance(box.top_left_x, int) for box in boxes)
        assert all(found.attributes is None for found in answer.faces)


@pytest.mark.parametrize(("name", "make"), VIDEO_CALLS, ids=[c[0] for c in VIDEO_CALLS])
def test_sdk_reads_actions(
    url: tuple[str, Path | None], name: str, make: Callable[[bytes], Any], video: bytes
) -> None:
    """Both paths, both inputs: the actions in their order; the null backend's face does nothing."""
    for call in calls(url, name):
        answer = ask(call, lambda: make(video))
        assert answer.video_result.alive is False
        assert [one.action for one in answer.video_result.actions] == [1, 3]
        assert all(0 <= one.confidence < 0.5 for one in answer.video_result.actions)
        assert {warning.warning_code for warning in answer.warning_list} >= {6}


URL_CALLS: list[tuple[str, Any, str]] = [
    ("detect_live_face_by_url", kit.live_face_url, "a.jpg"),
    ("detect_face_by_url", kit.face_url, "a.jpg"),
    ("detect_face_by_url_intl", kit.face_url, "a.jpg"),
    ("detect_live_by_url", kit.live_url, "a.mp4"),
    ("detect_live_by_url_intl", kit.live_url, "a.mp4"),
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, video: bytes) -> Iterator[tuple[Path, str]]:
    """A folder with a picture and a video, and where it is served."""
    folder = tmp_path_factory.mktemp("b")
    (folder / "a.jpg").write_bytes(PICTURE)
    (folder / "a.mp4").write_bytes(video)
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module", params=["http", "https"])
def fetching(
    request: pytest.FixtureRequest,
    site: tuple[Path, str],
    files: TlsFiles,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Running, tuple[str, Path | None]]]:
    """A server that may fetch from there, and a bucket that is that folder."""
    folder, url = site
    more = f'[urls]\nallow = ["{url}"]\nnetworks = ["127.0.0.0/8"]\nbuckets.faces = "{folder}"\n'
    is_tls = request.param == "https"
    flags = ("--tls-cert", str(files.cert), "--tls-key", str(files.key)) if is_tls else ()
    with frs_server(tmp_path_factory.mktemp("u"), *flags, more=more) as running:
        yield running, (f"{request.param}://{running.http}", files.authority if is_tls else None)


@pytest.mark.parametrize(("name", "make", "file"), URL_CALLS, ids=[call[0] for call in URL_CALLS])
def test_sdk_names_what_the_box_may_fetch(
    fetching: tuple[Running, tuple[str, Path | None]],
    site: tuple[Path, str],
    name: str,
    make: Callable[[str], Any],
    file: str,
) -> None:
    """A bucket that is a folder here, and a listed site; what is not there is FRS.0022."""
    running, endpoint = fetching
    for call in calls(endpoint, name):
        for start_of_url in ("/faces/", site[1]):
            assert ask(call, functools.partial(make, f"{start_of_url}{file}")).x_request_id
            code, status, _ = refusal(call, functools.partial(make, f"{start_of_url}none"))
            assert (code, status) == ("FRS.0022", 400)
        assert refusal(call, functools.partial(make, "http://10.0.0.1/a.jpg"))[0] == "FRS.0021"
    assert "a.jpg" not in running.log.read_text()


def test_sdk_without_the_authority_refuses_the_box(https: Running) -> None:
    """TLS is checked by the client, and nothing here asks it not to."""
    with pytest.raises(SslHandShakeException):
        sdk(f"https://{https.http}").detect_face_by_base64(kit.face(PICTURE))


def test_sdk_enterprise_project_is_signed_along(frs: Running) -> None:
    """A header that the SDK adds and signs."""

    def made() -> Any:
        request = kit.live_face_file(PICTURE)
        request.enterprise_project_id = "0"
        return request

    assert ask(sdk(frs.url("")).detect_live_face_by_file, made).result


def test_sdk_preset_token_opens_without_a_right_signature(frs: Running) -> None:
    """X-Auth-Token decides where there is one."""
    client = sdk(frs.url(""), secret="another-secret")
    client.preset_headers = {"X-Auth-Token": TOKEN}
    assert client.detect_live_face_by_base64(kit.live_face(PICTURE)).result


# --- every row of the table -----------------------------------------------------------------------


def with_sdk(
    name: str, request_: Callable[[], Any], **options: Any
) -> Callable[[Running, Path], list[Said]]:
    def drive(frs: Running, folder: Path) -> list[Said]:
        later = getattr(sdk(frs.url(""), asynchronous=True, **options), f"{name}_async")
        return [refusal(call, request_) for call in (getattr(sdk(frs.url(""), **options), name), later)]

    return drive


def raw(path: str, content: Any, **headers: str) -> Callable[[Running, Path], list[Said]]:
    def drive(frs: Running, folder: Path) -> list[Said]:
        return [said(post(frs, path, content, headers=headers))]

    return drive


def said(answer: requests.Response) -> Said:
    found = answer.json()
    assert set(found) - {"request_id"} == {"error_code", "error_msg"}
    assert ("request_id" in found) == found["error_code"].startswith("APIG")
    assert answer.headers["X-Request-Id"]
    return found["error_code"], answer.status_code, found["error_msg"]


def in_process(
    pipeline: Any, name: str = "detect_face_by_base64", request_: Any = kit.face
) -> Callable[[Running, Path], list[Said]]:
    def drive(frs: Running, folder: Path) -> list[Said]:
        with faces(pipeline) as (_, http):
            return [refusal(getattr(sdk(f"http://{http}"), name), lambda: request_(PICTURE))]

    return drive


class EmptyPipeline(BrokenPipeline):
    """Finds nobody."""

    def run(self, *arguments: object) -> dict[str, Any]:
        return {}

    def judge(self, algo_tasks: Any, *arguments: object) -> tuple[Verdict, ...]:
        return tuple(Verdict(n, "t", Decision.NO_FACE, -1.0, (), (-1.0,)) for n in algo_tasks)


def too_often(frs: Running, folder: Path) -> list[Said]:
    with frs_server(folder, limit_rps=0.001) as running:
        client = sdk(running.url(""))
        assert client.detect_face_by_base64(kit.face(PICTURE)).faces
        return [refusal(client.detect_face_by_base64, face)]


def too_late(frs: Running, folder: Path) -> list[Said]:
    running = start(folder, "--workers", "1", "--set", "server.queue_timeout_s=0.02")
    try:
        with busy(running, 1):
            return [refusal(sdk(running.url("")).detect_face_by_base64, face)]
    finally:
        running.stop()


def no_header(frs: Running, folder: Path) -> list[Said]:
    signed = "SDK-HMAC-SHA256 Access=a, SignedHeaders=host, Signature=" + "0" * 64
    answers = [
        requests.post(frs.url(FACE), headers=h, timeout=60) for h in ({}, {"Authorization": signed})
    ]
    return [said(answer) for answer in answers]


def no_such_api(frs: Running, folder: Path) -> list[Said]:
    paths = ["/v1/p/no-such-method", "/v2/p/live-detect-face", "/v1/", "/v2/a/b/c", f"{LIVE_FACE}/"]
    wrong_method = requests.get(frs.url(LIVE_FACE), timeout=60)
    return [said(wrong_method), *(said(post(frs, path, b"")) for path in paths)]


def bad_videos(frs: Running, folder: Path) -> list[Said]:
    """No base64, no video, an empty picture's file."""
    call = sdk(frs.url("")).detect_live_by_base64
    texts = ["@@@@", kit.text(b"garbage" * 99), kit.text(PICTURE[:99])]
    return [refusal(call, lambda text=text: kit.live("1", text)) for text in texts]


def short_video(frs: Running, folder: Path) -> list[Said]:
    content = clip(folder / "a.mp4", [GREY] * 12, size=(128, 96), fps=24).read_bytes()
    return [refusal(sdk(frs.url("")).detect_live_by_file, lambda: kit.live_file("1", content))]


class UntaughtPipeline(BrokenPipeline):
    """A box without the models for video."""

    plan_tasks = Pipeline([]).plan_tasks


def unread_video(_: bytes) -> Any:
    return kit.live_file("5", b"video")


OTHER_PROJECT = {"project": "another"}
COMPARE = kit.v2.CompareFaceByBase64Request(
    body=kit.v2.FaceCompareBase64Req(image1_base64="AAAA", image2_base64="AAAA")
)
DRIVERS: dict[FrsCode, Callable[[Running, Path], list[Said]]] = {
    FrsCode.NO_API: no_such_api,
    FrsCode.BAD_SIGNATURE: with_sdk(
        "detect_face_by_base64", lambda: kit.face(PICTURE), secret="wrong-secret"
    ),
    FrsCode.BACKEND_TIMEOUT: too_late,
    FrsCode.BAD_TOKEN: raw(FACE, b"", **{"X-Auth-Token": "wrong"}),
    FrsCode.NO_HEADER: no_header,
    FrsCode.NO_PARAM: with_sdk("detect_live_by_base64", lambda: kit.live(None)),
    FrsCode.BAD_PARAM: with_sdk("detect_live_by_base64", lambda: kit.live(nod_threshold=91.0)),
    FrsCode.BAD_SIZE: with_sdk("detect_live_face_by_base64", lambda: kit.live_face(png_bomb())),
    FrsCode.BAD_JSON: raw(FACE, b"image_base64=AAAA"),
    FrsCode.BAD_IMAGE: with_sdk(
        "detect_live_face_by_file", lambda: kit.live_face_file(b"I am no picture")
    ),
    FrsCode.BAD_FORMAT: with_sdk(
        "detect_live_face_by_base64", lambda: kit.live_face(b"GIF89a" + bytes(20))
    ),
    FrsCode.BODY_TOO_LARGE: with_sdk(
        "detect_live_face_by_file", lambda: kit.live_face_file(bytes(9 << 20))
    ),
    FrsCode.INNER: in_process(BrokenPipeline(EngineError("network x: broken"))),
    FrsCode.NO_SERVICE: in_process(UntaughtPipeline(OSError()), "detect_live_by_file", unread_video),
    FrsCode.NO_SUB_SERVICE: with_sdk("compare_face_by_base64", lambda: COMPARE),
    FrsCode.BAD_URL: with_sdk(
        "detect_live_face_by_url", lambda: kit.live_face_url("http://10.0.0.1/a.jpg")
    ),
    FrsCode.NO_OBS: with_sdk("detect_live_by_url", lambda: kit.live_url("/BucketName/ObjectName")),
    FrsCode.BAD_PROJECT: with_sdk("detect_face_by_url", lambda: kit.face_url("/b/o"), **OTHER_PROJECT),
    FrsCode.TOO_MANY: too_often,
    FrsCode.BUSY: in_process(None),
    FrsCode.NO_FACE: in_process(EmptyPipeline(OSError()), "detect_face_by_base64", kit.face),
    FrsCode.BAD_VIDEO: bad_videos,
    FrsCode.VIDEO_LENGTH: short_video,
    FrsCode.BAD_ACTION: with_sdk("detect_live_by_base64", lambda: kit.live("1,6")),
    FrsCode.TOO_MANY_ACTIONS: with_sdk("detect_live_by_base64", lambda: kit.live(",".join("1" * 11))),
    FrsCode.SILENT_NO_FACE: in_process(
        EmptyPipeline(OSError()), "detect_live_face_by_base64", kit.live_face
    ),
}


def test_every_row_that_is_not_reserved_has_a_driver() -> None:
    """A code that can be raised is driven below; a reserved one is not."""
    assert set(DRIVERS) == {row for row in FrsCode if not row.is_reserved}


@pytest.mark.parametrize("row", DRIVERS, ids=lambda row: row.name)
def test_row_comes_out_with_its_status_and_text(row: FrsCode, frs: Running, folder: Path) -> None:
    """Through the SDK where it sends such a thing, else by hand: code, status, the table's text."""
    for code, status, message in DRIVERS[row](frs, folder):
        assert (code, status) == (row.value, row.http_status)
        start_of_text, _, end_of_text = row.text.partition("%s")
        assert message.startswith(start_of_text)
        assert message.endswith(end_of_text) or "%s" not in row.text


def test_slow_body_is_408(folder: Path) -> None:
    """The backend's timeout, with the status of a client that is too slow."""
    running = start(folder, "--set", "http.body_timeout_s=0.3")
    host, _, port = running.http.partition(":")
    head = f"POST {FACE} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{{"
    try:
        with socket.create_connection((host, int(port)), timeout=60) as slow:
            slow.sendall(head.encode())
            answer = b"".join(iter(lambda: slow.recv(4096), b""))
    finally:
        running.stop()
    assert answer.startswith(b"HTTP/1.1 408")
    assert b'"error_code":"APIGW.0201"' in answer


# --- forms, however they are made -----------------------------------------------------------------


def test_requests_form_is_read(frs: Running) -> None:
    """What most Python programs send: file and text fields, in any order."""
    form = {"image_file": ("face.jpg", PICTURE, "image/jpeg"), "attributes": (None, "2")}
    answer = requests.post(frs.url(FACE), files=form, headers={"X-Auth-Token": TOKEN}, timeout=60)
    assert answer.json()["faces"]


@pytest.mark.parametrize(
    "flags", [(), ("-H", "Expect: 100-continue"), ("-H", "Expect:"), ("--http1.0",)]
)
def test_curl_form_is_read(frs: Running, tmp_path: Path, flags: tuple[str, ...]) -> None:
    """curl -F, with and without a wait for 100 Continue."""
    assert curl(frs, tmp_path, "-F", "image_file=@face.jpg", *flags)["result"]["picture"]
    assert curl(frs, tmp_path, "-F", "image_file=<face.jpg", *flags)["result"]["picture"]


def test_curl_json_is_read(frs: Running, tmp_path: Path) -> None:
    """curl -d, whose Content-Type says something else."""
    (tmp_path / "body").write_text(json.dumps({"image_base64": kit.text(PICTURE)}))
    assert curl(frs, tmp_path, "-d", "@body")["result"]["picture"]


def curl(frs: Running, folder: Path, *arguments: str) -> dict[str, Any]:
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    (folder / "face.jpg").write_bytes(jpeg(1280, 960))  # above 1 MB: what others would put into a file
    command = ["curl", "-sS", "--noproxy", "*", "-H", f"X-Auth-Token: {TOKEN}", *arguments]
    done = subprocess.run(
        [*command, frs.url(LIVE_FACE)], cwd=folder, capture_output=True, timeout=60, check=True
    )
    return json.loads(done.stdout)


def test_hand_made_form_is_read(frs: Running) -> None:
    """`boundary=` without a blank, and parts with a Content-Length of their own."""
    part = (
        b'Content-Disposition: form-data; name="image_file"; filename="a"\r\nContent-Length: %d\r\n\r\n'
    )
    content = b"--x\r\n" + part % len(PICTURE) + PICTURE + b"\r\n--x--"
    answer = post(frs, FACE, content, headers={"Content-Type": "multipart/form-data;boundary=x"})
    assert answer.json()["faces"]


def test_base64_with_line_breaks_is_read(frs: Running) -> None:
    """The cloud advises against them; MIME encoders make them."""
    content = {"image_base64": base64.encodebytes(PICTURE).decode()}
    assert post(frs, FACE, None, json=content).json()["faces"]


def test_no_file_is_written_for_a_large_form(folder: Path) -> None:
    """With the server's files limited to less than the form has, every answer is there."""
    with frs_server(folder) as running:
        most = running.log.stat().st_size + (256 << 10)  # room for the log
        resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, (most, most))
        large = jpeg(2048, 1536)
        assert len(large) > most
        form = {"image_file": large, "attributes": large}
        answer = requests.post(
            running.url(LIVE_FACE), files=form, headers={"X-Auth-Token": TOKEN}, timeout=60
        )
        assert answer.json()["result"]["picture"]


# --- hostile bodies -------------------------------------------------------------------------------

GOOD_JSON = json.dumps({"image_base64": kit.text(jpeg(48, 48)), "attributes": "2"}).encode()
GOOD_FORM = requests.Request(
    "POST", "http://x", files={"attributes": (None, "2"), "image_file": ("a", jpeg(48, 48))}
).prepare()


@given(st.data())
@settings(FUZZ, max_examples=600)
def test_mutated_requests_are_answered_and_never_a_defect(frs: Running, data: Any) -> None:
    """Bytes changed, cut or put in: an answer of the contract, never a server error."""
    is_form = data.draw(st.booleans())
    content = mutated(data, GOOD_FORM.body if is_form else GOOD_JSON)
    content_type = GOOD_FORM.headers["Content-Type"] if is_form else "application/json"
    path = data.draw(st.sampled_from([LIVE_FACE, FACE, f"/v1/{PROJECT}/live-detect"]))
    answer = post(frs, path, content, headers={"Content-Type": content_type})
    assert answer.status_code in (200, 400)
    if answer.status_code != 200:
        said(answer)
    assert frs.process.poll() is None


@pytest.mark.parametrize(
    "path", ["/v1/a%3Fb", "/v1/a%0A", "/v1/%E8%84%B8", "/v1/a%23", "/v1/%2e%2e", "/v1/%FF"]
)
def test_odd_project_ids_are_answered(frs: Running, path: str) -> None:
    """Whatever stands where the project's id belongs."""
    answer = post(frs, f"{path}/live-detect-face", GOOD_JSON)
    assert answer.status_code in (200, 400, 404)


def test_method_with_a_line_feed_is_no_method(frs: Running) -> None:
    """A route's pattern may end before a line feed; the dialect does not."""
    assert said(post(frs, f"{LIVE_FACE}%0A", GOOD_JSON))[:2] == ("APIG.0101", 404)


def test_no_pixels_and_no_secrets_in_the_log(frs: Running) -> None:
    """What was sent, and what opens the door, stand in no log."""
    with contextlib.suppress(requests.RequestException):
        post(frs, LIVE_FACE, json.dumps({"image_base64": "U0VDUkVUUElYRUxT"}))
    log = frs.log.read_text()
    assert not [secret for secret in ("U0VDUkVUUElYRUxT", TOKEN, kit.SECRET) if secret in log]


def test_picture_of_many_pixels_comes_back_as_it_was_sent(frs: Running) -> None:
    """`picture` is the file itself, at its own resolution."""
    content = smooth(1920, 1080)
    answer = post(frs, LIVE_FACE, None, json={"image_base64": kit.text(content)}).json()
    assert base64.b64decode(answer["result"]["picture"]) == content


def test_sdk_with_real_models_tells_a_person(folder: Path) -> None:
    """A photograph of one person: alive, surely, without a warning; one box around the face."""
    models, photo = (
        support.reference_flags(),
        support.shared("media", "stills", "image_T1.jpg"),
    )
    running = start(folder, *models, backend="onnxruntime")
    try:
        client = sdk(running.url(""))
        alive = client.detect_live_face_by_base64(kit.live_face(photo.read_bytes()))
        found = client.detect_face_by_base64(kit.face(photo.read_bytes()))
    finally:
        running.stop()
    assert alive.result.alive is True
    assert 0.5 < alive.result.confidence <= 1
    assert alive.warning_list == []
    assert [box.bounding_box.width > 40 for box in found.faces] == [True]


@pytest.mark.parametrize(("action", "name"), [(3, "ict_a_nod"), (4, "ict_a_mouth")])
def test_sdk_with_real_models_tells_an_action(folder: Path, action: int, name: str) -> None:
    """A drawn head did what was asked for, and nothing else; who did another thing is not alive."""
    models = support.reference_flags()
    content = support.shared("media", "rendered", f"{name}.mp4").read_bytes()
    running = start(folder, *models, backend="onnxruntime")
    other = 7 - action
    try:
        client = sdk(running.url(""))
        asked = [
            ask(client.detect_live_by_file, lambda n=number: kit.live_file(str(n), content)).video_result
            for number in (action, other)
        ]
    finally:
        running.stop()
    assert [one.actions[0].confidence >= 0.5 for one in asked] == [True, False]
    assert asked[1].alive is False
    assert all(base64.b64decode(one.picture)[:2] == b"\xff\xd8" for one in asked)
