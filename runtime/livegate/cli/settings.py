"""The flags that set configuration, and the loading of it: profile < file < environment < flags."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from livegate.core.errors import ErrorCode, SetupError
from livegate.core.plugins import did_you_mean
from livegate.core.profile import FILE_NAME, Profile, read_profile
from livegate.core.settings import Key, LoadedConfig, keys, load, value_from_text
from livegate.manifests.store import cache_dir

# Flags with a name of their own; every other key is reached by --set.
FLAGS = {
    "--pack": ("models.pack", "NAME", "whose models: starter (in the package), reference, …"),
    "--backend": (
        "engine.backend",
        "NAME",
        "what runs the networks: auto, onnxruntime, openvino, tensorrt, ascend, null",
    ),
    "--provider": (
        "engine.provider",
        "NAME",
        "auto, cpu, cuda, tensorrt, cann, openvino; of tensorrt itself gpu, dla0; of ascend npu",
    ),
    "--precision": (
        "engine.precision",
        "PRECISION",
        "fp32, fp16 or int8, where manifest and backend have it",
    ),
    "--policy": ("engine.policy", "POLICY", "require, prefer or any"),
    "--detector-size": ("face_detection.input_size", "PIXELS", "long side of the detector's input"),
    "--workers": ("server.workers", "N", "worker threads; 0 = one for each core"),
    "--log-level": ("log.level", "LEVEL", "debug, info, warning, error"),
}
SERVE_FLAGS = {
    "--grpc": ("grpc.bind", "HOST:PORT", "where gRPC answers"),
    "--socket": ("grpc.socket", "PATH", "Unix socket of gRPC; auto, or empty for none"),
    "--frames": ("frames.socket", "PATH", "Unix socket of the frame queue; auto, or empty for none"),
    "--http": ("http.bind", "HOST:PORT", "where the cloud dialects answer"),
    "--tls-cert": ("http.tls_cert", "FILE", "certificate chain (PEM): HTTP becomes HTTPS"),
    "--tls-key": ("http.tls_key", "FILE", "its key (PEM)"),
    "--metrics": ("metrics.bind", "HOST:PORT", "where /metrics, /livez and /readyz answer"),
}


def add_settings(parser: argparse.ArgumentParser, *, serves: bool = False) -> None:
    """Give a command the flags of the configuration."""
    group = parser.add_argument_group("configuration (`livegate config keys` lists every key)")
    group.add_argument("--config", metavar="FILE", help="TOML file; else LIVEGATE_CONFIG")
    group.add_argument(
        "--models", metavar="DIR", action="append", help="folder with model files; repeatable"
    )
    for flag, (key, metavar, text) in {**FLAGS, **(SERVE_FLAGS if serves else {})}.items():
        group.add_argument(flag, dest=key, metavar=metavar, help=text)
    if serves:
        group.add_argument(
            "--profile",
            metavar="FILE",
            help="what `livegate tune` wrote; else LIVEGATE_PROFILE, else the cache's; empty for none",
        )
        group.add_argument(
            "--camera",
            metavar="NAME=URL",
            action="append",
            help="read a camera: rtsp://…, v4l2:/dev/video0, file:clip.mp4[?loop]; repeatable; "
            "@FILE reads the URL there: every user may read a command line, and a password in it",
        )
    group.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help="any other key")


def load_settings(options: argparse.Namespace, **defaults: Any) -> LoadedConfig:
    """The configuration that the flags of `options` complete.

    `defaults` are settings of the command itself (with __ for the dot), below flags.

    Raises:
        SetupError: as `config.load`.
    """
    return settings_reader(options, **defaults)()


def settings_reader(options: argparse.Namespace, **defaults: Any) -> Callable[[], LoadedConfig]:
    """What loads that configuration, now and later: the file is read anew each time, flags only now.

    Raises:
        SetupError: for the flags, as `config.load`; what it returns raises for the rest.
    """
    flags: dict[str, Any] = {name.replace("__", "."): value for name, value in defaults.items()}
    given = {k: v for k, v in vars(options).items() if "." in k and v is not None}
    flags.update(given)
    if options.models:
        flags["models.dirs"] = options.models
    if getattr(options, "camera", None):
        flags["ingest.cameras"] = [_camera(text) for text in options.camera]
    for setting in options.set:
        key, separator, value = setting.partition("=")
        flags[key] = value_from_text(_key(key, separator), value, f"--set {key}")
    file = options.config or os.environ.get("LIVEGATE_CONFIG")
    profile, problem = _profile(options) if hasattr(options, "profile") else (None, "")

    def read() -> LoadedConfig:
        loaded = load(file=Path(file) if file else None, flags=flags, profile=profile)
        return replace(loaded, unused_profile=problem) if problem else loaded

    return read


def _profile(options: argparse.Namespace) -> tuple[Profile | None, str]:
    """The profile that is named, else the one in the cache, which stops nothing: or why it is none.

    Raises:
        SetupError: as read_profile, for one that is named.
    """
    named = options.profile if options.profile is not None else os.environ.get("LIVEGATE_PROFILE")
    if named is not None:
        return (read_profile(Path(named)) if named else None), ""
    try:
        return read_profile(cache_dir() / FILE_NAME), ""
    except SetupError as error:
        is_absent = isinstance(error.__cause__, FileNotFoundError)
        return None, "" if is_absent else error.message


def _camera(text: str) -> dict[str, str]:
    name, separator, url = text.partition("=")
    if not separator:
        raise SetupError(
            ErrorCode.CONFIG_ADD_FAIL,
            "--camera has no =URL",  # not the text: it may be a URL with a password in it
            hint="write --camera NAME=URL, for example door=v4l2:/dev/video0",
        )
    return {"name": name, "url": url_from_text(url)}


def url_from_text(text: str) -> str:
    """A camera's URL as it is written on a command line: itself, @FILE, or - for standard input.

    Every user of the box may read a command line, so a URL with a password belongs into a file.

    Raises:
        SetupError: OPEN_FAIL for a file that cannot be read, CONFIG_ADD_FAIL for what is not UTF-8.
    """
    if text == "-":
        return sys.stdin.readline().strip()
    if not text.startswith("@"):
        return _utf8(text)
    try:
        return Path(text[1:]).read_text(encoding="utf-8-sig").partition("\n")[0].strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise SetupError(
            ErrorCode.OPEN_FAIL,
            f"the file {text[1:]} with a camera's URL cannot be read: {reason}",
            hint="write the URL into its first line",
        ) from error


def _utf8(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:  # not told with the text: a URL may have a password in it
        fact = "a camera's URL is not UTF-8"
        raise SetupError(ErrorCode.CONFIG_ADD_FAIL, fact, hint="give the file another name") from error
    return text


def _key(path: str, separator: str) -> Key:
    known = {key.path: key for key in keys()}
    if not separator or path not in known:
        raise SetupError(
            ErrorCode.CONFIG_ADD_FAIL,
            f"--set {path}: there is no such key" if separator else f"--set {path} has no =VALUE",
            hint=did_you_mean(path, tuple(known)),
        )
    return known[path]
