"""The Linkface dialect: credentials, methods, answers, and the table of its document."""

from __future__ import annotations

import contextlib
import json
import re
from typing import Any

import pytest

import support
from livegate.client.container import key_from_text, pack_liveness_data
from livegate.core.config import Device, LinkfaceApp
from livegate.core.errors import DeadlineError, ErrorCode, LiveGateError, QueueError, RequestError
from livegate.core.request import AnalyzeRequest, Question, VerifyRequest
from livegate.core.results import Reason
from livegate.gateway.dialect import Fetch, Head, HttpAnswer
from livegate.gateway.dialects.linkface import NOT_HERE, Plugin
from livegate.gateway.fetch import Failure, FetchError
from livegate.gateway.linkface import LinkfaceError, LinkfaceStatus, linkface_table_markdown
from livegate.gateway.nonces import Nonces
from livegate.ingest.liveness_data import Motion
from support import config_with, encoded, noise, png_bomb
from unit.gateway.test_hackness import GENUINE, NOBODY, SPOOF, pictures
from unit.gateway.test_hackness import video as seen

HACK, SELFIE = "/hackness/liveness_hack_detect", "/hackness/selfie_hack_detect"
CHECK, UPLOAD = "/liveness/check_liveness", "/resources/upload_liveness_data"
JPEG = encoded(".jpg", noise(64, 48))
VIDEO = b"\0\0\0\x18ftypmp42" + bytes(100)
APP = LinkfaceApp(api_id="app", api_secret="secret-of-the-app", quota=2)
IN_QUERY = "api_id=app&api_secret=secret-of-the-app"
NOW_S = 1_795_000_000.0
HEX = "0123456789abcdef" * 2
Said = tuple[LinkfaceStatus, str]


def plugin(**own: Any) -> Plugin:
    return Plugin(config_with(linkface=own), now_s=lambda: NOW_S)


def form(**fields: str | bytes) -> bytes:
    parts = []
    for name, value in fields.items():
        content = value if isinstance(value, bytes) else value.encode()
        told = f'; filename="{name}"' if isinstance(value, bytes) else ""
        head = f'--x\r\nContent-Disposition: form-data; name="{name}"{told}\r\n\r\n'.encode()
        parts.append(head + content + b"\r\n")
    return b"".join([*parts, b"--x--"])


def head(path: str = HACK, query: str = "", body: bytes = b"x", **headers: str) -> Head:
    told = {
        "content-type": "multipart/form-data;boundary=x",
        "content-length": str(len(body)),
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    return Head("POST", path, query, told, HEX)


def parse(dialect: Plugin, path: str, **fields: str | bytes) -> Question | Fetch | HttpAnswer:
    body = form(**fields)
    return dialect.parse(head(path, body=body), body)


def asked(dialect: Plugin, path: str, **fields: str | bytes) -> Question:
    found = parse(dialect, path, **fields)
    assert isinstance(found, (AnalyzeRequest, VerifyRequest))
    return found


def refusal(dialect: Plugin, path: str, **fields: str | bytes) -> Said:
    with pytest.raises(RequestError) as caught:
        parse(dialect, path, **fields)
    answer = dialect.render_error(caught.value, None)
    return said(answer)


def said(answer: HttpAnswer) -> Said:
    told = json.loads(answer.body)
    assert set(told) == {"status", "reason", "request_id"}
    assert re.fullmatch("TID[0-9a-f]{32}", told["request_id"])
    row = next(row for row in LinkfaceStatus if row.value == told["status"])
    return row, told["reason"]


# --- credentials ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("own", "is_authenticated"),
    [
        ({}, False),
        ({"apps": (APP,)}, True),
        ({"apps": (APP,), "auth": "none"}, False),
        ({"auth": "secret"}, True),
    ],
)
def test_authentication_is_on_as_configured(own: dict[str, Any], is_authenticated: bool) -> None:
    """By itself as soon as there is an app; without any, a demand for them lets nobody in."""
    dialect = plugin(**own)
    assert dialect.is_authenticated is is_authenticated
    if is_authenticated:
        assert refusal(dialect, HACK, file=JPEG)[0] is LinkfaceStatus.UNAUTHORIZED


