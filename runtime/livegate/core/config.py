"""The configuration: typed, every key documented, unknown keys refused.

Order of precedence: file (TOML) < environment (LIVEGATE_<SECTION>_<KEY>) < command-line flags.
`load` keeps the source of each value, so that `livegate config show` can say where it came from.
"""

from __future__ import annotations

import os
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from livegate.core.errors import ErrorCode, SetupError
from livegate.core.plugins import did_you_mean
from livegate.core.tomlfile import read_toml

Positive = Annotated[int, Meta(ge=1)]
NotNegative = Annotated[int, Meta(ge=0)]
Seconds = Annotated[float, Meta(gt=0, le=86_400)]  # TOML knows inf, a clock does not
Fraction = Annotated[float, Meta(ge=0, le=1)]
ENV_PREFIX = "LIVEGATE_"


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the configuration file."""


class App(Section, frozen=True):
    """One client of the AIPaaS dialect."""

    id: Annotated[str, Meta(min_length=1, description="what the client sends as X-APP-ID")]
    key: Annotated[str, Meta(min_length=8, description="what it signs with, never shown")]
    rate_limit_rps: Annotated[
        float, Meta(ge=0, description="requests per second that it may send; 0 = no limit")
    ] = 0.0


class ServerConfig(Section, frozen=True):
    """Scheduling and life cycle."""

    workers: Annotated[NotNegative, Meta(description="worker threads; 0 = one for each core")] = 0
    pin_workers: Annotated[
        bool,
        Meta(description="keep each worker on its own core, if there are as many workers as cores"),
    ] = True
    queue_capacity: Annotated[
        Positive, Meta(description="requests that may wait; the surplus is answered 5003 at once")
    ] = 64
    queue_timeout_s: Annotated[
        Seconds, Meta(description="longest wait in the queue for a request without a deadline")
    ] = 10.0
    drain_timeout_s: Annotated[
        Seconds, Meta(description="after SIGTERM, how long accepted requests may still run")
    ] = 10.0


class GrpcConfig(Section, frozen=True):
    """The gRPC face."""

    bind: Annotated[str, Meta(description="HOST:PORT; empty = no TCP")] = "127.0.0.1:50051"
    socket: Annotated[
        str, Meta(description="path of a Unix socket; auto = in the runtime folder, empty = none")
    ] = "auto"
    max_receive_mib: Annotated[Positive, Meta(description="largest message accepted, in MiB")] = 16
    tokens: Annotated[
        tuple[str, ...],
        Meta(description="bearer tokens; one of them is then required", extra={"secret": True}),
    ] = ()


class HttpConfig(Section, frozen=True):
    """The HTTP face, where the cloud dialects answer."""

    bind: Annotated[str, Meta(description="HOST:PORT; empty = no HTTP")] = "127.0.0.1:8080"
    max_body_mib: Annotated[Positive, Meta(description="largest body accepted, in MiB")] = 32
    body_timeout_s: Annotated[Seconds, Meta(description="time for a body to arrive")] = 15.0
    max_connections: Annotated[Positive, Meta(description="connections open at once")] = 512


class MetricsConfig(Section, frozen=True):
    """/metrics, /livez and /readyz."""

    bind: Annotated[str, Meta(description="HOST:PORT; empty = none")] = "127.0.0.1:9090"
    tokens: Annotated[
        tuple[str, ...],
        Meta(description="bearer tokens for /metrics", extra={"secret": True}),
    ] = ()


class AipaasConfig(Section, frozen=True):
    """The AIPaaS dialect."""

    auth: Annotated[
        Literal["auto", "hmac", "none"],
        Meta(description="auto = hmac as soon as one app is configured; none = loopback only"),
    ] = "auto"
    apps: Annotated[
        tuple[App, ...],
        Meta(description="the clients that may sign requests", extra={"secret": True}),
    ] = ()
    clock_window_s: Annotated[
        NotNegative,
        Meta(description="how far the box's clock may differ from the signer's, in seconds"),
    ] = 300

    @property
    def is_signed(self) -> bool:
        """Whether requests must be signed."""
        return self.auth == "hmac" or (self.auth == "auto" and bool(self.apps))


class FramesConfig(Section, frozen=True):
    """The frame queue: camera frames in shared memory."""

    socket: Annotated[
        str, Meta(description="path of a Unix socket; auto = in the runtime folder, empty = none")
    ] = "auto"
    ceiling_mib: Annotated[
        Positive, Meta(description="memory of all producers together; more is answered 1006")
    ] = 512
    max_producers: Annotated[Positive, Meta(description="cameras connected at once")] = 16
    max_connections: Annotated[
        Positive, Meta(description="connections of one user, those without a camera included")
    ] = 32
    max_messages_per_s: Annotated[
        Positive, Meta(description="messages of one producer; who sends more is hung up on")
    ] = 2000
    slots_max: Annotated[
        int, Meta(ge=3, le=64, description="slots of one producer; it asks for how many it wants")
    ] = 8
    max_waiting: Annotated[Positive, Meta(description="frames of one camera that may wait")] = 1
    max_leases: Annotated[
        Positive, Meta(description="frames of one camera that may be looked at, at once")
    ] = 2
    policy: Annotated[
        Literal["newest_wins", "reject", "block"],
        Meta(description="a frame that finds the queue full replaces, is refused, or waits"),
    ] = "newest_wins"
    block_timeout_ms: Annotated[
        int,
        Meta(ge=1, le=500, description="longest wait for a place or a slot; a death is seen then"),
    ] = 200
    max_frame_age_ms: Annotated[
        NotNegative, Meta(description="frames older than this are dropped unseen; 0 = no limit")
    ] = 1000
    trusted: Annotated[
        Literal["same_uid", "all", "none"],
        Meta(description="whose frames are read in place; others' are copied once, privately"),
    ] = "same_uid"
    allow_uids: Annotated[
        tuple[int, ...],
        Meta(description="users that may hand over frames; empty = the server's own only"),
    ] = ()


class LimitsConfig(Section, frozen=True):
    """What a picture may be, checked before memory is taken for it."""

    max_images: Annotated[Positive, Meta(description="pictures in one request")] = 16
    max_image_bytes: Annotated[Positive, Meta(description="bytes of one picture")] = 8 << 20
    max_pixels: Annotated[Positive, Meta(description="width x height of one picture")] = 4096 * 4096
    min_side: Annotated[Positive, Meta(description="shortest side of a picture, in pixels")] = 32


class EngineConfig(Section, frozen=True):
    """What runs the networks."""

    backend: Annotated[str, Meta(description="plug-in that runs the networks")] = "onnxruntime"
    provider: Annotated[
        str, Meta(description="cpu, cuda, tensorrt, cann …; auto = the best that the box has")
    ] = "auto"
    policy: Annotated[
        Literal["require", "prefer", "any"],
        Meta(description="require = exactly this provider; prefer = else another, loudly; any"),
    ] = "require"
    intra_op_threads: Annotated[
        Positive, Meta(description="threads inside one run; 1 and many workers measured best")
    ] = 1


class ModelsConfig(Section, frozen=True):
    """Which models, and where their files may lie."""

    dirs: Annotated[tuple[str, ...], Meta(description="folders to look for model files in")] = ()
    use: Annotated[
        dict[str, str],
        Meta(description="task = model id, where the default model of a task is not wanted"),
    ] = {}


class FaceDetectionConfig(Section, frozen=True):
    """algoTask 9001."""

    input_size: Annotated[
        int, Meta(ge=64, le=2048, description="long side of the detector's input, in pixels")
    ] = 320
    min_score: Annotated[
        Fraction | None, Meta(description="faces below are dropped; unset = the model's own")
    ] = None
    max_faces: Annotated[Positive, Meta(description="faces reported for one picture")] = 64


class SilentLivenessConfig(Section, frozen=True):
    """algoTask 1031."""

    threshold: Annotated[
        Fraction | None, Meta(description="genuine at or above; unset = the model's own")
    ] = None
    fusion: Annotated[
        Literal["min", "mean", "median"],
        Meta(description="several pictures: their least, mean or lower median score"),
    ] = "min"


class LogConfig(Section, frozen=True):
    """Logs, on standard error."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="least severity shown")
    ] = "info"
    format: Annotated[
        Literal["auto", "json", "console"],
        Meta(description="auto = console on a terminal, JSON elsewhere"),
    ] = "auto"


