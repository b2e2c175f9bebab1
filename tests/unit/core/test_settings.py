"""The configuration: precedence, refusals that name the culprit, and its documentation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from livegate.core.config import Config
from livegate.core.errors import ErrorCode, SetupError
from livegate.core.settings import OTHER_VARIABLES, Key, keys, keys_markdown, load
from support import ROOT


def written(folder: Path, text: str) -> Path:
    """A configuration file."""
    path = folder / "livegate.toml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(**arguments: Any) -> SetupError:
    """The error that `load` ends with."""
    with pytest.raises(SetupError) as caught:
        load(**{"environ": {}, **arguments})
    return caught.value


def test_load_nothing_is_the_defaults_without_sources() -> None:
    """Without a file, variables or flags every key has its default and no source."""
    loaded = load(environ={})
    assert loaded.config == Config()
    assert loaded.sources == {}


def test_load_file_environment_and_flag_the_later_wins(tmp_path: Path) -> None:
    """A flag beats the environment, which beats the file, and each value knows where it is from."""
    file = written(tmp_path, "[server]\nworkers = 1\nqueue_capacity = 11\n[limits]\nmax_images = 3\n")
    environ = {"LIVEGATE_SERVER_WORKERS": "2", "LIVEGATE_SERVER_QUEUE_CAPACITY": "12"}
    loaded = load(file=file, environ=environ, flags={"server.workers": 5})
    assert loaded.config.server.workers == 5
    assert loaded.config.server.queue_capacity == 12
    assert loaded.config.limits.max_images == 3
    assert loaded.sources == {
        "server.workers": "flag",
        "server.queue_capacity": "environment LIVEGATE_SERVER_QUEUE_CAPACITY",
        "limits.max_images": f"file {file}",
    }


def test_load_flag_none_leaves_the_value_below(tmp_path: Path) -> None:
    """A flag that was not given does not hide what the file says."""
    file = written(tmp_path, "[server]\nworkers = 3\n")
    assert load(file=file, environ={}, flags={"server.workers": None}).config.server.workers == 3


def test_load_unknown_key_in_file_is_refused_with_a_suggestion(tmp_path: Path) -> None:
    """A mistyped key in the file is refused and the nearest key named."""
    error = refusal(file=written(tmp_path, "[server]\nworkrs = 1\n"))
    assert error.code is ErrorCode.CONFIG_ADD_FAIL
    assert "server.workrs" in error.message
    assert "server.workers" in error.hint


def test_load_unknown_section_in_file_is_refused_with_a_suggestion(tmp_path: Path) -> None:
    """A mistyped section is refused and the nearest key named."""
    error = refusal(file=written(tmp_path, "[serverr]\nworkers = 1\n"))
    assert error.code is ErrorCode.CONFIG_ADD_FAIL
    assert "serverr.workers" in error.message
    assert "server.workers" in error.hint


def test_load_key_outside_of_a_section_is_refused(tmp_path: Path) -> None:
    """A key at the top of the file belongs to no section and is refused."""
    error = refusal(file=written(tmp_path, "workers = 1\n"))
    assert error.code is ErrorCode.CONFIG_ADD_FAIL
    assert "workers" in error.message


def test_load_unknown_variable_is_refused_with_a_suggestion() -> None:
    """A mistyped variable with our prefix is refused and the nearest one named."""
    error = refusal(environ={"LIVEGATE_SERVER_WORKRS": "1"})
    assert error.code is ErrorCode.CONFIG_ADD_FAIL
    assert "LIVEGATE_SERVER_WORKRS" in error.message
    assert "LIVEGATE_SERVER_WORKERS" in error.hint


def test_load_variables_of_others_are_ignored() -> None:
    """Variables without our prefix are none of our business."""
    assert load(environ={"SERVER_WORKERS": "7", "PATH": "/bin"}).config == Config()


@pytest.mark.parametrize("name", sorted(OTHER_VARIABLES))
def test_load_variable_that_is_not_a_key_is_let_through(name: str) -> None:
    """LIVEGATE_MODELS and its like are read elsewhere: they are neither keys nor refused."""
    loaded = load(environ={name: "/somewhere"})
    assert loaded.config == Config()
    assert loaded.sources == {}
    assert name not in {key.env for key in keys()}


def test_other_variables_hold_the_models_folder() -> None:
    """LIVEGATE_MODELS names folders of weights and is not a key."""
    assert "LIVEGATE_MODELS" in OTHER_VARIABLES


@pytest.mark.parametrize(
    ("variable", "value", "path"),
    [
        ("LIVEGATE_SERVER_WORKERS", "many", "server.workers"),
        ("LIVEGATE_SERVER_WORKERS", "-1", "server.workers"),
        ("LIVEGATE_SERVER_QUEUE_CAPACITY", "0", "server.queue_capacity"),
        ("LIVEGATE_SERVER_QUEUE_TIMEOUT_S", "0", "server.queue_timeout_s"),
        ("LIVEGATE_SERVER_QUEUE_TIMEOUT_S", "nan", "server.queue_timeout_s"),
        ("LIVEGATE_SERVER_QUEUE_TIMEOUT_S", "inf", "server.queue_timeout_s"),
        ("LIVEGATE_ENGINE_POLICY", "maybe", "engine.policy"),
        ("LIVEGATE_SILENT_LIVENESS_THRESHOLD", "1.5", "silent_liveness.threshold"),
        ("LIVEGATE_FACE_DETECTION_INPUT_SIZE", "63", "face_detection.input_size"),
        ("LIVEGATE_AIPAAS_APPS", '[{"id": "a", "key": "short"}]', "aipaas.apps"),
        ("LIVEGATE_AIPAAS_APPS", '[{"id": "a", "key": "longenough", "x": 1}]', "aipaas.apps"),
    ],
)
def test_load_wrong_value_names_variable_and_key(variable: str, value: str, path: str) -> None:
    """A value of the wrong type or range is refused with the variable and the key."""
    error = refusal(environ={variable: value})
    assert error.code is ErrorCode.CONFIG_ADD_FAIL
    assert variable in error.message
    assert path in error.message


def test_load_wrong_type_in_file_names_file_and_key(tmp_path: Path) -> None:
    """A table where a number belongs is refused with the file and the key."""
    file = written(tmp_path, "[server.workers]\nx = 1\n")
    error = refusal(file=file)
    assert str(file) in error.message
    assert "server.workers" in error.message


def test_load_wrong_flag_names_the_flag() -> None:
    """A refused flag is said to be one."""
    error = refusal(flags={"server.workers": "many"})
    assert error.message.startswith("flag:")
    assert "server.workers" in error.message


def test_load_wrong_secret_is_not_repeated() -> None:
    """A message about a refused app does not carry its key."""
    error = refusal(environ={"LIVEGATE_AIPAAS_APPS": '[{"id": "a", "key": "hunter2"}]'})
    assert "hunter2" not in f"{error} {error.fields}"


def test_load_variable_that_is_not_json_is_refused() -> None:
    """A list of tables in the environment is JSON or refused."""
    error = refusal(environ={"LIVEGATE_AIPAAS_APPS": "a:b"})
    assert error.code is ErrorCode.CONFIG_ADD_FAIL
    assert "LIVEGATE_AIPAAS_APPS" in error.message


def test_load_environment_lists_and_tables_are_read() -> None:
    """Lists are comma-separated text, tables and lists of tables are JSON."""
    config = load(
        environ={
            "LIVEGATE_MODELS_DIRS": "/a,/b",
            "LIVEGATE_MODELS_USE": '{"face_detection": "yunet_n"}',
            "LIVEGATE_AIPAAS_APPS": '[{"id": "kiosk", "key": "0123456789"}]',
            "LIVEGATE_GRPC_TOKENS": "",
        }
    ).config
    assert config.models.dirs == ("/a", "/b")
    assert config.models.use == {"face_detection": "yunet_n"}
    assert config.aipaas.apps[0].id == "kiosk"
    assert config.grpc.tokens == ()


def test_load_missing_file_is_open_fail(tmp_path: Path) -> None:
    """A configuration file that is not there is 1019."""
    error = refusal(file=tmp_path / "none.toml")
    assert error.code is ErrorCode.OPEN_FAIL
    assert "none.toml" in error.message


@pytest.mark.parametrize("content", [b"not = = toml", b"\xff\xfe\x00"])
def test_load_file_that_is_not_toml_is_read_fail(tmp_path: Path, content: bytes) -> None:
    """A configuration file that cannot be parsed is 1020."""
    path = tmp_path / "livegate.toml"
    path.write_bytes(content)
    assert refusal(file=path).code is ErrorCode.READ_FAIL


def test_load_aipaas_auth_auto_is_signed_once_there_is_an_app() -> None:
    """`auto` asks for signatures as soon as one app is configured; `none` and `hmac` are as told."""
    app = '[{"id": "kiosk", "key": "0123456789"}]'
    assert not Config().aipaas.is_signed
    assert load(environ={"LIVEGATE_AIPAAS_APPS": app}).config.aipaas.is_signed
    none = {"LIVEGATE_AIPAAS_APPS": app, "LIVEGATE_AIPAAS_AUTH": "none"}
    assert not load(environ=none).config.aipaas.is_signed
    assert load(environ={"LIVEGATE_AIPAAS_AUTH": "hmac"}).config.aipaas.is_signed


@pytest.mark.parametrize("key", keys(), ids=lambda key: key.path)
def test_key_is_documented_and_can_be_set(key: Key) -> None:
    """Every key has a text, a type, and a variable whose name leads back to it."""
    assert key.text
    assert key.kind
    assert key.env == f"LIVEGATE_{key.path.replace('.', '_')}".upper()


def test_keys_have_variables_of_their_own() -> None:
    """No two keys are set by one variable."""
    assert len({key.env for key in keys()}) == len(keys())


def test_keys_that_hold_credentials_are_secret() -> None:
    """Tokens and apps are flagged, so that nothing prints them; nothing else is."""
    secret = {key.path for key in keys() if key.is_secret}
    assert secret >= {"grpc.tokens", "metrics.tokens", "aipaas.apps"}
    assert "server.workers" not in secret


def test_keys_markdown_equals_the_documentation() -> None:
    """docs/config.md is what the keys generate."""
    assert (ROOT / "docs" / "config.md").read_text(encoding="utf-8") == keys_markdown()


def test_keys_markdown_has_a_row_of_five_cells_for_every_key() -> None:
    """No key's type or text breaks the table."""
    rows = [line for line in keys_markdown().splitlines() if line.startswith("| `")]
    assert len(rows) == len(keys())
    assert all(row.count("|") == 6 for row in rows)


