"""A start without a server: everything that could keep one from serving, but for what is taken.

An address that somebody else listens on, or that this box does not have, is found by a start alone; what
serves now has the same ones.
"""

from __future__ import annotations

from pathlib import Path

from livegate.app.build import build_pipeline, build_store
from livegate.app.enginebuilds import EngineBuilds, build_before_serving
from livegate.app.exposure import require_credentials, served_dialects
from livegate.app.server import build_dialects
from livegate.app.supervisor import require_cameras
from livegate.core.config import Config
from livegate.core.errors import ErrorCode, SetupError
from livegate.core.results import EngineInfo
from livegate.core.socketlock import configured_path, require_short, unusable
from livegate.core.tls import require_tls
from livegate.gateway.fetch import Fetcher
from livegate.gateway.listener import split_address
from livegate.service.cameras import views_of


def rehearse(config: Config) -> tuple[EngineInfo, ...]:
    """Do what a start does until the models are warm, then close them.

    Returns:
        What would run the networks; each has passed the golden gate.

    Raises:
        LiveGateError: as a start would.
    """
    _require_addresses(config)
    require_credentials(config, served_dialects(config, build_dialects(config)))
    require_tls(config)
    if config.http.bind:
        Fetcher(config.urls)
    _require_cameras(config)
    store = build_store(config)
    build_before_serving(config, store, EngineBuilds())
    pipeline = build_pipeline(config, store)
    try:
        return pipeline.engines
    finally:
        pipeline.close()


def _require_addresses(config: Config) -> None:
    taken: dict[tuple[str, int], str] = {}
    for name, face in config.faces.items():
        if not face.bind:
            continue
        address = split_address(face.bind)
        if address[1] and address in taken:
            raise SetupError(
                ErrorCode.INIT_FAIL,
                f"{taken[address]}.bind and {name}.bind are both {face.bind}",
                hint=f"set {name}.bind to another port",
            )
        taken[address] = name
    paths: dict[Path, str] = {}
    for name, value in (("grpc", config.grpc.socket), ("frames", config.frames.socket)):
        path = configured_path(value, f"{name}.sock")
        if path is None:
            continue
        require_short(path, f"{name}.socket")
        if path in paths:
            raise unusable(path, f"{name}.socket", f"{paths[path]}.socket is the same")
        paths[path] = name


def _require_cameras(config: Config) -> None:
    views_of(config.ingest.cameras)
    if config.frames.socket:
        require_cameras(config.ingest)
    elif any(camera.url for camera in config.ingest.cameras):
        raise SetupError(
            ErrorCode.CONFIG_ADD_FAIL,
            "ingest.cameras names cameras to be read, and frames.socket is empty",
            hint="cameras need the frame queue: set frames.socket",
        )
