"""What is typed wrong gets one line and status 2, before anything is started."""

from __future__ import annotations

import pytest

from livegate_bench.main import main
from livegate_bench.options import Pace, pace_from
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
    from argparse import Namespace

    options = Namespace(seconds=4.0, rounds=5, least_requests=0, quick=False)
    assert pace_from(options) == Pace(4.0, 5, 10, 0)
    options.quick = True
    assert pace_from(options) == Pace(1.0, 3, 3, 0)
    options.seconds, options.rounds = 0.2, 1
    assert pace_from(options) == Pace(0.2, 1, 1, 0)


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


def test_revision_of_a_folder_that_is_no_checkout_is_none(tmp_path: object) -> None:
    """As of an installed wheel."""
    from pathlib import Path

    assert git_revision(Path(str(tmp_path))) is None
