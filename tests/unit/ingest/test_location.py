"""A camera's URL, taken apart; its secrets, kept."""

from __future__ import annotations

import contextlib
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livegate.core.errors import ErrorCode, RequestError
from livegate.ingest.location import Location, SourceKind, location_from_url

WORDS = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=4, max_size=20)


@pytest.mark.parametrize(
    ("url", "kind", "redacted", "path", "is_looped"),
    [
        ("rtsp://cam", SourceKind.RTSP, "rtsp://cam", "", False),
        ("RTSP://cam:8554/a/b", SourceKind.RTSP, "rtsp://cam:8554/a/b", "", False),
        ("rtsps://u:pass@[::1]:322/a", SourceKind.RTSPS, "rtsps://[::1]:322/a", "", False),
        ("rtsp://cam/a?user=u&pw=p", SourceKind.RTSP, "rtsp://cam/a?***", "", False),
        ("rtsp://cam/user=a_password=b/1.sdp", SourceKind.RTSP, "rtsp://cam/***/1.sdp", "", False),
        ("v4l2:/dev/video0", SourceKind.V4L2, "v4l2:/dev/video0", "/dev/video0", False),
        ("v4l2:/dev/v4l/by-id/x", SourceKind.V4L2, "v4l2:/dev/v4l/by-id/x", "/dev/v4l/by-id/x", False),
        ("file:clip.mp4", SourceKind.FILE, "file:clip.mp4", "clip.mp4", False),
        ("file:clip.mp4?loop", SourceKind.FILE, "file:clip.mp4?loop", "clip.mp4", True),
        ("file:/a b/c%20.mp4", SourceKind.FILE, "file:/a b/c%20.mp4", "/a b/c%20.mp4", False),
        ("file:///a/c.mp4?loop", SourceKind.FILE, "file:/a/c.mp4?loop", "/a/c.mp4", True),
        ("file:http://x/y.mp4", SourceKind.FILE, "file:http://x/y.mp4", "http://x/y.mp4", False),
    ],
)
def test_location_knows_its_parts(
    url: str, kind: SourceKind, redacted: str, path: str, is_looped: bool
) -> None:
    """Scheme, path and loop are taken apart; what is shown has no credentials."""
    location = location_from_url(url)
    assert (location.kind, location.redacted) == (kind, redacted)
    assert (location.path, location.is_looped) == (path, is_looped)
    assert location.is_live is (kind is not SourceKind.FILE)
    assert bool(location.url) is location.is_network


@pytest.mark.parametrize(
    "url",
    [
        *("", "x", ":", "cam/video", "http://cam/x", "rtmp://cam/x", "udp://1.2.3.4:5", "concat:a|b"),
        *("rtsp:", "rtsp:cam", "rtsp:///a", "rtsp://", "rtsp://cam:0/", "rtsp://cam:x/", "rtsp://[::1/"),
        *("rtsp://cam:99999/", "rtsp://cam/a b", "rtsp://cam/a\r\nX: y", "rtsp://cam/#a", "rtsp://c/{"),
        *("rtsp://u:12/34@cam/a", "rtsp://u:12#34@cam/a", "rtsp://u:12?34@cam/a", "rtsp://u@c/x@y"),
        *("rtsp://" + "u" * 121 + "@cam/", "rtsp://cam/" + "a" * 2048),
        *("file:", "file:?loop", "file:a/", "file://host/a.mp4", "file:a.mp4?once", "file:a\0b"),
        *("file:a.mp4?loop?loop", "file:///", "v4l2:", "v4l2:video0", "v4l2:/dev/", "v4l2:/etc/passwd"),
        *("v4l2:/dev/../etc/passwd", "v4l2:/dev/./video0", "v4l2://dev/video0"),
    ],
)
def test_url_that_is_none_is_refused_with_a_hint(url: str) -> None:
    """Nonsense and what could be read in two ways: 1031, what to write instead, nothing repeated."""
    with pytest.raises(RequestError) as caught:
        location_from_url(url)
    assert caught.value.code is ErrorCode.PARAM_FAILURE
    assert caught.value.hint
    assert "34@" not in str(caught.value)
    assert caught.value.__cause__ is None


@settings(deadline=None)
@given(WORDS, WORDS, WORDS)
def test_credentials_show_nowhere(user: str, password: str, token: str) -> None:
    """Whatever user, password and query are: not in the redacted URL, nor the representation."""
    coded = [quote(word, safe="") for word in (user, password, token)]
    url = f"rtsp://{coded[0]}:{coded[1]}@cam.example:554/live?auth={coded[2]}"
    if len(f"{coded[0]}:{coded[1]}") > 120:
        return
    location = location_from_url(url)
    assert location.redacted == "rtsp://cam.example:554/live?***"
    # A word may stand in the representation by chance; nothing of it may come from the URL.
    assert repr(location) == repr(location_from_url("rtsp://cam.example:554/live?auth=1"))
    said = location.redact(f"libav: {url}: failed; user was {user}:{password}, query auth={token}")
    assert said.startswith("libav: rtsp://cam.example:554/live?***: failed; user was ***")
    assert url not in said
    assert f"{user}:{password}" not in said


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_text_gives_a_location_or_our_error(text: str) -> None:
    """No text makes the parser fail in another way."""
    for url in (text, f"rtsp://{text}", f"file:{text}", f"v4l2:{text}", f"rtsp://u:{text}@h/{text}"):
        with contextlib.suppress(RequestError):
            assert isinstance(location_from_url(url), Location)


def test_redact_hides_strangers_credentials_too() -> None:
    """Userinfo and Authorization headers go from any text, also with a source that has none."""
    location = location_from_url("file:a.mp4")
    assert location.redact("http://me:secret@x/y failed") == "http://***@x/y failed"
    assert location.redact("Authorization: Basic bWU6c2VjcmV0") == "Authorization: ***"


def test_redact_leaves_short_passwords_words_alone() -> None:
    """A password of one letter is hidden where it belongs, and not in every word."""
    location = location_from_url("rtsp://u:e@cam/x")
    assert location.redact("rtsp://u:e@cam/x: broken") == "rtsp://cam/x: broken"
