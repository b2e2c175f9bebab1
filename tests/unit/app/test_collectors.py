"""Counts that are read when they are scraped."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from prometheus_client import CollectorRegistry

from livegate.app.collectors import GraphCollector
from livegate.core.results import GraphRuns


def test_graph_collector_tells_runs_by_how_they_were_launched() -> None:
    """Graphs, plain runs and kept graphs, by model and network."""
    runs = {("m", "n"): GraphRuns(2, 7, 3, "")}
    service: Any = SimpleNamespace(status=SimpleNamespace(graph_runs=runs))
    registry = CollectorRegistry()
    registry.register(GraphCollector(service))
    named = {"model": "m", "network": "n"}
    told = [
        registry.get_sample_value("livegate_cuda_graph_runs_total", {**named, "launched": how})
        for how in ("graph", "plain")
    ]
    assert told == [7, 3]
    assert registry.get_sample_value("livegate_cuda_graphs", named) == 2
