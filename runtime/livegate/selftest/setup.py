"""What `livegate doctor` finds, and what the configuration would run each model on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import msgspec

from livegate.app.build import build_store, serving_manifests
from livegate.app.checkup import Grade, examine
from livegate.app.engines import ways_for
from livegate.core.config import Config
from livegate.core.errors import LiveGateError
from livegate.engines.choice import Way, precision_for, wish_for
from livegate.manifests.schema import Manifest
from livegate.selftest.report import Check, SetupFinding, Status
from livegate.selftest.stage import Choice, Course, Found

WAIT_S = 60.0


class SetupAnswer(msgspec.Struct, frozen=True):
    """One finding, or one choice."""

    finding: SetupFinding | None = None
    choice: Choice | None = None


def look_at_setup(course: Course) -> Found:
    """The check `setup`; leaves the choices to the stages behind it."""
    findings: list[SetupFinding] = []
    choices: list[Choice] = []
    part = "livegate.selftest.setup:answers"
    for answer in course.apart(part, course.config, SetupAnswer, wait_s=WAIT_S):
        if answer.finding:
            findings.append(answer.finding)
        if answer.choice:
            choices.append(answer.choice)
    course.choices = tuple(choices)
    problems = [f"{one.subject}: {one.fact}" for one in findings if one.grade is Grade.BAD]
    problems += [
        f"{one.model} runs on {one.backend}, which computes nothing"
        for one in choices
        if not one.computes
    ]
    status = Status.FAIL if problems else Status.PASS
    facts = {one.model: f"{one.backend}/{one.provider}" for one in choices}
    check = Check(name="setup", status=status, reason="; ".join(dict.fromkeys(problems)), facts=facts)
    return Found((check,), findings=tuple(findings))


def answers(asked: bytes) -> Iterator[SetupAnswer]:
    """In a process of its own: a probe opens libraries of devices."""
    config = msgspec.json.decode(asked, type=Config)
    store = build_store(config)
    for found in examine(config, store):
        told = SetupFinding(
            grade=found.grade, subject=found.subject, fact=found.fact, remedy=found.remedy
        )
        yield SetupAnswer(finding=told)
    with contextlib.suppress(LiveGateError):  # told with the findings
        for manifest in serving_manifests(config, store):
            if choice := _choice(manifest, config):
                yield SetupAnswer(choice=choice)


def _choice(manifest: Manifest, config: Config) -> Choice | None:
    wish = wish_for(manifest.id, config.engine)
    way: Way | None = None
    with contextlib.suppress(LiveGateError):
        for way in ways_for(manifest, wish):
            if not way.backend.why_not(way.provider):
                break
    if way is None:
        return None
    return Choice(
        model=manifest.id,
        task=manifest.task,
        backend=way.capability.backend,
        provider=way.provider,
        precisions={one.name: precision_for(one, way, wish) for one in manifest.networks},
        computes=way.capability.computes,
        is_for_pilots=manifest.is_for_pilots,
    )
