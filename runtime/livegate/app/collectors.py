"""Counts that are kept elsewhere, read when they are scraped."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from livegate.core.camera import CameraState
from livegate.service.cameras import Cameras
from livegate.service.liveness import LivenessService
from livegate.shm.broker import Broker
from livegate.shm.tally import FrameEvent, FrameTally


class CameraCollector(Collector):
    """How the cameras are."""

    def __init__(self, cameras: Cameras) -> None:
        """Read from these."""
        self._cameras = cameras

    def collect(self) -> Iterator[Metric]:
        """Cameras that give frames, restarts of their processes, failures by code."""
        up = GaugeMetricFamily("livegate_camera_up", "1 while frames come", labels=("camera",))
        restarts = CounterMetricFamily(
            "livegate_camera_restarts", "Camera processes that ended by themselves", labels=("camera",)
        )
        for report in self._cameras.reports:
            up.add_metric((report.camera,), float(report.state is CameraState.STREAMING))
            restarts.add_metric((report.camera,), report.restarts)
        yield up
        yield restarts
        failures = CounterMetricFamily(
            "livegate_camera_failures", "Failures of cameras", labels=("camera", "code")
        )
        for (camera, code), count in self._cameras.failures.items():
            failures.add_metric((camera, str(int(code))), count)
        yield failures


class GraphCollector(Collector):
    """How the engines of a GPU were launched; a reload begins at zero."""

    def __init__(self, service: LivenessService) -> None:
        """Read from what it serves with."""
        self._service = service

    def collect(self) -> Iterator[Metric]:
        """Runs by model, network and manner, and the graphs that are kept."""
        runs = CounterMetricFamily(
            "livegate_cuda_graph_runs",
            "Runs of networks whose GPU can record them, by how they were launched",
            labels=("model", "network", "launched"),
        )
        graphs = GaugeMetricFamily(
            "livegate_cuda_graphs", "Recorded graphs that are kept", labels=("model", "network")
        )
        for (model, network), told in self._service.status.graph_runs.items():
            runs.add_metric((model, network, "graph"), told.recorded_runs)
            runs.add_metric((model, network, "plain"), told.plain_runs)
            graphs.add_metric((model, network), told.graphs)
        yield runs
        yield graphs


class FrameCollector(Collector):
    """The frame queue's counts, read when they are scraped."""

    def __init__(self, broker: Broker) -> None:
        """Read from this one."""
        self._broker = broker

    def collect(self) -> Iterator[Metric]:
        """Frames by camera and event, bytes copied, slots by state, refusals by code."""
        tally = self._broker.tally
        yield _frames(tally)
        copied = CounterMetricFamily(
            "livegate_frame_bytes_copied", "Bytes copied of frames", labels=("camera",)
        )
        for camera in tally.cameras:
            copied.add_metric((camera,), tally.camera(camera)[FrameEvent.COPIED_BYTES])
        yield copied
        slots = GaugeMetricFamily("livegate_frame_slots", "Slots", labels=("camera", "state"))
        for status in self._broker.status:
            for state, count in status.slots.items():
                slots.add_metric((status.camera, state.name.lower()), count)
        yield slots
        refusals = CounterMetricFamily(
            "livegate_frame_refusals", "Refused producers and messages", labels=("code",)
        )
        for code, count in tally.refusals.items():
            refusals.add_metric((str(int(code)),), count)
        yield refusals


def _frames(tally: FrameTally) -> Metric:
    frames = CounterMetricFamily("livegate_frames", "What became of frames", labels=("camera", "event"))
    for camera in tally.cameras:
        for event, count in tally.camera(camera).items():
            if event is not FrameEvent.COPIED_BYTES:
                frames.add_metric((camera, event.value), count)
    return frames
