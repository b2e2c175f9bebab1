"""`livegate bundle`, `install-bundle` and `rollback`: what is asked for, refused and said."""

from __future__ import annotations

from pathlib import Path

import pytest

from bundle_kit import MADE_S, write_stub_bundle
from livegate.bundles.signing import new_key, read_signing_key
from livegate.cli.bundle import secret_keys
from livegate.cli.main import main
from livegate.core.settings import load

SECRETS = {
    "grpc.tokens": '[grpc]\ntokens = ["12345678"]\n',
    "aipaas.apps": '[[aipaas.apps]]\nid = "me"\nkey = "12345678"\n',
    "ingest.cameras": '[[ingest.cameras]]\nname = "door"\nurl = "rtsp://u:p@192.0.2.7/s"\n',
}
IN_THE_QUERY = (
    '[[ingest.cameras]]\nname = "door"\nurl = "rtsp://192.0.2.7/s?user=me&password=12345678"\n'
)
NO_SECRETS = '[[ingest.cameras]]\nname = "door"\nurl = "rtsp://192.0.2.7/s"\n[log]\nlevel = "info"\n'


def test_new_key_is_made_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The public half is printed, too."""
    path = tmp_path / "key"
    assert main(["bundle", "--new-key", str(path)]) == 0
    assert read_signing_key(path).public.line.strip() in capsys.readouterr().out
    assert main(["bundle", "--new-key", str(path)]) == 2
    assert "1015" in capsys.readouterr().err


def test_bundle_needs_a_folder_and_a_key(capsys: pytest.CaptureFixture[str]) -> None:
    """And says how to make one."""
    assert main(["bundle"]) == 2
    assert "--new-key" in capsys.readouterr().err


@pytest.mark.parametrize(("key", "text"), [*SECRETS.items(), ("ingest.cameras", IN_THE_QUERY)])
def test_configuration_with_credentials_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], key: str, text: str
) -> None:
    """Bundles travel; the key is named, the secret is not."""
    config = tmp_path / "config.toml"
    config.write_text(text)
    new_key(tmp_path / "key")
    arguments = ["bundle", str(tmp_path), "--key", str(tmp_path / "key"), "--config", str(config)]
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert ("2041" in said, key in said, "--with-secrets" in said) == (True, True, True)
    assert "12345678" not in said
    assert "u:p" not in said


def test_configuration_without_credentials_has_none(tmp_path: Path) -> None:
    """A camera's URL alone is no secret here."""
    config = tmp_path / "config.toml"
    config.write_text(NO_SECRETS)
    assert secret_keys(load(file=config, environ={}).config) == []


def test_configuration_that_no_box_would_take_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """When the bundle is made, not in the branch."""
    config = tmp_path / "config.toml"
    config.write_text("[grpc]\nbnid = 'x'\n")
    new_key(tmp_path / "key")
    arguments = ["bundle", str(tmp_path), "--key", str(tmp_path / "key"), "--config", str(config)]
    assert main(arguments) == 2
    assert "grpc.bnid" in capsys.readouterr().err


def test_commands_install_and_go_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the key once, then without; 2 when there is nothing to go back to."""
    key, public = new_key(tmp_path / "key")
    root = ("--root", str(tmp_path / "root"))
    bundles = [
        str(write_stub_bundle(tmp_path / f"{n}", key, f"{n}.0", made_s=MADE_S + n)) for n in (1, 2)
    ]
    assert main(["install-bundle", bundles[0], *root]) == 2
    assert "1010" in capsys.readouterr().err
    assert main(["install-bundle", bundles[0], *root, "--key", str(public)]) == 0
    assert main(["rollback", *root]) == 2
    assert main(["install-bundle", bundles[1], *root]) == 0
    assert "is kept" in capsys.readouterr().out
    assert main(["rollback", *root]) == 0
    assert "1.0-" in capsys.readouterr().out
