"""The Huawei FRS dialect: credentials, fields, answers, and the table of its document."""

from __future__ import annotations

import base64
import contextlib
import json
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import support
from livegate.core.config import AccessKey, AccessToken, VideoConfig
from livegate.core.errors import ErrorCode, LiveGateError, RequestError, SetupError
from livegate.core.request import AnalyzeRequest, VerifyRequest
from livegate.core.results import (
    Action,
    ActionResult,
    Analysis,
    Box,
    Decision,
    DetectedFace,
    Face,
    FaceQuality,
    HeadPose,
    Reason,
    StageTimes,
    Verdict,
)
from livegate.gateway.dialect import Fetch, Head
from livegate.gateway.dialects.huawei_frs import Plugin
from livegate.gateway.fetch import Failure, FetchError
from livegate.gateway.frs import FrsCode, FrsError, frs_table_markdown
from livegate.ingest.video_size import require_bytes
from support import config_with, encoded, noise, video_verdict

LIVE_FACE, FACE, LIVE = "/v1/p/live-detect-face", "/v2/p/face-detect", "/v2/p/live-detect"
JPEG = encoded(".jpg", noise(64, 48))
TOKEN = AccessToken(name="kiosk", token="token-of-the-kiosk", projects=("p",), rate_limit_rps=1)
KEY = AccessKey(access="AK", secret="secret-of-the-key")


def plugin(**own: Any) -> Plugin:
    return Plugin(config_with(huawei_frs=own))


def head(path: str = LIVE_FACE, **headers: str) -> Head:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return Head("POST", path, "", sent, "r")


def row(call: Any, *arguments: Any) -> FrsCode:
    with pytest.raises(FrsError) as caught:
        call(*arguments)
    return caught.value.row


# --- credentials ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("own", "is_authenticated"),
    [
        ({}, False),
        ({"keys": (KEY,)}, True),
        ({"tokens": (TOKEN,)}, True),
        ({"keys": (KEY,), "auth": "none"}, False),
        ({"auth": "aksk"}, True),
        ({"auth": "token"}, True),
    ],
)
def test_authentication_is_on_as_configured(own: dict[str, Any], is_authenticated: bool) -> None:
    """By itself as soon as there are credentials; without any, a demand for them lets nobody in."""
    dialect = plugin(**own)
    assert dialect.is_authenticated is is_authenticated
    if is_authenticated:
        assert row(dialect.authenticate, head()) is FrsCode.NO_HEADER


def test_token_opens_for_its_projects_and_at_its_rate() -> None:
    """FRS.0002, FRS.0028 and FULL."""
    dialect = plugin(tokens=(TOKEN,))
    dialect.authenticate(head(x_auth_token=TOKEN.token))
    with pytest.raises(RequestError) as caught:
        dialect.authenticate(head(x_auth_token=TOKEN.token))
    assert caught.value.code is ErrorCode.FULL
    elsewhere = head("/v1/other/live-detect-face", x_auth_token=TOKEN.token)
    assert row(dialect.authenticate, elsewhere) is FrsCode.BAD_PROJECT
    for wrong in ("x", TOKEN.token + "x", "\xe9"):
        assert row(dialect.authenticate, head(x_auth_token=wrong)) is FrsCode.BAD_TOKEN


def test_token_is_nothing_where_only_signatures_count() -> None:
    """auth = aksk with tokens configured, and the other way round."""
    only_keys = plugin(keys=(KEY,), tokens=(TOKEN,), auth="aksk")
    assert row(only_keys.authenticate, head(x_auth_token=TOKEN.token)) is FrsCode.NO_HEADER
    only_tokens = plugin(keys=(KEY,), tokens=(TOKEN,), auth="token")
    assert row(only_tokens.authenticate, head(authorization="SDK-HMAC-SHA256 …")) is FrsCode.NO_HEADER


