"""`livegate selftest` as the user runs it: its report, its last line, its status."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from e2e.test_cli import run_cli
from livegate.selftest.report import report_schema
from support import shared
from sysfs_kit import cool_box, write

SECRET = "a-secret-of-length"


@pytest.fixture
def sysfs(tmp_path: Path) -> Path:
    return cool_box(tmp_path / "sys")


def tried(tmp_path: Path, sysfs: Path, *flags: str, **env: str) -> tuple[int, str, dict[str, Any]]:
    """The status, the last line and the report, which fits its schema."""
    file = tmp_path / "report.json"
    done = run_cli(
        *("selftest", "--quick", "--json", str(file), "--sensors", str(sysfs), *flags),
        env={"LIVEGATE_GRPC_TOKENS": SECRET, **env},
    )
    assert done.returncode in (0, 1), done.stderr
    report = json.loads(file.read_text())
    jsonschema.Draft202012Validator(report_schema()).validate(report)
    assert SECRET not in done.stdout + file.read_text()
    assert str(tmp_path) not in file.read_text()
    last_line = done.stdout.strip().splitlines()[-1]
    assert report["verdict"] == last_line
    assert report["is_fit"] is (done.returncode == 0)
    return done.returncode, last_line, report


def checks_of(report: dict[str, Any]) -> dict[str, str]:
    return {check["name"]: check["status"] for check in report["checks"]}


def test_box_that_is_well_is_fit_and_says_whose_weights_it_has(tmp_path: Path, sysfs: Path) -> None:
    """Every check runs, the starter pack's networks on every backend that is here."""
    status, last_line, report = tried(tmp_path, sysfs)
    assert (status, last_line) == (
        0,
        "fit to guard a door, as far as a quick look tells, with weights that are for pilots: "
        "lg_detect, lg_face_pose, lg_face, lg_silent",
    )
    found = checks_of(report)
    assert found.pop("kernels") in ("pass", "not run")  # a GPU may be here
    assert set(found.values()) == {"pass"}
    ran = {(run["network"], run["backend"]) for run in report["engines"] if run["status"] == "pass"}
    assert {("detector", "onnxruntime"), ("detector", "openvino"), ("context", "openvino")} <= ran
    assert report["machine"]["packages"]["onnxruntime"]
    assert next(c for c in report["checks"] if c["name"] == "speed")["figures"][3]["value"] == 1


@pytest.mark.slow
def test_box_with_every_fault_tells_each_reason_in_its_last_line(tmp_path: Path, sysfs: Path) -> None:
    """A byte of a model, heat, and a provider that is not here."""
    write(sysfs / "class/thermal/thermal_zone0/temp", 99_500)
    folder = tmp_path / "models"
    shutil.copytree(shared("models", "reference"), folder)
    victim = folder / "det" / "yunet_n_dynamic.onnx"
    victim.chmod(0o644)
    content = bytearray(victim.read_bytes())
    content[1000] ^= 1
    victim.write_bytes(content)
    use = json.dumps({"fsanet_pair": "onnxruntime/cann"})
    flags = ("--pack", "reference", "--models", str(folder), "--set", f"engine.use={use}")
    status, last_line, report = tried(tmp_path, sysfs, *flags, LIVEGATE_CACHE=str(tmp_path / "cache"))
    assert status == 1
    for reason in (
        "the provider 'cann' is required",
        "the model file …/yunet_n_dynamic.onnx is not the one that the manifest names",
        "cpu-thermal is at 100 degrees Celsius, and 99 stops the box",
    ):
        assert reason in last_line
    ran = [run for run in report["engines"] if run["backend"] == "onnxruntime"]
    runs = {run["network"]: run["status"] for run in ran}
    assert (runs["detector"], runs["crop_2_7"]) == ("fail", "pass")


def test_schema_is_printed_by_the_command() -> None:
    """Where only the wheel is."""
    done = run_cli("selftest", "--schema")
    assert json.loads(done.stdout) == json.loads(json.dumps(report_schema()))


def test_report_that_cannot_be_written_is_told_before_anything_is_tried(tmp_path: Path) -> None:
    """Nobody waits a minute for that."""
    done = run_cli("selftest", "--json", str(tmp_path / "none" / "report.json"))
    assert (done.returncode, done.stdout) == (2, "")
    assert "1021" in done.stderr
