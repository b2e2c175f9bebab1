"""Where the configuration comes from: profile < file (TOML) < environment < flags.

Unknown keys are refused with a suggestion. The source of each value is kept, so that
`livegate config show` can say where it came from.
"""

from __future__ import annotations

import os
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from livegate.core.config import Config, Section
from livegate.core.errors import ErrorCode, SetupError
from livegate.core.plugins import did_you_mean
from livegate.core.profile import SIDE_BY_SIDE, Profile, this_machine, unlike
from livegate.core.tomlfile import read_toml

ENV_PREFIX = "LIVEGATE_"
SECTIONS = frozenset(section.__name__ for section in Section.__subclasses__())


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
    unused_profile: str = ""
    """Why the tuned profile is left aside; empty where it is used, or where there is none."""


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
    profile: Profile | None = None,
) -> LoadedConfig:
    """Merge file, environment and flags ("section.name" -> value) into one configuration.

    What nobody set is taken from `profile`, where it was measured on this box with the models that
    serve. Of `engine` and `server.workers` it is all or nothing once a key of `engine` is set: a choice
    among backends is none once one is fixed, and threads were counted for the one that had won.

    Raises:
        SetupError: CONFIG_ADD_FAIL for an unknown key or a refused value; OPEN_FAIL or READ_FAIL
            for the file.
    """
    told = {
        path: (value, origin)
        for origin, path, value in _settings(file, os.environ if environ is None else environ, flags)
    }
    loaded = _loaded(told)
    if profile is None:
        return loaded
    if why := unlike(profile, loaded.config.models, this_machine()):
        return replace(loaded, unused_profile=why)
    return _loaded({**_tuned(profile, frozenset(told)), **told})


def _tuned(profile: Profile, told: frozenset[str]) -> dict[str, tuple[Any, str]]:
    """What is taken from a profile beside the keys that were set."""
    left = set(told)
    if any(path.startswith("engine.") for path in told):
        left |= {path for path in profile.settings if path.startswith("engine.")}.union(SIDE_BY_SIDE)
    if "server.workers" in told:
        left.update(SIDE_BY_SIDE)
    values = {path: value for path, value in profile.settings.items() if path not in left}
    if values.get("engine.use"):  # nobody asked for these, so one that fails must stop no server
        values["engine.policy"] = "prefer"
    return {path: (value, "profile") for path, value in values.items()}


def _loaded(told: Mapping[str, tuple[Any, str]]) -> LoadedConfig:
    """From values and their origins by key."""
    merged: dict[str, dict[str, Any]] = {}
    for path, (value, _) in told.items():
        section, _, name = path.partition(".")
        merged.setdefault(section, {})[name] = value
    sources = {path: origin for path, (_, origin) in told.items()}
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
    sections = tuple(f"{ENV_PREFIX}{key.section}_".upper() for key in keys())
    for variable in sorted(environ):
        if not variable.startswith(ENV_PREFIX) or variable in OTHER_VARIABLES:
            continue
        key = by_env.get(variable)
        if key is None and not variable.startswith(sections):
            continue  # an orchestrator's own, such as LIVEGATE_SERVICE_HOST
        if key is None:
            hint = did_you_mean(variable, tuple(by_env))
            raise _refused(f"the environment variable {variable} is not a setting", hint)
        yield f"environment {variable}", key.path, value_from_text(key, environ[variable], variable)


OTHER_VARIABLES = {f"{ENV_PREFIX}{name}" for name in ("MODELS", "CONFIG", "CACHE", "PROFILE", "TOKEN")}
"""Variables that are no keys: folders of models, configuration, cache, profile, a client's token."""


def value_from_text(key: Key, text: str, origin: str) -> Any:
    """Lists are given as comma-separated text, tables as JSON; numbers are converted later."""
    if key.kind in ("list of tables", "table"):
        try:
            return msgspec.json.decode(text)
        except msgspec.DecodeError as error:
            raise _refused(f"{origin} is not JSON: {error}", f"give a JSON {key.kind}") from error
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
        name = _kind_name(element)
        return "list of tables" if name in SECTIONS else f"list of {name}"
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
        "The profile of `livegate tune` (only for `serve`, and where it was measured) < a TOML file",
        "(`--config FILE` or `LIVEGATE_CONFIG`) < environment < flags. In the",
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
