"""A connection that is kept, and when it is not."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from livegate_bench.generator import http_link
from livegate_bench.generator.http_link import IDLE_S, HttpLink


def test_link_that_was_silent_for_long_dials_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers hang up on it meanwhile, and the next request of a round would count as failed."""
    times = iter([0.0, IDLE_S, IDLE_S, IDLE_S * 2 + 1, IDLE_S * 2 + 1])
    did: list[str] = []
    answer = SimpleNamespace(status=200, read=lambda: b"ok")
    monkeypatch.setattr(http_link, "time", SimpleNamespace(monotonic=lambda: next(times)))
    connection = SimpleNamespace(
        request=lambda *_: did.append("ask"),
        getresponse=lambda: answer,
        close=lambda: did.append("hang up"),
    )
    monkeypatch.setattr(http_link.http.client, "HTTPConnection", lambda *_, **__: connection)
    link = HttpLink("127.0.0.1:1")
    assert [link.post("/", b"", {}) for _ in range(3)] == [(200, b"ok")] * 3
    assert did == ["ask", "ask", "hang up", "ask"]
