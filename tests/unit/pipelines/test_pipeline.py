"""Tasks in order, each once, however many numbers ask for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import pytest

from livegate.core.config import Config
from livegate.core.errors import EngineError, ErrorCode, RequestError
from livegate.core.results import Decision, EngineInfo, StageTimes, Verdict
from livegate.core.telemetry import StageClock
from livegate.engines.model import Model, load_model
from livegate.manifests.dims import resolve_shape
from livegate.pipelines.pipeline import Pipeline, Step
from livegate.preprocess.scratch import Scratch
from livegate.tasks.face_detection import Plugin as FaceDetection
from livegate.tasks.silent_liveness import Plugin as SilentLiveness
from support import (
    FakeBackend,
    FakeClock,
    FakeEngine,
    OpenGate,
    frame,
    run_options,
    shipped_manifest,
    tiny_manifest,
    way,
)


class FakeTask:
    """Runs one network and remembers what it was given."""

    warm_dims: Mapping[str, int] = {}

    def __init__(self, name: str, number: int, *needs: str, clock: FakeClock | None = None) -> None:
        """Keep who to be; with a clock each phase takes its own number of nanoseconds."""
        self.name = name
        self.algo_task = number
        self.needs = needs
        self.seen: list[set[str]] = []
        self._clock = clock or FakeClock()

    def prepare(self, picture: Any, found: Mapping[str, Any], scratch: Scratch) -> Any:
        """One call of the network `n`."""
        self.seen.append(set(found))
        self._clock.now_ns += 1
        return (("n", {"x": np.zeros(1, np.float32)}),)

    def interpret(self, picture: Any, found: Mapping[str, Any], outputs: Sequence[Any]) -> Any:
        """The finding names the task and how many outputs there were."""
        self._clock.now_ns += 100
        return f"{self.name}/{len(outputs)}"

    def fuse(self, findings: Sequence[Any]) -> Verdict:
        """The findings, as text."""
        return Verdict(self.algo_task, self.name, Decision.FACE, 1.0, (), (1.0,) * len(findings), ())


def engine(clock: FakeClock | None = None) -> FakeEngine:
    """An engine whose runs take ten nanoseconds."""
    clock = clock or FakeClock()

    def answer(network: Any, feeds: Any) -> dict[str, np.ndarray]:
        clock.now_ns += 10
        return {}

    return FakeEngine(tiny_manifest(b"x").networks[0], "fake", answer)


def step(task: FakeTask, clock: FakeClock | None = None) -> Step:
    """A task with an engine of its own."""
    return Step(task, Model(tiny_manifest(b"x"), {"n": engine(clock)}, ()))


def names(steps: Sequence[Step]) -> list[str]:
    """The names of the steps' tasks."""
    return [step.task.name for step in steps]


def chain() -> Pipeline:
    """c needs b, b needs a; d stands alone; given in the wrong order."""
    return Pipeline(
        [
            step(FakeTask("c", 9103, "b")),
            step(FakeTask("d", 9104)),
            step(FakeTask("b", 9102, "a")),
            step(FakeTask("a", 9101)),
        ]
    )


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ([9103], ["a", "b", "c"]),
        ([9102], ["a", "b"]),
        ([9101], ["a"]),
        ([9104], ["d"]),
        ([9104, 9102], ["a", "b", "d"]),
        ([9103, 9101, 9103], ["a", "b", "c"]),
    ],
)
def test_plan_has_what_is_needed_once_and_in_order(asked: list[int], expected: list[str]) -> None:
    """What a task needs comes before it, though it was given after it, and nothing else comes."""
    found = names(chain().plan(asked))
    assert sorted(found) == sorted(expected)
    for before, after in (("a", "b"), ("b", "c")):
        if after in found:
            assert found.index(before) < found.index(after)


@pytest.mark.parametrize("asked", [[1], [9101, 9999], [-1031]])
def test_plan_unknown_number_is_1031(asked: list[int]) -> None:
    """A number that nobody answers is refused with those that are answered."""
    with pytest.raises(RequestError) as caught:
        chain().plan(asked)
    assert caught.value.code is ErrorCode.PARAM_FAILURE
    assert str(next(n for n in asked if n not in range(9101, 9105))) in caught.value.message
    assert "9101, 9102, 9103, 9104" in caught.value.hint


