"""Camera URLs on a command line, and which tuned profile a server reads."""

from __future__ import annotations

import argparse
import io
import json
from pathlib import Path

import msgspec
import pytest

from livegate import __version__
from livegate.cli.main import main
from livegate.cli.output import print_json
from livegate.cli.settings import add_settings, settings_reader, url_from_text
from livegate.cli.target import TCP, default_target
from livegate.core.errors import ErrorCode, SetupError
from livegate.core.profile import Profile, this_machine
from livegate.core.settings import LoadedConfig
from livegate.manifests.store import cache_dir
from livegate.selftest.report import fit_to_send

URL = "rtsp://admin:hunter22@cam/1"


def test_url_may_stand_in_a_file_or_come_from_standard_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nobody reads a command line."""
    (tmp_path / "door").write_text(f"{URL}\nnotes\n")
    assert url_from_text(f"@{tmp_path / 'door'}") == URL
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{URL}\n"))
    assert url_from_text("-") == URL
    assert url_from_text("file:a.mp4") == "file:a.mp4"


def test_file_that_cannot_be_read_is_1019(tmp_path: Path) -> None:
    """Absent, or not text."""
    (tmp_path / "binary").write_bytes(b"\xff\xfe\xff")
    for name in ("absent", "binary"):
        with pytest.raises(SetupError) as caught:
            url_from_text(f"@{tmp_path / name}")
        assert caught.value.code is ErrorCode.OPEN_FAIL


def read(*arguments: str) -> LoadedConfig:
    """What `livegate serve` would read."""
    parser = argparse.ArgumentParser()
    add_settings(parser, serves=True)
    return settings_reader(parser.parse_args(arguments))()


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the profile of the cache lies."""
    monkeypatch.setenv("LIVEGATE_CACHE", str(tmp_path))
    monkeypatch.delenv("LIVEGATE_PROFILE", raising=False)
    return tmp_path / "profile.json"


def written(path: Path, **settings: int) -> Path:
    """A profile of this box."""
    keys = {f"server.{name}": value for name, value in settings.items()}
    made = Profile(
        livegate=__version__, pack="starter", machine=this_machine(), settings=keys, trials=()
    )
    path.write_bytes(msgspec.json.encode(made))
    return path


def test_server_takes_the_profile_of_the_cache_unless_another_or_none_is_named(
    cached: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LIVEGATE_PROFILE and --profile name another one, an empty one none."""
    assert read().config.server.workers == 0
    written(cached, workers=3)
    assert read().config.server.workers == 3
    assert read("--profile", "").config.server.workers == 0
    monkeypatch.setenv("LIVEGATE_PROFILE", str(written(tmp_path / "own.json", workers=5)))
    assert read().config.server.workers == 5
    assert read("--profile", str(cached)).config.server.workers == 3


def test_damaged_profile_stops_a_server_only_when_it_was_named(cached: Path) -> None:
    """A file that a power cut tore, or a value of another type, must not keep a gate shut: one line."""
    wrong = written(cached.with_name("wrong.json"), workers="three").read_bytes()  # type: ignore[arg-type]
    for content in (b"{", wrong):
        cached.write_bytes(content)
        loaded = read()
        assert loaded.config.server.workers == 0
        assert str(cached) in loaded.unused_profile
        with pytest.raises(SetupError):
            read("--profile", str(cached))


def test_cache_that_cannot_be_looked_into_stops_no_server(
    cached: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root's, mode 0700; that there is no profile needs no word."""
    assert read().unused_profile == ""

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert read().unused_profile == f"the profile {cached} cannot be read: Permission denied"


def test_config_show_tells_on_standard_error_why_a_profile_is_left_aside(
    cached: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The JSON on standard output stays JSON."""
    cached.write_bytes(b"{")
    assert main(["config", "show", "--json"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["server.workers"] == {"value": 0, "source": "default"}
    assert "tuned profile not used" in told.err


def test_url_file_of_a_windows_editor_is_read(tmp_path: Path) -> None:
    """Which begins it with a mark."""
    (tmp_path / "door").write_bytes(b"\xef\xbb\xbf" + URL.encode() + b"\r\n")
    assert url_from_text(f"@{tmp_path / 'door'}") == URL


def test_url_that_is_no_text_is_refused_and_not_told() -> None:
    """A name from a stick of another system, as Python hands it over."""
    with pytest.raises(SetupError, match="not UTF-8") as caught:
        url_from_text("file:/M\udcfc/secret.mp4")
    assert "secret" not in str(caught.value)


def test_socket_in_a_folder_of_somebody_else_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """XDG_RUNTIME_DIR as su keeps it."""

    def refuse(_: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_socket", refuse)
    assert default_target() == TCP


def test_user_without_a_home_has_no_cache_and_a_configuration(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As in a container that runs under a number."""

    def refuse() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", refuse)
    for name in ("LIVEGATE_CACHE", "XDG_CACHE_HOME", "LIVEGATE_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    assert not cache_dir().exists()
    assert main(["config", "show", "--json"]) == 0
    assert fit_to_send("a text") == "a text"


def test_json_of_a_name_that_is_no_text_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    """Wherever it stands; what is text stays as it is."""
    print_json({"files": [{"name": "bad\udcff.jpg"}, {"name": "gut ü"}], "n": 1})
    told = json.loads(capsys.readouterr().out)
    assert told == {"files": [{"name": "bad�.jpg"}, {"name": "gut ü"}], "n": 1}


@pytest.mark.parametrize("part", ["5", "-0.1", "nan"])
def test_acer_in_percent_is_refused(part: str, capsys: pytest.CaptureFixture[str]) -> None:
    """5 would never be exceeded."""
    with pytest.raises(SystemExit):
        main(["evaluate", "--real", "a", "--spoof", "b", "--most-acer", part])
    assert "0.05" in capsys.readouterr().err
