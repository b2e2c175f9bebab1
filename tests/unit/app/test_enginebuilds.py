"""Which engines are built before the box serves, and what is shown of it, on a fake of TensorRT."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from livegate.app.build import build_pipeline, build_service, build_store
from livegate.app.checkup import Finding, Grade, examine
from livegate.app.enginebuilds import (
    EngineBuilds,
    build_before_serving,
    missing_engines,
    unwanted_by_this_box,
    wanted_engines,
)
from livegate.cli.main import main
from livegate.core.config import MetricsConfig
from livegate.core.errors import ErrorCode, LiveGateError, SetupError
from livegate.core.telemetry import Metrics
from livegate.core.view import View
from livegate.engines.builds import BuildProgress
from livegate.engines.cache import EngineCache
from livegate.gateway.operations import operations_app
from support import REFERENCE, ROOT, config_with, shared
from tensorrt_fake import install_tensorrt

pytest.importorskip("onnxruntime", reason="the fake computes with onnxruntime")
MODEL = "minifasnet_pair"
TENSORRT = ["--pack", "reference", "--backend", "tensorrt", "--models"]


@pytest.fixture
def trt(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """TensorRT 10.3 and a GPU, and a cache of this test's own."""
    monkeypatch.setenv("LIVEGATE_CACHE", str(tmp_path))
    trt, _ = install_tensorrt(monkeypatch, "10.3.0")
    return trt


@pytest.fixture
def config(trt: Any) -> Any:
    """A box that wants TensorRT for the silent model, and ONNX Runtime for the rest."""
    engine = {"use": {MODEL: "tensorrt"}, "precision": "fp16"}
    return config_with(engine=engine, models={"pack": "reference", "dirs": (str(shared("models")),)})


def test_wanted_engines_are_those_that_run_first(config: Any) -> None:
    """Models on other backends need none; a manifest without fp16 stays in fp32."""
    jobs = list(wanted_engines(config, build_store(config)))
    assert [(job.model, job.network.name, job.options.precision) for job in jobs] == [
        (MODEL, "crop_2_7", "fp16"),
        (MODEL, "crop_4_0", "fp16"),
    ]
    other = config_with(engine={"use": {"fsanet_pair": "tensorrt"}, "precision": "fp16"}, **REFERENCE)
    jobs = list(wanted_engines(other, build_store(config)))
    assert {job.options.precision for job in jobs} == {"fp32"}


def test_require_builds_before_it_serves_and_once(config: Any, trt: Any) -> None:
    """What is missing is built; the second start finds it."""
    store, builds = build_store(config), EngineBuilds()
    build_before_serving(config, store, builds)
    assert trt.seen.builds == 2
    assert builds.board.current is None
    assert list(missing_engines(config, store)) == []
    build_before_serving(config, store, builds)
    assert trt.seen.builds == 2


@pytest.mark.parametrize("policy", ["prefer", "any"])
def test_other_policies_serve_on_something_else_meanwhile(config: Any, trt: Any, policy: Any) -> None:
    """Nobody waits for an engine that the policy can do without."""
    import msgspec

    engine = msgspec.structs.replace(config.engine, policy=policy)
    build_before_serving(
        msgspec.structs.replace(config, engine=engine), build_store(config), EngineBuilds()
    )
    assert trt.seen.builds == 0


def test_damaged_engine_is_built_again(config: Any, trt: Any) -> None:
    """It is refused, never loaded, and told as the reason of the new build."""
    store = build_store(config)
    build_before_serving(config, store, EngineBuilds())
    for path in EngineCache().folder.glob("*.plan"):
        path.write_bytes(b"rubbish")
    assert all("damaged" in job.why for job in missing_engines(config, store))
    build_before_serving(config, store, EngineBuilds())
    assert list(missing_engines(config, store)) == []


def test_building_is_seen_everywhere(config: Any) -> None:
    """/readyz, the metric and a refused request tell which engine, how far, and how long yet."""
    metrics, builds, seen = Metrics(), EngineBuilds(), []
    service = build_service(config, metrics, builds.board)
    app = operations_app(MetricsConfig(), service, metrics)

    def look(progress: BuildProgress) -> None:
        status, body = get(app, "/readyz")
        with pytest.raises(LiveGateError) as caught:
            service.session((1031,), View())
        seen.append((status, json.loads(body), caught.value, get(app, "/metrics")[1]))

    try:
        EngineBuilds.run(_shown(builds, look), list(missing_engines(config, build_store(config))))
        status, body, error, text = seen[3]
        assert (status, body["state"]) == (503, "BUILDING")
        assert body["build"]["model"] == MODEL
        assert 0 < body["build"]["part"] <= 1
        assert error.code is ErrorCode.INPROGRESS
        assert f"livegate_engine_build_ratio {body['build']['part']}" in text
        after = json.loads(get(app, "/readyz")[1])
        assert after["state"] == "WARMING"
        assert "build" not in after
        assert "livegate_engine_build_ratio NaN" in get(app, "/metrics")[1]
    finally:
        service.close()


