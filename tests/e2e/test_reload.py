"""`livegate models reload` and its RPC against a real server, under load."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import msgspec
import numpy as np
import psutil
import pytest
import requests

from e2e.pictures import PATH, body, jpeg
from e2e.running import Running, run_cli, start, wait_until
from livegate.client import FACE_DETECTION, SILENT_LIVENESS, FrameProducer, LivenessClient
from livegate.core.errors import ErrorCode, LiveGateError
from livegate.manifests.goldens import DIGEST_BYTES, Case, GoldenOutputs, Tensor
from livegate.shm.outcome import FrameResult
from support import shared

TOKEN = "an admin's token"
PACK = ("--set", "models.pack=reference")
TASKS = (SILENT_LIVENESS, FACE_DETECTION)
SWAPS = 4
"""Two each way: with and without waiting for what is under way."""
BACKENDS = ("onnxruntime", "null")
WAIT_S = 120.0
MIB = 1 << 20


@pytest.fixture
def null_server(folder: Path) -> Iterator[Running]:
    """Any models, without their weights."""
    every_frame = ("--set", "attention.recheck_ms=0")
    running = start(folder, *PACK, *every_frame, "--set", f"grpc.admin_tokens={TOKEN}")
    yield running
    assert running.stop() == 0, running.log.read_text()


def refused(call: Callable[[], Any]) -> LiveGateError:
    with pytest.raises(LiveGateError) as caught:
        call()
    return caught.value


def metric(running: Running, name: str) -> float:
    (line,) = [one for one in running.get("/metrics")[1].splitlines() if one.startswith(f"{name} ")]
    return float(line.rpartition(" ")[2])


# --- without weights ------------------------------------------------------------------------------


def test_reload_needs_the_socket_or_an_admin_token(null_server: Running) -> None:
    """As adding a camera does: whoever may ask for verdicts may not change what gives them."""
    with LivenessClient(null_server.grpc) as client:
        assert refused(client.reload_models).code is ErrorCode.NO_PERMISSION
    with LivenessClient(null_server.grpc, token=TOKEN) as client:
        assert client.reload_models().algo_tasks == (1031, 9001, 9002)
    with LivenessClient(f"unix:{null_server.socket}") as client:
        assert {engine.backend for engine in client.reload_models().engines} == {"null 1"}
    assert metric(null_server, 'livegate_reloads_total{outcome="swapped"}') == 2


def test_reload_command_prints_what_serves(null_server: Running) -> None:
    """0 when the new models serve, 2 with the reason when the old ones go on."""
    target = ("--target", f"unix:{null_server.socket}")
    done = run_cli("models", "reload", *target)
    assert done.returncode == 0, done.stderr
    assert "yunet_n" in done.stdout
    told = run_cli("models", "reload", "--json", "--use", "silent_liveness=minifasnet_pair", *target)
    assert {engine["model_id"] for engine in json.loads(told.stdout)["engines"]} >= {"minifasnet_pair"}
    failed = run_cli("models", "reload", "--pack", "refrence", *target)
    assert failed.returncode == 2
    assert "1016" in failed.stderr
    assert "did you mean 'reference'?" in failed.stderr
    assert run_cli("models", "reload", "--use", "silent_liveness", *target).returncode == 2
    assert null_server.get("/readyz")[0] == 200


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"pack": "nobody's"}, ErrorCode.NO_EXIST),
        ({"use": {"silent_liveness": "nobody"}}, ErrorCode.NO_EXIST),
        ({"use": {"silent_liveness": "yunet_n"}}, ErrorCode.MODELINIT_FAIL),
        ({"use": {"no_task": "yunet_n"}}, ErrorCode.PARAM_FAILURE),
    ],
)
def test_wish_that_cannot_be_is_refused(null_server: Running, asked: Any, code: ErrorCode) -> None:
    """Before anything is loaded; the old models answer as before."""
    with LivenessClient(f"unix:{null_server.socket}") as client:
        before = client.status()["engines"]
        assert refused(lambda: client.reload_models(**asked)).code is code
        assert client.status()["engines"] == before
        assert client.analyze(jpeg()).engines
    assert metric(null_server, 'livegate_reloads_total{outcome="failed"}') == 1


def test_message_that_is_none_is_1004(null_server: Running) -> None:
    """Bytes that cannot be read are no wish, and nothing is reloaded."""
    with grpc.insecure_channel(f"unix:{null_server.socket}") as channel:
        call = channel.unary_unary("/livegate.v1.LivenessService/ReloadModels")
        with pytest.raises(grpc.RpcError) as caught:
            call(b"\xff\xff", timeout=WAIT_S)
    assert "APP_ERR_COMM_INVALID_PARAM" in str(dict(caught.value.trailing_metadata()))
    assert metric(null_server, 'livegate_reloads_total{outcome="swapped"}') == 0


def test_models_change_under_a_camera_and_no_frame_of_it_fails(
    null_server: Running, folder: Path
) -> None:
    """A camera hands over frame after frame while the models change: each is judged, in order."""
    told: list[FrameResult] = []
    with (
        FrameProducer(folder / "frames.sock", camera="door", width=320, height=240) as producer,
        LivenessClient(f"unix:{null_server.socket}") as client,
    ):

        def hand_over() -> None:
            with producer.loan(timeout_s=1.0) as pixels:
                pixels[:] = len(told) % 251
            told.extend(producer.results(timeout_s=1.0))

        with ThreadPoolExecutor(1) as other:
            for _ in range(SWAPS):
                swap = other.submit(client.reload_models)
                while not swap.done():
                    hand_over()
                assert swap.result(WAIT_S).engines
                hand_over()
    numbers = [result.frame_id for result in told]
    assert numbers == list(range(numbers[0], numbers[0] + len(told)))
    assert len(told) > SWAPS
    assert {(result.outcome.code, result.has_verdict) for result in told} == {(ErrorCode.OK, True)}
    assert metric(null_server, 'livegate_reloads_total{outcome="swapped"}') == SWAPS


# --- with the reference weights -------------------------------------------------------------------


def write_config(path: Path, backend: str) -> None:
    """What a reload reads anew."""
    path.write_text(f'[models]\npack = "reference"\n[engine]\nbackend = "{backend}"\n')


class Switched:
    """A server whose configuration file names one backend or the other, and what each answers."""

    def __init__(self, folder: Path) -> None:
        self.still = shared("media", "stills", "image_T1.jpg").read_bytes()
        self.film = shared("media", "rendered", "ict_a_nod.mp4").read_bytes()
        self.config = folder / "livegate.toml"
        write_config(self.config, BACKENDS[0])
        models = str(shared("models", "reference"))
        arguments = ("--models", models, "--config", str(self.config))
        self.server = start(folder, *arguments, "--set", "server.queue_timeout_s=60", backend=None)
        self.client = LivenessClient(f"unix:{self.server.socket}", retries=0)
        self.scores: dict[str, Any] = {}
        self.films: dict[str, Any] = {}

    def reload(self, backend: str) -> Any:
        write_config(self.config, backend)
        return self.client.reload_models(timeout_s=WAIT_S)

    def learn(self) -> None:
        """What each backend answers, in peace."""
        for backend in reversed(BACKENDS):
            self.reload(backend)
            answer = self.client.analyze(self.still, algo_tasks=TASKS, timeout_s=WAIT_S)
            self.scores[backend] = said(answer.results)
            film = self.client.verify_actions(self.film, [3], timeout_s=WAIT_S)
            self.films[backend] = (film.events, film.silent and round(film.silent.score, 4))
        assert self.scores[BACKENDS[0]] != self.scores[BACKENDS[1]]
        assert self.films[BACKENDS[0]] != self.films[BACKENDS[1]]


def said(results: Any) -> tuple[float, ...]:
    """The scores of an answer, each for every picture once."""
    every = [{round(score, 4) for score in (one.score, *one.image_scores)} for one in results]
    assert all(len(scores) == 1 for scores in every), "pictures of one request were judged differently"
    return tuple(score for (score,) in every)


def backend_of(engines: Any) -> str:
    """The one backend that every network of an answer ran on."""
    (name,) = {engine.backend.partition(" ")[0] for engine in engines}
    return str(name)


@pytest.fixture
def switched(folder: Path) -> Iterator[Switched]:
    made = Switched(folder)
    yield made
    made.client.close()
    assert made.server.stop() == 0, made.server.log.read_text()


class Load:
    """Calls that threads make again and again."""

    def __init__(self, calls: tuple[Callable[[], None], ...]) -> None:
        self.counts = [0] * len(calls)
        self.failures: list[BaseException] = []
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._repeat, args=one) for one in enumerate(calls)]
        for thread in self._threads:
            thread.start()

    def wait_for_more(self, *which: int) -> None:
        """Until each of these was answered once more, or something failed."""
        before = list(self.counts)
        wait_until(lambda: self.failures or all(self.counts[n] > before[n] for n in which))

    def end(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(WAIT_S)

    def _repeat(self, number: int, call: Callable[[], None]) -> None:
        try:
            while not self._ended.is_set():
                call()
                self.counts[number] += 1
        except BaseException as error:
            self.failures.append(error)


@contextmanager
def under_load(*calls: Callable[[], None]) -> Iterator[Load]:
    """Each call in a thread of its own; nothing may fail."""
    load = Load(calls)
    try:
        yield load
    finally:
        load.end()
        assert load.failures == []


def test_reload_under_load_loses_nothing_and_mixes_nothing(switched: Switched) -> None:
    """gRPC, HTTP, a stream and videos at once: each answer is wholly that of the engines it names."""
    switched.learn()
    server, known = switched.server, set(switched.scores.values())

    def ask() -> None:
        pictures = [switched.still] * 3
        answer = switched.client.analyze(pictures, algo_tasks=TASKS, timeout_s=WAIT_S)
        assert said(answer.results) == switched.scores[backend_of(answer.engines)]

    def ask_http() -> None:
        answer = requests.post(server.url(PATH), body(switched.still), timeout=WAIT_S).json()["data"]
        assert "results" in answer, answer
        assert round(answer["results"][0]["score"], 4) in {scores[0] for scores in known}

    def film() -> None:
        answer = switched.client.verify_actions(switched.film, [3], timeout_s=WAIT_S)
        expected = switched.films[backend_of(answer.engines)]
        assert (answer.events, answer.silent and round(answer.silent.score, 4)) == expected

    with switched.client.stream(algo_tasks=TASKS, timeout_s=WAIT_S) as stream:

        def frame() -> None:
            answer = stream.ask(switched.still)
            assert answer.error is None
            assert said(answer.results) in known

        with under_load(ask, ask_http, film, frame) as load:
            for number in range(SWAPS):
                reloaded = switched.reload(BACKENDS[(number + 1) % 2])
                assert backend_of(reloaded.engines) == BACKENDS[(number + 1) % 2]
                assert server.get("/readyz")[0] == 200
                # Every other time nobody waits for the video, so that it is swapped under.
                load.wait_for_more(*((0, 1, 3) if number % 2 else range(4)))
    wait_until(lambda: metric(server, "livegate_retired_pipelines") == 0)
    shown = server.get("/metrics")[1]
    assert 'backend="null 1"' not in shown
    assert {e["backend"].split()[0] for e in switched.client.status()["engines"]} == {"onnxruntime"}


def test_pack_that_is_named_lasts_until_the_next_reload(folder: Path) -> None:
    """Nothing of a wish is kept: a plain reload follows the configuration again."""
    models = str(shared("models", "reference"))
    arguments = ("--models", models, "--set", "models.pack=starter")
    running = start(folder, *arguments, backend="onnxruntime")
    with LivenessClient(f"unix:{running.socket}") as client:
        first, named, plain = (
            {engine["model_id"] for engine in client.status()["engines"]},
            {engine.model_id for engine in client.reload_models(pack="reference").engines},
            {engine.model_id for engine in client.reload_models().engines},
        )
    assert {"yunet_n", "minifasnet_pair"} <= named
    assert not first & named
    assert plain == first
    assert running.stop() == 0, running.log.read_text()


def test_failed_reload_leaves_the_old_models_under_load(folder: Path) -> None:
    """A file that was cut short, then a configuration that is none; mended, the next one serves."""
    models = folder / "models"
    shutil.copytree(shared("models", "reference"), models)
    still = shared("media", "stills", "image_T1.jpg").read_bytes()
    config = folder / "livegate.toml"
    write_config(config, "onnxruntime")
    running = start(folder, "--models", str(models), "--config", str(config), backend=None)
    with LivenessClient(f"unix:{running.socket}", retries=0) as client:
        expected = said(client.analyze(still, algo_tasks=TASKS, timeout_s=WAIT_S).results)

        def ask() -> None:
            answer = client.analyze(still, algo_tasks=TASKS, timeout_s=WAIT_S)
            assert said(answer.results) == expected
            assert running.get("/readyz")[0] == 200

        (victim,) = models.rglob("2.7_80x80_MiniFASNetV2.onnx")
        whole = victim.read_bytes()
        victim.write_bytes(whole[:-1])
        twins = [path for path in models.rglob("*") if path != victim and path.is_file()]
        for twin in twins:
            if twin.stat().st_size == len(whole) and twin.read_bytes() == whole:
                twin.unlink()
        with under_load(ask):
            error = refused(lambda: client.reload_models(timeout_s=WAIT_S))
            assert error.code is ErrorCode.MODELINIT_FAIL
            assert victim.name in error.message
            victim.write_bytes(whole)
            config.write_text("[engine]\nbackendd = 1\n")
            error = refused(lambda: client.reload_models(timeout_s=WAIT_S))
            assert error.code is ErrorCode.CONFIG_ADD_FAIL
            write_config(config, "onnxruntime")
            assert client.reload_models(timeout_s=WAIT_S).engines
    assert metric(running, 'livegate_reloads_total{outcome="failed"}') == 2
    assert "reload failed" in running.log.read_text()
    assert running.stop() == 0, running.log.read_text()


def test_engine_that_strays_is_refused_and_the_old_models_go_on(folder: Path) -> None:
    """1029 with the output: golden outputs of other numbers stand for an engine that is wrong."""
    kept = folder / "cache"
    models = str(shared("models", "reference"))
    still = shared("media", "stills", "image_T1.jpg").read_bytes()
    arguments = (*PACK, "--models", models)
    running = start(folder, *arguments, backend="onnxruntime", env={"LIVEGATE_CACHE": str(kept)})
    with LivenessClient(f"unix:{running.socket}", retries=0) as client:
        before = client.analyze(still, algo_tasks=TASKS, timeout_s=WAIT_S)
        for path in (kept / "golden").glob("*.golden"):
            falsify(path)
        error = refused(lambda: client.reload_models(timeout_s=WAIT_S))
        assert error.code is ErrorCode.MODELINIT_FAIL
        assert "strays from its golden values" in error.message
        after = client.analyze(still, algo_tasks=TASKS, timeout_s=WAIT_S)
        assert (said(after.results), after.engines) == (said(before.results), before.engines)
    assert running.get("/readyz")[0] == 200
    assert metric(running, "livegate_retired_pipelines") == 0
    assert running.stop() == 0, running.log.read_text()


def falsify(path: Path) -> None:
    """Every number of a file of golden outputs one higher, under a digest that fits."""
    outputs = msgspec.msgpack.decode(path.read_bytes()[DIGEST_BYTES:], type=GoldenOutputs)
    cases = tuple(
        Case(
            case.input_sha256,
            {
                name: Tensor(tensor.shape, (case.output(name) + 1).astype("<f4").tobytes())
                for name, tensor in case.outputs.items()
            },
        )
        for case in outputs.cases
    )
    body = msgspec.msgpack.encode(msgspec.structs.replace(outputs, cases=cases))
    path.write_bytes(hashlib.sha256(body).digest() + body)


PAUSE_S = 0.05
"""Between two questions of a client: a box that has nothing left would reload once in three seconds."""
GIVES_BACK = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
"""glibc keeps what is freed, give or take 30 MiB. What is left with these is held by somebody."""


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_soak_of_reloads_leaks_nothing(folder: Path) -> None:
    """LIVEGATE_RELOADS (100) reloads of real models under load: nothing lost, and memory stays level."""
    count = int(os.environ.get("LIVEGATE_RELOADS", "100"))
    still = shared("media", "stills", "image_T1.jpg").read_bytes()
    models = str(shared("models", "reference"))
    running = start(folder, *PACK, "--models", models, backend="onnxruntime", env=GIVES_BACK)
    process = psutil.Process(running.process.pid)
    readings: list[tuple[int, int]] = []
    begun_s = time.monotonic()
    with LivenessClient(f"unix:{running.socket}", retries=0) as client:
        expected = said(client.analyze(still, algo_tasks=TASKS, timeout_s=WAIT_S).results)

        def ask() -> None:
            time.sleep(PAUSE_S)
            answer = client.analyze(still, algo_tasks=TASKS, timeout_s=WAIT_S)
            assert said(answer.results) == expected

        with client.stream(algo_tasks=TASKS, timeout_s=WAIT_S) as stream:

            def frame() -> None:
                time.sleep(PAUSE_S)
                answer = stream.ask(still)
                assert answer.error is None
                assert said(answer.results) == expected

            with under_load(ask, frame) as load:
                for _ in range(count):
                    client.reload_models(timeout_s=WAIT_S)
                    wait_until(lambda: metric(running, "livegate_retired_pipelines") == 0)
                    readings.append((process.memory_info().rss, process.num_fds()))
    half = np.array(readings[len(readings) // 2 :])
    slope = float(np.polyfit(np.arange(len(half)), half[:, 0], 1)[0])
    print(
        f"{count} reloads, {sum(load.counts)} answers in {time.monotonic() - begun_s:.0f} s; "
        f"RSS {readings[0][0] // MIB} -> {half[0][0] // MIB} -> {half[-1][0] // MIB} MiB, "
        f"slope {slope / MIB:+.3f} MiB a reload, fds {half[:, 1].min()}..{half[:, 1].max()}, "
        f"threads {process.num_threads()}"
    )
    assert slope < 0.1 * MIB  # a set of models that stays is 47 MiB
    assert half[:, 1].max() - half[:, 1].min() <= 8
    assert metric(running, 'livegate_reloads_total{outcome="swapped"}') == count
    assert running.stop() == 0, running.log.read_text()