def test_credentials_in_the_query_are_checked_before_the_body() -> None:
    """And counted once: the quota of two lets two calls through."""
    dialect = plugin(apps=(APP,))
    body = form(file=JPEG)
    for _ in range(2):
        good = head(query=IN_QUERY, body=body)
        dialect.authenticate(good)
        assert isinstance(dialect.parse(good, body), AnalyzeRequest)
    with pytest.raises(LinkfaceError) as caught:
        dialect.authenticate(head(query=IN_QUERY, body=body))
    assert caught.value.row is LinkfaceStatus.OUT_OF_QUOTA


def test_wrong_credentials_in_the_query_are_refused_before_the_body() -> None:
    """Right ones in the body do not mend them."""
    with pytest.raises(LinkfaceError) as caught:
        plugin(apps=(APP,)).authenticate(head(query="api_id=app&api_secret=wrong"))
    assert caught.value.row is LinkfaceStatus.UNAUTHORIZED


def test_caller_without_a_body_is_refused_at_once() -> None:
    """There is nowhere left for credentials."""
    with pytest.raises(LinkfaceError):
        plugin(apps=(APP,)).authenticate(head(body=b""))
    plugin(apps=(APP,)).authenticate(head(content_length="0", transfer_encoding="chunked"))


@pytest.mark.parametrize("kind", ["form", "urlencoded", "json", "split"])
def test_credentials_in_the_body_are_checked_with_it(kind: str) -> None:
    """Form, urlencoded, JSON, or one of them in the query."""
    fields = {"api_id": "app", "api_secret": "secret-of-the-app", "liveness_data_id": "x"}
    body, content_type, query = form(**fields), "multipart/form-data;boundary=x", ""
    if kind == "urlencoded":
        body, content_type = (
            IN_QUERY.encode() + b"&liveness_data_id=x",
            "application/x-www-form-urlencoded",
        )
    elif kind == "json":
        body, content_type = json.dumps(fields).encode(), "application/json"
    elif kind == "split":
        body, query = form(api_secret="secret-of-the-app", liveness_data_id="x"), "api_id=app"
    dialect = plugin(apps=(APP,))
    for _ in range(2):
        here = head(query=query, body=body, content_type=content_type)
        dialect.authenticate(here)
        with pytest.raises(LinkfaceError, match="unknown or has expired"):
            dialect.parse(here, body)
    with pytest.raises(LinkfaceError) as caught:
        dialect.parse(head(query=query, body=body, content_type=content_type), body)
    assert caught.value.row is LinkfaceStatus.OUT_OF_QUOTA


def test_stranger_burns_no_nonce_and_stores_nothing() -> None:
    """Who is refused changes nothing for the one whose container it is."""
    dialect = plugin(apps=(APP,), uploads=True)
    container = packed()
    assert refusal(dialect, HACK, file=container)[0] is LinkfaceStatus.UNAUTHORIZED
    good = {"api_id": "app", "api_secret": "secret-of-the-app"}
    assert isinstance(asked(dialect, HACK, file=container, **good), AnalyzeRequest)


def test_caller_above_its_rate_burns_no_nonce() -> None:
    """Refused before the container is looked at: another may have it judged."""
    slow = LinkfaceApp(api_id="slow", api_secret="secret-of-the-slow", rate_limit_rps=0.001)
    dialect = plugin(apps=(slow, APP))
    own = {"api_id": "slow", "api_secret": "secret-of-the-slow"}
    assert asked(dialect, HACK, file=JPEG, **own)
    container = packed()
    assert refusal(dialect, HACK, file=container, **own)[0] is LinkfaceStatus.RATE_LIMIT_EXCEEDED
    assert asked(dialect, HACK, file=container, api_id="app", api_secret="secret-of-the-app")


# --- methods --------------------------------------------------------------------------------------


