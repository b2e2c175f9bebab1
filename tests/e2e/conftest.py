"""One server with the null backend for all tests that do not need their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.running import STARTED, Running, start


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = start(tmp_path_factory.mktemp("server"))
    yield running
    assert running.stop() == 0, running.log.read_text()


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short path: a Unix socket's has at most 107 bytes."""
    return tmp_path_factory.mktemp("s")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    """A test that fails half way leaves the servers that it started itself: they would disturb the next.

    Those of fixtures were started before.
    """
    before = len(STARTED)
    try:
        yield
    finally:
        for process in STARTED[before:]:
            if process.poll() is None:
                process.kill()
                process.wait()
        del STARTED[before:]
