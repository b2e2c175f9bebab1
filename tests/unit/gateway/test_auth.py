"""The AIPaaS signature, against the published rule's test vectors and against forgers."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livegate.core.errors import AuthError, ErrorCode
from livegate.gateway.auth import (
    ENCODINGS,
    Authorization,
    SignatureCheck,
    parse_authorization,
    sign,
)
from livegate.gateway.dialect import Head

APP = "d0a1b2c3d4e5f60718293a4b5c6d7e8f"
KEY = "0123456789abcdef0123456789abcdef"
SIGNED_S, EXPIRES_S = 1745214270, 1800
PREFIX = f"teleai-cloud-auth-v1/{APP}/BJ/{SIGNED_S}/{EXPIRES_S}"
PATH = "/aipaas/live/v1/detection/silent"
GIVEN = Authorization(APP, "BJ", SIGNED_S, EXPIRES_S, ("x-app-id",), "")
# Made by the rule's authors with the fake key above; ours must come out the same.
VECTORS = {
    "x-app-id": "d181ad8654b6d701430e649e18ced44a4f76b93f4e716ef572d0d5722fac445e",
    "content-type;x-app-id": "08dae30b28cfe7982c499bc32239079b9eba6e2e00a44bbede242a7899df4f56",
}


def head(**changes: str) -> Head:
    headers = {"x-app-id": APP, "content-type": "application/json", **changes}
    return Head("POST", PATH, "", {name: v for name, v in headers.items() if v}, "r")


def signed(names: str = "x-app-id", signature: str = "", prefix: str = PREFIX) -> Head:
    return head(authorization=f"{prefix}/{names}/{signature or VECTORS[names]}")


def check(now_s: float = SIGNED_S, window_s: int = 300) -> SignatureCheck:
    return SignatureCheck({APP: KEY, "other": "another-key"}, window_s, lambda: now_s)


@pytest.mark.parametrize(("names", "signature"), VECTORS.items())
def test_sign_vector_comes_out(names: str, signature: str) -> None:
    """The published vectors."""
    given = replace(GIVEN, signed_headers=tuple(names.split(";")))
    assert sign(KEY, given, head()) == signature
    assert check().verify(signed(names)) == APP


def test_verify_bearer_prefix_is_dropped() -> None:
    """One known client puts "Bearer " before it; the word's case means nothing."""
    good = signed()
    for word in ("Bearer ", "bearer ", "BEARER  "):
        assert check().verify(head(authorization=word + good.headers["authorization"])) == APP


@pytest.mark.parametrize("encode", ENCODINGS)
def test_verify_either_encoding_of_odd_values_passes(encode: object) -> None:
    """Clients in Java, Python, JavaScript and Go encode blanks, "~" and "()*!'" differently."""
    given = replace(GIVEN, signed_headers=("device-uuid", "x-app-id"))
    odd = replace(head(**{"device-uuid": "a b~c*(d)!'"}), query="b=2&a=1+%2F~")
    signature = sign(KEY, given, odd, encode)  # type: ignore[arg-type]
    headers = {**odd.headers, "authorization": f"{PREFIX}/device-uuid;x-app-id/{signature}"}
    assert check().verify(replace(odd, headers=headers)) == APP


def test_verify_query_order_does_not_matter() -> None:
    """The canonical query is sorted."""
    signature = sign(KEY, GIVEN, replace(head(), query="a=1&b=2"))
    assert check().verify(replace(signed(signature=signature), query="b=2&a=1")) == APP


@pytest.mark.parametrize(
    "wrong",
    [
        signed(signature="0" * 64),
        signed(signature=VECTORS["x-app-id"].upper()),
        signed(signature="\xe9" * 64),
        signed(prefix=PREFIX.replace("BJ", "SH")),
        signed(prefix=PREFIX.replace("1800", "1801")),
        replace(signed(), method="GET"),
        replace(signed(), path=PATH + "/"),
        replace(signed(), query="a=1"),
    ],
)
def test_verify_anything_changed_is_refused(wrong: Head) -> None:
    """Whatever is signed cannot be changed."""
    with pytest.raises(AuthError, match="unknown or the signature is wrong"):
        check().verify(wrong)


def test_verify_more_than_anybody_signs_is_refused_before_the_work() -> None:
    """No secret is needed to ask for it; the work grew with the square of the names."""
    many = [f"a{number}" for number in range(33)]
    for names in ("x-app-id;x-app-id", ";".join(many)):
        with pytest.raises(AuthError, match="headers are signed"):
            check().verify(signed(names, "0"))
    fields = replace(signed(), query="&".join(f"a{number}=1" for number in range(65)))
    with pytest.raises(AuthError, match="more than 64 fields"):
        check().verify(fields)


def test_verify_unknown_app_has_the_words_of_a_wrong_signature() -> None:
    """A prober does not learn which app ids exist."""
    stranger = signed(prefix=PREFIX.replace(APP, "stranger"))
    stranger = replace(stranger, headers={**stranger.headers, "x-app-id": "stranger"})
    with pytest.raises(AuthError) as unknown:
        check().verify(stranger)
    with pytest.raises(AuthError) as wrong:
        check().verify(signed(signature="0" * 64))
    assert unknown.value.message == wrong.value.message
    assert unknown.value.code is ErrorCode.NO_PERMISSION


def test_verify_unknown_app_signed_with_the_empty_key_is_refused() -> None:
    """The key that stands in for an unknown app opens nothing."""
    given = replace(GIVEN, app_id="stranger")
    stranger = head(**{"x-app-id": "stranger"})
    signature = sign("", given, stranger)
    headers = {**stranger.headers, "authorization": f"{given.prefix}/x-app-id/{signature}"}
    with pytest.raises(AuthError):
        check().verify(replace(stranger, headers=headers))


def test_verify_app_id_header_missing_or_other_is_refused() -> None:
    """X-APP-ID is required and is the Authorization's."""
    for value in ("", "other"):
        good = signed()
        with pytest.raises(AuthError, match="X-APP-ID"):
            check().verify(replace(good, headers={**good.headers, "x-app-id": value}))


@pytest.mark.parametrize(
    ("now_s", "passes"),
    [
        (SIGNED_S - 300, True),
        (SIGNED_S - 301, False),
        (SIGNED_S + EXPIRES_S + 300, True),
        (SIGNED_S + EXPIRES_S + 301, False),
    ],
)
def test_verify_clock_window_holds_on_both_sides(now_s: int, passes: bool) -> None:
    """Signed in the future or expired: within the window, not beyond it; the box tells its time."""
    if passes:
        assert check(now_s).verify(signed()) == APP
        return
    with pytest.raises(AuthError, match=r"the box's clock says 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ"):
        check(now_s).verify(signed())


def test_verify_wider_window_admits_a_drifted_box() -> None:
    """A box that lost its clock can be told to be lenient."""
    assert check(SIGNED_S - 40_000, window_s=50_000).verify(signed()) == APP


@given(st.text(max_size=300))
def test_parse_any_text_is_refused_or_read(text: str) -> None:
    """Nothing but AuthError comes out of a header that somebody made up."""
    with contextlib.suppress(AuthError):
        assert parse_authorization(text).prefix


@pytest.mark.parametrize("time", ["-1", "+1", "１２", "1" * 11, "1e3", "", " 1"])
def test_parse_odd_numbers_are_refused(time: str) -> None:
    """Only plain digits, and not too many."""
    with pytest.raises(AuthError):
        parse_authorization(f"teleai-cloud-auth-v1/a/BJ/{time}/1800/x-app-id/{'0' * 64}")
