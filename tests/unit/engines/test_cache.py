"""Built engines on disk: whole and of exactly this box, or refused."""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from livegate.core.errors import ErrorCode, SetupError
from livegate.engines.cache import EngineCache, EngineKey

PLAN = b"a plan" * 100
KEY = EngineKey(
    backend="tensorrt",
    network="detector",
    onnx_sha256="ab" * 32,
    library="10.3.0",
    cuda="12.6",
    driver="540.4.0",
    gpu="Orin",
    capability="8.7",
    provider="gpu",
    precision="fp16",
    profile=((1, 3, 32, 32), (1, 3, 256, 320), (1, 3, 2048, 2048)),
    flags=("strongly_typed",),
)
OTHERS: dict[str, Any] = {
    "backend": "other",
    "network": "crop_2_7",
    "onnx_sha256": "cd" * 32,
    "library": "10.13.3.9",
    "cuda": "13.0",
    "driver": "580.1",
    "gpu": "Thor",
    "capability": "11.0",
    "provider": "dla0",
    "precision": "fp32",
    "profile": ((1, 3, 32, 32), (1, 3, 256, 320), (1, 3, 1024, 1024)),
    "flags": (),
}


@pytest.fixture
def cache(tmp_path: Path) -> EngineCache:
    """A cache that holds one engine."""
    cache = EngineCache(tmp_path / "engines")
    cache.keep(KEY, PLAN, 12.5)
    return cache


def path_of(cache: EngineCache, suffix: str) -> Path:
    """The one file of that kind."""
    (path,) = cache.folder.glob(f"*{suffix}")
    return path


def test_every_part_of_the_key_is_tested() -> None:
    """A new part of the key comes with a line in the table of this file."""
    assert set(OTHERS) == set(KEY.__struct_fields__)


@pytest.mark.parametrize("part", sorted(OTHERS))
def test_plan_of_another_box_or_network_is_not_found(cache: EngineCache, part: str) -> None:
    """Each part of the key by itself makes another engine."""
    assert cache.plan(msgspec.structs.replace(KEY, **{part: OTHERS[part]})) is None


def test_plan_comes_back_as_it_was_kept(cache: EngineCache) -> None:
    """The bytes are the same, also for a new process."""
    assert cache.plan(KEY) == PLAN
    assert EngineCache(cache.folder).plan(KEY) == PLAN


def test_files_are_of_this_user_alone(cache: EngineCache) -> None:
    """Plan and record have mode 0600 in a folder of mode 0700."""
    for suffix in (".plan", ".engine"):
        assert stat.S_IMODE(path_of(cache, suffix).stat().st_mode) == 0o600
    assert stat.S_IMODE(cache.folder.stat().st_mode) == 0o700


def test_cache_that_was_never_written_is_empty(tmp_path: Path) -> None:
    """Looking makes nothing."""
    cache = EngineCache(tmp_path / "none")
    assert cache.plan(KEY) is None
    assert list(cache.records()) == []
    assert cache.prune(lambda key: True) == []
    assert not cache.folder.exists()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_flipped_bytes_are_refused(cache: EngineCache, data: st.DataObject) -> None:
    """Any flipped byte of plan or record is 1029 with the way out; nothing is handed out."""
    cache.keep(KEY, PLAN, 12.5)
    path = path_of(cache, data.draw(st.sampled_from([".plan", ".engine"])))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    if bytes(content) == path.read_bytes():
        return
    path.write_bytes(bytes(content))
    with pytest.raises(SetupError, match="refused") as caught:
        cache.plan(KEY)
    assert caught.value.code is ErrorCode.MODELINIT_FAIL
    assert "livegate engines build" in caught.value.hint
    (state,) = cache.records()
    assert state.problem


@pytest.mark.parametrize("suffix", [".plan", ".engine"])
@pytest.mark.parametrize("change", [lambda c: b"", lambda c: c[:-1], lambda c: c + b"x"])
def test_file_of_another_length_is_refused(
    cache: EngineCache, suffix: str, change: Callable[[bytes], bytes]
) -> None:
    """Cut short, empty or longer: refused."""
    path = path_of(cache, suffix)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(SetupError, match="refused"):
        cache.plan(KEY)


def test_missing_plan_is_refused(cache: EngineCache) -> None:
    """A record without its plan is damage, not an engine that was never built."""
    path_of(cache, ".plan").unlink()
    with pytest.raises(SetupError, match="its plan is missing"):
        cache.plan(KEY)


def test_record_under_another_name_is_refused(cache: EngineCache) -> None:
    """A foreign engine that somebody renamed is not loaded: the record knows what it is of."""
    other = msgspec.structs.replace(KEY, gpu="Thor")
    path_of(cache, ".engine").rename(cache.folder / f"{other.digest}.engine")
    with pytest.raises(SetupError, match="built for something else"):
        cache.plan(other)
    (state,) = cache.records()
    assert "another engine's name" in state.problem


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
@pytest.mark.parametrize("suffix", [".plan", ".engine"])
def test_file_that_others_can_write_is_refused(cache: EngineCache, suffix: str, mode: int) -> None:
    """A plan is code: what another user could have written is not run."""
    path_of(cache, suffix).chmod(mode)
    with pytest.raises(SetupError, match="others can write"):
        cache.plan(KEY)


