"""`livegate serve --camera`: cameras read by the server, from the flag to the watcher."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest

from clips import clip
from e2e.running import Running, run_cli, start, wait_until
from e2e.wire import WAIT_S, Wire, told, wire
from livegate.v1 import liveness_pb2 as pb

PASSWORD = "hunter22-and-more"


@pytest.fixture
def film(folder: Path) -> Path:
    """Two seconds of one colour."""
    path = folder / "film.mp4"
    return clip(path, [(40, 90, 200)] * 30, size=(160, 120), fps=15)


@pytest.fixture
def hall(folder: Path, film: Path) -> Iterator[Running]:
    """A server that reads one film for ever."""
    running = start(folder, "--camera", f"hall=file:{film}?loop")
    yield running
    running.stop()


@pytest.fixture
def operator(hall: Running) -> Iterator[Wire]:
    with wire(f"unix:{hall.socket}") as spoken:
        yield spoken


def children(running: Running) -> list[psutil.Process]:
    return psutil.Process(running.process.pid).children(recursive=True)


def cameras(spoken: Wire) -> dict[str, Any]:
    status = spoken.get_status(pb.GetStatusRequest(), timeout=WAIT_S)
    return {camera.name: camera for camera in status.cameras}


def wait_for(spoken: Wire, name: str, state: str) -> Any:
    wait_until(lambda: name in cameras(spoken) and cameras(spoken)[name].state == state)
    return cameras(spoken)[name]


def watching(spoken: Wire, name: str) -> Any:
    return spoken.watch_camera(pb.WatchCameraRequest(camera=name), timeout=WAIT_S)


def frames(call: Any, count: int) -> list[Any]:
    """The next answers to frames."""
    found = []
    for answer in call:
        if answer.frame_id:
            found.append(answer)
        if len(found) == count:
            break
    return found


def heard_until_end(call: Any) -> tuple[list[Any], int]:
    """Every answer, and the code that ended the call."""
    heard = []
    try:
        for answer in call:
            heard.append(answer)
    except grpc.RpcError as error:
        return heard, told(error)[0]
    raise AssertionError("a watch ends with a code")


def test_frames_of_a_camera_reach_its_watchers(hall: Running, operator: Wire) -> None:
    """Judged, numbered, of the film's size; nothing was copied in the server."""
    call = watching(operator, "hall")
    heard = frames(call, 5)
    call.cancel()
    assert [answer.frame_id for answer in heard] == sorted({answer.frame_id for answer in heard})
    for answer in heard:
        assert answer.code == 9022
        assert (answer.src_width, answer.src_height) == (160, 120)
        assert [result.algo_type for result in answer.results] == ["1031", "9001"]
    camera = cameras(operator)["hall"]
    assert (camera.state, camera.task_code, camera.width, camera.height) == ("STREAMING", 0, 160, 120)
    metrics = hall.get("/metrics")[1]
    assert 'livegate_camera_up{camera="hall"} 1.0' in metrics
    assert 'livegate_frame_bytes_copied_total{camera="hall"} 0.0' in metrics


def test_camera_is_added_changed_and_removed_at_run_time(
    hall: Running, operator: Wire, folder: Path
) -> None:
    """Each takes effect; the other camera does not notice; nothing stays behind."""
    other = clip(folder / "other.mp4", [(9, 9, 9)] * 30, fps=15)
    process = children(hall)
    settings = pb.CameraSettings(name="yard", url=f"file:{other}?loop")
    assert operator.add_camera(settings, timeout=WAIT_S).name == "yard"
    call = watching(operator, "yard")
    assert [(a.src_width, a.frame_width) for a in frames(call, 2)] == [(96, 96)] * 2
    assert len(children(hall)) == 2

    turned = pb.CameraSettings(name="yard", url=f"file:{other}?loop", view=pb.View(rotation=90))
    operator.change_camera(turned, timeout=WAIT_S)
    wait_until(lambda: frames(call, 1)[0].frame_width == 64)

    operator.remove_camera(pb.RemoveCameraRequest(name="yard"), timeout=WAIT_S)
    with pytest.raises(grpc.RpcError) as caught:
        frames(call, 1000)
    assert told(caught.value)[0] == 1023
    wait_until(lambda: children(hall) == process)
    assert list(cameras(operator)) == ["hall"]
    assert cameras(operator)["hall"].restarts == 0