def test_signature_over_a_body_is_verified_with_the_body() -> None:
    """A head that could be right is not enough."""
    dialect = Plugin(config_with(huawei_frs={"keys": (KEY,), "clock_window_s": 2_000_000_000}))
    forged = head(
        authorization="SDK-HMAC-SHA256 Access=AK, SignedHeaders=x-sdk-date, Signature=" + "0" * 64,
        x_sdk_date="20261120T235520Z",
    )
    dialect.authenticate(forged)
    with pytest.raises(LiveGateError) as caught:
        dialect.parse(forged, b"{}")
    assert caught.value.code is ErrorCode.NO_PERMISSION


def test_access_key_twice_is_refused() -> None:
    """One key, one secret."""
    with pytest.raises(SetupError, match="AK more than once"):
        plugin(keys=(KEY, KEY))


# --- fields ---------------------------------------------------------------------------------------


def parse(fields: Any, path: str = LIVE_FACE) -> AnalyzeRequest:
    return plugin().parse(head(path), json.dumps(fields).encode())


def test_parse_asks_for_what_the_method_answers() -> None:
    """Silent liveness with the faces beside it, or faces alone; unknown fields are ignored."""
    fields = {"image_base64": base64.b64encode(JPEG).decode(), "image_url": "", "new": [1]}
    assert parse(fields).algo_tasks == (1031, 9001)
    found = parse({**fields, "attributes": "2,12"}, FACE)
    assert (found.algo_tasks, found.images) == ((9001,), (JPEG,))


IMAGE = base64.b64encode(JPEG).decode()


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, FrsCode.NO_PARAM),
        ({"image_base64": ""}, FrsCode.NO_PARAM),
        ({"image_base64": None}, FrsCode.NO_PARAM),
        ([], FrsCode.BAD_JSON),
        (None, FrsCode.BAD_JSON),
        ({"image_base64": 7}, FrsCode.BAD_PARAM),
        ({"image_base64": {}}, FrsCode.BAD_PARAM),
        ({"image_file": IMAGE}, FrsCode.BAD_PARAM),
        ({"image_url": ["/b/o"]}, FrsCode.BAD_PARAM),
        ({"image_base64": IMAGE, "image_url": "/b/o"}, FrsCode.BAD_PARAM),
        ({"image_base64": IMAGE, "attributes": "a"}, FrsCode.BAD_PARAM),
        ({"image_base64": IMAGE, "attributes": 2}, FrsCode.BAD_PARAM),
        ({"image_url": "/bucket"}, FrsCode.BAD_URL),
        ({"image_url": "file:///etc/passwd"}, FrsCode.BAD_URL),
        ({"image_base64": "data:image/jpeg;base64," + IMAGE}, FrsCode.BAD_IMAGE),
        ({"image_base64": IMAGE[:-1]}, FrsCode.BAD_IMAGE),
        ({"image_base64": base64.b64encode(b"text").decode()}, FrsCode.BAD_IMAGE),
        ({"image_base64": base64.b64encode(b"II*\0" + bytes(9)).decode()}, FrsCode.BAD_FORMAT),
        ({"image_base64": base64.b64encode(b"\0\0\0 ftypheic").decode()}, FrsCode.BAD_FORMAT),
        ({"image_base64": base64.b64encode(encoded(".png", noise(8, 8))).decode()}, FrsCode.BAD_SIZE),
        ({"image_base64": "A" * ((8 << 20) + 1)}, FrsCode.BODY_TOO_LARGE),
    ],
)
def test_parse_wrong_fields_have_their_row(fields: Any, expected: FrsCode) -> None:
    """What is wrong with the input, in the cloud's words."""
    assert row(parse, fields, FACE) is expected


