"""Files of weights: found by digest, refused with both digests, copied so that none is half there."""

from __future__ import annotations

import errno
import hashlib
from pathlib import Path
from typing import Any

import pytest

from livegate.core.errors import ErrorCode, SetupError
from livegate.manifests import store as store_module
from livegate.manifests.schema import ModelFile
from livegate.manifests.store import CHUNK_BYTES, ModelStore, cache_dir
from support import tiny_manifest

WEIGHTS = bytes(range(256)) * 16
DIGEST = hashlib.sha256(WEIGHTS).hexdigest()
BIG = b"w" * (2 * CHUNK_BYTES + 5)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own, not made yet."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("LIVEGATE_CACHE", str(folder))
    return folder


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    """A folder that somebody keeps weights in."""
    folder = tmp_path / "stick"
    folder.mkdir()
    return folder


def package(tmp_path: Path, content: bytes = WEIGHTS) -> Path:
    """A models/ folder with the manifest of one model and no weights."""
    folder = tmp_path / "package" / "tiny"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.toml").write_text(
        f"""
id = "tiny"
task = "silent_liveness"
title = "t"
thresholds = {{genuine = 0.5}}
decode = {{rule = "softmax_mean", output = "y", genuine_class = 1}}
[[files]]
name = "tiny.onnx"
sha256 = "{hashlib.sha256(content).hexdigest()}"
bytes = {len(content)}
licence = "Apache-2.0"
upstream = {{repository = "someone/something", commit = "{"c" * 40}", path = "a/tiny.onnx"}}
[[networks]]
name = "n"
file = "tiny.onnx"
backends = ["null"]
precisions = ["fp32"]
input = {{name = "x", shape = [1, 3, 8, 8], layout = "NCHW", dtype = "float32", colour = "BGR"}}
crop = {{rule = "enlarge_shift_inside", enlarge = 2.0}}
outputs = [{{name = "y", shape = [1, 3]}}]
"""
    )
    return folder.parent


def file_of(store: ModelStore) -> ModelFile:
    """The one file of the one model."""
    return store.manifest("tiny").files[0]


def refusal(store: ModelStore) -> SetupError:
    """The error of reading the one file."""
    with pytest.raises(SetupError) as caught:
        store.read(file_of(store))
    assert caught.value.code is ErrorCode.MODELINIT_FAIL
    return caught.value


def watch(file: ModelFile, done_bytes: int) -> None:
    """Progress that nobody looks at."""


def test_store_ids_are_the_folders_with_a_manifest(tmp_path: Path) -> None:
    """A model is a folder with a manifest; others are not listed."""
    folder = package(tmp_path)
    (folder / "notes").mkdir()
    assert ModelStore(package=folder).ids() == ("tiny",)


def test_store_unknown_model_is_refused_with_a_suggestion(tmp_path: Path) -> None:
    """An unknown id is 1016 and the nearest one named."""
    with pytest.raises(SetupError) as caught:
        ModelStore(package=package(tmp_path)).manifest("tinny")
    assert caught.value.code is ErrorCode.NO_EXIST
    assert "'tiny'" in caught.value.hint


def test_store_of_the_installation_knows_the_shipped_models() -> None:
    """Without a folder given, the manifests are those of the installation."""
    assert {"yunet_n", "minifasnet_pair"} <= set(ModelStore().ids())


def test_read_good_file_is_its_bytes(tmp_path: Path, stick: Path) -> None:
    """A file with the right digest is read."""
    (stick / "tiny.onnx").write_bytes(WEIGHTS)
    store = ModelStore([stick], package=package(tmp_path))
    assert store.read(file_of(store)) == WEIGHTS


def test_read_file_in_a_subfolder_is_found(tmp_path: Path, stick: Path) -> None:
    """Weights may lie some folders below a named one."""
    (stick / "a" / "b").mkdir(parents=True)
    (stick / "a" / "b" / "tiny.onnx").write_bytes(WEIGHTS)
    store = ModelStore([stick], package=package(tmp_path))
    assert store.read(file_of(store)) == WEIGHTS


def test_read_renamed_file_is_found_by_its_digest(tmp_path: Path, stick: Path) -> None:
    """A file under another name counts, because only the digest does."""
    (stick / "downloaded (1).bin").write_bytes(WEIGHTS)
    store = ModelStore([stick], package=package(tmp_path))
    assert store.read(file_of(store)) == WEIGHTS