@pytest.mark.parametrize(
    ("call", "settings", "code"),
    [
        ("add_camera", pb.CameraSettings(name="hall", url="file:x.mp4"), 2041),
        ("add_camera", pb.CameraSettings(name="no good name", url="file:x.mp4"), 2041),
        ("add_camera", pb.CameraSettings(name="a", url=f"gopher://admin:{PASSWORD}@host"), 2041),
        ("add_camera", pb.CameraSettings(name="a", url=""), 2041),
        ("add_camera", pb.CameraSettings(name="a", url="file:x", view=pb.View(rotation=1)), 2041),
        (
            "add_camera",
            pb.CameraSettings(name="a", url="file:x", view=pb.View(region=pb.Region(x=1, width=1))),
            2041,
        ),
        ("change_camera", pb.CameraSettings(name="nobody", url="file:x.mp4"), 2042),
        ("change_camera", pb.CameraSettings(name="hall", url="nonsense"), 2042),
        ("remove_camera", pb.RemoveCameraRequest(name="nobody"), 2043),
        ("add_camera", b"\xff\xff", 1004),
        ("remove_camera", b"\xff\xff", 1004),
    ],
)
def test_refused_change_has_its_code_and_changes_nothing(
    hall: Running, operator: Wire, call: str, settings: Any, code: int
) -> None:
    """No secret comes back, no process is started or ended."""
    before = children(hall)
    with pytest.raises(grpc.RpcError) as caught:
        getattr(operator, call)(settings, timeout=WAIT_S)
    number, text = told(caught.value)
    assert number == code
    assert PASSWORD not in text
    assert PASSWORD not in hall.log.read_text()
    assert children(hall) == before
    assert list(cameras(operator)) == ["hall"]


def test_end_of_a_film_is_told_once_and_for_all(hall: Running, operator: Wire, film: Path) -> None:
    """2003 as an answer, then 1023; a later watcher hears the same at once."""
    operator.add_camera(pb.CameraSettings(name="once", url=f"file:{film}"), timeout=WAIT_S)
    for _ in range(2):
        heard, code = heard_until_end(watching(operator, "once"))
        assert code == 1023
        # A frame that was looked at meanwhile may be answered after the news of the end.
        (last,) = [answer for answer in heard if answer.task_code == 2003]
        assert last.gate != pb.GATE_DECISION_OPEN
    assert cameras(operator)["once"].state == "ENDED"
    assert 'livegate_camera_failures_total{camera="once",code="2003"} 1.0' in hall.get("/metrics")[1]


def test_camera_that_does_not_answer_disturbs_nobody_and_tells_no_password(
    folder: Path, film: Path
) -> None:
    """2001 in the status, in the metrics and to the watcher; the password nowhere."""
    bad = f"bad=rtsp://admin:{PASSWORD}@127.0.0.1:9/x"
    running = start(folder, "--camera", bad, "--camera", f"hall=file:{film}?loop")
    try:
        with wire(f"unix:{running.socket}") as spoken:
            camera = wait_for(spoken, "bad", "RETRYING")
            assert camera.task_code == 2001
            assert camera.source == "rtsp://127.0.0.1:9/x"
            assert next(watching(spoken, "bad")).task_code == 2001
            assert len(frames(watching(spoken, "hall"), 3)) == 3
            shown = str(spoken.get_status(pb.GetStatusRequest(), timeout=WAIT_S))
        told_by_cli = run_cli("status", "--target", f"unix:{running.socket}")
        assert told_by_cli.returncode == 1
        assert "2001" in told_by_cli.stdout
        arguments = [" ".join(child.cmdline()) for child in children(running)]
        for text in (shown, told_by_cli.stdout, running.log.read_text(), *arguments):
            assert PASSWORD not in text
    finally:
        assert running.stop() == 0, running.log.read_text()


def test_killed_camera_process_is_replaced_and_its_watcher_stays(hall: Running, operator: Wire) -> None:
    """kill -9: the code in between, then frames again in the same watch."""
    call = watching(operator, "hall")
    assert frames(call, 2)
    (child,) = children(hall)
    child.send_signal(signal.SIGKILL)
    codes = []
    for answer in call:
        if answer.task_code:
            codes.append(answer.task_code)
            assert answer.gate != pb.GATE_DECISION_OPEN
        elif codes:
            break
    call.cancel()
    assert 2004 in codes
    assert cameras(operator)["hall"].restarts == 1
    assert [one.pid for one in children(hall)] != [child.pid]


