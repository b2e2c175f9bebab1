"""Who can reach the box: loopback needs no credentials, anything else does."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

from livegate.core.config import Config
from livegate.core.errors import ErrorCode, SetupError
from livegate.core.telemetry import get_logger
from livegate.gateway.dialect import Dialect
from livegate.gateway.listener import split_address
from livegate.manifests.schema import Manifest

log = get_logger("livegate.server")


def is_loopback(address: str) -> bool:
    """Whether only this box can reach HOST:PORT. Names other than localhost count as outside."""
    host, _ = split_address(address)
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def served_dialects(config: Config, dialects: Sequence[Dialect]) -> tuple[Dialect, ...]:
    """Those that may answer: all on loopback, else those with credentials.

    So a box that is configured for one cloud's clients does not open the others' doors. When none
    has credentials all are returned, for `require_credentials` to refuse.
    """
    if not config.http.bind or is_loopback(config.http.bind):
        return tuple(dialects)
    return tuple(dialect for dialect in dialects if dialect.is_authenticated) or tuple(dialects)


def require_credentials(config: Config, dialects: Sequence[Dialect]) -> None:
    """Refuse an address outside loopback on a face that lets everybody in.

    Raises:
        SetupError: INIT_FAIL, with the way out.
    """
    if config.grpc.bind and not config.grpc.tokens:
        _require_loopback("grpc", config.grpc.bind, "set grpc.tokens")
    if config.metrics.bind and not config.metrics.tokens:
        _require_loopback("metrics", config.metrics.bind, "set metrics.tokens")
    if config.http.bind and not all(dialect.is_authenticated for dialect in dialects):
        keys = ", ".join(dialect.credentials for dialect in dialects)
        _require_loopback("http", config.http.bind, f"configure credentials ({keys})")


def warn_of_pilot_models(config: Config, manifests: Iterable[Manifest]) -> None:
    """One line in the log where others can reach models that are for integration and pilots."""
    if note := pilot_models_note(config, manifests):
        log.warning("these models are for integration and pilots, not for guarding a door", **note)


def pilot_models_note(config: Config, manifests: Iterable[Manifest]) -> dict[str, str] | None:
    """What to log where others can reach models that are for integration and pilots; or nothing."""
    names = sorted({manifest.id for manifest in manifests if manifest.is_for_pilots})
    bound = {"grpc": config.grpc.bind, "http": config.http.bind}
    reachable = [f"{face} {to}" for face, to in bound.items() if to and not is_loopback(to)]
    if not names or not reachable:
        return None
    return {
        "models": ", ".join(names),
        "reachable": ", ".join(reachable),
        "stronger": '`livegate models pull reference` and models.pack = "reference", or your own '
        "(docs/models.md)",
    }


def _require_loopback(face: str, address: str, way_out: str) -> None:
    if not is_loopback(address):
        raise SetupError(
            ErrorCode.INIT_FAIL,
            f"{face}.bind is {address}, which others can reach, but no credentials are configured",
            hint=f"{way_out}, or bind to 127.0.0.1",
        )
