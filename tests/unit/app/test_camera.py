"""A camera's process, what can be seen of it from inside: its voice, its end, what the server loads."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from typing import Any

import msgspec
import pytest

from livegate.app.camera import Voice
from livegate.app.camera_messages import CameraSettings, CameraStatus, settings_for
from livegate.core.camera import CameraState
from livegate.core.config import IngestConfig, LimitsConfig

SECRET = "rtsp://viewer:hunter22@cam.example/x"


def lines(out: io.BytesIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_voice_says_changes_at_once_and_beats_each_second() -> None:
    """A sign of life is the last status with the counts of now, no oftener than once a second."""
    now_s = [50.0]
    out = io.BytesIO()
    voice = Voice(out, clock=lambda: now_s[0])
    voice.say(CameraStatus(state=CameraState.STREAMING, width=64, height=48))
    for passed_s, beats in ((0.5, 1), (0.6, 2), (0.5, 2), (0.5, 3)):
        now_s[0] += passed_s
        voice.beat(frames=7, damaged=1, refused=2, late_ms=40)
        assert len(lines(out)) == beats
    assert lines(out)[-1]["state"] == "STREAMING"
    assert lines(out)[-1]["width"] == 64
    said = lines(out)[-1]
    assert (said["frames"], said["refused"], said["late_ms"]) == (7, 2, 40)


def run(line: bytes) -> subprocess.CompletedProcess[bytes]:
    """The process with this line as its settings and then the end of its input."""
    command = [sys.executable, "-m", "livegate.app.camera"]
    return subprocess.run(command, input=line, capture_output=True, timeout=100, check=False)


@pytest.mark.parametrize("line", [b"", b"{}\n", b"nonsense\n", b'{"url": "' + SECRET.encode() + b'"}\n'])
def test_settings_that_are_none_end_the_process(line: bytes) -> None:
    """It says so on standard error, without the URL, and starts nothing."""
    done = run(line)
    assert done.returncode == 64
    assert b"not usable" in done.stderr
    assert b"hunter22" not in done.stderr
    assert done.stdout == b""


def test_settings_travel_whole() -> None:
    """What the supervisor encodes is what the process decodes."""
    sent = settings_for("door", SECRET, "/run/frames.sock", IngestConfig(), LimitsConfig(min_side=48))
    got = msgspec.json.decode(msgspec.json.encode(sent), type=CameraSettings)
    assert got == sent
    assert got.limits.min_side == 48


def test_end_of_input_ends_the_process() -> None:
    """A server that is gone: the process ends by itself, without an error."""
    settings = settings_for("door", "rtsp://127.0.0.1:1/x", "/nowhere", IngestConfig(), LimitsConfig())
    done = run(msgspec.json.encode(settings) + b"\n")
    assert done.returncode == 0
    assert done.stderr == b""


def test_server_loads_no_decoder() -> None:
    """The supervisor's import brings no PyAV: libav stays out of the server's process."""
    program = "import sys, livegate.app.supervisor; print('av' in sys.modules)"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)
    assert done.stdout == "False\n"