def test_parse_form_fields_twice_are_refused() -> None:
    """Two readers could take either."""
    part = b'--b\r\nContent-Disposition: form-data; name="image_file"\r\n\r\nx\r\n'
    form = head(content_type="multipart/form-data; boundary=b")
    assert row(plugin().parse, form, part * 2 + b"--b--") is FrsCode.BAD_PARAM


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":[' + b"[]," * 100_000 + b"0]}",
        b'{"image_base64":[' + b"[]," * 100_000 + b"0]}",
        b"[" + b"{}," * 100_000 + b"0]",
        b'{"image_base64":"",' + b",".join(b'"k%d":0' % n for n in range(50_000)) + b"}",
    ],
)
def test_parse_large_text_takes_no_memory_before_it_is_refused(body: bytes) -> None:
    """Taken apart it would need twenty times its bytes."""
    dialect = plugin()
    tracemalloc.start()
    with pytest.raises(FrsError):
        dialect.parse(head(FACE), body)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 100_000


@pytest.mark.parametrize("attributes", ["2,12", "2, 12", " 2 ,12 "])
def test_parse_attributes_may_have_blanks(attributes: str) -> None:
    """As the actions may."""
    assert parse({"image_base64": IMAGE, "attributes": attributes}, FACE).algo_tasks == (9001,)


VIDEO = {"video_base64": "AAAA", "actions": "1"}
TIMES = "0-9,9-20,30-31"


