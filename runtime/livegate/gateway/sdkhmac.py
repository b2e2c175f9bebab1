"""Huawei Cloud's request signature, SDK-HMAC-SHA256, as the verifying side.

canonical = METHOD \\n path \\n query \\n headers \\n signed headers \\n payload hash
text      = "SDK-HMAC-SHA256" \\n X-Sdk-Date \\n lower hex of SHA256(canonical)
signature = lower hex of HMAC-SHA256(secret key, text)
Authorization: SDK-HMAC-SHA256 Access={access key}, SignedHeaders={a;b;c}, Signature={signature}

Path segments are encoded anew and a "/" always ends the path, for signing only. Headers are
"name:value" lines in the order of SignedHeaders. The payload hash is the header X-Sdk-Content-Sha256
where there is one (UNSIGNED-PAYLOAD for forms), else lower hex of SHA256(body).

A hash that the header declares is held against the body, too: the header need not be among the
signed ones, so without that a signed request could be sent again with its old hash and another body.
The scheme has no nonce: within the clock window a request can be sent again, and one with an unsigned
payload with another body.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from calendar import timegm
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from livegate.core.errors import AuthError
from livegate.gateway.dialect import Head
from livegate.gateway.signed import query_pairs, signed_names

ALGORITHM = "SDK-HMAC-SHA256"
UNSIGNED = "UNSIGNED-PAYLOAD"
DATE, PAYLOAD = "x-sdk-date", "x-sdk-content-sha256"
AUTHORIZATION = re.compile(
    r"SDK-HMAC-SHA256 +Access=([^,\s]{1,128})"
    r", *SignedHeaders=([^,\s]{1,4096})"
    r", *Signature=([0-9a-f]{64})"
)
HINT = "docs/dialects/huawei_frs.md has the rule"


@dataclass(frozen=True, slots=True)
class Signature:
    """The parts of an Authorization header."""

    access: str
    signed_headers: tuple[str, ...]
    hex_digest: str


class SdkSignatureCheck:
    """Knows the secret keys and the box's clock."""

    def __init__(
        self,
        secrets: Mapping[str, str],
        clock_window_s: int,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        """`secrets`: secret key by access key; `clock_window_s`: how far the clocks may differ."""
        self._secrets = secrets
        self._window_s = clock_window_s
        self._now_s = now_s

    def admit(self, head: Head) -> str:
        """The access key that a request claims, as far as its head alone can be judged.

        An access key that is not known, and a time outside the window, end here, before a body is
        read; so does a wrong signature where the head declares the payload's hash.

        Raises:
            AuthError: it is none of ours.
        """
        given = parse_signature(head.headers.get("authorization", ""))
        if given.access not in self._secrets:
            raise _refusal()
        self._check_time(head.headers.get(DATE, ""))
        if declared := head.headers.get(PAYLOAD):
            self._check_digest(head, given, declared)
        return given.access

    def verify(self, head: Head, body: bytes) -> str:
        """The access key of a request that is signed rightly and in time.

        Raises:
            AuthError: it is not.
        """
        access = self.admit(head)
        declared = head.headers.get(PAYLOAD)
        if declared == UNSIGNED:
            return access
        actual = hashlib.sha256(body).hexdigest()
        if not declared:
            self._check_digest(head, parse_signature(head.headers["authorization"]), actual)
        elif not hmac.compare_digest(declared.encode(), actual.encode()):
            raise AuthError("the body is not the one that X-Sdk-Content-Sha256 declares", hint=HINT)
        return access

    def _check_digest(self, head: Head, given: Signature, payload: str) -> None:
        expected = sign(self._secrets[given.access], head, given.signed_headers, payload)
        if not hmac.compare_digest(expected.encode(), given.hex_digest.encode()):
            raise _refusal()

    def _check_time(self, date: str) -> None:
        signed_s, now_s = _seconds(date), int(self._now_s())
        if abs(signed_s - now_s) > self._window_s:
            side = "ahead of" if signed_s > now_s else "behind"
            clock = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now_s))
            raise AuthError(
                f"X-Sdk-Date is {abs(signed_s - now_s)} s {side} the box's clock ({clock}), "
                f"at most {self._window_s} are allowed",
                hint="set the clocks, or widen huawei_frs.clock_window_s",
            )


def parse_signature(header: str) -> Signature:
    """Take an Authorization header apart.

    Raises:
        AuthError: it is missing or not of this scheme.
    """
    found = AUTHORIZATION.fullmatch(header.strip())
    if found is None:
        scheme = re.sub(r"[^\w-]", "", header.strip().partition(" ")[0][:40]) or "nothing"
        raise AuthError(
            f"the Authorization is not of the scheme {ALGORITHM} but {scheme}",
            hint=f"sign with {ALGORITHM}; SM3, ECDSA and derived keys are not verified here",
        )
    access, names, hex_digest = found.groups()
    return Signature(access, signed_names(names.lower().split(";")), hex_digest)


def sign(secret: str, head: Head, signed_headers: tuple[str, ...], payload: str) -> str:
    """The signature that the owner of `secret` makes."""
    canonical = canonical_request(head, signed_headers, payload)
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = f"{ALGORITHM}\n{head.headers.get(DATE, '')}\n{digest}"
    return hmac.new(secret.encode(), text.encode(), "sha256").hexdigest()


def canonical_request(head: Head, signed_headers: tuple[str, ...], payload: str) -> str:
    """What is hashed: method, path, query, headers, their names, payload hash."""
    path = "/".join(_encoded(segment) for segment in head.path.split("/"))
    pairs = query_pairs(head.query)
    query = "&".join(sorted(f"{_encoded(name)}={_encoded(value)}" for name, value in pairs))
    headers = "".join(f"{name}:{head.headers.get(name, '').strip()}\n" for name in signed_headers)
    return "\n".join(
        (
            head.method.upper(),
            path if path.endswith("/") else path + "/",
            query,
            headers,
            ";".join(signed_headers),
            payload,
        )
    )


def _encoded(text: str) -> str:
    return quote(text, safe="~")


def _seconds(date: str) -> int:
    """20261120T235520Z as Unix seconds."""
    try:
        if not re.fullmatch(r"[0-9]{8}T[0-9]{6}Z", date):
            raise ValueError(date[:20])
        return timegm(time.strptime(date, "%Y%m%dT%H%M%SZ"))
    except ValueError as error:
        raise AuthError("X-Sdk-Date is not a time of the form 20261120T235520Z", hint=HINT) from error


def _refusal() -> AuthError:
    """An unknown access key gets the words of a wrong signature."""
    return AuthError("verify aksk signature fail: the access key is unknown or the signature is wrong")
