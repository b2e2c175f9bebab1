"""Where a camera's pictures come from: its URL, taken apart before anything is opened.

A camera's URL usually carries a password, and libraries like to print what they were given. So the
URL itself never leaves this value but by `url`, for the one call that opens it: `redacted` is what
logs and reports show, and `redact` takes the secrets out of anybody else's text.

What could be read in two ways is refused. In `rtsp://admin:12/34@host` the password ends the host's
name: a lenient reader would dial the host `admin` and send it the rest of the password.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field
from enum import Enum
from urllib.parse import SplitResult, unquote, urlsplit

from livegate.core.errors import ErrorCode, RequestError

MAX_URL_CHARS = 2048
MAX_USERINFO_CHARS = 120
"""libav keeps 127 bytes of USER:PASSWORD and drops the rest without a word."""
FORMS = "rtsp://HOST/PATH, rtsps://HOST/PATH, v4l2:/dev/video0, file:CLIP.mp4 or file:CLIP.mp4?loop"
LOOP = "?loop"
HIDDEN = "***"
MIN_SECRET_CHARS = 4
"""A shorter text stands in every second word: to hide it there would tell which one it is."""
USERINFO = re.compile(r"(?<=://)[^/\s]*@")
AUTHORIZATION = re.compile(r"(?i)(authorization:\s*).*")


class SourceKind(str, Enum):
    """What is at the other end."""

    RTSP = "rtsp"
    RTSPS = "rtsps"
    V4L2 = "v4l2"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class Location:
    """A source that is well formed; whether it is there, opening it will tell.

    `path` is the file or the device, empty for a network camera; `url` is a network camera's, with
    its credentials. Neither `url` nor `secrets` shows in the representation.
    """

    kind: SourceKind
    redacted: str
    url: str = field(default="", repr=False)
    path: str = ""
    is_looped: bool = False
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @property
    def is_live(self) -> bool:
        """Whether it goes on by itself: what is not read in time is gone."""
        return self.kind is not SourceKind.FILE

    @property
    def is_network(self) -> bool:
        """Whether it is reached over the network."""
        return self.kind in (SourceKind.RTSP, SourceKind.RTSPS)

    def redact(self, text: str) -> str:
        """Somebody else's text without this location's secrets, and without anybody's userinfo."""
        if self.url:
            text = text.replace(self.url, self.redacted)
        for secret in self.secrets:
            text = text.replace(secret, HIDDEN)
        return AUTHORIZATION.sub(rf"\1{HIDDEN}", USERINFO.sub(f"{HIDDEN}@", text))


def location_from_url(url: str) -> Location:
    """Take a camera's URL apart.

    Raises:
        RequestError: PARAM_FAILURE; the message never holds more of the URL than its scheme.
    """
    if not url:
        raise _refused("the camera's URL is empty")
    if len(url) > MAX_URL_CHARS:
        raise _refused(f"the camera's URL has {len(url)} characters, the limit is {MAX_URL_CHARS}")
    if not url.isprintable():
        raise _refused("the camera's URL has a control character in it")
    scheme, colon, rest = url.partition(":")
    if not colon:
        raise _refused("the camera's URL has no scheme")
    match scheme.lower():
        case "rtsp" | "rtsps" as network:
            return _network(SourceKind(network), f"{network}:{rest}")
        case "v4l2":
            return _device(rest)
        case "file":
            return _file(rest)
    raise _refused("the camera's URL has a scheme that is not known")


def _file(rest: str) -> Location:
    """A file; its path is taken literally, nothing in it is decoded."""
    path, is_looped = (rest[: -len(LOOP)], True) if rest.endswith(LOOP) else (rest, False)
    if path.startswith("//"):
        if not path.startswith("///"):
            raise _refused("the camera's file is on another host")
        path = path[2:]
    if not path or path.endswith("/"):
        raise _refused("the camera's URL names no file")
    if "?" in path:
        raise _refused("the camera's file has a ? other than ?loop")
    return Location(
        SourceKind.FILE, f"file:{path}{LOOP if is_looped else ''}", path=path, is_looped=is_looped
    )


def _device(path: str) -> Location:
    if not path.startswith("/dev/") or path.endswith("/") or posixpath.normpath(path) != path:
        raise _refused("the camera's device is not a path below /dev", "for example v4l2:/dev/video0")
    return Location(SourceKind.V4L2, f"v4l2:{path}", path=path)


def _network(kind: SourceKind, url: str) -> Location:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:  # the reason quotes the URL
        raise _ambiguous("a host or a port that is none") from None
    userinfo, _, _ = parts.netloc.rpartition("@")
    after_host = parts.path + parts.query
    if not url.startswith(f"{kind.value}://") or not host or port == 0:
        raise _ambiguous("no host, or a port that is none")
    if any(char in url for char in ' "<>\\^`{|}') or "#" in url or "@" in after_host:
        raise _ambiguous("a character that a URL does not have there")
    if len(userinfo) > MAX_USERINFO_CHARS:
        raise _refused(
            f"user and password have {len(userinfo)} characters, the limit is {MAX_USERINFO_CHARS}"
        )
    return Location(kind, _redacted(parts, host, port), url=url, secrets=_secrets(parts, userinfo))


def _redacted(parts: SplitResult, host: str, port: int | None) -> str:
    """The URL without userinfo, without the query's text, and without NAME=VALUE parts of the path."""
    shown = "/".join(map(_shown_segment, parts.path.split("/")))
    name = f"[{host}]" if ":" in host else host
    return "".join(
        (
            f"{parts.scheme}://{name}",
            f":{port}" if port is not None else "",
            shown,
            f"?{HIDDEN}" if parts.query else "",
        )
    )


def _shown_segment(segment: str) -> str:
    # Some cameras want user and password in the path: /user=admin_password=secret_channel=1.sdp
    is_suspect = any(char in unquote(segment) for char in "=@:&;")
    return HIDDEN if is_suspect else segment


def _secrets(parts: SplitResult, userinfo: str) -> tuple[str, ...]:
    """Every text that gives something away, as it stands and decoded; the longest first."""
    _, _, password = userinfo.partition(":")
    hidden = [part for part in parts.path.split("/") if part and _shown_segment(part) == HIDDEN]
    texts = {userinfo, password, parts.query, *hidden}
    both = texts | {unquote(text) for text in texts}
    return tuple(sorted((text for text in both if len(text) >= MIN_SECRET_CHARS), key=len, reverse=True))


def _ambiguous(what: str) -> RequestError:
    return _refused(
        f"the camera's URL has {what}",
        "write / as %2F, @ as %40, # as %23, ? as %3F, : as %3A in user, password and path",
    )


def _refused(what: str, hint: str = f"write {FORMS}") -> RequestError:
    return RequestError(ErrorCode.PARAM_FAILURE, what, hint=hint)