def form_body(fields: dict[str, str]) -> bytes:
    parts = [
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    return ("".join(parts) + "--b--").encode()


def test_parse_video_question_reads_json_and_form_alike() -> None:
    """Numbers come as numbers or as text, the threshold has a default."""
    assert parse(VIDEO, LIVE) == VerifyRequest(9002, "", (1,), b"\0\0\0", "r", (), 10.0)
    form = {"actions": "1, 3,2", "video_file": "v", "nod_threshold": "12.5", "action_time": TIMES}
    windows = ((0, 9), (9, 20), (30, 31))
    found = plugin().parse(head(LIVE, content_type="multipart/form-data; boundary=b"), form_body(form))
    assert found == VerifyRequest(9002, "", (1, 3, 2), b"v", "r", windows, 12.5)
    found = parse({**VIDEO, "actions": ",".join("5" * 10)}, LIVE)
    assert isinstance(found, VerifyRequest)
    assert found.actions == (5,) * 10


@pytest.mark.parametrize(
    "url",
    [
        "/bucket/folder/o.jpg",
        "/faces/a b.jpg",
        "/faces/人 脸.jpg",
        "HTTP://host/a.jpg",
        "https://host/a",
    ],
)
def test_parse_of_a_url_wants_it_fetched_and_then_looks_at_the_bytes(url: str) -> None:
    """What is fetched meets the same checks as what is sent."""
    found = parse({"image_url": url}, FACE)
    assert isinstance(found, Fetch)
    assert (found.url, found.max_bytes, found.timeout_s) == (url, 8 << 20, 5.0)
    assert found.then(JPEG) == AnalyzeRequest(1019, "", (9001,), (JPEG,), "r")
    assert row(found.then, b"no picture") is FrsCode.BAD_IMAGE
    video = parse({"video_url": url, "actions": "1,3"}, LIVE)
    assert isinstance(video, Fetch)
    asked = video.then(b"bytes")
    assert isinstance(asked, VerifyRequest)
    assert (asked.video, asked.actions) == (b"bytes", (1, 3))


ROW_OF_FAILURE = {
    Failure.REFUSED: FrsCode.BAD_URL,
    Failure.ABSENT: FrsCode.NO_OBS,
    Failure.FAILED: FrsCode.NO_OBS,
    Failure.TIMEOUT: FrsCode.NO_OBS,
    Failure.TOO_LARGE: FrsCode.BODY_TOO_LARGE,
}


@pytest.mark.parametrize("reason", Failure)
def test_render_error_of_a_fetch_names_why(reason: Failure) -> None:
    """Every way to fail, also the slow one, which is no gateway timeout of ours."""
    expected = ROW_OF_FAILURE[reason]
    answer = plugin().render_error(FetchError(reason, "the fact"), None)
    body = json.loads(answer.body)
    assert (answer.status, body["error_code"]) == (expected.http_status, expected.value)
    assert "the fact" in body["error_msg"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"actions": None}, FrsCode.NO_PARAM),
        ({"actions": ""}, FrsCode.NO_PARAM),
        ({"actions": 1}, FrsCode.BAD_PARAM),
        ({"actions": "1,"}, FrsCode.BAD_ACTION),
        ({"actions": "0"}, FrsCode.BAD_ACTION),
        ({"actions": "6"}, FrsCode.BAD_ACTION),
        ({"actions": "１"}, FrsCode.BAD_ACTION),
        ({"actions": ",".join("1" * 11)}, FrsCode.TOO_MANY_ACTIONS),
        ({"action_time": "0-1,1-2"}, FrsCode.BAD_PARAM),
        ({"action_time": "1-0"}, FrsCode.BAD_PARAM),
        ({"action_time": "0-1-2"}, FrsCode.BAD_PARAM),
        ({"action_time": 7}, FrsCode.BAD_PARAM),
        ({"nod_threshold": 0.5}, FrsCode.BAD_PARAM),
        ({"nod_threshold": 90.5}, FrsCode.BAD_PARAM),
        ({"nod_threshold": "nan"}, FrsCode.BAD_PARAM),
        ({"nod_threshold": "1_0"}, FrsCode.BAD_PARAM),
        ({"nod_threshold": "１０"}, FrsCode.BAD_PARAM),
        ({"nod_threshold": " 10\n"}, FrsCode.BAD_PARAM),
        ({"nod_threshold": True}, FrsCode.BAD_PARAM),
        ({"nod_threshold": []}, FrsCode.BAD_PARAM),
        ({"nod_threshold": 10**400}, FrsCode.BAD_PARAM),
        ({"video_base64": None}, FrsCode.NO_PARAM),
        ({"video_base64": "@"}, FrsCode.BAD_VIDEO),
        ({"video_base64": "A" * ((8 << 20) + 1)}, FrsCode.BODY_TOO_LARGE),
        ({"video_base64": None, "video_url": "ftp://x/y"}, FrsCode.BAD_URL),
        ({"video_base64": None, "video_url": "/b/o", "actions": "7"}, FrsCode.BAD_ACTION),
    ],
)
def test_parse_video_question_wrong_fields_have_their_row(change: Any, expected: FrsCode) -> None:
    """Each field of live-detect, wrong."""
    assert row(parse, {**VIDEO, **change}, LIVE) is expected


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda v: st.lists(v),
    max_leaves=3,
)
NAMES = "image_base64 image_file image_url attributes video_base64 video_url actions action_time "
NAMES += "nod_threshold"
names = st.sampled_from(NAMES.split())


@given(st.dictionaries(names, json_values), st.sampled_from([LIVE_FACE, FACE, LIVE]))
def test_parse_any_values_are_refused_or_read(fields: dict[str, Any], path: str) -> None:
    """Any JSON in any field: a row of the table, or a question."""
    with contextlib.suppress(FrsError):
        assert parse(fields, path)


# --- answers --------------------------------------------------------------------------------------


def face(x: float, y: float, side: float) -> DetectedFace:
    return DetectedFace(0, Face(Box(x, y, side, side), (), 0.9))


def render(
    decision: Decision,
    *found: DetectedFace,
    detects: bool = False,
    qualities: tuple[FaceQuality | None, ...] = (),
) -> tuple[int, Any]:
    detection = Verdict(9001, "face_detection", Decision.FACE, 0.9, (), (0.9,), found)
    liveness = Verdict(1031, "silent_liveness", decision, 0.966, (), (0.966,))
    verdicts = (detection,) if detects else (liveness, detection)
    analysis = Analysis(1020, "", "r", 1, 640, 480, verdicts, (), StageTimes(), qualities)
    request = AnalyzeRequest(1019, "", (), (JPEG,), "r")
    answer = plugin().render(request, analysis)
    return answer.status, json.loads(answer.body)


