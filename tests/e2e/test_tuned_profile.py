"""A profile of `livegate tune` under a real server: taken, kept over a reload, no reason to stop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from e2e.running import Running, start
from livegate import __version__
from livegate.client import LivenessClient
from livegate.core.profile import Profile, this_machine

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: no [cpu] extra")
pytest.importorskip("openvino", reason="openvino is not installed: pip install 'livegate[openvino]'")

WAIT_S = 60.0


def written(folder: Path, way: str) -> Path:
    """A profile of this box that moves the detector of the package."""
    settings = {"engine.use": {"lg_detect": way}, "server.workers": 3}
    made = Profile(
        livegate=__version__, pack="starter", machine=this_machine(), settings=settings, trials=()
    )
    path = folder / "profile.json"
    path.write_bytes(msgspec.json.encode(made))
    return path


def backends(engines: Any) -> dict[str, str]:
    """By model."""
    return {engine.model_id: engine.backend.partition(" ")[0] for engine in engines}


def ended(running: Running) -> str:
    """Its log, after a drain."""
    assert running.stop() == 0
    return running.log.read_text()


def test_profile_serves_and_outlives_a_reload_until_the_operator_says_otherwise(folder: Path) -> None:
    """One model on the backend that won, the others as ever; none once the file sets `engine`."""
    config = folder / "livegate.toml"
    config.write_text("")
    profile = written(folder, "openvino/cpu")
    running = start(folder, "--config", str(config), "--profile", str(profile), backend=None)
    with LivenessClient(f"unix:{running.socket}") as client:
        tuned = backends(client.reload_models(timeout_s=WAIT_S).engines)
        assert tuned.pop("lg_detect") == "openvino"
        assert set(tuned.values()) == {"onnxruntime"}
        config.write_text('[engine]\nbackend = "onnxruntime"\n')
        plain = client.reload_models(timeout_s=WAIT_S).engines
        assert set(backends(plain).values()) == {"onnxruntime"}
    assert "tuned profile used" in ended(running)


def test_backend_that_won_and_fails_since_stops_no_server(folder: Path) -> None:
    """A driver that went away: another backend serves, and the log says so."""
    running = start(folder, "--profile", str(written(folder, "openvino/npu")), backend=None)
    with LivenessClient(f"unix:{running.socket}") as client:
        assert backends(client.reload_models(timeout_s=WAIT_S).engines)["lg_detect"] == "openvino"
    lines = map(msgspec.json.decode, ended(running).splitlines())
    (told, *_) = [line for line in lines if line.get("provider_asked") == "npu (prefer)"]
    assert (told["model"], told["provider"], told["level"]) == ("lg_detect", "cpu", "warning")
