"""The report as others get it: its published schema, and nothing in it that is nobody's business."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import msgspec
import pytest

from livegate.core.config import Config
from livegate.selftest.course import machine_facts, settings_of
from livegate.selftest.report import (
    CHECKS,
    Check,
    EngineRun,
    Figure,
    Report,
    Status,
    fit_to_send,
    report_schema,
)
from support import ROOT

RUN = EngineRun(
    model="m", network="n", backend="b", version="1", provider="cpu", precision="fp32",
    is_chosen=True, status=Status.PASS, stray=0.0, tolerance=1e-4,
)  # fmt: skip


def report(**changes: object) -> Report:
    made = Report(
        livegate="1",
        made_at="2026-01-01T00:00:00+00:00",
        seconds=1.0,
        is_fit=True,
        verdict="fit to guard a door",
        reasons=(),
        pilot_models=(),
        machine=machine_facts(),
        settings=settings_of(Config(), is_quick=False),
        checks=tuple(
            Check(name=name, status=Status.PASS, figures=(Figure(name="f", value=1, unit=""),))
            for name in CHECKS
        ),
        engines=(RUN,),
        findings=(),
    )
    return msgspec.structs.replace(made, **changes)


def validated(content: bytes) -> None:
    jsonschema.Draft202012Validator(report_schema()).validate(json.loads(content))


def test_schema_is_one_and_the_published_file_is_it() -> None:
    """docs/ has what the installed package prints."""
    jsonschema.Draft202012Validator.check_schema(report_schema())
    published = json.loads((ROOT / "docs" / "selftest.schema.json").read_text())
    assert published == json.loads(json.dumps(report_schema()))


def test_report_validates() -> None:
    """What is written is what the schema says."""
    validated(msgspec.json.encode(report()))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("format",), "livegate.selftest/2"),
        (("is_fit",), "yes"),
        (("checks", 0, "status"), "passed"),
        (("checks", 0, "name"), "luck"),
        (("checks", 0, "seconds"), -1),
        (("engines", 0, "more"), 1),
        (("machine", "hostname"), "kiosk-7"),
    ],
)
def test_schema_refuses_what_is_no_report(path: tuple[object, ...], value: object) -> None:
    """Another version, word, number or field."""
    content = json.loads(msgspec.json.encode(report()))
    place = content
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(jsonschema.ValidationError):
        validated(json.dumps(content).encode())


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("lg_detect: /home/eve/venv/lib/lg_detect.onnx", "lg_detect: …/lg_detect.onnx"),
        ("in /opt/a/b/models, or ~/x/y.bin", "in …/models, or …/y.bin"),
        ("the file '/srv/secret/m.onnx' of /home/eve", "the file '…/m.onnx' of ~"),
        ("rtsp://eve:pw@10.0.0.1/live", "rtsp://…@10.0.0.1/live"),
        ("kiosk-7 is slow", "… is slow"),
        ("127.0.0.1:8080 is free", "127.0.0.1:8080 is free"),
        ("onnxruntime/cpu in fp32, 3 of 4", "onnxruntime/cpu in fp32, 3 of 4"),
        ("two\nlines", "two lines"),
    ],
)
def test_text_is_made_fit_to_send(text: str, sent: str) -> None:
    """Folders, credentials and the box's name go; everything else stays."""
    assert fit_to_send(text, home=Path("/home/eve"), host="kiosk-7") == sent
