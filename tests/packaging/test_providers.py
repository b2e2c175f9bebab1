"""The flavours of onnxruntime for accelerators, really installed, on a box without one.

Each gets a virtual environment of its own: the flavours install the same files over each other. Skips
where the index has no such wheel for this Python, where there is no network, or where a device is.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest

from e2e.running import start, with_cache
from support import ROOT, shared

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

NO_WHEEL = ("No matching distribution found", "Could not find a version")
NO_NETWORK = ("NewConnectionError", "NameResolutionError", "Temporary failure in name resolution")
MISSING = re.compile(r"lib\w+[\w.]*\.so[.\d]*: cannot open shared object file")
DEVICES = ("/dev/nvidia0", "/dev/nvhost-gpu", "/dev/davinci0")


@dataclass(frozen=True)
class Flavour:
    """An installed flavour: its interpreter, and the provider that it brings."""

    python: Path
    provider: str

    def livegate(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command to its end, with the reference models."""
        command = [str(self.python), "-m", "livegate", *arguments]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=600, check=False, env=with_cache()
        )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, capture_output=True, timeout=600, check=True)
    (built,) = folder.glob("livegate-*.whl")
    return built


def install(folder: Path, *requirements: str) -> Path:
    """An environment with these packages; skips where they are not to be had."""
    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv/bin/python"
    command = [str(python), "-m", "pip", "install", "-q", *requirements]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1500, check=False)
    for reason in (*NO_WHEEL, *NO_NETWORK):
        if done.returncode and reason in done.stderr:
            pytest.skip(f"{requirements[-1]} is not to be had here: {reason}")
    assert done.returncode == 0, done.stderr
    return python


@pytest.fixture(scope="module", params=["cuda", "cann"])
def accelerator(
    request: pytest.FixtureRequest, wheel: Path, tmp_path_factory: pytest.TempPathFactory
) -> Flavour:
    """The flavour for a device that is not here, as its extra installs it."""
    if any(Path(device).exists() for device in DEVICES):
        pytest.skip("this box has an accelerator: there is nothing to refuse")
    extra: str = request.param
    return Flavour(install(tmp_path_factory.mktemp(extra), f"{wheel}[{extra}]"), extra)


def asked(flavour: Flavour, policy: str, provider: str = "") -> tuple[str, ...]:
    """The flags of a detection."""
    reference = str(shared("models", "reference"))
    return ("--models", reference, "--provider", provider or flavour.provider, "--policy", policy)


def photo() -> str:
    """A picture with a genuine face."""
    return str(shared("media", "stills", "image_T1.jpg"))


@pytest.mark.parametrize("provider", ["", "auto"])
def test_require_is_1013_and_names_the_missing_library(accelerator: Flavour, provider: str) -> None:
    """Asked for by name or as the best one: no verdict, nothing on standard output, what to install."""
    done = accelerator.livegate("detect", "--json", *asked(accelerator, "require", provider), photo())
    assert done.returncode == 2
    assert done.stdout == ""
    last = done.stderr.splitlines()[-1]
    assert "1013" in last
    assert f"libonnxruntime_providers_{accelerator.provider}.so does not load" in last
    assert MISSING.search(last), last


def test_require_of_tensorrt_is_1013_and_names_the_missing_library(accelerator: Flavour) -> None:
    """The library's Python layer would print to standard output and go on with the CPU."""
    if accelerator.provider != "cuda":
        pytest.skip("TensorRT comes with the cuda flavour")
    done = accelerator.livegate("detect", "--json", *asked(accelerator, "require", "tensorrt"), photo())
    assert (done.returncode, done.stdout) == (2, "")
    assert "1013" in done.stderr.splitlines()[-1]
    assert MISSING.search(done.stderr.splitlines()[-1])


@pytest.mark.parametrize("policy", ["prefer", "any"])
def test_prefer_and_any_run_on_the_cpu_and_say_so(accelerator: Flavour, policy: str) -> None:
    """The verdict is one of the CPU, and its engines tell what was asked and what ran."""
    done = accelerator.livegate("detect", "--json", *asked(accelerator, policy), photo())
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["decision"] == "GENUINE"
    told = {(engine["provider_asked"], engine["provider"]) for engine in answer["engines"]}
    assert told == {(f"{accelerator.provider} ({policy})", "cpu")}
    ready = [line for line in done.stderr.splitlines() if '"engine ready"' in line]
    assert bool(ready) == (policy == "prefer")


def test_server_that_fell_back_says_so_in_readyz_and_metrics(
    accelerator: Flavour, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whoever watches the box sees that the accelerator does not run."""
    running = start(
        tmp_path_factory.mktemp("s"),
        *asked(accelerator, "prefer"),
        backend="onnxruntime",
        python=str(accelerator.python),
    )
    try:
        engines = json.loads(running.get("/readyz")[1])["engines"]
        metrics = running.get("/metrics")[1]
    finally:
        assert running.stop() == 0
    assert {engine["provider"] for engine in engines} == {"cpu"}
    assert {engine["provider_asked"] for engine in engines} == {f"{accelerator.provider} (prefer)"}
    shown = [line for line in metrics.splitlines() if line.startswith("livegate_provider_info{")]
    assert len(shown) == len(engines)
    assert all('actual="cpu"' in line for line in shown)
    assert all(f'asked="{accelerator.provider} (prefer)"' in line for line in shown)


def test_doctor_names_the_missing_library(accelerator: Flavour) -> None:
    """Before anything is started, for every model."""
    done = accelerator.livegate("doctor", "--json", "--models", str(shared("models", "reference")))
    findings = [json.loads(line) for line in done.stdout.splitlines()]
    engines = [finding for finding in findings if finding["subject"] == "engine"]
    assert done.returncode == 1
    assert len(engines) == 4
    for finding in engines:
        assert finding["grade"] == "problem"
        assert MISSING.search(finding["fact"])


def test_openvino_provider_runs_and_passes_the_golden_gate(
    wheel: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """ONNX Runtime's own OpenVINO provider needs no device: it runs, in fp32, as what it is."""
    folder = tmp_path_factory.mktemp("openvino")
    flavour = Flavour(install(folder, str(wheel), "onnxruntime-openvino"), "openvino")
    done = flavour.livegate("detect", "--json", *asked(flavour, "require"), photo())
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["decision"] == "GENUINE"
    told = {(engine["provider_asked"], engine["provider"]) for engine in answer["engines"]}
    assert told == {("openvino (require)", "openvino")}
