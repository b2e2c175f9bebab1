"""What goes wrong on the way to a picture: one function for each code."""

from __future__ import annotations

import pytest

from livegate.core.config import LimitsConfig
from livegate.core.errors import ErrorCode
from livegate.ingest import failure
from livegate.ingest.failure import CaptureError
from livegate.ingest.location import location_from_url

SECRET = location_from_url("rtsp://admin:hunter22@cam.example:554/live?key=abcd")
FAILURES = {
    2001: failure.not_opened(SECRET, "no route"),
    2002: failure.unsized(SECRET),
    2003: failure.ended(SECRET, is_barren=False),
    2004: failure.not_read(SECRET, "reset"),
    2005: failure.not_opened(SECRET, "no route").when_opened_again(),
    2006: failure.no_video(SECRET, 1),
    2007: failure.wrong_codec(SECRET, "ffv1"),
    2021: failure.decoder_refused("h264", "bad header"),
    2022: failure.wrong_size(SECRET, 8, 9, LimitsConfig()),
    2023: failure.not_decoded(SECRET, 30),
}


@pytest.mark.parametrize("code", FAILURES)
def test_failure_has_its_code_a_hint_and_no_secrets(code: int) -> None:
    """Fact and value in the message, what to do in the hint, the credentials in neither."""
    error = FAILURES[code]
    assert error.code == code
    assert error.hint
    for secret in ("admin", "hunter22", "abcd"):
        assert secret not in str(error)


def test_failures_cover_every_code_of_a_stream() -> None:
    """2001 to 2007 and 2021 to 2023, but for the sections' titles."""
    codes = {int(code) for code in ErrorCode if 2000 < code < 2040}
    assert set(FAILURES) == codes - {2020}


@pytest.mark.parametrize("code", FAILURES)
def test_failure_after_a_drop_is_2005_only_for_opening(code: int) -> None:
    """A camera that came back without video says so, not merely that it could not be opened."""
    again = FAILURES[code].when_opened_again()
    assert again.code == (2005 if code in (2001, 2002) else code)


def test_file_that_ends_without_a_picture_is_2023() -> None:
    """An end after nothing is no normal end, unless the source is live."""
    file = location_from_url("file:a.mp4")
    assert failure.ended(file, is_barren=True).code is ErrorCode.VIDEODECODER_DECODE_FAIL
    assert failure.ended(SECRET, is_barren=True).code is ErrorCode.STREAMPULLER_EOF
    assert isinstance(failure.not_convertible("gbrp16"), CaptureError)