def test_read_wrong_file_before_a_good_one_is_passed_over(tmp_path: Path, stick: Path) -> None:
    """A spoilt copy in the first folder does not hide a good one in the second."""
    other = tmp_path / "other"
    other.mkdir()
    (stick / "tiny.onnx").write_bytes(WEIGHTS[:-1] + b"?")
    (other / "tiny.onnx").write_bytes(WEIGHTS)
    store = ModelStore([stick, other], package=package(tmp_path))
    assert store.inspect(file_of(store)).path == other / "tiny.onnx"


def test_read_missing_file_is_refused_with_places_and_command(tmp_path: Path, stick: Path) -> None:
    """A missing file is 1029: its name, its digest, where it was looked for, and what to run."""
    error = refusal(ModelStore([stick], package=package(tmp_path)))
    assert "tiny.onnx is missing" in error.message
    assert str(stick) in error.message
    assert DIGEST in error.message
    assert "livegate models pull --from" in error.hint
    assert "someone/something" in error.hint
    assert "a/tiny.onnx" in error.hint
    assert error.fields == {
        "file": "tiny.onnx",
        "expected_sha256": DIGEST,
        "found_sha256": "none",
    }


@pytest.mark.parametrize(
    ("content", "case"),
    [(WEIGHTS[:100], "truncated"), (WEIGHTS[:-1] + b"?", "tampered"), (b"", "emptied")],
)
def test_read_wrong_file_is_refused_with_both_digests(
    tmp_path: Path, stick: Path, content: bytes, case: str
) -> None:
    """A shortened or changed file is 1029: the path, both sizes, both digests, and what to run."""
    (stick / "tiny.onnx").write_bytes(content)
    error = refusal(ModelStore([stick], package=package(tmp_path)))
    found = hashlib.sha256(content).hexdigest()
    assert str(stick / "tiny.onnx") in error.message
    assert f"{len(content)} bytes, expected {len(WEIGHTS)}" in error.message
    assert f"expected sha256 {DIGEST}, found {found}" in error.message
    assert "livegate models pull --from" in error.hint
    assert error.fields["found_sha256"] == found