def test_plan_no_number_is_1031() -> None:
    """Asking for nothing is refused."""
    with pytest.raises(RequestError) as caught:
        chain().plan([])
    assert caught.value.code is ErrorCode.PARAM_FAILURE


class CutTask(FakeTask):
    """Cuts its input into a buffer that all tasks share."""

    def __init__(self, name: str, number: int, buffer: np.ndarray, value: float) -> None:
        """Feed `value`."""
        super().__init__(name, number)
        self._buffer, self._value = buffer, value

    def prepare(self, picture: Any, found: Mapping[str, Any], scratch: Scratch) -> Any:
        """The shared buffer, with this task's own content."""
        self._buffer[:] = self._value
        return (("n", {"x": self._buffer}),)

    def interpret(self, picture: Any, found: Mapping[str, Any], outputs: Sequence[Any]) -> float:
        """The first number of the first output."""
        return float(outputs[0]["y"][0])


@pytest.mark.parametrize(
    ("values", "digests", "precisions", "runs"),
    [
        ((2.0, 2.0), "ss", ("fp32", "fp32"), [1, 0]),
        ((2.0, 3.0), "ss", ("fp32", "fp32"), [1, 1]),
        ((2.0, 2.0), "st", ("fp32", "fp32"), [1, 1]),
        ((2.0, 2.0), "ss", ("fp32", "fp16"), [1, 1]),
    ],
    ids=["same file and input", "another input", "another file", "another precision"],
)
def test_run_of_one_file_on_one_input_is_done_once(
    values: tuple[float, float], digests: str, precisions: tuple[str, str], runs: list[int]
) -> None:
    """Landmarks and pose of one network: the second task gets what the first one's run gave."""
    buffer = np.zeros(1, np.float32)
    steps = []
    for number, (value, digest, precision) in enumerate(zip(values, digests, precisions, strict=True)):
        task = CutTask(f"task {number}", 9101 + number, buffer, value)
        info = EngineInfo(f"m{number}", "n", digest, "fake 1", "fast", "fast", precision)
        engine = FakeEngine(
            tiny_manifest(b"x").networks[0], "fast", lambda _, feeds: {"y": feeds["x"] * 10}
        )
        steps.append(Step(task, Model(tiny_manifest(b"x"), {"n": engine}, (info,))))
    pipeline = Pipeline(steps)
    for again in (1, 2):
        found = pipeline.run(frame(), pipeline.plan([9101, 9102]), StageClock(), Scratch())
        assert found == {"task 0": values[0] * 10, "task 1": values[1] * 10}
        assert [one.model.engines["n"].runs for one in steps] == [again * count for count in runs]


def test_run_that_left_outputs_out_does_for_nobody_else() -> None:
    """Two models on one file, each of which names the one output that it reads."""
    buffer, steps = np.zeros(1, np.float32), []
    for number, output in enumerate("yz"):
        task = CutTask(f"task {number}", 9101 + number, buffer, 1.0)
        manifest = tiny_manifest(b"x")
        (network,) = manifest.networks
        outputs = (msgspec.structs.replace(network.outputs[0], name=output),)
        network = msgspec.structs.replace(network, name="n", outputs=outputs)
        manifest = msgspec.structs.replace(manifest, networks=(network,))
        info = EngineInfo(f"m{number}", "n", "d", "fake 1", "fast", "fast", "fp32")
        engine = FakeEngine(network, "fast", lambda _, feeds: {"y": feeds["x"] * 10})
        steps.append(Step(task, Model(manifest, {"n": engine}, (info,))))
    pipeline = Pipeline(steps)
    pipeline.run(frame(), pipeline.plan([9101, 9102]), StageClock(), Scratch())
    assert [one.model.engines["n"].runs for one in steps] == [1, 1]


def test_algo_tasks_are_sorted() -> None:
    """The numbers that may be asked for, in order."""
    assert chain().algo_tasks == (9101, 9102, 9103, 9104)


def test_run_each_task_sees_what_it_needs() -> None:
    """A task is given the findings of those before it, and its own comes out under its name."""
    first, second = FakeTask("a", 9101), FakeTask("b", 9102, "a")
    pipeline = Pipeline([step(second), step(first)])
    found = pipeline.run(frame(), pipeline.plan([9102]), StageClock(FakeClock()), Scratch())
    assert second.seen == [{"a"}]
    assert first.seen == [set()]
    assert found == {"a": "a/1", "b": "b/1"}


