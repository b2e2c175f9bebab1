"""Leases, swaps, and that each pipeline is closed exactly once, when the last has gone."""

from __future__ import annotations

import random
import threading

import pytest

from livegate.core.errors import ErrorCode, LiveGateError, QueueError
from livegate.pipelines.holder import PipelineHolder
from pipeline_kit import MarkedPipeline
from support import HANG_S


def test_lease_while_warming_is_1012() -> None:
    """There is nothing to use yet."""
    with pytest.raises(LiveGateError) as caught:
        PipelineHolder().lease()
    assert caught.value.code is ErrorCode.NOT_INIT


def test_swap_of_the_first_pipeline_retires_nothing() -> None:
    """The start of a server."""
    holder, first = PipelineHolder(), MarkedPipeline(0.1)
    assert holder.swap(first).is_over
    assert holder.current is first
    assert holder.retired == 0


def test_swap_without_leases_closes_the_old_one() -> None:
    """Nobody uses it: it goes at once, and the new one stays."""
    old, new = MarkedPipeline(0.1), MarkedPipeline(0.2)
    holder = PipelineHolder(old)
    assert holder.swap(new).wait(HANG_S)
    assert (old.closes, new.closes) == ([1, 1], [0, 0])
    assert holder.current is new
    assert holder.retired == 0


def test_old_pipeline_is_closed_with_its_last_lease() -> None:
    """Shared leases count, too; a lease that is released twice counts once."""
    old, new = MarkedPipeline(0.1), MarkedPipeline(0.2)
    holder = PipelineHolder(old)
    first = holder.lease()
    second = first.share()
    assert second is not None
    retirement = holder.swap(new)
    with holder.lease() as serving:
        assert serving is new
    first.release()
    first.release()
    assert not retirement.is_over
    assert (holder.retired, old.closes) == (1, [0, 0])
    third = second.share()  # of one that is retired, too
    second.release()
    assert third is not None
    assert old.closes == [0, 0]
    third.release()
    assert retirement.wait(HANG_S)
    assert (holder.retired, old.closes, new.closes) == (0, [1, 1], [0, 0])


def test_released_lease_cannot_be_shared() -> None:
    """Its pipeline may be closed already."""
    lease = PipelineHolder(MarkedPipeline(0.1)).lease()
    lease.release()
    assert lease.share() is None


def test_pipeline_that_does_not_close_does_not_stay_in_the_count() -> None:
    """What its engines raise is told in the log."""

    class Stubborn(MarkedPipeline):
        def close(self) -> None:
            raise RuntimeError("no")

    holder = PipelineHolder(Stubborn(0.1))
    assert holder.swap(MarkedPipeline(0.2)).wait(HANG_S)
    assert holder.retired == 0


def test_close_closes_all_and_a_late_swap_brings_nothing_back() -> None:
    """The end of a server does not wait for leases; a reload that comes after it leaves nothing."""
    old, new, late = (MarkedPipeline(mark) for mark in (0.1, 0.2, 0.3))
    holder = PipelineHolder(old)
    lease = holder.lease()
    holder.swap(new)
    holder.close()
    assert (old.closes, new.closes) == ([1, 1], [1, 1])
    lease.release()
    with pytest.raises(QueueError) as caught:
        holder.swap(late)
    assert caught.value.code is ErrorCode.QUEUE_STOPED
    assert late.closes == [1, 1]
    holder.close()
    assert (old.closes, new.closes) == ([1, 1], [1, 1])


def test_swaps_under_leases_of_many_threads_close_each_pipeline_once() -> None:
    """Nobody ever runs on a closed engine; at the end all but the last are closed, each once."""
    pipelines = [MarkedPipeline(n / 100) for n in range(60)]
    holder = PipelineHolder(pipelines[0])
    ended = threading.Event()
    failures: list[BaseException] = []

    def use(seed: int) -> None:
        dice = random.Random(seed)
        try:
            while not ended.is_set():
                lease = holder.lease()
                more = [lease.share() for _ in range(dice.randrange(3))]
                for one in (lease, *more):
                    assert one is not None
                    for engine in pipelines[pipelines.index(one.pipeline)].marked.values():  # type: ignore[arg-type]
                        engine.run({})
                    one.release()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=use, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    retirements = [holder.swap(pipeline) for pipeline in pipelines[1:]]
    ended.set()
    for thread in threads:
        thread.join(HANG_S)
    assert failures == []
    assert all(retirement.wait(HANG_S) for retirement in retirements)
    assert holder.retired == 0
    assert [pipeline.closes for pipeline in pipelines] == [*[[1, 1]] * 59, [0, 0]]
