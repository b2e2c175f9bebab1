"""The installer beside a bundle: Python's own library is enough, and it takes its one bundle only."""

from __future__ import annotations

import subprocess
import zipfile
from pathlib import Path

import pytest

from bundle_kit import MADE_S, signing_key, write_stub_bundle
from livegate.bundles.archive import read_seal
from livegate.bundles.bootstrap import Ticket
from livegate.bundles.box import this_python
from livegate.bundles.companion import MODULES, write_installer
from livegate.bundles.signing import SigningKey

KEY = signing_key()


def make(folder: Path, version: str, key: SigningKey = KEY, made_s: int = MADE_S) -> Path:
    """A bundle and its installer, which is returned."""
    bundle = write_stub_bundle(folder / f"{version}.bundle", key, version, made_s=made_s)
    with bundle.open("rb") as stream:
        digest = read_seal(stream).digest
    installer = folder / f"{version}.pyz"
    write_installer(installer, Ticket(bundle.name, digest, key.public))
    return installer


def run(installer: Path, root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """With a Python that has nothing but its own library."""
    command = [this_python(), "-I", "-S", str(installer), "--root", str(root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def version_of(root: Path) -> str:
    command = [str(root / "current/bin/livegate"), "--version"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_bare_python_installs_updates_and_goes_back(tmp_path: Path) -> None:
    """The branch's one command, and what it prints."""
    root = tmp_path / "root"
    first, second = make(tmp_path, "1.0"), make(tmp_path, "2.0", made_s=MADE_S + 1)
    done = run(first, root)
    assert done.returncode == 0, done.stderr
    assert f"{root}/current/bin/livegate serve" in done.stdout
    assert run(second, root).returncode == 0
    assert version_of(root) == "livegate 2.0"
    assert run(second, root, "--rollback").returncode == 0
    assert version_of(root) == "livegate 1.0"


def test_installer_takes_no_other_bundle(tmp_path: Path) -> None:
    """Not even one that the same key has signed, nor a changed one."""
    first, second = make(tmp_path, "1.0"), make(tmp_path, "2.0")
    done = run(first, tmp_path / "root", str(second.with_suffix(".bundle")))
    assert (done.returncode, "1010" in done.stderr) == (2, True)
    bundle = first.with_suffix(".bundle")
    content = bytearray(bundle.read_bytes())
    content[-2000] ^= 1
    bundle.write_bytes(content)
    done = run(first, tmp_path / "root")
    assert (done.returncode, "1020" in done.stderr) == (2, True)
    assert not (tmp_path / "root/current").exists()


def test_box_that_believes_another_key_takes_no_installer_of_a_stranger(tmp_path: Path) -> None:
    """The first installation decides; what serves still does."""
    root = tmp_path / "root"
    assert run(make(tmp_path, "1.0"), root).returncode == 0
    done = run(make(tmp_path, "2.0", signing_key(), MADE_S + 1), root)
    assert (done.returncode, "believes other keys" in done.stderr) == (2, True)
    assert version_of(root) == "livegate 1.0"


def test_installer_without_its_bundle_says_which_one(tmp_path: Path) -> None:
    """Sticks are copied by hand."""
    installer = make(tmp_path, "1.0")
    installer.with_suffix(".bundle").unlink()
    done = run(installer, tmp_path / "root")
    assert done.returncode == 2
    assert "1016" in done.stderr
    assert str(tmp_path / "1.0.bundle") in done.stderr


def test_same_installer_has_the_same_bytes(tmp_path: Path) -> None:
    """So that its digest can be told and compared; it holds the modules that it needs, and a ticket."""
    ticket = Ticket("b", "0" * 64, KEY.public)
    write_installer(tmp_path / "a", ticket)
    write_installer(tmp_path / "b", ticket)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    with zipfile.ZipFile(tmp_path / "a") as made:
        assert len(made.namelist()) == len(MODULES) + 2


@pytest.mark.parametrize("member", ["livegate/bundles/ticket.json"])
def test_installer_without_a_ticket_refuses(tmp_path: Path, member: str) -> None:
    """As a clear error."""
    installer, cut = make(tmp_path, "1.0"), tmp_path / "cut.pyz"
    with zipfile.ZipFile(installer) as whole, zipfile.ZipFile(cut, "w") as out:
        for name in whole.namelist():
            if name != member:
                out.writestr(name, whole.read(name))
    done = run(cut, tmp_path / "root")
    assert (done.returncode, "no installer of a bundle" in done.stderr) == (2, True)