def test_run_times_go_to_their_stages() -> None:
    """Preparing, running and interpreting are clocked apart and added up over the tasks."""
    clock = FakeClock()
    tasks = FakeTask("a", 9101, clock=clock), FakeTask("b", 9102, "a", clock=clock)
    pipeline = Pipeline([step(task, clock) for task in tasks])
    stages = StageClock(clock)
    pipeline.run(frame(), pipeline.plan([9102]), stages, Scratch())
    assert stages.times() == StageTimes(preprocess_ns=2, infer_ns=20, postprocess_ns=200)


def test_run_engine_that_fails_ends_the_request() -> None:
    """An engine's error comes out as it is: no verdict is made of half the findings."""

    def fail(network: Any, feeds: Any) -> Any:
        raise EngineError("broken")

    model = Model(tiny_manifest(b"x"), {"n": FakeEngine(None, "fake", fail)}, ())  # type: ignore[arg-type]
    pipeline = Pipeline([Step(FakeTask("a", 9101), model)])
    with pytest.raises(EngineError, match="broken"):
        pipeline.run(frame(), pipeline.plan([9101]), StageClock(FakeClock()), Scratch())


def test_judge_one_verdict_for_each_number_in_the_order_asked() -> None:
    """Verdicts come in the order of the request, a number asked twice once, needed tasks not at all."""
    pipeline = chain()
    findings = [{"a": 1, "b": 2, "d": 3}] * 2
    verdicts = pipeline.judge([9104, 9102, 9104], findings)
    assert [verdict.algo_task for verdict in verdicts] == [9104, 9102]
    assert verdicts[0].image_scores == (1.0, 1.0)


def test_close_closes_every_engine() -> None:
    """Closing a pipeline closes the engines of all its tasks."""
    steps = [step(FakeTask("a", 9101)), step(FakeTask("b", 9102, "a"))]
    Pipeline(steps).close()
    assert all(one.model.engines["n"].is_closed for one in steps)  # type: ignore[attr-defined]


def zeros_with_a_face(network: Any, feeds: Any) -> dict[str, np.ndarray]:
    """What the null backend answers: a face in the top left corner, class 0."""
    shape = feeds[network.input.name].shape
    known = {d: n for d, n in zip(network.input.shape, shape, strict=True) if isinstance(d, str)}
    outputs = {o.name: np.zeros(resolve_shape(o.shape, known), np.float32) for o in network.outputs}
    for output in outputs.values():
        output[0, 0] = 1
    return outputs


@pytest.mark.parametrize("asked", [[1031, 9001], [9001, 1031], [1031], [1031, 1031, 9001]])
def test_run_detection_that_two_tasks_share_runs_once(asked: list[int]) -> None:
    """Silent liveness and face detection in one request run the detector once for each picture."""
    backend = FakeBackend(zeros_with_a_face)
    steps = []
    for plugin, model_id in ((FaceDetection, "yunet_n"), (SilentLiveness, "minifasnet_pair")):
        manifest = shipped_manifest(model_id)
        task = plugin(manifest, Config())
        read = lambda file: b""  # noqa: E731
        steps.append(
            Step(
                task,
                load_model(
                    manifest, lambda: [way(backend)], read, run_options(), task.warm_dims, OpenGate()
                ),
            )
        )
    warm = {engine.network.name: engine.runs for engine in backend.engines}
    pipeline = Pipeline(steps)
    plan = pipeline.plan(asked)
    findings = [
        pipeline.run(frame(320, 240), plan, StageClock(FakeClock()), Scratch()) for _ in range(3)
    ]
    runs = {engine.network.name: engine.runs - warm[engine.network.name] for engine in backend.engines}
    assert runs == {"detector": 3, "crop_2_7": 3, "crop_4_0": 3}
    assert [v.algo_task for v in pipeline.judge(asked, findings)] == list(dict.fromkeys(asked))


def test_run_face_detection_alone_does_not_run_liveness() -> None:
    """Who asks for faces only does not pay for liveness."""
    pipeline = chain()
    assert names(pipeline.plan([9101])) == ["a"]