def packed(offset_s: float = 60, **content: Any) -> bytes:
    """A container of a client whose clock goes a minute fast: later than the dialect's start."""
    content = content or {"images": [JPEG]}
    return pack_liveness_data(device_id="kiosk-7", now_s=lambda: NOW_S + offset_s, **content)


def test_hack_detect_asks_silent_liveness_of_pictures() -> None:
    """A plain picture, or those of a container."""
    for content, images in ((JPEG, (JPEG,)), (packed(images=[JPEG, JPEG]), (JPEG, JPEG))):
        question = asked(plugin(), HACK, liveness_data_file=content)
        assert isinstance(question, AnalyzeRequest)
        assert (question.algo_tasks, question.images) == ((1031,), images)


def test_hack_detect_asks_a_video_without_actions() -> None:
    """Motions that a container names are check_liveness's to judge."""
    for content in (VIDEO, packed(video=VIDEO, motions=[Motion.NOD])):
        question = asked(plugin(), HACK, file=content)
        assert isinstance(question, VerifyRequest)
        assert (question.actions, question.needs_actions, question.video) == ((), False, VIDEO)


def test_hack_answer_has_score_and_id() -> None:
    """The cloud's fields, score as a number, request_id as the cloud writes it."""
    dialect = plugin()
    answer = dialect.render(asked(dialect, HACK, file=JPEG), pictures(GENUINE))
    told = json.loads(answer.body)
    assert re.fullmatch("[0-9a-f]{32}", told.pop("liveness_data_id"))
    assert (answer.status, told) == (200, {"request_id": f"TID{HEX}", "status": "OK", "score": 0.0})


def test_answer_without_a_face_has_no_score() -> None:
    """Nor an id: there was nothing to judge."""
    dialect = plugin()
    answer = dialect.render(asked(dialect, HACK, file=JPEG), pictures(NOBODY))
    assert answer.status == 400
    assert said(answer) == (LinkfaceStatus.NO_FACE_DETECTED, "there is no face in the picture")


def test_selfie_answer_has_an_image_id() -> None:
    """The same score under the other method's name of the id."""
    dialect = plugin()
    told = json.loads(dialect.render(asked(dialect, SELFIE, file=JPEG), pictures(SPOOF)).body)
    assert told["score"] == 1
    assert re.fullmatch("[0-9a-f]{32}", told["image_id"])
    assert "liveness_data_id" not in told


@pytest.mark.parametrize(
    ("content", "row"),
    [
        (bytes((5 << 20) + 1), LinkfaceStatus.IMAGE_FILE_SIZE_TOO_BIG),
        (b"I am no picture", LinkfaceStatus.CORRUPT_IMAGE),
        (JPEG[:10], LinkfaceStatus.CORRUPT_IMAGE),
        (packed(), LinkfaceStatus.CORRUPT_IMAGE),
        (b"GIF89a" + bytes(20), LinkfaceStatus.INVALID_IMAGE_FORMAT_OR_SIZE),
        (png_bomb(20_000, 20_000), LinkfaceStatus.INVALID_IMAGE_FORMAT_OR_SIZE),
        (encoded(".jpg", noise(8, 8)), LinkfaceStatus.INVALID_IMAGE_FORMAT_OR_SIZE),
    ],
)
def test_selfie_that_is_none_has_its_status(content: bytes, row: LinkfaceStatus) -> None:
    """Before anything is decoded."""
    assert refusal(plugin(), SELFIE, file=content)[0] is row


def test_check_liveness_answers_motions() -> None:
    """The result, and the hack only where it is asked for."""
    dialect = plugin()
    question = asked(dialect, CHECK, motions="BLINK NOD", file=VIDEO)
    assert isinstance(question, VerifyRequest)
    assert not question.needs_actions
    told = json.loads(dialect.render(question, seen(GENUINE)).body)
    assert told["status"] == "OK"
    assert told["result"]["passed"] is False
    assert [one["motion"] for one in told["result"]["motions"]] == ["BLINK", "NOD"]
    assert "anti_hack_result" not in told
    assert "liveness_data_id" not in told


