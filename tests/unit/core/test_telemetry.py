"""Stage clocks, metrics and logs."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from livegate.core.config import LogConfig
from livegate.core.results import EngineInfo, StageTimes
from livegate.core.telemetry import Metrics, StageClock, configure_logging, get_logger
from support import FakeClock


def test_stage_clock_laps_are_the_time_since_the_last_lap() -> None:
    """Each lap gives a stage what has passed since the lap before it."""
    clock = FakeClock(100)
    stages = StageClock(clock)
    clock.now_ns = 130
    stages.lap("queue")
    clock.now_ns = 135
    stages.lap("decode")
    assert stages.times() == StageTimes(queue_ns=30, decode_ns=5)


def test_stage_clock_same_stage_twice_adds_up() -> None:
    """The stages of several pictures are added up."""
    clock = FakeClock()
    stages = StageClock(clock)
    for now_ns, stage in ((10, "infer"), (15, "postprocess"), (45, "infer")):
        clock.now_ns = now_ns
        stages.lap(stage)  # type: ignore[arg-type]
    assert stages.times() == StageTimes(infer_ns=40, postprocess_ns=5)


def test_stage_clock_without_laps_is_all_zero() -> None:
    """Time that was given to no stage is in none."""
    clock = FakeClock()
    stages = StageClock(clock)
    clock.now_ns = 99
    assert stages.times() == StageTimes()


def test_stage_times_items_are_every_field_in_the_order_of_the_work() -> None:
    """The items have each stage once, by its short name."""
    times = StageTimes(1, 2, 3, 4, 5)
    assert times.items() == (
        ("queue", 1),
        ("decode", 2),
        ("preprocess", 3),
        ("infer", 4),
        ("postprocess", 5),
    )


def test_metrics_of_two_servers_do_not_collide() -> None:
    """Each server has a registry of its own, so a second one can be built in the same process."""
    first, second = Metrics(), Metrics()
    first.count_judged(StageTimes(), (), 3)
    assert b"livegate_faces_total 3.0" in first.exposition()
    assert b"livegate_faces_total 0.0" in second.exposition()


def test_metrics_engine_shows_asked_and_actual_provider() -> None:
    """The provider that was asked for and the one that runs are both in the exposition."""
    metrics = Metrics()
    metrics.show_engines(
        [EngineInfo("yunet_n", "detector", "0" * 64, "onnxruntime 1", "cuda (prefer)", "cpu", "fp32")]
    )
    text = metrics.exposition().decode()
    assert 'asked="cuda (prefer)"' in text
    assert 'actual="cpu"' in text


def test_metrics_engines_that_are_gone_are_not_shown() -> None:
    """After a reload only what serves now is in the exposition."""
    metrics = Metrics()
    old, both, new = (
        EngineInfo(name, "n", "0" * 64, "b 1", "cpu (require)", "cpu", "fp32")
        for name in ("old", "both", "new")
    )
    metrics.show_engines([old, both])
    metrics.show_engines([both, new])
    text = metrics.exposition().decode()
    assert 'model="old"' not in text
    assert 'model="both"' in text
    assert 'model="new"' in text


def test_metrics_stages_are_observed_in_seconds() -> None:
    """Nanoseconds of a stage become seconds of its histogram."""
    metrics = Metrics()
    metrics.count_judged(StageTimes(infer_ns=2_000_000_000), (), 0)
    text = metrics.exposition().decode()
    assert 'livegate_stage_seconds_sum{stage="infer"} 2.0' in text
    assert 'livegate_stage_seconds_count{stage="queue"} 1.0' in text


@pytest.fixture
def _logging_is_put_back() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.usefixtures("_logging_is_put_back")
def test_configure_logging_json_is_one_object_on_standard_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With format json an event is one JSON line on standard error, Chinese text unescaped."""
    configure_logging(LogConfig(format="json", level="info"))
    get_logger("livegate.test").info("started", place="门口")
    out, err = capsys.readouterr()
    assert out == ""
    assert "门口" in err
    event = json.loads(err)
    assert event["event"] == "started"
    assert event["level"] == "info"
    assert event["logger"] == "livegate.test"


@pytest.mark.usefixtures("_logging_is_put_back")
def test_configure_logging_level_spares_the_work_for_what_is_below() -> None:
    """It is looked at before anything else is done with an event."""
    configure_logging(LogConfig(format="json", level="warning"))
    first, *others = structlog.get_config()["processors"]
    seen = list[str]()

    def see(_: object, name: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        seen.append(name)
        return event

    structlog.configure(processors=[first, see, *others])
    get_logger("livegate.test").info("quiet")
    get_logger("livegate.test").warning("loud")
    assert seen == ["warning"]


@pytest.mark.usefixtures("_logging_is_put_back")
def test_configure_logging_level_hides_what_is_below(capsys: pytest.CaptureFixture[str]) -> None:
    """Events below the level are not shown, those of libraries included."""
    configure_logging(LogConfig(format="json", level="warning"))
    get_logger("livegate.test").info("quiet")
    logging.getLogger("some.library").info("quiet too")
    logging.getLogger("some.library").warning("loud")
    events = [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()]
    assert events == ["loud"]


@pytest.mark.usefixtures("_logging_is_put_back")
def test_configure_logging_never_shows_what_is_fetched(capsys: pytest.CaptureFixture[str]) -> None:
    """The HTTP client's own words hold URLs and headers, and keys in both."""
    configure_logging(LogConfig(format="json", level="debug"))
    logging.getLogger("httpcore.http11").debug("receive_response_headers.complete Signature=SECRET")
    logging.getLogger("httpx").info("GET https://store/?Signature=SECRET")
    logging.getLogger("some.library").debug("loud")
    events = [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()]
    assert events == ["loud"]


def test_writing_an_answer_is_a_stage_of_its_own() -> None:
    """Counted once for each answer that was written."""
    metrics = Metrics()
    with metrics.serialising():
        pass
    assert b'livegate_stage_seconds_count{stage="serialise"} 1.0' in metrics.exposition()