def get(app: Any, path: str) -> tuple[int, str]:
    """What an ASGI app answers."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "headers": [], "query_string": b""}
    asyncio.run(app(scope, receive, send))
    return sent[0]["status"], b"".join(part.get("body", b"") for part in sent).decode()


def _shown(builds: EngineBuilds, look: Any) -> EngineBuilds:
    builds._show = look
    return builds


def test_cancel_gives_up_and_begins_nothing_more(config: Any, trt: Any) -> None:
    """A server that is told to stop does not wait for minutes."""
    builds = EngineBuilds(lambda progress: builds.cancel())
    with pytest.raises(SetupError, match="given up") as caught:
        builds.run(list(missing_engines(config, build_store(config))))
    assert caught.value.code is ErrorCode.EXIT
    assert trt.seen.builds == 0
    assert list(EngineCache().records()) == []


KILLED = r"""
import os, signal, sys
sys.path[:0] = [sys.argv[1]]
import pytest
from tensorrt_fake import install_tensorrt
from livegate.backends.tensorrt import Plugin
from livegate.engines.base import EngineOptions
from livegate.engines.builds import Watch
from support import tiny_manifest, tiny_onnx
onnx = tiny_onnx()
network, options = tiny_manifest(onnx).networks[0], EngineOptions("gpu")
with pytest.MonkeyPatch.context() as patch:
    def step(number):
        if len(sys.argv) > 2:
            os.kill(os.getpid(), signal.SIGKILL)
    install_tensorrt(patch, "10.3.0", on_step=step)
    plugin = Plugin()
    if not plugin.why_unbuilt(network, onnx, options):
        plugin.load(network, onnx, options).close()
        print("loads")
    plugin.build(network, onnx, options, Watch("m", "n", lambda progress: None))
"""


def test_build_that_is_killed_leaves_the_old_engine(tmp_path: Path) -> None:
    """SIGKILL in the middle of a build: the old engine loads, and the next build is not locked out."""

    def start(*arguments: str) -> Any:
        return subprocess.run(
            [sys.executable, "-c", KILLED, str(ROOT / "tests"), *arguments],
            env={"LIVEGATE_CACHE": str(tmp_path), "PATH": ""},
            capture_output=True,
            text=True,
            check=False,
        )

    assert start().returncode == 0
    assert start("die").returncode == -signal.SIGKILL
    after = start()
    assert (after.returncode, after.stdout) == (0, "loads\n"), after.stderr


def test_box_serves_on_what_was_built_in_its_precision(config: Any) -> None:
    """The pipeline loads the engines, they pass the golden gate in fp16, and the infos say so."""
    store = build_store(config)
    build_before_serving(config, store, EngineBuilds())
    pipeline = build_pipeline(config, store)
    silent = [engine for engine in pipeline.engines if engine.model_id == MODEL]
    assert {(e.backend, e.provider, e.precision) for e in silent} == {("tensorrt 10.3.0", "gpu", "fp16")}
    assert {e.precision for e in pipeline.engines if e.model_id != MODEL} == {"fp32"}
    pipeline.close()


def test_box_without_engines_refuses_to_serve_or_serves_on_the_next(config: Any) -> None:
    """With require the missing engine is 1029 with the command; with prefer ONNX Runtime serves."""
    import msgspec

    with pytest.raises(SetupError) as caught:
        build_pipeline(config, build_store(config))
    assert caught.value.code is ErrorCode.MODELINIT_FAIL
    assert "livegate engines build" in caught.value.hint
    config = msgspec.structs.replace(
        config, engine=msgspec.structs.replace(config.engine, policy="prefer")
    )
    pipeline = build_pipeline(config, build_store(config))
    assert {engine.backend.split()[0] for engine in pipeline.engines} == {"onnxruntime"}
    pipeline.close()


def test_command_builds_lists_verifies_and_prunes(
    trt: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The life of an engine from the command line."""
    models = [*TENSORRT, str(shared("models"))]
    assert main(["engines", "verify", MODEL, *models]) == 2
    assert "no TensorRT engine for this box" in capsys.readouterr().err
    assert main(["engines", "build", MODEL, *models]) == 0
    assert "crop_4_0: built in" in capsys.readouterr().out
    assert main(["engines", "build", MODEL, *models]) == 0
    assert "built already" in capsys.readouterr().out
    assert trt.seen.builds == 2
    assert main(["engines", "verify", MODEL, *models]) == 0
    capsys.readouterr()
    assert main(["engines", "list", "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {(line["state"], line["engine"]["key"]["library"]) for line in lines} == {("ok", "10.3.0")}
    install_tensorrt(monkeypatch, "10.13.3.9")
    assert main(["engines", "list"]) == 0
    assert "of another box" in capsys.readouterr().out
    assert main(["engines", "prune"]) == 0
    assert "not for this box" in capsys.readouterr().out
    assert list(EngineCache().records()) == []


def test_doctor_tells_what_is_not_built(config: Any) -> None:
    """A warning with the command for what is missing; fine once it is built."""
    store = build_store(config)

    def told() -> list[Finding]:
        return [one for one in examine(config, store) if one.subject == f"engine {MODEL}"]

    assert {one.grade for one in told()} == {Grade.WARNING}
    assert all("livegate engines build" in one.remedy for one in told())
    build_before_serving(config, store, EngineBuilds())
    assert {one.grade for one in told()} == {Grade.GOOD}


def test_command_build_without_a_builder_says_so(capsys: pytest.CaptureFixture[str], trt: Any) -> None:
    """A box on ONNX Runtime has nothing to build: status 2 and the flag that is missing."""
    assert main(["engines", "build"]) == 2
    assert "--backend tensorrt" in capsys.readouterr().err


def test_engines_of_an_unknown_backend_are_unwanted(config: Any) -> None:
    """A backend that is gone loads nothing any more."""
    import msgspec

    build_before_serving(config, build_store(config), EngineBuilds())
    state = next(iter(EngineCache().records()))
    assert state.engine is not None
    is_wanted = unwanted_by_this_box()
    assert is_wanted(state.engine.key)
    assert not is_wanted(msgspec.structs.replace(state.engine.key, backend="gone"))
