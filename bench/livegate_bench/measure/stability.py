"""Whether a figure stood still: the last three windows within 10 % of each other.

Source: perf_analyzer's rule, in rate and in the latency that the scenario is judged by.
"""

from __future__ import annotations

from collections.abc import Sequence

from livegate_bench.rows import Window

IN_A_ROW = 3
TOLERANCE = 0.1


def why_unstable(windows: Sequence[Window]) -> str:
    """Empty when the windows agree, else where they do not."""
    last = windows[-IN_A_ROW:]
    if len(last) < IN_A_ROW:
        return f"{len(last)} windows, {IN_A_ROW} are needed"
    if not any(window.requests for window in last):
        return "nothing was answered"
    latencies = [window.latency_ms for window in last]
    for what, found in (("rate", [window.rate_per_s for window in last]), ("latency", latencies)):
        values = [value for value in found if value is not None]
        if len(values) in (1, 2):
            return f"a window without a {what}"
        if values and max(values) > min(values) * (1 + TOLERANCE):
            spread = max(values) / min(values) if min(values) > 0 else float("inf")
            return f"the {what} of the last {IN_A_ROW} windows differs by a factor of {spread:.2f}"
    return ""