@pytest.mark.parametrize("suffix", [".plan", ".engine"])
def test_link_in_place_of_a_file_is_refused(cache: EngineCache, suffix: str, tmp_path: Path) -> None:
    """A link may lead to what others can write."""
    path = path_of(cache, suffix)
    path.rename(tmp_path / "moved")
    path.symlink_to(tmp_path / "moved")
    with pytest.raises(SetupError, match="cannot be opened"):
        cache.plan(KEY)


def test_record_of_a_newer_version_is_refused(cache: EngineCache) -> None:
    """A record with a field that we do not know was made by somebody who knew more."""
    import hashlib

    path = path_of(cache, ".engine")
    body = path.read_bytes().partition(b"\n")[2].replace(b'"build_s"', b'"new":1,"build_s"')
    path.write_bytes(hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
    with pytest.raises(SetupError, match="of another version"):
        cache.plan(KEY)


@pytest.mark.parametrize("call", ["fsync", "replace", "mkstemp"])
@pytest.mark.parametrize("after", [0, 1])
def test_keep_that_fails_leaves_the_old_engine(
    cache: EngineCache, monkeypatch: pytest.MonkeyPatch, call: str, after: int
) -> None:
    """Whatever fails, and whenever: the old engine is whole, and no remains are taken for one."""
    calls = []

    def failing(real: Callable[..., Any]) -> Callable[..., Any]:
        def maybe(*arguments: Any, **named: Any) -> Any:
            calls.append(call)
            # fsync is called for the file and for the folder.
            if len(calls) > after * (2 if call == "fsync" else 1):
                raise OSError(28, "No space left on device")
            return real(*arguments, **named)

        return maybe

    import tempfile

    owner: Any = {"fsync": os, "replace": Path, "mkstemp": tempfile}[call]
    monkeypatch.setattr(owner, call, failing(getattr(owner, call)))
    with pytest.raises(SetupError, match="No space left") as caught:
        cache.keep(KEY, b"another plan", 1.0)
    monkeypatch.undo()
    assert caught.value.code is ErrorCode.WRITE_FAIL
    assert cache.plan(KEY) == PLAN
    assert [state.problem for state in cache.records()] == [""]


def test_keep_again_replaces_the_engine(cache: EngineCache) -> None:
    """The same key has one engine: the newest."""
    cache.keep(KEY, b"another plan", 1.0)
    assert cache.plan(KEY) == b"another plan"
    assert len(list(cache.records())) == 1


def test_file_on_a_bad_sector_is_built_again(
    cache: EngineCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As any damage: it is told, pruned, and stops no start."""

    class BadSector(io.BytesIO):
        def read(self, _: int | None = -1) -> bytes:
            raise OSError(errno.EIO, "Input/output error")

    def opened(handle: int, _: str) -> BadSector:
        sector = BadSector()
        monkeypatch.setattr(sector, "fileno", lambda: handle, raising=False)
        return sector

    monkeypatch.setattr("livegate.engines.cache.os.fdopen", opened)
    with pytest.raises(SetupError, match="Input/output error"):
        cache.plan(KEY)
    ((_, why),) = [(state.path, state.problem) for state in cache.records()]
    assert "cannot be read: Input/output error" in why


def test_prune_removes_what_nobody_loads(cache: EngineCache) -> None:
    """Unwanted and damaged engines, plans without a record and remains go; the rest stays."""
    other, broken = (msgspec.structs.replace(KEY, gpu=gpu) for gpu in ("Thor", "Xavier"))
    cache.keep(other, b"other", 1.0)
    cache.keep(broken, b"broken", 1.0)
    (cache.folder / f"{broken.digest}.engine").write_bytes(b"rubbish")
    (cache.folder / ".left.plan.x1").write_bytes(b"half a plan")
    cache.keep_timing(KEY, b"times")
    removed = dict(cache.prune(lambda key: key == KEY))
    assert removed[cache.folder / f"{other.digest}.engine"] == "it is not for this box as it is now"
    assert removed[cache.folder / f"{broken.digest}.engine"] == "its record is damaged"
    assert len(removed) == 5  # two records, their plans, the remains
    assert cache.plan(KEY) == PLAN
    assert cache.timing(KEY) == b"times"
    assert cache.prune(lambda key: key == KEY) == []


def test_two_builds_at_once_are_refused(cache: EngineCache) -> None:
    """The second one is 1017, and so is pruning meanwhile; afterwards both are possible."""
    with cache.building():
        with pytest.raises(SetupError) as caught, cache.building():
            pass
        assert caught.value.code is ErrorCode.BUSY
        with pytest.raises(SetupError):
            cache.prune(lambda key: True)
    with cache.building():
        pass


def test_timing_is_of_a_box_and_damage_forgets_it(cache: EngineCache) -> None:
    """Networks share what was measured on this box; a damaged file is as good as none."""
    cache.keep_timing(KEY, b"times")
    assert cache.timing(msgspec.structs.replace(KEY, network="other", precision="fp32")) == b"times"
    assert cache.timing(msgspec.structs.replace(KEY, gpu="Thor")) == b""
    path = path_of(cache, ".timing")
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    assert cache.timing(KEY) == b""


def test_forecast_is_what_the_same_network_took(cache: EngineCache) -> None:
    """Also on another driver, but in this precision."""
    assert cache.forecast_s(msgspec.structs.replace(KEY, driver="580.1")) == 12.5
    assert cache.forecast_s(msgspec.structs.replace(KEY, precision="fp32")) is None
