"""Videos through a real server and the command line."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import cv2
import pytest

from clips import GREY, clip, tone
from e2e.pictures import jpeg
from e2e.running import Running, run_cli
from livegate.client import Action, AsyncLivenessClient, LivenessClient
from livegate.core.errors import ErrorCode, LiveGateError
from support import reference_flags, shared


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second and a half of grey."""
    path = tmp_path_factory.mktemp("v") / "a.mp4"
    return clip(path, [GREY] * 36, size=(128, 96), fps=24)


def test_verify_actions_is_answered_in_full(server: Running, video: Path) -> None:
    """9002 is answered by 9003; the null backend's face does nothing."""
    with LivenessClient(server.grpc) as client:
        answer = client.verify_actions(
            video.read_bytes(), (1, 3), action_time=((0, 500), (500, 1500)), task_id="t", request_id="r"
        )
    assert (answer.code, answer.task_id, answer.request_id) == (9003, "t", "r")
    assert not answer.is_alive
    assert "ACTION_MISSING" in answer.reasons
    assert [(one.action, one.is_accepted) for one in answer.actions] == [
        (Action.SHAKE_LEFT, False),
        (Action.NOD, False),
    ]
    assert (answer.width, answer.height, answer.frames) == (128, 96, 36)
    assert answer.codec == "h264"
    assert {engine.provider for engine in answer.engines} == {"null"}
    assert set(answer.stages_ms) == {"queue", "decode", "preprocess", "infer", "postprocess"}


def test_faces_that_are_large_enough_are_counted(server: Running, tmp_path: Path) -> None:
    """Two of the null backend's stand in a larger picture, none in a small one."""
    with LivenessClient(server.grpc) as client:
        counts = []
        for size in ((128, 96), (640, 480)):
            content = clip(tmp_path / "a.mp4", [GREY] * 30, size=size).read_bytes()
            counts.append(client.verify_actions(content, (1,)).most_faces)
    assert counts[0] == 0
    assert counts[1] > 1


def test_async_client_gives_the_same(server: Running, video: Path) -> None:
    """As its namesake."""

    async def ask() -> tuple[str, ...]:
        async with AsyncLivenessClient(server.grpc) as client:
            return (await client.verify_actions(video.read_bytes(), (4,), mirrored=True)).reasons

    assert "ACTION_MISSING" in asyncio.run(ask())


def test_bad_videos_have_their_codes_and_the_server_lives(
    server: Running, video: Path, tmp_path: Path
) -> None:
    """Empty, garbage, sound only, cut short; then a picture and a good video are judged as ever."""
    bad = {
        b"": ErrorCode.PARAM_FAILURE,
        b"garbage" * 99: ErrorCode.DECODE_FAIL,
        tone(tmp_path / "a.mp4").read_bytes(): ErrorCode.STREAMPULLER_STREAMFIND_FAIL,
        video.read_bytes()[:1000]: ErrorCode.DECODE_FAIL,
        bytes((8 << 20) + 1): ErrorCode.OUT_OF_RANGE,
    }
    with LivenessClient(server.grpc, retries=0) as client:
        for content, code in bad.items():
            with pytest.raises(LiveGateError) as caught:
                client.verify_actions(content, (1,))
            assert caught.value.code is code
        assert client.analyze(jpeg()).code == 1020
        assert client.verify_actions(video.read_bytes(), (1,)).frames == 36


def test_wrong_requests_are_1031(server: Running, video: Path) -> None:
    """Unknown actions, none, windows that do not fit, a nod of no degrees."""
    content = video.read_bytes()
    with LivenessClient(server.grpc, retries=0) as client:
        for actions, keys in (
            ((), {}),
            ((7,), {}),
            ((1,), {"action_time": ((5, 5),)}),
            ((1,), {"nod_threshold": 0.0}),
        ):
            with pytest.raises(LiveGateError) as caught:
                client.verify_actions(content, actions, **keys)  # type: ignore[arg-type]
            assert caught.value.code is ErrorCode.PARAM_FAILURE


def test_deadline_ends_a_video(server: Running, video: Path) -> None:
    """A process does not start in a millisecond."""
    with LivenessClient(server.grpc, retries=0) as client:
        with pytest.raises(LiveGateError) as caught:
            client.verify_actions(video.read_bytes(), (1,), timeout_s=0.02)
        assert caught.value.code is ErrorCode.TIMEOUT


def test_status_tells_that_videos_are_judged(server: Running) -> None:
    """9002 is among the tasks."""
    with LivenessClient(server.grpc) as client:
        assert 9002 in client.status()["algo_tasks"]


def test_command_line_says_alive_or_not(tmp_path: Path) -> None:
    """Exit status 0 for a clip's own action, 1 for another, 2 for an error."""
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: no [cpu] extra")
    name = str(shared("media", "rendered", "ict_b_mouth.mp4"))
    models = reference_flags()
    done = run_cli("verify", name, "--actions", "4", *models)
    assert done.returncode == 0, done.stderr
    assert "ALIVE" in done.stdout
    plot = tmp_path / "out.png"
    done = run_cli("verify", name, "--actions", "1,4", "--json", "--plot", str(plot), *models)
    assert cv2.imread(str(plot)).shape == (800, 1000, 3)
    assert done.returncode == 1, done.stderr
    said = json.loads(done.stdout)
    assert (said["alive"], said["reasons"]) == (False, ["ACTION_MISSING"])
    assert [one["accepted"] for one in said["actions"]] == [False, True]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("no-such.mp4", "--actions", "1"), 1016),
        ((__file__, "--actions", "x"), 1031),
        ((__file__, "--actions", "9"), 1031),
        ((__file__, "--actions", "1"), 1028),
    ],
)
def test_command_line_error_is_2_with_its_code(arguments: tuple[str, ...], code: int) -> None:
    """In the table's words, or as JSON."""
    null = ("--set", "engine.backend=null")
    done = run_cli("verify", *arguments, *null)
    assert done.returncode == 2
    assert str(code) in done.stderr
    done = run_cli("verify", *arguments, "--json", *null)
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["code"] == code
