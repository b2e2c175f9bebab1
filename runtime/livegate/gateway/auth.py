"""The AIPaaS family's request signature.

prefix    = teleai-cloud-auth-v1/{app id}/{region}/{unix seconds}/{seconds until it expires}
key       = lower hex of HMAC-SHA256(app key, prefix)
signature = lower hex of HMAC-SHA256(key as text, canonical request)
Authorization: {prefix}/{signed headers, ";" between}/{signature}

The canonical request is method, path, query and the signed headers, a line each, without a line
feed at the end. The body is not signed, so a signature that leaks is good for any body until it
expires: that is the scheme, not this implementation.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from urllib.parse import quote, quote_plus

from livegate.core.errors import AuthError
from livegate.core.secrets import without_bearer
from livegate.gateway.dialect import Head
from livegate.gateway.signed import query_pairs, signed_names

SCHEME = "teleai-cloud-auth-v1"
DEFAULT_SIGNED = ("host", "content-type", "content-length", "content-md5")
Encode = Callable[[str], str]


def _encode_python(text: str) -> str:
    return quote(text, safe="~")


def _encode_java(text: str) -> str:
    return quote_plus(text, safe="*").replace("~", "%7E")


def _encode_javascript(text: str) -> str:
    return quote(text, safe="~()*!'")


def _encode_go(text: str) -> str:
    return quote_plus(text, safe="~")


# Clients differ in how they encode blanks, "~" and "()*!'"; any is accepted.
ENCODINGS: tuple[Encode, ...] = (_encode_python, _encode_java, _encode_javascript, _encode_go)


@dataclass(frozen=True, slots=True)
class Authorization:
    """The parts of an Authorization header."""

    app_id: str
    region: str
    signed_s: int
    expires_after_s: int
    signed_headers: tuple[str, ...]
    signature: str

    @property
    def prefix(self) -> str:
        """What the signing key is derived from."""
        return f"{SCHEME}/{self.app_id}/{self.region}/{self.signed_s}/{self.expires_after_s}"


class SignatureCheck:
    """Knows the app keys and the box's clock."""

    def __init__(
        self,
        app_keys: Mapping[str, str],
        clock_window_s: int,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        """`clock_window_s`: how far the signer's clock and ours may differ."""
        self._app_keys = app_keys
        self._window_s = clock_window_s
        self._now_s = now_s

    def verify(self, head: Head) -> str:
        """The app id of a request that is signed rightly and in time.

        Raises:
            AuthError: it is not.
        """
        given = parse_authorization(head.headers.get("authorization", ""))
        if head.headers.get("x-app-id") != given.app_id:
            raise AuthError(
                "the header X-APP-ID is not the app id of the Authorization",
                hint="send the same app id in both",
            )
        # An unknown app costs the same work and gets the same words as a wrong signature.
        key = self._app_keys.get(given.app_id, "")
        matches = [
            hmac.compare_digest(sign(key, given, head, encode).encode(), given.signature.encode())
            for encode in ENCODINGS
        ]
        if not any(matches) or not key:
            raise AuthError(
                "the app id is unknown or the signature is wrong",
                hint="docs/dialects/aipaas.md has the rule and test vectors",
            )
        self._check_time(given)
        return given.app_id

    def _check_time(self, given: Authorization) -> None:
        now_s = int(self._now_s())
        box = f"the box's clock says {_utc(now_s)}"
        hint = "set the clocks, sign anew, or widen aipaas.clock_window_s"
        if given.signed_s - now_s > self._window_s:
            ahead_s = given.signed_s - now_s
            raise AuthError(
                f"signed {ahead_s} s in the future, at most {self._window_s} are allowed; {box}",
                hint=hint,
            )
        late_s = now_s - given.signed_s - given.expires_after_s
        if late_s > self._window_s:
            raise AuthError(
                f"expired {late_s} s ago, at most {self._window_s} are allowed; {box}", hint=hint
            )


def parse_authorization(header: str) -> Authorization:
    """Take an Authorization header apart; a leading "Bearer " is dropped.

    Raises:
        AuthError: it is missing or not of this scheme.
    """
    parts = without_bearer(header).split("/")
    try:
        scheme, app_id, region, signed, expires, names, signature = parts
        signed_s, expires_after_s = _digits(signed), _digits(expires)
    except ValueError:
        scheme = ""
    if scheme != SCHEME:
        raise AuthError(
            "the Authorization is missing or not of the form "
            f"{SCHEME}/appId/region/time/expires/headers/signature",
            hint="sign the request as docs/dialects/aipaas.md says",
        )
    signed_headers = signed_names(name for name in names.lower().split(";") if name)
    return Authorization(app_id, region, signed_s, expires_after_s, signed_headers, signature)


def sign(app_key: str, given: Authorization, head: Head, encode: Encode = _encode_python) -> str:
    """The signature that the owner of `app_key` makes."""
    key = _hmac_hex(app_key, given.prefix)
    return _hmac_hex(key, canonical_request(given, head, encode))


def canonical_request(given: Authorization, head: Head, encode: Encode) -> str:
    """Method, path, query and signed headers, one a line."""
    path = "/".join(encode(segment) for segment in head.path.split("/"))
    pairs = query_pairs(head.query)
    query = "&".join(sorted(f"{encode(name)}={encode(value)}" for name, value in pairs))
    names = given.signed_headers or tuple(n for n in DEFAULT_SIGNED if n in head.headers)
    headers = sorted(f"{name}:{encode(head.headers.get(name, '').strip())}" for name in names)
    return "\n".join((head.method.upper(), path, query, "\n".join(headers)))


def _digits(text: str) -> int:
    """Ten digits are enough for any time; int() alone would take signs, blanks and megabytes."""
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise ValueError(text[:20])
    return int(text)


def _hmac_hex(key: str, message: str) -> str:
    return hmac.new(key.encode(), message.encode(), "sha256").hexdigest()


def _utc(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
