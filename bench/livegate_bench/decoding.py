"""Cameras that the server decodes itself: how many files at once it plays and judges in time."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from livegate.client import LivenessClient
from livegate.core.errors import LiveGateError
from livegate_bench.bench import MOST_DECODED, Bench
from livegate_bench.failure import BenchError
from livegate_bench.generator.fleet import SETTLE_S
from livegate_bench.generator.loadgen import Taken
from livegate_bench.generator.scene import PERIOD_S, Kind, Scene
from livegate_bench.measure import scrape
from livegate_bench.measure.conditions import Watcher
from livegate_bench.measure.meter import cpu_seconds, rss_bytes
from livegate_bench.measure.rounds import per_request_ms, window_of
from livegate_bench.measure.search import highest_number
from livegate_bench.measure.stability import why_unstable
from livegate_bench.picture import FRAME_HEIGHT, FRAME_WIDTH
from livegate_bench.rows import Row
from livegate_bench.sut import Server

NAME, SYSTEM = "camera_fleet", "camera-file"
PERCENTILE = 0.99
STREAMING_S = 30.0
LOOK_EVERY_S = 0.1


def decoding_row(
    bench: Bench, server: Server, options: argparse.Namespace, seconds: float, most_dropped: float
) -> Row:
    """The most files of 1280x720 H.264 that give F frames a second each, with few drops.

    `seconds` are those of a round, and those in which the cameras join: their people come at moments of
    their own.
    """
    fps, scene = options.fps, options.scene
    with tempfile.TemporaryDirectory(prefix="livegate-bench-") as folder:
        clip = Path(folder) / "clip.mp4"
        clip.write_bytes(film(bench.picture, fps, scene, bench.seed))

        def joins_s(cameras: int) -> list[float]:
            return sorted(np.random.default_rng(bench.seed).uniform(0, seconds, cameras).tolist())

        def is_held(cameras: int) -> bool:
            with playing(server, clip, joins_s(cameras)):
                taken, _ = watch(server, seconds)
            bench.say(f"{NAME}, decoding {cameras} cameras: {taken.requests / taken.seconds:.0f}/s")
            return keeps_up(taken, cameras, fps, most_dropped)

        most = min(options.most_cameras, MOST_DECODED)
        cameras = highest_number(is_held, most=most)
        watcher, started_unix_s = Watcher(), time.time()
        rounds = []
        with playing(server, clip, joins_s(max(1, cameras))):
            for _ in range(bench.pace.rounds):
                rounds.append(watch(server, seconds))
            memory = rss_bytes(server.box.pid)
    takens = [taken for taken, _ in rounds]
    windows = tuple(window_of(taken, spent_s, PERCENTILE) for taken, spent_s in rounds)
    problem = why_unstable(windows)
    if cameras == 0:
        problem = "one camera is too many already"
    elif not all(keeps_up(taken, cameras, fps, most_dropped) for taken in takens):
        problem = f"{cameras} cameras held in the search, and not in every round"
    requests, watched_s = sum(t.requests for t in takens), sum(t.seconds for t in takens)
    return Row(
        scenario=NAME,
        system=SYSTEM,
        settings={
            "fps": fps,
            "scene": scene,
            "every_frame": options.every_frame,
            "joining_s": seconds,
        },
        picture=bench.picture_name,
        pack=bench.config.models.pack,
        detector_input=bench.config.face_detection.input_size,
        threads=bench.threads,
        seed=bench.seed,
        started_unix_s=started_unix_s,
        seconds=watched_s,
        requests=requests,
        rate_per_s=requests / watched_s,
        latency=None,
        percentile=PERCENTILE,
        windows=windows,
        is_stable=not problem,
        unstable_because=problem,
        core_ms_per_request=per_request_ms(sum(spent_s for _, spent_s in rounds), requests),
        load_core_ms_per_request=None,
        drops={name: sum(t.drops.get(name, 0) for t in takens) for t in takens for name in t.drops},
        rss_bytes=memory,
        engines=bench.judging_engines(),
        figures={"max_cameras": float(cameras), "searched_to": float(most)},
        before=watcher.before,
        after=watcher.look(),
    )


def film(picture: bytes, fps: float, kind: Kind, seed: int) -> bytes:
    """An MP4 of one period of a scene."""
    import av

    scene, pixels = Scene(picture, kind, seed), np.empty((FRAME_HEIGHT, FRAME_WIDTH, 3), np.uint8)
    with tempfile.NamedTemporaryFile(suffix=".mp4") as file, av.open(file.name, "w") as container:
        stream: Any = container.add_stream(
            "libx264", rate=Fraction(fps).limit_denominator(1001), options={"preset": "veryfast"}
        )
        stream.width, stream.height, stream.pix_fmt = FRAME_WIDTH, FRAME_HEIGHT, "yuv420p"
        for number in range(round(fps * PERIOD_S)):
            scene.paint(pixels, number, number / fps)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="bgr24")))
        container.mux(stream.encode())
        container.close()
        return Path(file.name).read_bytes()


@contextmanager
def playing(server: Server, clip: Path, joins_s: Sequence[float]) -> Iterator[None]:
    """Cameras that play the clip over and over, as fast as it was filmed, all of them there.

    Each is added at its moment; added all at once, their people would come at once, too.
    """
    names = [f"decoded-{number}" for number in range(len(joins_s))]
    with LivenessClient(server.box.target("unix")) as client:
        try:
            began_s = time.monotonic()
            for name, join_s in zip(names, joins_s, strict=True):
                time.sleep(max(0.0, began_s + join_s - time.monotonic()))
                client.add_camera(name, f"file:{clip}?loop")
            _wait_until_streaming(server, client, set(names))
            time.sleep(SETTLE_S)
            yield
        except LiveGateError as error:
            raise BenchError(f"a camera of the server's own cannot be had: {error}") from error
        finally:
            for name in names:
                with suppress(LiveGateError):
                    client.remove_camera(name)


def watch(server: Server, seconds: float) -> tuple[Taken, float]:
    """What the server judged meanwhile, and its processor seconds, camera processes included."""
    before, spent_s, started_s = (
        scrape.scrape(server.box.metrics),
        cpu_seconds(server.box.pid),
        time.perf_counter(),
    )
    time.sleep(seconds)
    server.check()
    spent_s = cpu_seconds(server.box.pid) - spent_s
    counted = scrape.difference(scrape.scrape(server.box.metrics), before)
    took_s = time.perf_counter() - started_s
    judged = scrape.total(counted, "livegate_frames_total", "judged")
    return Taken(took_s, judged, np.empty(0), drops=scrape.dropped(counted)), spent_s


def keeps_up(taken: Taken, cameras: int, fps: float, most_dropped: float) -> bool:
    """All but a few frames were judged: those that a decoder never gave count as dropped, too.

    A look begins and ends somewhere between two frames of each camera.
    """
    return taken.requests + cameras >= cameras * fps * taken.seconds * (1 - most_dropped)


def _wait_until_streaming(server: Server, client: LivenessClient, names: set[str]) -> None:
    until_s = time.monotonic() + STREAMING_S
    while time.monotonic() < until_s:
        server.check()
        streaming = {r.camera for r in client.cameras() if r.state.value == "STREAMING"}
        if names <= streaming:
            return
        time.sleep(LOOK_EVERY_S)
    raise BenchError(f"{len(names)} cameras did not all give pictures within {STREAMING_S:g} s")
