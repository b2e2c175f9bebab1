"""What a server's memory grows by with each camera that is connected, its slots left out.

Slots are shared memory: what is counted is anonymous memory, which no other process has a part in.
Source: proc(5), smaps_rollup.
"""

from __future__ import annotations

from collections.abc import Sequence

from livegate_bench.bench import Bench
from livegate_bench.generator.loadgen import Closed
from livegate_bench.measure.meter import anonymous_bytes
from livegate_bench.measure.rounds import WARM_S, start_load


def bytes_per_producer(bench: Bench, system: str, counts: Sequence[int]) -> dict[int, float]:
    """By number of producers: what each above the first few added; those few warm the server.

    Each sends frames before memory is looked at, and none has left until the last number.
    """
    few, seconds = max(2, bench.threads), min(WARM_S, bench.pace.seconds)
    pid, found = bench.server().box.pid, dict[int, float]()
    with start_load(bench, system) as load:
        load.take(Closed(few, seconds))
        before = anonymous_bytes(pid)
        for count in sorted(set(counts)):
            if before is None or count <= few:
                continue
            load.take(Closed(count, seconds))
            now = anonymous_bytes(pid)
            if now is not None:
                found[count] = (now - before) / (count - few)
    return found