class Config(Section, frozen=True):
    """All of it."""

    server: ServerConfig = ServerConfig()
    grpc: GrpcConfig = GrpcConfig()
    http: HttpConfig = HttpConfig()
    metrics: MetricsConfig = MetricsConfig()
    aipaas: AipaasConfig = AipaasConfig()
    frames: FramesConfig = FramesConfig()
    limits: LimitsConfig = LimitsConfig()
    engine: EngineConfig = EngineConfig()
    models: ModelsConfig = ModelsConfig()
    face_detection: FaceDetectionConfig = FaceDetectionConfig()
    silent_liveness: SilentLivenessConfig = SilentLivenessConfig()
    log: LogConfig = LogConfig()


@dataclass(frozen=True, slots=True)
class Key:
    """One documented key: section.name, its type as text, default, documentation."""

    section: str
    name: str
    kind: str
    default: Any
    text: str
    is_secret: bool

    @property
    def path(self) -> str:
        """The key as it is written in messages."""
        return f"{self.section}.{self.name}"

    @property
    def env(self) -> str:
        """The environment variable that sets it."""
        return f"{ENV_PREFIX}{self.section}_{self.name}".upper()


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """A configuration and, for every key that is not a default, where its value came from."""

    config: Config
    sources: Mapping[str, str]


def keys() -> tuple[Key, ...]:
    """Every key of the configuration, in the order of the file."""
    return tuple(
        _key(section.name, field)
        for section in msgspec.structs.fields(Config)
        for field in msgspec.structs.fields(section.type)
    )