def test_check_liveness_tells_of_a_hack_where_it_is_asked() -> None:
    """A score as liveness_hack_detect's, or why there is none; the result stands beside it."""
    dialect = plugin()
    question = asked(dialect, CHECK, motions="NOD", anti_hack="true", file=VIDEO)
    told = json.loads(dialect.render(question, seen(SPOOF)).body)
    assert told["anti_hack_result"] == {"status": "OK", "score": 1.0}
    nobody = json.loads(dialect.render(question, seen(None, Reason.NO_FACE)).body)
    assert nobody["anti_hack_result"]["status"] == "NO_FACE_DETECTED"
    assert nobody["result"]["passed"] is False
    assert nobody["status"] == "OK"


@pytest.mark.parametrize(
    ("fields", "row"),
    [
        ({"file": VIDEO}, LinkfaceStatus.INVALID_ARGUMENT),
        ({"file": VIDEO, "motions": "WINK"}, LinkfaceStatus.INVALID_ARGUMENT),
        ({"file": VIDEO, "motions": "NOD", "complexity": "4"}, LinkfaceStatus.INVALID_ARGUMENT),
        ({"file": VIDEO, "motions": "NOD", "anti_hack": "maybe"}, LinkfaceStatus.INVALID_ARGUMENT),
        ({"motions": "NOD"}, LinkfaceStatus.INVALID_ARGUMENT),
        ({"file": JPEG, "motions": "NOD"}, LinkfaceStatus.WRONG_LIVENESS_DATA),
        ({"file": packed(), "motions": "NOD"}, LinkfaceStatus.WRONG_LIVENESS_DATA),
    ],
)
def test_check_liveness_refuses_what_is_no_question(
    fields: dict[str, str | bytes], row: LinkfaceStatus
) -> None:
    """Parameters, then the recording."""
    assert refusal(plugin(), CHECK, **fields)[0] is row


def test_check_liveness_is_refused_where_a_challenge_is_required() -> None:
    """Else the operator's challenge would be gone around by another URL; hackness is no matter of it."""
    dialect = Plugin(config_with(challenge={"required": True}), now_s=lambda: NOW_S)
    assert refusal(dialect, CHECK, motions="NOD", file=VIDEO)[0] is LinkfaceStatus.NO_PERMISSION
    assert asked(dialect, HACK, file=VIDEO)


def test_container_for_other_motions_is_refused_and_not_burnt() -> None:
    """What the device asked for must be what the client asks for."""
    dialect = plugin()
    container = packed(video=VIDEO, motions=[Motion.BLINK, Motion.NOD])
    row, reason = refusal(dialect, CHECK, motions="NOD BLINK", file=container)
    assert (row, reason) == (
        LinkfaceStatus.WRONG_LIVENESS_DATA,
        "the container was made for the motions BLINK NOD",
    )
    assert asked(dialect, CHECK, motions="BLINK NOD", file=container)


@pytest.mark.parametrize("path", sorted(NOT_HERE))
def test_method_that_is_not_here_says_why(path: str) -> None:
    """No registers, no documents."""
    row, reason = refusal(plugin(), path, liveness_data_file=JPEG, name="n", id_number="1")
    assert row is LinkfaceStatus.NO_PERMISSION
    assert reason.startswith("this box judges liveness")


def test_path_that_a_route_lets_through_and_nobody_has_is_404() -> None:
    """A route's pattern may end before a line feed."""
    assert refusal(plugin(), f"{HACK}\n", file=JPEG)[0] is LinkfaceStatus.NOT_FOUND


# --- ids ------------------------------------------------------------------------------------------


def test_upload_that_is_not_kept_gets_an_id_that_is_unknown() -> None:
    """The default: nothing stays."""
    dialect = plugin()
    stored = upload(dialect, JPEG)
    row, reason = refusal(dialect, HACK, liveness_data_id=stored)
    assert row is LinkfaceStatus.INVALID_ARGUMENT
    assert "unknown or has expired" in reason


