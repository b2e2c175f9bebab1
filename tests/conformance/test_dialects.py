"""What every cloud dialect must do, whatever its manners."""

from __future__ import annotations

import json
import re

import pytest

from livegate.app.server import build_dialects
from livegate.core.errors import ErrorCode, LiveGateError
from livegate.core.request import AnalyzeRequest
from livegate.core.results import Analysis, Decision, StageTimes, Verdict
from livegate.core.settings import keys
from livegate.gateway.dialect import Dialect, Head
from support import config_with

OPEN = {dialect.name: dialect for dialect in build_dialects(config_with())}
REQUEST = AnalyzeRequest(1019, "t", (1031,), (b"a picture",), "r")
ANALYSIS = Analysis(
    code=1020,
    task_id="t",
    request_id="r",
    timestamp_ms=1,
    src_width=2,
    src_height=3,
    verdicts=(Verdict(1031, "silent_liveness", Decision.SPOOF, 0.25, (), (0.25,)),),
    engines=(),
    stages=StageTimes(),
)
SCORES = {"linkface": "0.9905"}
"""How a dialect writes the score 0.25 where its cloud counts the other way: above 0.98 is a hack."""


@pytest.fixture(params=sorted(OPEN))
def dialect(request: pytest.FixtureRequest) -> Dialect:
    return OPEN[request.param]


def head(dialect: Dialect) -> Head:
    route = dialect.routes[0]
    return Head(route.method, route.path, "", {}, "r")


def test_dialect_name_is_its_files(dialect: Dialect) -> None:
    """The plug-in's name is what it calls itself, so that logs and configuration agree."""
    assert type(dialect).__module__ == f"livegate.gateway.dialects.{dialect.name}"


def test_dialect_routes_are_its_own() -> None:
    """No two dialects answer the same method and path."""
    routes = [route for dialect in OPEN.values() for route in dialect.routes]
    assert len(routes) == len(set(routes)) > 0


@pytest.mark.parametrize("code", [code for code in ErrorCode if code], ids=lambda c: c.symbol)
@pytest.mark.parametrize("request_", [REQUEST, None])
def test_dialect_renders_every_error(
    dialect: Dialect, code: ErrorCode, request_: AnalyzeRequest | None
) -> None:
    """Every code of the table has an answer: valid JSON, a real status, the message in it."""
    answer = dialect.render_error(LiveGateError(code, "a fact"), request_)
    assert 200 <= answer.status < 600
    assert "a fact" in json.dumps(json.loads(answer.body))


def test_dialect_renders_an_analysis(dialect: Dialect) -> None:
    """Success is 200 and JSON that carries the score."""
    answer = dialect.render(REQUEST, ANALYSIS)
    assert answer.status == 200
    assert SCORES.get(dialect.name, "0.25") in json.dumps(json.loads(answer.body))


@pytest.mark.parametrize("body", [b"", b"{", b"null", b"\xff", b'{"a": 1}'])
def test_dialect_refuses_what_is_no_message(dialect: Dialect, body: bytes) -> None:
    """A body that is not the cloud's message is an error with a number, not a defect."""
    with pytest.raises(LiveGateError) as caught:
        dialect.parse(head(dialect), body)
    assert caught.value.code not in (ErrorCode.INNER, ErrorCode.FAILURE)


def test_dialect_prefixes_hold_no_other_dialects_routes(dialect: Dialect) -> None:
    """Whoever answers for unknown paths below a prefix has every route there."""
    others = [route.path for other in OPEN.values() if other is not dialect for route in other.routes]
    assert not [path for path in others if path.startswith(dialect.prefixes)]


def test_dialect_names_the_keys_of_its_credentials(dialect: Dialect) -> None:
    """Messages name keys that the configuration has."""
    named = re.findall(r"[a-z_]+\.[a-z_]+", dialect.credentials)
    assert set(named) <= {key.path for key in keys()}
    assert named


def test_dialect_without_credentials_says_so(dialect: Dialect) -> None:
    """By default nothing is configured, so callers are not authenticated, and it knows it."""
    assert not dialect.is_authenticated
    dialect.authenticate(head(dialect))
