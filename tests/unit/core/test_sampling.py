"""Which pictures are looked at: no gap that the camera did not make."""

from __future__ import annotations

import itertools
import random

import pytest

from livegate.core.sampling import Sampling

SLOW_MS = 90
"""Beyond it a head that nods may be taken for another one."""


def taken(fps: float, jitter_ms: float, *, sample_fps: float = 15.0, count: int = 2000) -> list[float]:
    """The times that are looked at, of a camera whose pictures come so much early or late at most."""
    rng = random.Random(f"{fps} {jitter_ms}")
    begin_ms, sampling = rng.uniform(1000, 1100), Sampling(sample_fps)
    times = [begin_ms + i * 1000 / fps + rng.uniform(-jitter_ms, jitter_ms) for i in range(count)]
    return [at_ms for at_ms in times if sampling.takes(at_ms)]


def gaps(times: list[float]) -> list[float]:
    return [after - before for before, after in itertools.pairwise(times)]


@pytest.mark.parametrize("jitter_ms", [0.0, 3.0])
@pytest.mark.parametrize("fps", [15.0, 18.0, 20.0, 24.0, 25.0, 29.97, 30.0, 50.0, 60.0])
def test_no_gap_in_which_a_head_may_be_another(fps: float, jitter_ms: float) -> None:
    """Cameras as they are; about 15 a second, all of a camera that is only a little faster."""
    times = taken(fps, jitter_ms)
    assert max(gaps(times)) <= SLOW_MS
    rate = 1000 * (len(times) - 1) / (times[-1] - times[0])
    assert 14.5 <= rate <= 20.1


@pytest.mark.parametrize("fps", [5.0, 10.0, 15.0])
def test_every_picture_of_a_slow_camera(fps: float) -> None:
    """However early or late."""
    assert len(taken(fps, 14.0)) == 2000


def test_pause_is_no_debt() -> None:
    """After a second without a picture they are not all looked at until the count is right again."""
    sampling = Sampling(15.0)
    before = [at_ms for at_ms in range(0, 1000, 10) if sampling.takes(at_ms)]
    after = [at_ms for at_ms in range(2000, 3000, 10) if sampling.takes(at_ms)]
    assert abs(len(after) - len(before)) <= 1


def test_rate_is_what_was_asked_for() -> None:
    """Of 60 a second."""
    for sample_fps in (5.0, 10.0, 30.0):
        times = taken(60.0, 0.0, sample_fps=sample_fps)
        assert 1000 * (len(times) - 1) / (times[-1] - times[0]) == pytest.approx(sample_fps, rel=0.15)


def test_what_was_looked_at_beside_is_no_debt() -> None:
    """A camera that is slow in the dark, and faster when the light is on: as it alone would be."""
    sampling = Sampling(15.0)
    dark = [at_ms for at_ms in range(0, 30_000, 50) if sampling.takes(at_ms)]
    light = [at_ms for at_ms in range(30_000, 40_000, 40) if sampling.takes(at_ms)]
    alone = Sampling(15.0)
    assert len(dark) == 600
    assert len(light) >= 0.97 * sum(alone.takes(at_ms) for at_ms in range(0, 10_000, 40))