def upload(dialect: Plugin, content: bytes, **fields: str) -> str:
    answer = parse(dialect, UPLOAD, file=content, **fields)
    assert isinstance(answer, HttpAnswer)
    told = json.loads(answer.body)
    assert (answer.status, told["status"]) == (200, "OK")
    assert told["image_id"] == told["liveness_data_id"]
    return str(told["liveness_data_id"])


def test_upload_that_is_kept_is_judged_by_its_id() -> None:
    """By either name; and its id comes back in the answer."""
    dialect = plugin(uploads=True)
    stored = upload(dialect, JPEG)
    for path, name in ((HACK, "liveness_data_id"), (SELFIE, "image_id")):
        question = asked(dialect, path, **{name: stored})
        assert isinstance(question, AnalyzeRequest)
        assert question.images == (JPEG,)
        assert json.loads(dialect.render(question, pictures(GENUINE)).body)[name] == stored


def test_judged_picture_is_kept_under_the_id_of_its_answer() -> None:
    """Where the operator turned it on."""
    dialect = plugin(uploads=True)
    told = json.loads(dialect.render(asked(dialect, HACK, file=JPEG), pictures(GENUINE)).body)
    assert asked(dialect, HACK, liveness_data_id=told["liveness_data_id"])


def test_upload_of_another_app_is_unknown() -> None:
    """An id opens nothing for somebody else."""
    other = LinkfaceApp(api_id="other", api_secret="secret-of-the-other")
    dialect = plugin(apps=(replace_quota(APP), other), uploads=True)
    mine = {"api_id": "app", "api_secret": "secret-of-the-app"}
    stored = upload(dialect, JPEG, **mine)
    theirs = {"api_id": "other", "api_secret": "secret-of-the-other"}
    assert (
        refusal(dialect, HACK, liveness_data_id=stored, **theirs)[0] is LinkfaceStatus.INVALID_ARGUMENT
    )
    assert asked(dialect, HACK, liveness_data_id=stored, **mine)


def replace_quota(app: LinkfaceApp) -> LinkfaceApp:
    return LinkfaceApp(api_id=app.api_id, api_secret=app.api_secret)


def test_unknown_image_id_has_its_own_status() -> None:
    """The selfie method's."""
    assert refusal(plugin(), SELFIE, image_id="x")[0] is LinkfaceStatus.IMAGE_ID_NOT_EXIST


def test_upload_of_what_cannot_be_read_is_refused() -> None:
    """Sooner than by its id."""
    assert refusal(plugin(), UPLOAD, file=b"blob")[0] is LinkfaceStatus.WRONG_LIVENESS_DATA


# --- replays --------------------------------------------------------------------------------------


def test_container_is_judged_once_whatever_the_method() -> None:
    """Judged: the second is a replay, in each method and by its id."""
    dialect = plugin(uploads=True)
    container = packed(video=VIDEO)
    stored = upload(dialect, container)
    dialect.render(asked(dialect, HACK, file=container), seen(GENUINE))
    for path, fields in (
        (HACK, {"file": container}),
        (HACK, {"liveness_data_id": stored}),
        (CHECK, {"file": container, "motions": "NOD"}),
    ):
        row, reason = refusal(dialect, path, **fields)
        assert row is LinkfaceStatus.WRONG_LIVENESS_DATA
        assert "judged already" in reason


def test_second_copy_is_refused_while_the_first_is_judged() -> None:
    """Two that come at once are one."""
    dialect = plugin()
    container = packed()
    assert asked(dialect, HACK, file=container)
    assert refusal(dialect, HACK, file=container)[0] is LinkfaceStatus.WRONG_LIVENESS_DATA


def test_container_of_a_request_without_a_verdict_may_come_again() -> None:
    """A full queue burns nothing; a verdict does."""
    dialect = plugin()
    container = packed()
    question = asked(dialect, HACK, file=container)
    dialect.render_error(QueueError(ErrorCode.QUEUE_FULL, "full"), question)
    dialect.render(asked(dialect, HACK, file=container), pictures(NOBODY))
    assert "judged already" in refusal(dialect, HACK, file=container)[1]


