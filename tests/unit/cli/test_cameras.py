"""`livegate status` and `livegate cameras`, against a box that plays its part."""

from __future__ import annotations

import json
import socket
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fake_box import FakeBox, fail
from livegate.cli.main import main
from livegate.cli.target import TCP, default_target
from livegate.core.camera import CameraState
from livegate.core.errors import ErrorCode, LiveGateError
from livegate.v1 import liveness_pb2 as pb

ENGINE = pb.Engine(model_id="yunet_n", network="yunet", backend="null", provider="cpu")
DOOR = pb.Camera(name="door", source="rtsp://10.0.0.1/s[0]", state="STREAMING", width=640, height=480)


@pytest.fixture
def box() -> Iterator[FakeBox]:
    with FakeBox() as made:
        yield made


def status_with(state: str = "READY", *cameras: pb.Camera) -> pb.GetStatusResponse:
    return pb.GetStatusResponse(
        version="1.2.3", state=state, workers=2, queue_capacity=64, engines=[ENGINE], cameras=cameras
    )


def run(box: FakeBox, *arguments: str) -> int:
    return main([*arguments, "--target", box.target])


def test_status_shows_state_engines_and_cameras(
    box: FakeBox, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a person wants to know; square brackets of a URL are text."""
    box.script["GetStatus"] = deque([status_with("READY", DOOR)] * 2)
    assert run(box, "status") == 0
    out = capsys.readouterr().out
    for word in (
        "READY",
        "1.2.3",
        "0 of 64 waiting",
        "yunet_n",
        "cpu",
        "rtsp://10.0.0.1/s[0]",
        "640x480",
    ):
        assert word in out


@pytest.mark.parametrize(
    ("state", "camera", "status"),
    [
        ("READY", None, 0),
        ("WARMING", None, 1),
        ("DRAINING", CameraState.STREAMING, 1),
        ("READY", CameraState.STARTING, 0),
        ("READY", CameraState.STREAMING, 0),
        ("READY", CameraState.ENDED, 0),
        ("READY", CameraState.RETRYING, 1),
        ("READY", CameraState.FAILED, 1),
    ],
)
def test_status_says_by_its_exit_whether_all_is_well(
    state: str,
    camera: CameraState | None,
    status: int,
    box: FakeBox,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """0 for READY with cameras that work, 1 otherwise; --json is one object."""
    cameras = [pb.Camera(name="door", state=camera.value, since=5)] if camera else []
    box.script["GetStatus"] = deque((status_with(state, *cameras),))
    assert run(box, "status", "--json") == status
    shown = json.loads(capsys.readouterr().out)
    assert shown["state"] == state
    assert [one["since"] for one in shown["cameras"]] == [5] * len(cameras)


def test_status_without_a_server_is_2(capsys: pytest.CaptureFixture[str]) -> None:
    """Unreachable is an error, not a bad state."""
    assert main(["status", "--target", "127.0.0.1:1"]) == 2
    assert "1025" in capsys.readouterr().err


def test_token_of_the_environment_is_sent_unless_a_flag_says_another(
    box: FakeBox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LIVEGATE_TOKEN < --token."""
    monkeypatch.setenv("LIVEGATE_TOKEN", "from-environment")
    box.script["GetStatus"] = deque([status_with()] * 2)
    run(box, "status", "--json")
    run(box, "status", "--json", "--token", "from-flag")
    sent = [metadata["authorization"] for _, _, metadata in box.asked]
    assert sent == ["Bearer from-environment", "Bearer from-flag"]


def test_default_target_is_the_socket_if_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else TCP; a file of another kind at the path is no socket."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert default_target() == TCP
    path = tmp_path / "livegate" / "grpc.sock"
    path.parent.mkdir()
    path.touch()
    assert default_target() == TCP
    path.unlink()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        assert default_target() == f"unix:{path}"


def test_cameras_list_prints_each(box: FakeBox, capsys: pytest.CaptureFixture[str]) -> None:
    """As a table, or one object a line."""
    failed = pb.Camera(name="attic", state="FAILED", task_code=2001, msg="no route", restarts=3)
    box.script["GetStatus"] = deque([status_with("READY", DOOR, failed)] * 2)
    assert run(box, "cameras", "list") == 0
    out = capsys.readouterr().out
    assert "2001 no route" in out
    assert run(box, "cameras", "list", "--json") == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["camera"], row["state"], row["code"]) for row in rows] == [
        ("door", "STREAMING", 0), ("attic", "FAILED", 2001),
    ]  # fmt: skip