def test_gate_that_could_never_open_is_refused() -> None:
    """k of n with k above n."""
    with pytest.raises(SetupError) as caught:
        load(environ={"LIVEGATE_GATE_NEEDED": "6", "LIVEGATE_GATE_WINDOW": "5"})
    assert caught.value.code is ErrorCode.CONFIG_ADD_FAIL
    assert "gate.needed is 6" in caught.value.message


def test_file_of_a_windows_editor_is_read(tmp_path: Path) -> None:
    """Which begins it with a mark and ends lines in its own way."""
    file = tmp_path / "livegate.toml"
    file.write_bytes(b"\xef\xbb\xbf[server]\r\nworkers = 3\r\n")
    assert load(file=file, environ={}).config.server.workers == 3


@pytest.mark.parametrize("token", ["blank at its end ", "genugmitümlaut", "line feed\n12345"])
@pytest.mark.parametrize("key", ["grpc.tokens", "grpc.admin_tokens", "metrics.tokens"])
def test_token_that_no_header_carries_is_refused_and_not_told(key: str, token: str) -> None:
    """Nobody could ever present it."""
    with pytest.raises(SetupError) as caught:
        load(environ={}, flags={key: [token]})
    assert caught.value.code is ErrorCode.CONFIG_ADD_FAIL
    assert token not in str(caught.value)
