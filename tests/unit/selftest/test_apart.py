"""Parts of the selftest in processes of their own: whatever they do, this one hears it and lives."""

from __future__ import annotations

import os
import time
from pathlib import Path

import msgspec
import psutil
import pytest

from livegate.selftest.apart import Apart, PartError
from selftest_parts import TESTS
from support import HANG_S


@pytest.fixture(autouse=True)
def parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{TESTS}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")


def answers_of(part: str, asked: bytes = b"", wait_s: float = HANG_S) -> list[object]:
    with Apart(f"selftest_parts:{part}", asked) as process:
        until_s = time.monotonic() + HANG_S
        told = process.answers(wait_s=wait_s, until_s=until_s)
        return [msgspec.json.decode(answer) for answer in told]


def test_part_answers_in_order_and_its_noise_is_nobodys(capfd: pytest.CaptureFixture[str]) -> None:
    """What it yields arrives; what a library prints does not reach our standard output."""
    assert answers_of("echo", b"a question") == ["first", {"asked": "a question"}]
    assert capfd.readouterr().out == ""


def test_part_takes_no_code_from_the_folder_it_is_called_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who stands on somebody's stick, often root, runs nothing that lies there."""
    (tmp_path / "livegate").mkdir()
    (tmp_path / "livegate/__init__.py").write_text("raise SystemExit('sprung')\n")
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    monkeypatch.chdir(tmp_path)
    assert answers_of("echo", b"") == ["first", {"asked": ""}]


def test_part_that_crashes_is_an_error_with_the_signal_and_the_last_words() -> None:
    """A segfault of a vendor's library is a finding."""
    with pytest.raises(PartError, match=r"SIGSEGV \(a library's last words\)"):
        answers_of("crash")


def test_part_that_hangs_is_ended() -> None:
    """Who gives no answer in time is killed, and nothing of it is left."""
    with Apart("selftest_parts:hang", b"") as process:
        told = process.answers(wait_s=0.3, until_s=time.monotonic() + HANG_S)
        waiting = process.answers(wait_s=HANG_S, until_s=time.monotonic() + HANG_S)
        pid = int(msgspec.json.decode(next(waiting)))
        with pytest.raises(PartError, match="no answer"):
            next(told)
    assert not psutil.pid_exists(pid)


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ("refuse", "1013 APP_ERR_COMM_INIT_FAIL: there is no device"),
        ("stumble", "ValueError: a defect"),
        ("leave", "ended with 3"),
        ("no_such_part", "AttributeError"),
    ],
)
def test_part_that_fails_says_why(part: str, said: str) -> None:
    """Errors of ours, of anybody's, and an end in the middle."""
    with pytest.raises(PartError, match=said):
        answers_of(part)


def test_question_is_on_no_command_line() -> None:
    """Every user may read a command line, and a question holds the configuration's secrets."""
    with Apart("selftest_parts:hang", b"the-secret") as process:
        pid = next(process.answers(wait_s=HANG_S, until_s=time.monotonic() + HANG_S)).decode()
        for name in ("cmdline", "environ"):
            assert b"the-secret" not in (Path("/proc") / pid.strip('"') / name).read_bytes()
