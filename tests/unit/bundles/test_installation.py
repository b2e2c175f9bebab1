"""The folder of versions: switching, going back, pruning, the lock."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bundle_kit import manifest_of, signing_key
from livegate.bundles.installation import RECORD, Installation
from livegate.core.errors import ErrorCode, LiveGateError


@pytest.fixture
def place(tmp_path: Path) -> Installation:
    """An empty one."""
    return Installation(tmp_path / "root")


def finish(place: Installation, *versions: str) -> None:
    for version in versions:
        place.folder(version).mkdir()
        place.finish(version, manifest_of({}, version=version).to_bytes())


def refusal(place: Installation, to: str = "") -> LiveGateError:
    with pytest.raises(LiveGateError) as caught, place.alone():
        place.rollback(to)
    return caught.value


def test_switch_changes_one_link(place: Installation) -> None:
    """And notes which version was there before."""
    with place.alone():
        assert place.current() is None
        finish(place, "1", "2")
        place.switch("1")
        assert (place.current(), place.replaced("1")) == ("1", None)
        place.switch("2")
    assert (place.root / "current").readlink() == Path("versions/2")
    assert (place.current(), place.replaced("2")) == ("2", "1")


def test_current_that_was_made_by_hand_is_told_before_anything_is_done(place: Installation) -> None:
    """An environment of pip's at that place, as docs/deploy.md once made it, is never replaced."""
    (place.root / "current/bin").mkdir(parents=True)
    with pytest.raises(LiveGateError, match="made by hand") as caught, place.alone():
        pass
    assert caught.value.code is ErrorCode.EXIST
    assert (place.root / "current/bin").is_dir()


def test_rollback_leads_back_step_by_step(place: Installation) -> None:
    """Never forth again by itself, and nowhere when there is nothing."""
    with place.alone():
        finish(place, "1", "2", "3")
        for version in ("1", "2", "3"):
            place.switch(version)
        assert place.rollback() == "2"
        assert place.rollback() == "1"
    error = refusal(place)
    assert error.code is ErrorCode.NO_EXIST
    assert "2, 3" in error.hint
    with place.alone():
        assert place.rollback("3") == "3"
    assert place.current() == "3"


@pytest.mark.parametrize("to", ["2", "../1", "unfinished", ".."])
def test_rollback_to_what_is_not_there_is_refused(place: Installation, to: str) -> None:
    """Nor to what was never finished, nor to where it is."""
    with place.alone():
        finish(place, "1", "2")
        place.folder("unfinished").mkdir()
        place.switch("2")
    assert refusal(place, to).code is ErrorCode.NO_EXIST
    assert place.current() == "2"


def test_prune_keeps_what_serves_and_what_it_replaced(place: Installation) -> None:
    """All else goes."""
    with place.alone():
        finish(place, "1", "2", "3", "4")
        for version in ("1", "2", "3"):
            place.switch(version)
        assert place.prune() == ["1", "4"]
        assert place.finished() == ("2", "3")


def test_prune_leaves_the_version_that_an_interpreter_comes_from(place: Installation) -> None:
    """Installers before this one chained environments on Python 3.10: without it nothing would start."""
    with place.alone():
        finish(place, "1", "2", "3", "4")
        for version, target in (("4", "3"), ("3", "2"), ("2", "1")):
            link = place.folder(version) / "venv/bin/python"
            link.parent.mkdir(parents=True)
            link.symlink_to(place.root / "versions" / target / "venv/bin/python")
        for version in ("3", "4"):
            place.switch(version)
        finish(place, "0")
        assert place.prune() == ["0"]


def test_prune_leaves_a_version_that_still_runs(place: Installation) -> None:
    """A server that nobody restarted keeps its files."""
    with place.alone():
        finish(place, "1", "2", "3")
        for version in ("1", "2", "3"):
            place.switch(version)
        name = str(place.folder("1").resolve() / "venv/bin/python")
        code = "print('up', flush=True); input()"
        with subprocess.Popen(
            [name, "-c", code], executable=sys.executable, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as server:
            assert server.stdout is not None
            assert server.stdout.readline() == b"up\n"
            assert place.prune() == []
            server.communicate(b"\n")
        assert place.prune() == ["1"]


def test_unfinished_versions_are_removed_but_never_the_one_that_serves(place: Installation) -> None:
    """Links in their place are removed, not followed."""
    with place.alone():
        finish(place, "1", "2")
        place.switch("1")
        (place.folder("1") / RECORD).unlink()
        (place.folder("half") / "venv").mkdir(parents=True)
        elsewhere = place.root / "elsewhere"
        elsewhere.mkdir()
        place.folder("link").symlink_to(elsewhere)
        place.remove_unfinished()
    assert sorted(path.name for path in place.versions.iterdir()) == ["1", "2"]
    assert elsewhere.is_dir()
    assert place.current() is None


def test_two_installers_exclude_each_other(place: Installation) -> None:
    """The second is told 1017, also while only a child of the first is left."""
    with place.alone():
        with pytest.raises(LiveGateError) as caught, Installation(place.root).alone():
            pass
        assert caught.value.code is ErrorCode.BUSY
        orphan = subprocess.Popen(["sleep", "60"], pass_fds=(place.lock,))
    try:
        with pytest.raises(LiveGateError) as caught, place.alone():
            pass
        assert caught.value.code is ErrorCode.BUSY
    finally:
        orphan.kill()
        orphan.wait()
    with place.alone():
        assert fcntl.fcntl(place.lock, fcntl.F_GETFD) & fcntl.FD_CLOEXEC


def test_folder_that_others_may_write_is_refused(place: Installation) -> None:
    """They could exchange what is run."""
    place.versions.mkdir(parents=True)
    place.versions.chmod(0o777)
    with pytest.raises(LiveGateError) as caught, place.alone():
        pass
    assert caught.value.code is ErrorCode.NO_PERMISSION


def test_folder_that_cannot_be_made_is_a_write_error(tmp_path: Path) -> None:
    """With the path."""
    (tmp_path / "file").touch()
    with pytest.raises(LiveGateError, match="file") as caught, Installation(tmp_path / "file/x").alone():
        pass
    assert caught.value.code is ErrorCode.WRITE_FAIL


def test_umask_of_the_caller_does_not_hide_versions_and_comes_back(place: Installation) -> None:
    """Whoever serves is often another user."""
    before = os.umask(0o077)
    try:
        with place.alone():
            finish(place, "1")
        assert os.umask(0o077) == 0o077
    finally:
        os.umask(before)
    assert place.folder("1").stat().st_mode & 0o777 == 0o755


def test_keys_are_added_once(place: Installation) -> None:
    """And damaged ones are told."""
    first, second = signing_key().public, signing_key().public
    with place.alone():
        assert place.keys() == ()
        place.add_keys((first,))
        place.add_keys((first, second))
        assert place.keys() == (first, second)
    (place.root / "trusted_keys").write_text("ed25519 half\n")
    with pytest.raises(LiveGateError) as caught:
        place.keys()
    assert caught.value.code is ErrorCode.READ_FAIL