def test_server_leaves_no_camera_process_behind(folder: Path, film: Path) -> None:
    """Neither after a drain nor after kill -9."""
    for end in (signal.SIGTERM, signal.SIGKILL):
        running = start(folder, "--camera", f"hall=file:{film}?loop")
        with wire(f"unix:{running.socket}") as spoken:
            wait_for(spoken, "hall", "STREAMING")
        left = children(running)
        assert left
        os.kill(running.process.pid, end)
        running.process.wait(WAIT_S)
        wait_until(lambda left=left: not any(child.is_running() for child in left))


def test_watchers_come_and_go_without_a_trace(hall: Running, operator: Wire) -> None:
    """Forty watches that break off at once leave no thread, no descriptor and no place taken."""
    process = psutil.Process(hall.process.pid)
    frames(watching(operator, "hall"), 1)
    wait_until(lambda: "livegate_streams 0.0" in hall.get("/metrics")[1])
    before = (process.num_threads(), process.num_fds())
    for _ in range(40):
        call = watching(operator, "hall")
        frames(call, 1)
        call.cancel()
    wait_until(lambda: "livegate_streams 0.0" in hall.get("/metrics")[1])
    after = (process.num_threads(), process.num_fds())
    assert after[0] <= before[0] + 2
    assert after[1] <= before[1] + 2


def test_watcher_that_never_reads_does_not_hold_up_the_camera(hall: Running, operator: Wire) -> None:
    """The camera goes on at its pace for everybody else, and memory stays where it is."""
    process = psutil.Process(hall.process.pid)
    idle = [watching(operator, "hall") for _ in range(8)]
    frames(watching(operator, "hall"), 5)
    resident = process.memory_info().rss
    frames(watching(operator, "hall"), 30)
    assert process.memory_info().rss - resident < 16 << 20
    for call in idle:
        call.cancel()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--camera", "no-url"), 2041),
        (("--camera", f"x=gopher://admin:{PASSWORD}@y"), 2041),
        (("--camera", "not a name=file:x"), 2041),
        (("--camera", "a=file:x", "--camera", "a=file:y"), 2041),
        (("--camera", "a=file:x", "--frames", ""), 2041),
    ],
)
def test_bad_camera_is_refused_at_start(folder: Path, arguments: tuple[str, ...], code: int) -> None:
    """One line with the code, and no password in it."""
    running = start(folder, *arguments, waits=False)
    assert running.process.wait(WAIT_S) == 2
    log = running.log.read_text()
    assert f"{code} APP_ERR" in log
    assert PASSWORD not in log
    assert "Traceback" not in log


def test_cameras_of_the_command_line(hall: Running, folder: Path, film: Path) -> None:
    """list, add, watch, change, remove, as an operator types them."""
    target = ("--target", f"unix:{hall.socket}")
    assert run_cli("cameras", "add", "yard", f"file:{film}", *target).returncode == 0
    heard = run_cli("cameras", "watch", "yard", "--json", *target)
    assert heard.returncode == 0, heard.stderr
    answers = [json.loads(line) for line in heard.stdout.splitlines()]
    assert answers[-1]["error"]["code"] == 2003
    assert "1023" in heard.stderr
    listed = run_cli("cameras", "list", "--json", *target)
    states = {one["camera"]: one["state"] for one in map(json.loads, listed.stdout.splitlines())}
    assert states == {"hall": "STREAMING", "yard": "ENDED"}
    changed = run_cli("cameras", "change", "yard", f"file:{film}?loop", "--mirror", *target)
    assert changed.returncode == 0, changed.stderr
    assert run_cli("cameras", "remove", "yard", *target).returncode == 0
    refused = run_cli("cameras", "remove", "yard", *target)
    assert refused.returncode == 2
    assert "2043" in refused.stderr
    assert run_cli("status", *target).returncode == 0


def test_cameras_do_not_outlive_a_stop_under_load(folder: Path, film: Path) -> None:
    """Four cameras and four watchers at the stop: the exit is clean, everybody hears 5002."""
    flags = [flag for n in range(4) for flag in ("--camera", f"c{n}=file:{film}?loop")]
    running = start(folder, *flags)
    ends: list[int] = []

    def watch(spoken: Wire, name: str) -> None:
        ends.append(heard_until_end(watching(spoken, name))[1])

    with wire(running.grpc) as spoken:
        threads = [threading.Thread(target=watch, args=(spoken, f"c{n}")) for n in range(4)]
        for thread in threads:
            thread.start()
        wait_until(lambda: "livegate_streams 4.0" in running.get("/metrics")[1])
        left = children(running)
        assert running.stop() == 0, running.log.read_text()
        for thread in threads:
            thread.join(WAIT_S)
    assert ends == [5002] * 4
    assert not any(child.is_running() for child in left)
