"""The life of a server: bind, warm, serve, drain.

Addresses are bound first, so that a mistake is found at once; the faces then answer 1012 (and
/readyz 503) until the models are warm. SIGTERM or SIGINT: new requests are refused with 5002,
accepted ones are finished within a bound, then the process ends with 0. A second signal ends it at
once.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import time
from collections.abc import Callable

from livegate import __version__
from livegate.app.build import build_pipeline, build_service, build_store, chosen_manifests
from livegate.app.collectors import CameraCollector, FrameCollector, GraphCollector
from livegate.app.enginebuilds import EngineBuilds, build_before_serving
from livegate.app.exposure import require_credentials, served_dialects, warn_of_pilot_models
from livegate.app.frames import FrameFace, log_refusal
from livegate.app.newengines import LOOK_S, NewEngines
from livegate.app.reload import PipelineBuilder
from livegate.app.supervisor import CameraSupervisor
from livegate.app.systemd import ServiceManager
from livegate.core.config import Config
from livegate.core.plugins import load_plugin, plugin_names
from livegate.core.socketlock import configured_path
from livegate.core.telemetry import Metrics, get_logger
from livegate.core.tls import server_context
from livegate.engines.pool import shutting_down
from livegate.gateway.dialect import Dialect
from livegate.gateway.fetch import Fetcher
from livegate.gateway.http import Gateway
from livegate.gateway.listener import HttpListener
from livegate.gateway.operations import operations_app
from livegate.grpcapi.server import GrpcServer
from livegate.service.actions import ActionService
from livegate.service.cameras import Cameras
from livegate.service.challenges import Challenges
from livegate.service.liveness import Status
from livegate.service.reload import ModelReloader
from livegate.service.streams import Streams
from livegate.shm.broker import Broker
from livegate.shm.lease import PublishedFrame

DIALECTS = "livegate.gateway.dialects"
STOP_GRACE_S = 2.0
"""After the drain: for answers that are on their way out."""
SWITCH_S = 0.02
log = get_logger("livegate.server")


def build_dialects(config: Config) -> tuple[Dialect, ...]:
    """Every dialect that is installed."""
    return tuple(load_plugin(DIALECTS, name).Plugin(config) for name in plugin_names(DIALECTS))


async def serve(config: Config, reread: Callable[[], Config]) -> None:
    """Serve until a signal comes. `reread` loads the configuration as it is now, for a reload.

    Raises:
        SetupError: an address that is not to be had or exposed without credentials, or a model
            that does not load.
    """
    started_s = time.monotonic()
    stopping = asyncio.Event()
    _on_signals(stopping)
    every = build_dialects(config)
    dialects = served_dialects(config, every)
    require_credentials(config, dialects)
    for dialect in every:
        if dialect not in dialects:
            log.warning("dialect not served", dialect=dialect.name, needs=dialect.credentials)
    manifests = chosen_manifests(config, build_store(config))
    log.info("models", pack=config.models.pack, **{task: one.id for task, one in manifests.items()})
    warn_of_pilot_models(config, manifests.values())
    server = Server(config, dialects, reread)
    manager = ServiceManager()
    telling = asyncio.ensure_future(manager.keep_told(lambda: server.status))
    try:
        await server.start()
        await _warm_unless(stopping, server)
        if not stopping.is_set():
            log.info("ready", seconds=round(time.monotonic() - started_s, 3), **server.addresses)
        await stopping.wait()
        log.info("draining", bound_s=config.server.drain_timeout_s)
    finally:
        manager.tell(STOPPING="1")
        await server.stop()
        telling.cancel()
        log.info("stopped")


class Server:
    """All faces over one service. Built bound; every step is to be taken on one event loop."""

    def __init__(
        self, config: Config, dialects: tuple[Dialect, ...], reread: Callable[[], Config]
    ) -> None:
        """Bind every address.

        Raises:
            SetupError: an address or a socket that is not to be had.
        """
        self._config = config
        metrics = Metrics()
        self._builds = EngineBuilds()
        self._service = build_service(config, metrics, self._builds.board)
        challenges = Challenges(config, self._service, metrics)
        self._actions = ActionService(config, self._service, metrics, challenges)
        self._listeners: dict[str, HttpListener] = {}
        if config.http.bind:
            fetcher = Fetcher(config.urls)
            app = Gateway(dialects, self._service, self._actions, fetcher, config.http, metrics).app
            self._listeners["http"] = HttpListener(
                "http",
                config.http.bind,
                app,
                max_connections=config.http.max_connections,
                head_timeout_s=config.http.head_timeout_s,
                tls=server_context("http", config.http),
            )
        if config.metrics.bind:
            app = operations_app(config.metrics, self._service, metrics)
            self._listeners["metrics"] = HttpListener(
                "metrics", config.metrics.bind, app, tls=server_context("metrics", config.metrics)
            )
        self._frames_path = path = configured_path(config.frames.socket, "frames.sock")
        broker = (
            Broker(
                path,
                config.frames,
                on_refused=log_refusal,
                on_left=self._left,
                is_ours=self._is_ours,
                glance=self._glance,
            )
            if path
            else None
        )
        producers = (lambda: broker.status) if broker else tuple
        self._cameras = Cameras(config, self._service, metrics, producers)
        metrics.registry.register(CameraCollector(self._cameras))
        metrics.registry.register(GraphCollector(self._service))
        self._streams = Streams(self._service, broker, metrics)
        builder = PipelineBuilder(config, reread, self._builds)
        reloader = ModelReloader(self._service, builder.build, metrics)
        self._new_engines = NewEngines(
            lambda: builder.serving,
            lambda: self._service.status,
            reloader.reload,
            lambda: reloader.is_reloading,
        )
        self._looking: asyncio.Task[None] | None = None
        self._grpc = GrpcServer(
            config.grpc,
            self._service,
            self._streams,
            self._cameras,
            self._actions,
            challenges,
            reloader,
            metrics,
        )
        self._frames: FrameFace | None = None
        self._supervisor: CameraSupervisor | None = None
        if broker and path:
            self._frames = face = FrameFace(broker, self._cameras, self._service.status.workers)
            self._service.watch(lambda: face.longest_run_s)
            metrics.registry.register(FrameCollector(broker))
            self._supervisor = CameraSupervisor(
                config.ingest, config.limits, path, report=self._cameras.report
            )
            self._cameras.use(self._supervisor)

    @property
    def addresses(self) -> dict[str, str]:
        """Where each face answers, for the log."""
        ports = {name: str(listener.port) for name, listener in self._listeners.items()}
        ports["grpc"] = str(self._grpc.port)
        sockets = {"socket": str(self._grpc.socket or ""), "frames": str(self._frames_path or "")}
        return {**ports, **sockets, "version": __version__}

    @property
    def status(self) -> Status:
        """How the service is."""
        return self._service.status

    async def start(self) -> None:
        """Answer on every face; requests get 1012 until `warm`."""
        await self._grpc.start()
        for listener in self._listeners.values():
            await listener.start()
        for camera in self._config.ingest.cameras:
            if camera.url:
                self._cameras.add(camera)
        log.info("listening", **self.addresses)

    async def warm(self) -> None:
        """Load and warm the models, then begin to judge.

        Raises:
            SetupError: a model that does not load.
        """
        store = build_store(self._config)
        await asyncio.to_thread(build_before_serving, self._config, store, self._builds)
        pipeline = await asyncio.to_thread(build_pipeline, self._config, store)
        _settle()
        self._service.start(pipeline)
        if self._frames is not None:
            self._frames.consume()
        await self._grpc.set_serving(is_serving=True)
        self._looking = asyncio.create_task(self._look_for_engines())

    async def stop(self) -> None:
        """Refuse new requests, finish accepted ones within the bound, close everything."""
        await self._grpc.set_serving(is_serving=False)
        if self._looking is not None:
            self._looking.cancel()
        self._builds.cancel()
        end = shutting_down()
        self._service.refuse()
        self._cameras.stop(end)
        self._streams.stop(end)
        if self._supervisor is not None:
            await asyncio.to_thread(self._supervisor.stop, STOP_GRACE_S)
        # Videos need the workers to the end; half of the bound is theirs.
        bound_s, begun_s = self._config.server.drain_timeout_s, time.monotonic()
        drained = await asyncio.to_thread(self._actions.drain, bound_s / 2)
        left_s = bound_s - (time.monotonic() - begun_s)
        drained &= await asyncio.to_thread(self._service.drain, left_s)
        await asyncio.to_thread(self._actions.close)
        if self._frames is not None:
            await asyncio.to_thread(self._frames.stop, STOP_GRACE_S)
        if not drained:
            log.warning("requests were left at the end of the drain")
        listeners = (listener.stop(STOP_GRACE_S) for listener in self._listeners.values())
        await asyncio.gather(self._grpc.stop(STOP_GRACE_S), *listeners)
        await asyncio.to_thread(self._service.close)

    async def _look_for_engines(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await asyncio.to_thread(self._new_engines.look)
            except Exception:
                log.exception("looking for built engines failed")

    def _left(self, camera: str) -> None:
        self._cameras.left(camera)

    def _is_ours(self, camera: str) -> bool:
        return self._cameras.is_ours(camera)

    def _glance(self, published: PublishedFrame) -> bool:
        return self._cameras.glance(published)


def _settle() -> None:
    """Tell the interpreter that from now on it serves.

    What was built until now lives as long as the process: the collector need not look at it again.
    Workers leave the interpreter often by themselves (decoding, inference); taking it from them
    every 5 ms only costs switches.
    """
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(SWITCH_S)


async def _warm_unless(stopping: asyncio.Event, server: Server) -> None:
    """Warm; a signal that comes meanwhile does not wait for the end of it."""
    warming = asyncio.ensure_future(server.warm())
    waiting = asyncio.ensure_future(stopping.wait())
    await asyncio.wait({warming, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if warming.done():
        warming.result()
    else:
        warming.cancel()


def _on_signals(stopping: asyncio.Event) -> None:
    def handle(number: int) -> None:
        if stopping.is_set():
            os._exit(128 + number)
        stopping.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, handle, number)
