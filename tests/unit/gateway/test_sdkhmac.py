"""SDK-HMAC-SHA256, against requests of the official SDK and against forgers."""

from __future__ import annotations

import contextlib
import hashlib
import re
from calendar import timegm
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import support
from livegate.core.errors import AuthError
from livegate.gateway.dialect import Head
from livegate.gateway.sdkhmac import UNSIGNED, SdkSignatureCheck, parse_signature, sign

ACCESS, SECRET = "AKTEST0000000001", "SKTEST"
PROJECT = "0123456789abcdef0123456789abcdef"
AGENT = (
    "huaweicloud-usdk-python/3.0; os/Linux##1_SMP_PREEMPT_DYNAMIC_@0#x86_64 python/3.11.7 "
    "impl/CPython; app/c48058db-f420-4a3e-81bd-b1e080dfd481"
)
SIGNED_S = timegm((2026, 11, 20, 23, 55, 21))
JSON_BODY = b'{"image_base64": "RkFLRVZJREVP"}'


def head(path: str, names: str, signature: str, access: str = ACCESS, **headers: str) -> Head:
    sent = {
        "user-agent": AGENT,
        "content-type": "application/json",
        "x-project-id": PROJECT,
        "x-sdk-date": "20261120T235520Z",
        "host": "127.0.0.1:18080",
        "authorization": f"SDK-HMAC-SHA256 Access={access}, SignedHeaders={names}, "
        f"Signature={signature}",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    return Head("POST", path, "", {name: value for name, value in sent.items() if value}, "r")


# Captured from the official SDK (3.1.219).
PLAIN = head(
    f"/v1/{PROJECT}/live-detect-face",
    "content-type;host;user-agent;x-project-id;x-sdk-date",
    "5d289742bc99c2fbb27d40b4439c76874ce34a16bbef113984cff7d1e8ad3011",
    x_sdk_date="20261120T235521Z",
)
FORM = head(
    f"/v1/{PROJECT}/live-detect-face",
    "content-type;host;user-agent;x-project-id;x-sdk-content-sha256;x-sdk-date",
    "4edd8f247abcbbbc416b50111d7a8fe5bbc2fa66b17fc560c9627637c08eb792",
    content_type="multipart/form-data; boundary=4ee6aa39473f442aa852ee372465add6",
    x_sdk_content_sha256=UNSIGNED,
    x_sdk_date="20261120T235521Z",
)
TOKEN_BODY = b'{"video_base64": "RkFLRVZJREVP", "actions": "1"}'
WITH_TOKEN = head(
    f"/v1/{PROJECT}/live-detect",
    "content-type;host;user-agent;x-auth-token;x-project-id;x-sdk-date",
    "7c0ea7f52212a5ddc0ffcfb5d11c91da43a233c83707ec5de237485e468e5edb",
    x_auth_token="MIINRwYJ",
    x_sdk_date="20261120T235523Z",
)


def check(now_s: float = SIGNED_S, window_s: int = 900) -> SdkSignatureCheck:
    return SdkSignatureCheck({ACCESS: SECRET, "AKTEST": SECRET, "other": "x"}, window_s, lambda: now_s)


@pytest.mark.parametrize(
    ("captured", "body"), [(PLAIN, JSON_BODY), (FORM, b"any body"), (WITH_TOKEN, TOKEN_BODY)]
)
def test_verify_captured_requests_pass(captured: Head, body: bytes) -> None:
    """JSON with its hash, a form with an unsigned payload, and a token among the signed headers."""
    assert check().admit(captured) == ACCESS
    assert check().verify(captured, body) == ACCESS


def captured_requests() -> Iterator[tuple[Head, bytes]]:
    """Every signed request of the reference."""
    text = support.shared("reference", "cloud-apis.md").read_text()
    for exchange in re.findall(r">>>>> REQUEST \(http\)\n(.*?)\n<<<<<", text, re.DOTALL):
        top, _, body = exchange.partition("\n\n")
        start, *lines = top.split("\n")
        method, path, _ = start.split(" ")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        if headers["authorization"].startswith("SDK-"):
            yield Head(method, path, "", headers, "r"), body.encode()


def test_verify_every_captured_request_of_the_reference_passes() -> None:
    """All methods, sync and async, both versions of the path."""
    found = list(captured_requests())
    for captured, body in found:
        assert (
            check().verify(captured, body) == parse_signature(captured.headers["authorization"]).access
        )
    assert len(found) >= 14


def changed(given: Head, **headers: str | None) -> Head:
    kept = {**given.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return replace(given, headers={name: value for name, value in kept.items() if value is not None})


@pytest.mark.parametrize(
    "wrong",
    [
        replace(PLAIN, method="GET"),
        replace(PLAIN, path=PLAIN.path.replace("live-detect-face", "live-detect")),
        replace(PLAIN, path=PLAIN.path + "/x"),
        replace(PLAIN, query="a=1"),
        changed(PLAIN, host="elsewhere"),
        changed(PLAIN, x_project_id=None),
        changed(PLAIN, x_sdk_date="20261120T235522Z"),
        changed(PLAIN, authorization=PLAIN.headers["authorization"][:-1] + "2"),
        changed(PLAIN, authorization=PLAIN.headers["authorization"].replace(ACCESS, "other")),
        changed(PLAIN, authorization=PLAIN.headers["authorization"].replace(ACCESS, "stranger")),
        changed(PLAIN, x_sdk_content_sha256=UNSIGNED),
        changed(FORM, x_sdk_content_sha256=None),
        changed(FORM, content_type="application/json"),
    ],
)
def test_verify_anything_changed_is_refused(wrong: Head) -> None:
    """Whatever is signed cannot be changed; an unknown key gets the words of a wrong signature."""
    with pytest.raises(AuthError, match="the access key is unknown or the signature is wrong"):
        check().verify(wrong, JSON_BODY)


def test_verify_more_than_anybody_signs_is_refused() -> None:
    """A name twice, or more of them than a request has."""
    check = SdkSignatureCheck({ACCESS: SECRET}, 300, lambda: SIGNED_S)
    for names in ("host;host", ";".join(f"a{number}" for number in range(33))):
        with pytest.raises(AuthError, match="headers are signed"):
            check.admit(head("/v1", names, "0" * 64))


def test_verify_other_body_is_refused() -> None:
    """The body's hash is signed."""
    with pytest.raises(AuthError, match="signature is wrong"):
        check().verify(PLAIN, JSON_BODY + b" ")


def test_verify_old_hash_in_an_unsigned_header_does_not_carry_another_body() -> None:
    """The header may be added by whoever sends the request again: the body must have that hash."""
    replayed = changed(PLAIN, x_sdk_content_sha256=hashlib.sha256(JSON_BODY).hexdigest())
    assert check().verify(replayed, JSON_BODY) == ACCESS
    with pytest.raises(AuthError, match="not the one that X-Sdk-Content-Sha256 declares"):
        check().verify(replayed, b"another body")


def test_admit_unknown_key_ends_before_a_body_is_read() -> None:
    """Strangers cannot make the box buffer; a known key with a hash to compute has to wait for it."""
    stranger = changed(PLAIN, authorization=PLAIN.headers["authorization"].replace(ACCESS, "stranger"))
    with pytest.raises(AuthError):
        check().admit(stranger)
    with pytest.raises(AuthError):
        check().admit(changed(FORM, host="elsewhere"))
    assert check().admit(changed(PLAIN, host="elsewhere")) == ACCESS


@pytest.mark.parametrize("path", ["/v1/p/live-detect-face", "/v1/p/live-detect-face/"])
def test_sign_slash_at_the_end_is_always_there(path: str) -> None:
    """For signing only: both paths have one signature."""
    signed = Head("POST", path, "", {"x-sdk-date": "d"}, "r")
    other = replace(signed, path="/v1/p/live-detect-face")
    assert sign("k", signed, ("x-sdk-date",), "h") == sign("k", other, ("x-sdk-date",), "h")


def test_sign_query_is_sorted_and_encoded() -> None:
    """The order in the URL does not matter, blanks are %20."""
    one, two = (Head("POST", "/v1", query, {}, "r") for query in ("b=2&a=x%20y", "a=x+y&b=2"))
    assert sign("k", one, (), "h") == sign("k", two, (), "h")


@pytest.mark.parametrize(
    ("shift_s", "passes"), [(900, True), (901, False), (-900, True), (-901, False), (86_400, False)]
)
def test_verify_clock_window_holds_on_both_sides(shift_s: int, passes: bool) -> None:
    """A quarter of an hour; the refusal tells the box's time and the key that widens it."""
    if passes:
        assert check(SIGNED_S + shift_s).verify(PLAIN, JSON_BODY) == ACCESS
        return
    with pytest.raises(AuthError, match=r"the box's clock \(20\d{6}T\d{6}Z\)") as caught:
        check(SIGNED_S + shift_s).verify(PLAIN, JSON_BODY)
    assert "huawei_frs.clock_window_s" in caught.value.hint


@pytest.mark.parametrize(
    "date", ["", "now", "20261320T235520Z", "2026-11-20T23:55:20Z", "２0261120T235520Z"]
)
def test_verify_odd_dates_are_refused(date: str) -> None:
    """Only the scheme's own form."""
    with pytest.raises(AuthError, match="X-Sdk-Date is not a time"):
        check().verify(changed(PLAIN, x_sdk_date=date), JSON_BODY)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer x",
        "SDK-HMAC-SM3 Access=a, SignedHeaders=host, Signature=" + "0" * 64,
        "V11-HMAC-SHA256 Credential=a, SignedHeaders=host, Signature=" + "0" * 64,
        "SDK-HMAC-SHA256 Access=a, SignedHeaders=host",
        "SDK-HMAC-SHA256 Access=a, SignedHeaders=host, Signature=" + "0" * 63,
        "SDK-HMAC-SHA256 Access=a, SignedHeaders=host, Signature=" + "A" * 64,
    ],
)
def test_parse_other_schemes_are_refused(header: str) -> None:
    """The refusal names the scheme that is verified."""
    with pytest.raises(AuthError, match="SDK-HMAC-SHA256"):
        parse_signature(header)


@given(st.text(max_size=200), st.dictionaries(st.text(max_size=10), st.text(max_size=20)))
def test_verify_any_header_is_refused(text: str, headers: dict[str, str]) -> None:
    """Nothing but AuthError comes out of headers that somebody made up."""
    made = {**headers, "authorization": text, "x-sdk-date": "20261120T235520Z"}
    with pytest.raises(AuthError):
        check().verify(Head("POST", "/v1", text[:20], made, "r"), b"")


@given(st.text(max_size=60), st.text(max_size=60), st.lists(st.text(max_size=10), max_size=3))
def test_sign_any_path_query_and_header_is_signed(path: str, query: str, names: list[str]) -> None:
    """Whatever arrives has a signature."""
    with contextlib.suppress(UnicodeEncodeError):  # lone surrogates: no server decodes to them
        made = Head("POST", path, query, dict.fromkeys(names, path), "r")
        assert len(sign("k", made, tuple(names), "h")) == 64
