"""Which bundles a box takes."""

from __future__ import annotations

import dataclasses
import platform
import sys
from pathlib import Path

import pytest

from livegate.bundles.box import Box, box_of, this_python
from livegate.bundles.manifest import Target
from livegate.core.errors import ErrorCode, LiveGateError

JETSON = Box("aarch64", "3.10", "2.35")
TARGET = Target("aarch64", "3.10", "2.35")


def test_box_takes_its_own_bundle_and_one_for_an_older_libc() -> None:
    """Nothing speaks against it."""
    JETSON.require(TARGET)
    JETSON.require(Target("aarch64", "3.10", "2.9"))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"machine": "x86_64"}, "it is for aarch64, this box is x86_64"),
        ({"python": "3.12"}, "it is for Python 3.10, this is 3.12"),
        ({"glibc": "2.31"}, "it needs glibc 2.35, this box has 2.31"),
        ({"glibc": "2.4"}, "it needs glibc 2.35, this box has 2.4"),
        ({"glibc": ""}, "another C library"),
        ({"implementation": "pypy"}, "this is pypy"),
        ({"is_free_threaded": True}, "free-threaded"),
        ({"is_64_bit": False}, "32 bits"),
    ],
)
def test_box_says_what_is_against_a_bundle(changes: dict[str, object], reason: str) -> None:
    """With both sides of the difference, as 1013."""
    with pytest.raises(LiveGateError, match=reason) as caught:
        dataclasses.replace(JETSON, **changes).require(TARGET)  # type: ignore[arg-type]
    assert caught.value.code is ErrorCode.INIT_FAIL


def test_only_another_python_gets_the_way_out() -> None:
    """Boxes often have several."""
    with pytest.raises(LiveGateError) as caught:
        dataclasses.replace(JETSON, python="3.12").require(TARGET)
    assert "--python python3.10" in caught.value.hint


def test_box_of_this_python_is_this_one() -> None:
    """What an interpreter says of itself."""
    found = box_of(this_python())
    assert (found.machine, found.python) == (
        platform.machine(),
        ".".join(map(str, sys.version_info[:2])),
    )
    assert found.implementation == "cpython"
    assert found.glibc.startswith("2.")


@pytest.mark.parametrize("content", ["#!/bin/sh\nexit 3\n", "#!/bin/sh\necho no json\n", None])
def test_python_that_is_none_is_refused(tmp_path: Path, content: str | None) -> None:
    """Missing, failing, or another program."""
    path = tmp_path / "python"
    if content is not None:
        path.write_text(content)
        path.chmod(0o755)
    with pytest.raises(LiveGateError, match="does not run"):
        box_of(path)