def test_read_file_too_large_is_refused_without_reading_it(
    tmp_path: Path, stick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file larger than the manifest says is refused by its size alone."""
    (stick / "tiny.onnx").write_bytes(WEIGHTS + b"more")
    store = ModelStore([stick], package=package(tmp_path))
    monkeypatch.setattr(store_module, "_digest", lambda path: pytest.fail(f"{path} was read"))
    error = refusal(store)
    assert f"{len(WEIGHTS) + 4} bytes, expected {len(WEIGHTS)}" in error.message
    assert "too large" in error.message


def test_read_file_exchanged_after_the_check_is_refused(
    tmp_path: Path, stick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The digest is taken of the very bytes that are handed out, so an exchange in between shows."""
    path = stick / "tiny.onnx"
    path.write_bytes(WEIGHTS)
    store = ModelStore([stick], package=package(tmp_path))
    good = store.inspect(file_of(store))
    monkeypatch.setattr(ModelStore, "inspect", lambda self, file: good)
    path.write_bytes(b"evil" * 1024)
    with pytest.raises(SetupError) as caught:
        store.read(good.file)
    assert hashlib.sha256(b"evil" * 1024).hexdigest() in caught.value.message


def test_inspect_absent_folder_is_no_error(tmp_path: Path) -> None:
    """A folder that is configured but not there holds nothing, and nothing is raised."""
    store = ModelStore([tmp_path / "nowhere"], package=package(tmp_path))
    state = store.inspect(file_of(store))
    assert state.path is None
    assert not state.is_good


def test_inspect_folder_link_is_not_followed(tmp_path: Path, stick: Path) -> None:
    """A link to a folder is not walked into, so a loop of links ends."""
    real = tmp_path / "real"
    real.mkdir()
    (real / "tiny.onnx").write_bytes(WEIGHTS)
    (stick / "loop").symlink_to(stick)
    (stick / "away").symlink_to(real)
    store = ModelStore([stick], package=package(tmp_path))
    assert store.inspect(file_of(store)).path is None


def test_pull_copies_into_the_cache_and_the_store_then_finds_it(
    tmp_path: Path, stick: Path, cache: Path
) -> None:
    """A pulled file lies in the cache, with nothing beside it, and is found without the stick."""
    (stick / "tiny.onnx").write_bytes(WEIGHTS)
    store = ModelStore(package=package(tmp_path))
    paths = store.pull(["tiny"], stick, watch)
    assert paths == [cache / "models" / "tiny" / "tiny.onnx"]
    assert [path.name for path in paths[0].parent.iterdir()] == ["tiny.onnx"]
    assert store.read(file_of(store)) == WEIGHTS


def test_pull_tells_progress_after_each_chunk(tmp_path: Path, stick: Path) -> None:
    """Progress is told the file and the bytes done, growing to its size."""
    (stick / "tiny.onnx").write_bytes(BIG)
    told: list[tuple[str, int]] = []
    store = ModelStore(package=package(tmp_path, BIG))
    store.pull(["tiny"], stick, lambda file, done: told.append((file.name, done)))
    assert told == [
        ("tiny.onnx", CHUNK_BYTES),
        ("tiny.onnx", 2 * CHUNK_BYTES),
        ("tiny.onnx", len(BIG)),
    ]


def test_pull_file_is_not_visible_before_it_is_verified(
    tmp_path: Path, stick: Path, cache: Path
) -> None:
    """While it is copied, no file of that name is in the cache."""
    (stick / "tiny.onnx").write_bytes(BIG)
    seen: list[bool] = []
    target = cache / "models" / "tiny" / "tiny.onnx"
    store = ModelStore(package=package(tmp_path, BIG))
    store.pull(["tiny"], stick, lambda file, done: seen.append(target.exists()))
    assert seen == [False, False, False]
    assert target.exists()


@pytest.mark.parametrize("blow", [KeyboardInterrupt(), RuntimeError("progress bar")])
def test_pull_failing_midway_leaves_nothing(
    tmp_path: Path, stick: Path, cache: Path, blow: BaseException
) -> None:
    """A copy that is broken off leaves neither the file nor a part of it."""
    (stick / "tiny.onnx").write_bytes(BIG)

    def stumble(file: ModelFile, done_bytes: int) -> None:
        raise blow

    with pytest.raises(type(blow)):
        ModelStore(package=package(tmp_path, BIG)).pull(["tiny"], stick, stumble)
    assert list((cache / "models" / "tiny").iterdir()) == []


def test_pull_file_that_changes_while_copied_is_refused(
    tmp_path: Path, stick: Path, cache: Path
) -> None:
    """Bytes that change between the check and the copy are noticed and thrown away."""
    path = stick / "tiny.onnx"
    path.write_bytes(BIG)

    def meddle(file: ModelFile, done_bytes: int) -> None:
        with path.open("r+b") as stream:
            stream.seek(len(BIG) - 1)
            stream.write(b"?")

    with pytest.raises(SetupError, match="changed while it was copied") as caught:
        ModelStore(package=package(tmp_path, BIG)).pull(["tiny"], stick, meddle)
    assert caught.value.code is ErrorCode.MODELINIT_FAIL
    assert list((cache / "models" / "tiny").iterdir()) == []


def test_pull_from_a_stick_that_is_pulled_out_says_so(
    tmp_path: Path, stick: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not that the disk is full: somebody would delete files in place of pushing it back in."""
    (stick / "tiny.onnx").write_bytes(BIG)
    opened, own_open = [0], Path.open

    def open_stick(path: Path, *arguments: Any, **options: Any) -> Any:
        opened[0] += path.parent == stick
        if opened[0] > 1:  # after it was looked at
            raise OSError(errno.EIO, "Input/output error")
        return own_open(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", open_stick)
    with pytest.raises(SetupError, match=r"stick/tiny\.onnx cannot be read: Input/output") as caught:
        ModelStore(package=package(tmp_path, BIG)).pull(["tiny"], stick, watch)
    assert caught.value.code is ErrorCode.READ_FAIL
    assert "medium" in caught.value.hint
    assert list((cache / "models" / "tiny").iterdir()) == []


def test_pull_file_already_cached_is_not_copied(
    tmp_path: Path, stick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that the cache holds is reported as done without the source being asked."""
    (stick / "tiny.onnx").write_bytes(WEIGHTS)
    store = ModelStore(package=package(tmp_path))
    first = store.pull(["tiny"], stick, watch)
    (stick / "tiny.onnx").unlink()
    monkeypatch.setattr(store_module, "_copy_verified", lambda *_: pytest.fail("copied again"))
    told: list[int] = []
    assert store.pull(["tiny"], stick, lambda file, done: told.append(done)) == first
    assert told == [len(WEIGHTS)]


def test_pull_spoilt_cache_is_mended(tmp_path: Path, stick: Path, cache: Path) -> None:
    """A cached file that was damaged is replaced by a good copy."""
    (stick / "tiny.onnx").write_bytes(WEIGHTS)
    store = ModelStore(package=package(tmp_path))
    (path,) = store.pull(["tiny"], stick, watch)
    path.write_bytes(b"damaged")
    assert store.pull(["tiny"], stick, watch) == [path]
    assert path.read_bytes() == WEIGHTS


def test_pull_source_without_the_file_is_refused(tmp_path: Path, stick: Path, cache: Path) -> None:
    """A folder that does not hold the file is 1029 and nothing is made in the cache."""
    with pytest.raises(SetupError, match="missing") as caught:
        ModelStore(package=package(tmp_path)).pull(["tiny"], stick, watch)
    assert caught.value.code is ErrorCode.MODELINIT_FAIL
    assert not cache.exists()


def test_pull_source_with_a_wrong_file_is_refused(tmp_path: Path, stick: Path, cache: Path) -> None:
    """A changed file is refused before a byte is copied."""
    (stick / "tiny.onnx").write_bytes(WEIGHTS[:-1] + b"?")
    with pytest.raises(SetupError) as caught:
        ModelStore(package=package(tmp_path)).pull(["tiny"], stick, watch)
    assert caught.value.fields["expected_sha256"] == DIGEST
    assert not cache.exists()


def test_pull_source_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    """A source that is not there is 1016."""
    with pytest.raises(SetupError) as caught:
        ModelStore(package=package(tmp_path)).pull(["tiny"], tmp_path / "nowhere", watch)
    assert caught.value.code is ErrorCode.NO_EXIST


def test_pull_cache_that_cannot_be_written_is_write_fail(
    tmp_path: Path, stick: Path, cache: Path
) -> None:
    """A cache that cannot be made is 1021, with the way out."""
    (stick / "tiny.onnx").write_bytes(WEIGHTS)
    cache.write_text("a file stands where the folder should be")
    with pytest.raises(SetupError) as caught:
        ModelStore(package=package(tmp_path)).pull(["tiny"], stick, watch)
    assert caught.value.code is ErrorCode.WRITE_FAIL
    assert "LIVEGATE_CACHE" in caught.value.hint


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"LIVEGATE_CACHE": "/own", "XDG_CACHE_HOME": "/xdg"}, "/own"),
        ({"XDG_CACHE_HOME": "/xdg"}, "/xdg/livegate"),
        ({"HOME": "/home/someone"}, "/home/someone/.cache/livegate"),
    ],
)
def test_cache_dir_follows_the_nearest_variable(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: str
) -> None:
    """Our own variable goes before the desktop's, and that before the home folder."""
    for name in ("LIVEGATE_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cache_dir() == Path(expected)


def test_manifest_helper_of_these_tests_is_a_good_manifest() -> None:
    """The manifest that other rooms test with passes the schema."""
    manifest: Any = tiny_manifest(WEIGHTS)
    assert manifest.files[0].sha256 == DIGEST


def test_inspect_folder_that_cannot_be_looked_at_is_passed_over(tmp_path: Path) -> None:
    """Links that lead nowhere or in a ring, and folders that are closed, raise nothing."""
    (tmp_path / "ring").symlink_to(tmp_path / "ring")
    (tmp_path / "nowhere").symlink_to(tmp_path / "missing")
    store = ModelStore((tmp_path, Path("/proc/self/fd"), tmp_path / "absent"))
    for model_id in store.ids():
        for file in store.manifest(model_id).files:
            assert isinstance(store.inspect(file).found_bytes, int)