@pytest.mark.parametrize(("action", "method"), [("add", "AddCamera"), ("change", "ChangeCamera")])
def test_cameras_are_added_and_changed(
    action: str, method: str, box: FakeBox, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every flag arrives; the camera as it begins is shown."""
    box.script[method] = deque((DOOR,))
    flags = ("--rotation", "90", "--mirror", "--region", "0.25,0,0.5,1", "--min-face-height", "0.2")
    assert run(box, "cameras", action, "door", "rtsp://x", *flags) == 0
    sent = box.asked[0][1]
    assert (sent.name, sent.url, sent.view.rotation, sent.view.mirror) == ("door", "rtsp://x", 90, True)
    assert (sent.view.region.x, sent.view.region.height) == (0.25, 1.0)
    assert sent.view.min_face_height == pytest.approx(0.2)
    assert "STREAMING" in capsys.readouterr().out


def test_cameras_remove_says_nothing(box: FakeBox, capsys: pytest.CaptureFixture[str]) -> None:
    """Done is done; an error is 2."""
    gone = LiveGateError(ErrorCode.NO_EXIST, "there is no camera door")
    box.script["RemoveCamera"] = deque((pb.RemoveCameraResponse(), gone))
    assert run(box, "cameras", "remove", "door") == 0
    assert capsys.readouterr().out == ""
    assert run(box, "cameras", "remove", "door") == 2
    assert "1016" in capsys.readouterr().err


@pytest.mark.parametrize("region", ["1,2", "a,b,c,d", ""])
def test_cameras_region_that_is_none_is_refused(region: str, capsys: pytest.CaptureFixture[str]) -> None:
    """By the command itself, with an example."""
    with pytest.raises(SystemExit) as caught:
        main(["cameras", "add", "door", "rtsp://x", "--region", region])
    assert caught.value.code == 2
    assert "0.25,0,0.5,1" in capsys.readouterr().err


def words(request: pb.WatchCameraRequest, context: Any) -> Iterator[bytes]:
    """Three words of the gate, one of them beside a failure, then the end of the file."""
    silent = pb.Result(algo_type="1031", score=0.875, decision=1)
    for answer in (
        pb.StreamResponse(frame_id=1, person=1, gate=2, reasons=["NOT_ENOUGH_FRAMES"]),
        pb.StreamResponse(frame_id=2, person=1, gate=1, results=[silent]),
        pb.StreamResponse(frame_id=3, gate=3, task_code=2004, msg="lost [it]"),
    ):
        yield answer.SerializeToString()
    fail(context, LiveGateError(ErrorCode.EXIT, f"the file of {request.camera} has ended"))


def test_cameras_watch_prints_the_words_until_the_end(
    box: FakeBox, capsys: pytest.CaptureFixture[str]
) -> None:
    """The end of a file is no error; why it ended is said beside."""
    box.watch = words
    assert run(box, "cameras", "watch", "door") == 0
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert ["HOLD" in lines[0], "OPEN" in lines[1], "DENY" in lines[2]] == [True] * 3
    assert "GENUINE 0.8750" in lines[1]
    assert "2004" in lines[2]
    assert "lost [it]" in lines[2]
    assert "the file of door has ended" in shown.err


def test_cameras_watch_json_is_one_object_a_line(
    box: FakeBox, capsys: pytest.CaptureFixture[str]
) -> None:
    """For machines."""
    box.watch = words
    assert run(box, "cameras", "watch", "door", "--json") == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["gate"] for row in rows] == ["HOLD", "OPEN", "DENY"]
    assert rows[1]["results"][0]["decision"] == "GENUINE"
    assert [row["error"] and row["error"]["code"] for row in rows] == [None, None, 2004]


def test_cameras_watch_that_fails_is_2(box: FakeBox, capsys: pytest.CaptureFixture[str]) -> None:
    """Any other end than the camera's own."""

    def refuse(request: pb.WatchCameraRequest, context: Any) -> Iterator[bytes]:
        fail(context, LiveGateError(ErrorCode.NO_EXIST, "there is no such camera"))
        yield from ()

    box.watch = refuse
    assert run(box, "cameras", "watch", "attic") == 2
    assert "1016" in capsys.readouterr().err
