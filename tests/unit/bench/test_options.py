"""What is typed wrong gets one line and status 2, before anything is started."""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec
import pytest

from livegate import __version__
from livegate.core.profile import Profile, this_machine
from livegate_bench.failure import BenchError
from livegate_bench.main import main
from livegate_bench.options import Pace, add_common, config_from, pace_from, server_arguments
from livegate_bench.run import command_line, git_revision


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("single_stream --system grcp-tcp", "there is no system 'grcp-tcp'; did you mean 'grpc-tcp'?"),
        ("concurrency --clients 0", "0 is not between 1 and 256"),
        ("concurrency --clients 4,four", "invalid list of whole numbers value: '4,four'"),
        ("single_stream --seconds -1", "-1 is not between 0.05 and 86400"),
        ("single_stream --seconds nan", "nan is not between 0.05 and 86400"),
        ("single_stream --rounds 0", "0 is not between 1 and 1000"),
        ("single_stream --seed -4", "-4 is not between 0 and"),
        ("camera_fleet --most-cameras 100000", "100000 is not between 1 and 256"),
        ("camera_fleet --fps 0", "0 is not between 0.1 and 240"),
        ("camera_fleet --scene party", "invalid choice: 'party'"),
        ("multi_stream --samples 1000", "1000 is not between 1 and 64"),
        ("server_poisson --bound-ms 0", "0 is not between 0.001 and 60000"),
        ("soak --minutes 0", "0 is not between 0.01 and"),
        ("single_strem", "invalid choice: 'single_strem'"),
    ],
)
def test_nonsense_is_refused_in_one_line(
    arguments: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It names the flag and the limit."""
    with pytest.raises(SystemExit) as raised:
        main(arguments.split())
    error = capsys.readouterr().err
    assert raised.value.code == 2
    assert said in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("single_stream --set engine.nonsense=1", "--set engine.nonsense=1 is not KEY=VALUE"),
        ("single_stream --picture /nowhere/face.jpg", "no picture to send"),
    ],
)
def test_setting_that_cannot_be_had_is_told_in_one_line(
    arguments: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before a server is started."""
    assert main(arguments.split()) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_quick_shortens_and_never_lengthens() -> None:
    """And adds no rounds for the sake of stability."""
    assert pace_from(options()) == Pace(4.0, 5, 10, 0)
    assert pace_from(options("--quick")) == Pace(1.0, 3, 3, 0)
    assert pace_from(options("--quick", "--seconds", "0.2", "--rounds", "1")) == Pace(0.2, 1, 1, 0)


def test_command_names_no_folder() -> None:
    """A report is shown to others."""
    typed = [
        "bench",
        "offline",
        "--models",
        "/home/me/models",
        "--set=models.dirs=/a/b",
        "--json",
        "x.json",
    ]
    assert command_line(typed) == "livegate bench offline --models … --set=models.dirs=… --json x.json"


def test_revision_of_a_folder_that_is_no_checkout_is_none(tmp_path: Path) -> None:
    """As of an installed wheel."""
    assert git_revision(tmp_path) is None


def options(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_common(parser)
    return parser.parse_args(arguments)


def test_server_gets_what_the_loop_gets() -> None:
    """The same models, detector and keys on both sides; what was not asked for is nobody's flag."""
    typed = (
        "--backend",
        "null",
        "--detector-size",
        "640",
        "--set",
        "server.workers=3",
        "--pack",
        "other",
    )
    config = config_from(options(*typed))
    assert (config.engine.backend, config.face_detection.input_size) == ("null", 640)
    assert (config.server.workers, config.models.pack) == (3, "other")
    assert list(server_arguments(options(*typed))) == list(typed)
    assert list(server_arguments(options())) == ["--pack", config_from(options()).models.pack]


def test_profile_of_another_box_is_refused(tmp_path: Path) -> None:
    """A figure with settings that were not used would be a lie."""
    machine = msgspec.structs.replace(this_machine(), cpu="another")
    profile = Profile(livegate=__version__, pack="starter", machine=machine, settings={}, trials=())
    file = tmp_path / "profile.json"
    file.write_bytes(msgspec.json.encode(profile))
    with pytest.raises(BenchError, match="not used"):
        config_from(options("--profile", str(file)))
