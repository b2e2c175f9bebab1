"""The wheel, in a virtual environment far from the checkout."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from pathlib import Path

import pytest
import simplejpeg

from e2e.running import environment
from support import ROOT, alone, astronaut

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def run(*command: str | Path, cwd: Path, status: int = 0) -> str:
    """A command's standard output; its status must be the one told."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=800,
        check=False,
        env={**environment(), "LIVEGATE_CACHE": str(cwd / "cache")},
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder outside the checkout with venv/, where the wheel is installed without any extra."""
    folder = tmp_path_factory.mktemp("outside")
    run(sys.executable, "-m", "build", "--wheel", "--outdir", folder, ROOT, cwd=folder)
    venv.create(folder / "venv", with_pip=True)
    (wheel,) = folder.glob("livegate-*.whl")
    run(folder / "venv/bin/python", "-m", "pip", "install", "-q", wheel, cwd=folder)
    return folder


def test_bare_wheel_imports_and_names_the_missing_extra(installed: Path) -> None:
    """Without an extra the package imports, finds its folders, and doctor says what to install."""
    python = installed / "venv/bin/python"
    code = (
        "import livegate, livegate.app.server, livegate.client, livegate_bench.main, sys;"
        "from livegate.core.resources import resource_dir as r;"
        "print(livegate.__file__);"
        "assert (r('models') / 'yunet_n' / 'manifest.toml').is_file();"
        "assert (r('models') / 'lg_detect' / 'lg_detect.onnx').is_file();"
        "assert not (r('models') / 'training').exists();"
        "assert (r('kernels') / 'letterbox.cu').is_file();"
        "assert (r('kernels') / 'crop.cuh').is_file();"
        "assert (r('proto') / 'livegate/v1/liveness.proto').is_file();"
        "assert 'onnxruntime' not in sys.modules"
    )
    where = run(python, "-c", code, cwd=installed)
    assert str(ROOT) not in where
    findings = run(installed / "venv/bin/livegate", "doctor", "--json", cwd=installed, status=1)
    engine = next(f for f in map(json.loads, findings.splitlines()) if f["subject"] == "engine")
    assert "livegate[cpu]" in engine["fact"]
    assert "serving" in run(installed / "venv/bin/livegate", "bench", "--help", cwd=installed)


def test_wheel_with_cpu_extra_detects(installed: Path) -> None:
    """A photograph is judged with nothing but the wheel: no folder, no checkout, no network."""
    livegate = installed / "venv/bin/livegate"
    (wheel,) = installed.glob("livegate-*.whl")
    run(installed / "venv/bin/python", "-m", "pip", "install", "-q", f"{wheel}[cpu]", cwd=installed)
    assert run(livegate, "--version", cwd=installed).startswith("livegate ")
    run(livegate, "doctor", cwd=installed)
    photo = installed / "photo.jpg"
    photo.write_bytes(simplejpeg.encode_jpeg(astronaut(), quality=95, colorspace="BGR"))
    found = json.loads(run(*alone(), livegate, "detect", "--json", photo, cwd=installed))
    assert found["decision"] == "GENUINE"
    assert found["engines"][0]["backend"].startswith("onnxruntime ")
    report = installed / "report.json"
    lines = run(*alone(), livegate, "selftest", "--quick", "--json", report, cwd=installed).splitlines()
    assert lines[-1].startswith("fit to guard a door")
    statuses = {check["name"]: check["status"] for check in json.loads(report.read_text())["checks"]}
    assert statuses["frame_queue"] == statuses["zero_copy"] == statuses["golden_gate"] == "pass"
    assert json.loads(run(livegate, "selftest", "--schema", cwd=installed))["title"]