def load(
    *,
    file: Path | None = None,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, Any] | None = None,
) -> LoadedConfig:
    """Merge file, environment and flags ("section.name" -> value) into one configuration.

    Raises:
        SetupError: CONFIG_ADD_FAIL for an unknown key or a refused value; OPEN_FAIL or READ_FAIL
            for the file.
    """
    merged: dict[str, dict[str, Any]] = {}
    sources: dict[str, str] = {}
    for origin, path, value in _settings(file, os.environ if environ is None else environ, flags):
        section, _, name = path.partition(".")
        merged.setdefault(section, {})[name] = value
        sources[path] = origin
    return LoadedConfig(_convert(merged, sources), sources)


def _settings(
    file: Path | None, environ: Mapping[str, str], flags: Mapping[str, Any] | None
) -> typing.Iterator[tuple[str, str, Any]]:
    yield from _from_file(file) if file else ()
    yield from _from_environ(environ)
    yield from (("flag", path, value) for path, value in (flags or {}).items() if value is not None)


def _from_file(file: Path) -> typing.Iterator[tuple[str, str, Any]]:
    tables = read_toml(file)
    for section, table in tables.items():
        if not isinstance(table, dict):
            raise _unknown(section, f"file {file}")
        for name, value in table.items():
            _require_known(f"{section}.{name}", f"file {file}")
            yield f"file {file}", f"{section}.{name}", value


def _from_environ(environ: Mapping[str, str]) -> typing.Iterator[tuple[str, str, Any]]:
    by_env = {key.env: key for key in keys()}
    for variable in sorted(environ):
        if not variable.startswith(ENV_PREFIX) or variable in OTHER_VARIABLES:
            continue
        key = by_env.get(variable)
        if key is None:
            hint = did_you_mean(variable, tuple(by_env))
            raise _refused(f"the environment variable {variable} is not a setting", hint)
        yield f"environment {variable}", key.path, _from_text(key, environ[variable])


OTHER_VARIABLES = {f"{ENV_PREFIX}MODELS", f"{ENV_PREFIX}CONFIG", f"{ENV_PREFIX}CACHE"}
"""Variables that are not keys: folders of model files, the configuration file, the cache."""


def _from_text(key: Key, text: str) -> Any:
    """Lists are given as comma-separated text, tables as JSON; numbers are converted later."""
    if key.kind in ("list of tables", "table"):
        try:
            return msgspec.json.decode(text)
        except msgspec.DecodeError as error:
            raise _refused(f"{key.env} is not JSON: {error}", f"give a JSON {key.kind}") from error
    if key.kind.startswith("list"):
        return [part for part in text.split(",") if part]
    return text


def _require_known(path: str, origin: str) -> None:
    if path not in {key.path for key in keys()}:
        raise _unknown(path, origin)


def _unknown(path: str, origin: str) -> SetupError:
    known = tuple(key.path for key in keys())
    return _refused(f"{origin}: there is no key {path}", did_you_mean(path, known))


def _refused(message: str, hint: str) -> SetupError:
    return SetupError(ErrorCode.CONFIG_ADD_FAIL, message, hint=hint)


def _convert(merged: dict[str, dict[str, Any]], sources: Mapping[str, str]) -> Config:
    try:
        # strict=False turns "8" into 8: the environment has only text.
        return msgspec.convert(merged, Config, strict=False)
    except msgspec.ValidationError as error:
        path = str(error).rpartition("`$.")[2].rstrip("`")
        origin = next((o for p, o in sources.items() if path.startswith(p)), "the configuration")
        hint = "`livegate config keys` lists every key with its type"
        raise _refused(f"{origin}: {error}".replace("`$.", "`"), hint) from error


def _key(section: str, field: msgspec.structs.FieldInfo) -> Key:
    meta = next(m for m in reversed(typing.get_args(field.type)[1:]) if m.description)
    secret = bool((meta.extra or {}).get("secret"))
    kind = _kind_name(field.type)
    default = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    return Key(section, field.name, kind, default, meta.description or "", secret)


def _kind_name(kind: Any) -> str:
    origin = typing.get_origin(kind)
    if origin is Annotated:
        return _kind_name(typing.get_args(kind)[0])
    if origin is Literal:
        return " | ".join(typing.get_args(kind))
    if origin is dict:
        return "table"
    if origin is tuple:
        element = typing.get_args(kind)[0]
        return "list of tables" if issubclass(element, Section) else f"list of {element.__name__}"
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_kind_name(part) for part in typing.get_args(kind))
    return "unset" if kind is type(None) else str(kind.__name__)


def keys_markdown() -> str:
    """Every key as docs/config.md; `make docs` writes it and CI holds the two together."""
    head = [
        "# Configuration",
        "",
        "Generated from `runtime/livegate/core/config.py` by `make docs`.",
        "",
        "A TOML file (`--config FILE` or `LIVEGATE_CONFIG`) < environment < flags. In the",
        "environment a list is comma-separated text, a table or a list of tables is JSON.",
        "`livegate config show` prints the result and where each value came from.",
        "",
        "| key | environment | type | default | what it does |",
        "|---|---|---|---|---|",
    ]
    rows = [
        f"| `{k.path}` | `{k.env}` | {k.kind.replace('|', 'or')} "
        f"| `{msgspec.json.encode(k.default).decode()}` | {k.text} |"
        for k in keys()
    ]
    return "\n".join([*head, *rows]) + "\n"