def test_containers_without_a_seal_push_out_none_that_has_one() -> None:
    """Whoever has no key could fill the memory with containers from the future, and refuse the rest."""
    dialect = plugin(devices=(Device(id="kiosk-7", key=HEX * 2),))
    small = (Nonces(300, capacity=4, now_s=lambda: NOW_S) for _ in range(2))
    dialect._sealed, dialect._open = small
    for _ in range(6):
        with contextlib.suppress(LinkfaceError):
            asked(dialect, HACK, file=packed(offset_s=290))
    assert refusal(dialect, HACK, file=packed(60))[0] is LinkfaceStatus.WRONG_LIVENESS_DATA
    sealed = packed(60, images=[JPEG], key=key_from_text("kiosk-7", HEX * 2))
    assert asked(dialect, HACK, file=sealed)
    assert "judged already" in refusal(dialect, HACK, file=sealed)[1]


@pytest.mark.parametrize(
    ("offset_s", "why"), [(-3600, "s ago"), (3600, "in the future"), (-10, "before this")]
)
def test_container_out_of_time_is_refused(offset_s: int, why: str) -> None:
    """Too old, from the future, from before the start."""
    row, reason = refusal(plugin(), HACK, file=packed(offset_s))
    assert row is LinkfaceStatus.WRONG_LIVENESS_DATA
    assert why in reason


# --- URLs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "fields", "timeout_s"),
    [
        (HACK, {"liveness_data_url": "https://h/a"}, 5),
        (SELFIE, {"url": "HTTP://h/a"}, 5),
        (UPLOAD, {"url": "http://h/a"}, 5),
        (CHECK, {"liveness_data_url": "http://h/a", "motions": "NOD"}, 10),
    ],
)
def test_url_is_fetched_and_then_asked_about(
    path: str, fields: dict[str, str], timeout_s: float
) -> None:
    """Within the cloud's time, and read as if it had been sent."""
    found = parse(plugin(), path, **fields)
    assert isinstance(found, Fetch)
    assert found.timeout_s == timeout_s
    assert found.max_bytes == 32 << 20
    assert found.then(VIDEO if path == CHECK else JPEG)
    with pytest.raises(LinkfaceError):
        found.then(b"blob")


def test_operator_may_allow_less_time() -> None:
    """urls.timeout_s, and twice that for check_liveness."""
    dialect = Plugin(config_with(urls={"timeout_s": 1.5}))
    for path, fields, timeout_s in ((HACK, {}, 1.5), (CHECK, {"motions": "NOD"}, 3)):
        found = parse(dialect, path, liveness_data_url="http://h/a", **fields)
        assert isinstance(found, Fetch)
        assert found.timeout_s == timeout_s


@pytest.mark.parametrize("url", ["ftp://h/a", "/bucket/object", "file:///etc/passwd", "a"])
def test_url_of_another_kind_is_refused(url: str) -> None:
    """The box's buckets are not for this cloud's clients."""
    assert refusal(plugin(), HACK, liveness_data_url=url)[0] is LinkfaceStatus.DOWNLOAD_ERROR


@pytest.mark.parametrize("reason", list(Failure))
def test_failed_fetch_has_the_clouds_status(reason: Failure) -> None:
    """Timeouts are their own; the rest is one status with its reason."""
    row, text = said(plugin().render_error(FetchError(reason, "a fact"), None))
    is_late = reason is Failure.TIMEOUT
    assert row is (LinkfaceStatus.DOWNLOAD_TIMEOUT if is_late else LinkfaceStatus.DOWNLOAD_ERROR)
    assert text == "a fact"