def test_render_liveness_is_the_clouds_answer() -> None:
    """A real boolean, a number from 0 to 1, the picture, and no warning for one face."""
    assert render(Decision.GENUINE, face(10, 10, 100)) == (
        200,
        {"result": {"alive": True, "confidence": 0.966, "picture": IMAGE}, "warning-list": []},
    )
    status, body = render(Decision.SPOOF, face(10, 10, 100), face(300, 10, 50))
    assert (status, body["result"]["alive"]) == (200, False)
    assert [warning["warningCode"] for warning in body["warning-list"]] == [106]


GOOD = FaceQuality(200, 0.3, 0.5, HeadPose(0, 0, 0))


@pytest.mark.parametrize(
    ("quality", "codes"),
    [
        (None, []),
        (GOOD, []),
        (replace(GOOD, pose=None), []),
        (replace(GOOD, side_px=35), [101]),
        (replace(GOOD, sharpness=0.09), [102]),
        (replace(GOOD, pose=HeadPose(-31, 0, 0)), [103]),
        (replace(GOOD, brightness=0.1), [105]),
        (FaceQuality(60, 0.05, 0.05, HeadPose(0, 16, 0)), [101, 102, 103, 105]),
    ],
)
def test_render_liveness_warns_of_the_pictures_flaws(
    quality: FaceQuality | None, codes: list[int]
) -> None:
    """Each has its number and its text, and none changes the verdict."""
    answer = render(Decision.GENUINE, face(10, 10, 100), qualities=(quality,))[1]
    assert answer["result"]["alive"] is True
    assert [warning["warningCode"] for warning in answer["warning-list"]] == codes
    assert all(warning["warningMsg"] for warning in answer["warning-list"])


def test_parse_liveness_wants_the_pictures_quality_and_faces_do_not() -> None:
    """It costs a network, which is run for whoever reads its answer."""
    fields = {"image_base64": IMAGE}
    asked = [parse(fields, path) for path in (LIVE_FACE, FACE)]
    assert [isinstance(one, AnalyzeRequest) and one.wants_quality for one in asked] == [True, False]


def test_render_liveness_without_a_face_is_an_error_of_the_cloud() -> None:
    """Neither result nor warning-list; a face that is too small is another."""
    assert render(Decision.NO_FACE)[1]["error_code"] == "FRS.0707"
    status, body = render(Decision.GENUINE, face(10, 10, 39))
    assert (status, body["error_code"], set(body)) == (400, "FRS.0013", {"error_code", "error_msg"})
    assert render(Decision.GENUINE, face(10, 10, 40))[0] == 200


def test_render_faces_are_whole_pixels_inside_the_picture() -> None:
    """The largest first; attributes are not invented."""
    found = (face(1.4, 2.6, 30), face(-5.2, -4, 100), face(600, 470, 90))
    status, body = render(Decision.FACE, *found, detects=True)
    boxes = [list(one["bounding_box"].values()) for one in body["faces"]]
    assert status == 200
    assert boxes == [[0, 0, 95, 96], [600, 470, 40, 10], [1, 3, 30, 30]]
    assert {tuple(one) for one in body["faces"]} == {("bounding_box",)}
    assert render(Decision.FACE, detects=True)[1]["error_code"] == "FRS.0501"


SEEN = video_verdict(
    actions=(ActionResult(Action.NOD, True, 0.8), ActionResult(Action.BLINK, False, 0.1)), picture=JPEG
)
QUESTION = VerifyRequest(9002, "", (3, 5), b"v", "r")


