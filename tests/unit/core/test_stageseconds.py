"""Our histogram of stages against the library's own."""

from __future__ import annotations

import re
import threading

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from livegate.core.stageseconds import StageSeconds

BOUNDS = (0.001, 0.01, 1.0)
STAGES = ("queue", "infer")
NANOSECONDS = st.one_of(
    st.integers(0, 3_000_000_000), st.sampled_from([round(bound * 1e9) for bound in BOUNDS])
)


def samples(registry: CollectorRegistry) -> set[str]:
    """Every line but comments, and but when the library's was made."""
    lines = generate_latest(registry).decode().splitlines()
    return {line for line in lines if not re.match(r"#|took_created", line)}


@given(st.lists(st.tuples(st.sampled_from(STAGES), NANOSECONDS), max_size=20))
def test_exposition_is_that_of_the_librarys_histogram(spent: list[tuple[str, int]]) -> None:
    """The same buckets, counts and sums, a number on a bound included."""
    registry, theirs = CollectorRegistry(), CollectorRegistry()
    ours = StageSeconds("took", "How long", STAGES, BOUNDS)
    registry.register(ours)
    histogram = Histogram("took", "How long", ("stage",), buckets=BOUNDS, registry=theirs)
    for stage in STAGES:
        histogram.labels(stage)
    ours.observe(spent)
    for stage, ns in spent:
        histogram.labels(stage).observe(ns / 1e9)
    assert samples(registry) == samples(theirs)


def test_observe_from_many_threads_loses_nothing() -> None:
    """Workers count side by side."""
    ours = StageSeconds("took", "How long", STAGES, BOUNDS)
    threads = [
        threading.Thread(target=lambda: [ours.observe((("infer", 1),)) for _ in range(1000)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (family,) = ours.collect()
    counts = {
        sample.labels["stage"]: sample.value for sample in family.samples if sample.name == "took_count"
    }
    assert counts == {"queue": 0.0, "infer": 4000.0}