# --- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "row"),
    [
        (ErrorCode.DECODE_FAIL, LinkfaceStatus.WRONG_LIVENESS_DATA),
        (ErrorCode.OUT_OF_RANGE, LinkfaceStatus.WRONG_LIVENESS_DATA),
        (ErrorCode.PARAM_FAILURE, LinkfaceStatus.WRONG_LIVENESS_DATA),
        (ErrorCode.VIDEODECODER_DECODE_FAIL, LinkfaceStatus.WRONG_LIVENESS_DATA),
        (ErrorCode.QUEUE_FULL, LinkfaceStatus.INTERNAL_ERROR),
        (ErrorCode.TIMEOUT, LinkfaceStatus.INTERNAL_ERROR),
        (ErrorCode.MODELINFER_FAIL, LinkfaceStatus.INTERNAL_ERROR),
        (ErrorCode.INNER, LinkfaceStatus.INTERNAL_ERROR),
    ],
)
def test_what_the_service_says_of_a_recording_has_its_status(
    code: ErrorCode, row: LinkfaceStatus
) -> None:
    """An input that cannot be judged is the client's; the rest is ours."""
    dialect = plugin()
    answer = dialect.render_error(LiveGateError(code, "a fact"), asked(dialect, HACK, file=JPEG))
    assert said(answer)[0] is row
    if row is LinkfaceStatus.WRONG_LIVENESS_DATA:
        selfie = dialect.render_error(LiveGateError(code, "a fact"), asked(dialect, SELFIE, file=JPEG))
        assert said(selfie)[0] is LinkfaceStatus.CORRUPT_IMAGE


@pytest.mark.parametrize("code", [code for code in ErrorCode if code.http_status == 503])
def test_what_passes_by_itself_is_503(code: ErrorCode) -> None:
    """Clients ask again after 503 and call somebody after 500; device memory that ran out is one."""
    dialect = plugin()
    answer = dialect.render_error(LiveGateError(code, "a fact"), asked(dialect, HACK, file=JPEG))
    assert (answer.status, said(answer)[0]) == (503, LinkfaceStatus.INTERNAL_ERROR)


def test_busy_box_is_503_and_a_slow_body_408() -> None:
    """The statuses that the cloud's table has not."""
    dialect = plugin()
    full = dialect.render_error(
        QueueError(ErrorCode.QUEUE_FULL, "full"), asked(dialect, HACK, file=JPEG)
    )
    assert (full.status, said(full)[0]) == (503, LinkfaceStatus.INTERNAL_ERROR)
    slow = dialect.render_error(DeadlineError("slow"), None)
    assert (slow.status, said(slow)[0]) == (408, LinkfaceStatus.INVALID_ARGUMENT)


def test_box_without_the_models_says_so() -> None:
    """No permission, with the reason."""
    error = RequestError(ErrorCode.PARAM_FAILURE, "no models")
    error.fields["missing_task"] = "landmarks"
    dialect = plugin()
    answer = dialect.render_error(error, asked(dialect, HACK, file=VIDEO))
    assert said(answer) == (LinkfaceStatus.NO_PERMISSION, "no models")


@pytest.mark.parametrize("given", [HEX, f"TID{HEX}", "my own id", "TIDshort"])
def test_request_id_has_the_clouds_form(given: str) -> None:
    """Ours goes in as it is, the cloud's own stays, another is told by its digest; always the same."""
    dialect = plugin()
    error = RequestError(ErrorCode.PARAM_FAILURE, "x")
    error.fields["request_id"] = given
    told = [json.loads(dialect.render_error(error, None).body)["request_id"] for _ in range(2)]
    assert told[0] == told[1]
    assert re.fullmatch("TID[0-9a-f]{32}", told[0])
    assert (HEX in told[0]) is (HEX in given)


def test_table_of_the_document_is_the_enum() -> None:
    """docs/dialects/linkface.md has every row, in the same order and words; none says less than why."""
    text = (support.ROOT / "docs" / "dialects" / "linkface.md").read_text()
    lines = [line for line in text.splitlines() if re.match(r"\| \d{3} \| [A-Z_]+ \|", line)]
    assert lines == linkface_table_markdown()
    assert all(row.origin for row in LinkfaceStatus)