def test_render_video_is_the_clouds_answer() -> None:
    """Its actions in the order asked for, and the best picture."""
    answer = plugin().render(QUESTION, SEEN)
    actions = [{"action": 3, "confidence": 0.8}, {"action": 5, "confidence": 0.1}]
    result = {"alive": True, "actions": actions, "picture": IMAGE}
    assert json.loads(answer.body) == {"video-result": result, "warning-list": []}


def test_render_video_reasons_are_warnings() -> None:
    """What the cloud has a number for; a video without a face is an answer, not an error."""
    reasons = (Reason.NO_FACE, Reason.ACTION_MISSING, Reason.NO_FRONTAL_FACE, Reason.VIDEO_CUT)
    answer = plugin().render(QUESTION, replace(SEEN, is_alive=False, reasons=reasons, picture=b""))
    body = json.loads(answer.body)
    assert answer.status == 200
    assert [warning["warningCode"] for warning in body["warning-list"]] == [1, 5, 6, 7, 8]
    assert all(warning["warningMsg"] for warning in body["warning-list"])
    body = json.loads(plugin().render(QUESTION, replace(SEEN, most_faces=2)).body)
    assert [warning["warningCode"] for warning in body["warning-list"]] == [4]
    assert body["video-result"]["alive"] is True


def test_render_error_gateway_codes_carry_the_requests_id() -> None:
    """The cloud's gateway has a third key, its service has two."""
    fields = {"request_id": "r-1"}
    error = LiveGateError(ErrorCode.NO_EXIST, "a fact", fields=fields)
    assert json.loads(plugin().render_error(error, None).body)["request_id"] == "r-1"
    error = LiveGateError(ErrorCode.INNER, "a fact", fields=fields)
    assert set(json.loads(plugin().render_error(error, None).body)) == {
        "error_code",
        "error_msg",
    }


def test_render_error_of_a_video_above_the_limit_is_that_of_a_picture() -> None:
    """What is too large has one row, also where video.max_bytes is below the cloud's own limit."""
    with pytest.raises(RequestError) as caught:
        require_bytes(11, VideoConfig(max_bytes=10))
    answer = plugin().render_error(caught.value, QUESTION)
    assert json.loads(answer.body)["error_code"] == FrsCode.BODY_TOO_LARGE.value


@pytest.mark.parametrize("code", [code for code in ErrorCode if code.http_status == 503])
def test_render_error_what_passes_by_itself_is_503(code: ErrorCode) -> None:
    """Clients ask again after 503 and call somebody after 500; device memory that ran out is one."""
    answer = plugin().render_error(LiveGateError(code, "a fact"), None)
    assert answer.status == 503
    assert json.loads(answer.body)["error_code"] == FrsCode.BUSY.value


# --- the table ------------------------------------------------------------------------------------


def test_table_is_the_references() -> None:
    """Every code that the reference lists has a row, and every row comes from it."""
    text = support.shared("reference", "cloud-apis.md").read_text()
    section = text[text.index("### 2.1 Error codes") : text.index("### 2.2 Warning codes")]
    listed = {line.split("|")[1].strip() for line in section.splitlines() if line.startswith("| FRS.")}
    assert listed == {code.value for code in FrsCode if code.value.startswith("FRS.")}
    assert all(code.value in section for code in FrsCode)


def test_reserved_rows_stand_with_their_reason_among_all_errors() -> None:
    """Who reads one page of errors finds what this box never answers, and why."""
    text = (Path(support.ROOT) / "docs" / "errors.md").read_text()
    reserved = [code for code in FrsCode if code.is_reserved]
    assert reserved
    assert all(f"| {code.value} | {code.origin} |" in text for code in reserved)


def test_table_stands_in_the_document() -> None:
    """docs/dialects/huawei_frs.md shows each row: status, text, what raises it or why nothing does."""
    lines = (Path(support.ROOT) / "docs" / "dialects" / "huawei_frs.md").read_text().splitlines()
    assert [line for line in lines if line.startswith(("| FRS.", "| APIG"))] == frs_table_markdown()
