"""The whole way from a bundle to the version that serves, with a LiveGate of one file."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from bundle_kit import (
    CONFIG,
    MADE_S,
    MODEL,
    bundle_bytes,
    here,
    manifest_of,
    order,
    signing_key,
    wheel,
    write_stub_bundle,
)
from livegate.bundles.install import install
from livegate.bundles.installation import RECORD, Installation
from livegate.bundles.signing import SigningKey
from livegate.bundles.trust import KeyTrust
from livegate.core.errors import ErrorCode, LiveGateError


@pytest.fixture
def place(tmp_path: Path) -> Installation:
    """An empty installation."""
    return Installation(tmp_path / "root")


@pytest.fixture(scope="module")
def key() -> SigningKey:
    """Who signs."""
    return signing_key()


def say_nothing(text: str) -> None:
    """For progress."""


def livegate(place: Installation, *arguments: str) -> str:
    """What the current version answers."""
    command = [str(place.root / "current/bin/livegate"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def refused(place: Installation, bundle: Path, key: SigningKey) -> LiveGateError:
    """The error of an installation that leaves what was there."""
    before = (place.current(), place.finished())
    with pytest.raises(LiveGateError) as caught:
        install(order(bundle, key), place, say_nothing)
    assert (place.current(), place.finished()) == before
    if place.versions.exists():
        assert len(list(place.versions.iterdir())) == len(before[1])
    return caught.value


def test_bundle_is_installed_and_its_command_finds_models_and_configuration(
    place: Installation, key: SigningKey, tmp_path: Path
) -> None:
    """From nothing; the key is believed from now on, and neither wheels nor pip stay."""
    bundle = write_stub_bundle(tmp_path / "b", key)
    version = install(order(bundle, key), place, say_nothing)
    assert place.current() == version
    assert place.keys() == (key.public,)
    assert livegate(place, "--version") == "livegate 1.0"
    assert (place.root / "current" / MODEL).read_bytes() == b"weights"
    assert livegate(place, "config") == str(place.folder(version) / CONFIG)
    assert not (place.folder(version) / "wheels").exists()
    assert not list(place.folder(version).rglob("pip"))


def test_own_configuration_of_the_box_goes_first(
    place: Installation, key: SigningKey, tmp_path: Path
) -> None:
    """It belongs to no version."""
    install(order(write_stub_bundle(tmp_path / "b", key), key), place, say_nothing)
    own = place.root / "livegate.toml"
    own.touch()
    assert livegate(place, "config") == str(own)


def test_update_keeps_the_version_before_for_rollback(
    place: Installation, key: SigningKey, tmp_path: Path
) -> None:
    """And only that one."""
    for number in (1, 2, 3):
        name = f"{number}.0"
        bundle = write_stub_bundle(tmp_path / name, key, name, made_s=MADE_S + number)
        install(order(bundle, key), place, say_nothing)
    assert [place.manifest(one).version for one in place.finished()] == ["2.0", "3.0"]
    with place.alone():
        place.rollback()
    assert livegate(place, "--version") == "livegate 2.0"


def gone_back(place: Installation, key: SigningKey, tmp_path: Path) -> tuple[Path, str, str]:
    """Two versions, of which the first serves again: the second one's bundle, and both ids."""
    bundles = [write_stub_bundle(tmp_path / name, key, name) for name in ("1.0", "2.0")]
    first, second = (install(order(bundle, key), place, say_nothing) for bundle in bundles)
    with place.alone():
        place.rollback()
    return bundles[1], first, second


def test_same_bundle_again_is_no_second_version(
    place: Installation, key: SigningKey, tmp_path: Path
) -> None:
    """After a rollback, it is how to go forth again."""
    bundle, first, second = gone_back(place, key, tmp_path)
    assert install(order(bundle, key), place, say_nothing) == second
    assert place.finished() == tuple(sorted((first, second)))
    assert place.replaced(second) == first


def spoil(place: Installation, version: str) -> None:
    """A disk that lost the program of a version."""
    (main,) = place.folder(version).rglob("livegate/__main__.py")
    main.write_text("raise SystemExit('livegate: half of it is missing')")


def test_damaged_version_that_does_not_serve_is_made_anew(
    place: Installation, key: SigningKey, tmp_path: Path
) -> None:
    """Installing its bundle again is the one repair that somebody on site can do."""
    bundle, first, second = gone_back(place, key, tmp_path)
    spoil(place, second)
    assert install(order(bundle, key), place, say_nothing) == second
    assert livegate(place, "--version") == "livegate 2.0"
    assert place.finished() == tuple(sorted((first, second)))
    assert sorted(path.name for path in place.versions.iterdir()) == sorted((first, second))


def test_version_that_fails_for_another_reason_is_kept(
    place: Installation, key: SigningKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mistake in the box's own configuration fails the copy that is made anew, too."""
    bundle, _, second = gone_back(place, key, tmp_path)
    monkeypatch.setenv("LIVEGATE_MODELS", "/nowhere/of-somebody")  # which the stand-in refuses
    assert "AssertionError" in refused(place, bundle, key).message
    monkeypatch.undo()
    assert install(order(bundle, key), place, say_nothing) == second


def test_damaged_version_that_serves_is_told_of_and_left(
    place: Installation, key: SigningKey, tmp_path: Path
) -> None:
    """Its folder is somebody's who may still run from it; the hint says what to do."""
    bundle = write_stub_bundle(tmp_path / "b", key)
    version = install(order(bundle, key), place, say_nothing)
    spoil(place, version)
    error = refused(place, bundle, key)
    assert "serves already" in error.message
    assert "half of it is missing" in error.message
    assert str(place.folder(version)) in error.hint


def test_unreadable_record_of_what_serves_is_not_blamed_on_the_new_bundle(
    place: Installation, key: SigningKey, tmp_path: Path
) -> None:
    """And the hint leads on."""
    bundles = [write_stub_bundle(tmp_path / name, key, name) for name in ("1.0", "2.0")]
    version = install(order(bundles[0], key), place, say_nothing)
    record = place.folder(version) / RECORD
    record.write_bytes(b"")
    error = refused(place, bundles[1], key)
    assert str(record) in error.message
    assert "--older" in error.hint
    install(order(bundles[1], key, allows_older=True), place, say_nothing)
    assert livegate(place, "--version") == "livegate 2.0"


def test_update_from_the_installed_command_is_tried_with_its_own_files(
    place: Installation, key: SigningKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The launcher that runs the installer has set its own version's models and configuration."""
    first = write_stub_bundle(tmp_path / "1.0", key, "1.0")
    version = install(order(first, key), place, say_nothing)
    monkeypatch.setenv("LIVEGATE_MODELS", str(place.folder(version) / "models"))
    monkeypatch.setenv("LIVEGATE_CONFIG", str(place.folder(version) / "config/livegate.toml"))
    second = write_stub_bundle(tmp_path / "2.0", key, "2.0")
    install(order(second, key), place, say_nothing)
    assert livegate(place, "--version") == "livegate 2.0"


def test_interpreter_of_a_version_is_not_one_of_another_version(
    place: Installation, key: SigningKey, tmp_path: Path
) -> None:
    """Before Python 3.11 an installed version gives its own, and goes with it when it is pruned."""
    first = install(order(write_stub_bundle(tmp_path / "1.0", key, "1.0"), key), place, say_nothing)
    inside = str(place.folder(first) / "venv/bin/python")
    bundle = write_stub_bundle(tmp_path / "2.0", key, "2.0")
    asked = dataclasses.replace(order(bundle, key), python=inside)
    second = install(asked, place, say_nothing)
    assert place.folder(first) not in (place.folder(second) / "venv/bin/python").resolve().parents
    shutil.rmtree(place.folder(first))
    assert livegate(place, "--version") == "livegate 2.0"


def test_version_that_serves_without_its_record_is_not_touched(
    place: Installation, key: SigningKey, tmp_path: Path
) -> None:
    """A damaged disk took bundle.json: the same bundle again must not end what serves."""
    bundle = write_stub_bundle(tmp_path / "b", key)
    version = install(order(bundle, key), place, say_nothing)
    (place.folder(version) / RECORD).unlink()
    with pytest.raises(LiveGateError, match="lost its record") as caught:
        install(order(bundle, key), place, say_nothing)
    assert caught.value.code is ErrorCode.EXIST
    assert livegate(place, "--version") == "livegate 1.0"


def test_older_bundle_is_taken_only_when_asked_for(
    place: Installation, key: SigningKey, tmp_path: Path
) -> None:
    """A lost stick brings no old weakness back."""
    install(order(write_stub_bundle(tmp_path / "n", key, "2.0"), key), place, say_nothing)
    old = write_stub_bundle(tmp_path / "o", key, "1.0", made_s=MADE_S - 7200)
    error = refused(place, old, key)
    assert (error.code, "by 2 hours" in error.message) == (ErrorCode.EXIST, True)
    install(order(old, key, allows_older=True), place, say_nothing)
    assert livegate(place, "--version") == "livegate 1.0"


def test_wrong_platform_is_refused_before_anything_is_copied(
    place: Installation, key: SigningKey, tmp_path: Path
) -> None:
    """With what it is for and what is here."""
    target = dataclasses.replace(here(), machine="riscv64")
    error = refused(place, write_stub_bundle(tmp_path / "b", key, target=target), key)
    assert (error.code, "it is for riscv64" in error.message) == (ErrorCode.INIT_FAIL, True)


def test_unknown_key_is_refused_and_not_kept(
    place: Installation, key: SigningKey, tmp_path: Path
) -> None:
    """Whoever names another key gets it believed only with a bundle that it signed."""
    install(order(write_stub_bundle(tmp_path / "b", key), key), place, say_nothing)
    other = signing_key()
    foreign = write_stub_bundle(tmp_path / "f", other, "2.0")
    assert refused(place, foreign, key).code is ErrorCode.NO_PERMISSION
    asked = dataclasses.replace(order(foreign, other), trust=KeyTrust((key.public,)))
    with pytest.raises(LiveGateError):
        install(asked, place, say_nothing)
    assert place.keys() == (key.public,)


@pytest.mark.parametrize("part", [0.0, 0.2, 0.5, 0.8, 0.9999])
def test_flipped_byte_is_refused_and_leaves_nothing(
    place: Installation, key: SigningKey, tmp_path: Path, part: float
) -> None:
    """What served still does."""
    install(order(write_stub_bundle(tmp_path / "b", key), key), place, say_nothing)
    bundle = write_stub_bundle(tmp_path / "n", key, "2.0")
    content = bytearray(bundle.read_bytes())
    content[int(part * len(content))] ^= 1
    bundle.write_bytes(content)
    assert refused(place, bundle, key).code in (ErrorCode.READ_FAIL, ErrorCode.NO_PERMISSION)
    assert livegate(place, "--version") == "livegate 1.0"


def test_version_that_would_not_start_is_not_taken(
    place: Installation, key: SigningKey, tmp_path: Path
) -> None:
    """Its own words are told."""
    install(order(write_stub_bundle(tmp_path / "b", key), key), place, say_nothing)
    broken = write_stub_bundle(tmp_path / "n", key, "2.0", broken="1029 strays from its golden values")
    error = refused(place, broken, key)
    assert error.code is ErrorCode.INIT_FAIL
    assert "1029 strays from its golden values" in error.message


def test_wheel_that_pip_refuses_is_told(place: Installation, key: SigningKey, tmp_path: Path) -> None:
    """The last lines of what it said."""
    more = {"wheels/broken-1-py3-none-any.whl": b"no zip"}
    error = refused(place, write_stub_bundle(tmp_path / "b", key, more=more), key)
    assert "the wheels failed" in error.message
    assert "BadZipFile" in error.message


def test_missing_bundle_is_1016(place: Installation, key: SigningKey, tmp_path: Path) -> None:
    """And a folder 1019."""
    assert refused(place, tmp_path / "none", key).code is ErrorCode.NO_EXIST
    assert refused(place, tmp_path, key).code is ErrorCode.OPEN_FAIL


def test_too_little_space_is_told_before_anything_is_copied(
    place: Installation, key: SigningKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what is free and what is needed."""
    bundle = write_stub_bundle(tmp_path / "b", key, unpacked_bytes=1 << 34)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1 << 20))
    error = refused(place, bundle, key)
    assert error.code is ErrorCode.WRITE_FAIL
    assert "has 1 MiB free, the bundle needs 16448" in error.message


def test_configuration_with_secrets_is_not_for_everybody(
    place: Installation, key: SigningKey, tmp_path: Path
) -> None:
    """Its owner and the service's group read it."""
    for version, has_secrets, mode in (("1.0", False, 0o644), ("2.0", True, 0o640)):
        bundle = write_stub_bundle(tmp_path / version, key, version, has_secrets=has_secrets)
        install(order(bundle, key), place, say_nothing)
        assert (place.root / "current" / CONFIG).stat().st_mode & 0o777 == mode


@pytest.mark.parametrize("sees", [True, False])
def test_system_packages_are_seen_where_the_bundle_says_so(
    place: Installation, key: SigningKey, tmp_path: Path, *, sees: bool
) -> None:
    """JetPack's TensorRT is one."""
    bundle = write_stub_bundle(tmp_path / "b", key, sees_system_packages=sees)
    install(order(bundle, key), place, say_nothing)
    told = (place.root / "current/venv/pyvenv.cfg").read_text()
    assert f"include-system-site-packages = {str(sees).lower()}" in told


def test_bundle_without_pip_is_refused(place: Installation, key: SigningKey, tmp_path: Path) -> None:
    """Before an environment is made."""
    files = {"wheels/livegate-1-py3-none-any.whl": wheel({})}
    manifest = manifest_of(files, target=here())
    bundle = tmp_path / "b"
    bundle.write_bytes(bundle_bytes(key.seal(manifest.to_bytes()), manifest, files, tmp_path))
    assert "has no pip" in refused(place, bundle, key).message
