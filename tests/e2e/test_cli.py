"""The command, as a shell sees it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from e2e.pictures import jpeg
from e2e.running import run_cli
from livegate import __version__
from support import shared

NULL = ("--backend", "null")


@pytest.fixture
def reference() -> str:
    return str(shared("models", "reference"))


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    path.write_bytes(jpeg(320, 240))
    return path


def test_version_is_printed() -> None:
    """`livegate --version`."""
    assert run_cli("--version").stdout.strip() == f"livegate {__version__}"


def test_detect_null_backend_is_a_spoof_with_status_1(photo: Path) -> None:
    """The table names the file and the verdict; nothing is genuine without a network."""
    done = run_cli("detect", *NULL, str(photo))
    assert done.returncode == 1
    assert "SPOOF" in done.stdout
    assert "photo.jpg" in done.stdout


def test_detect_json_is_one_object_a_line(photo: Path) -> None:
    """Machines get numbers, stages and engines."""
    done = run_cli("detect", *NULL, "--json", str(photo), str(photo))
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rows) == 2
    assert rows[0]["decision"] == "SPOOF"
    assert rows[0]["faces"][0]["box"]["width"] > 0
    assert rows[0]["engines"][0]["provider"] == "null"


def test_detect_worst_file_decides_the_status(photo: Path, tmp_path: Path) -> None:
    """An error beats a spoof; every file is judged all the same."""
    (tmp_path / "bad.jpg").write_text("no picture")
    done = run_cli("detect", *NULL, "--json", str(photo), str(tmp_path / "bad.jpg"), "missing.jpg")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 2
    assert [row.get("error", {}).get("code") for row in rows] == [None, 1028, 1016]


def test_detect_folder_glob_and_stdin_are_read(photo: Path, tmp_path: Path) -> None:
    """A folder gives its pictures, a quoted glob its matches, - the standard input."""
    shutil.copy(photo, tmp_path / "second.JPG")
    (tmp_path / "notes.txt").write_text("not a picture")
    for argument, count in ((str(tmp_path), 2), (f"{tmp_path}/*.jpg", 1)):
        done = run_cli("detect", *NULL, "--json", argument)
        assert len(done.stdout.splitlines()) == count
    done = run_cli("detect", *NULL, "--json", "-", input=photo.read_bytes(), text=False)
    assert json.loads(done.stdout)["file"] == "-"


def test_detect_file_with_markup_in_its_name_is_shown_as_it_is(photo: Path, tmp_path: Path) -> None:
    """Brackets are letters of a name, not styles."""
    folder = tmp_path / "a[" / "b]"
    folder.mkdir(parents=True)
    shutil.copy(photo, folder / "x[red]y.jpg")
    done = run_cli("detect", *NULL, str(folder / "x[red]y.jpg"))
    assert done.returncode == 1, done.stderr
    assert "x[red]y.jpg" in done.stdout


def test_detect_empty_folder_is_an_error(tmp_path: Path) -> None:
    """Nothing to judge is not success."""
    done = run_cli("detect", *NULL, "--json", str(tmp_path))
    assert (done.returncode, json.loads(done.stdout)["error"]["code"]) == (2, 1016)


def test_detect_real_models_judge_the_stills(reference: str) -> None:
    """A genuine picture alone is status 0; the worst of all three is a spoof."""
    stills = shared("media", "stills")
    genuine = run_cli("detect", "--models", reference, str(stills / "image_T1.jpg"))
    assert (genuine.returncode, "GENUINE" in genuine.stdout) == (0, True)
    assert run_cli("detect", "--models", reference, str(stills)).returncode == 1


def test_detect_require_of_a_missing_provider_never_falls_back(reference: str, photo: Path) -> None:
    """`require` refuses with what there is; `prefer` runs and says on what."""
    asked = ("--models", reference, "--provider", "cuda", str(photo))
    refused = run_cli("detect", *asked)
    if "1013" not in refused.stderr:
        pytest.skip("this box has CUDA: there is nothing to refuse")
    assert refused.returncode == 2
    assert "cpu" in refused.stderr
    preferred = run_cli("detect", "--policy", "prefer", "--json", *asked)
    engine = json.loads(preferred.stdout)["engines"][0]
    assert (engine["provider_asked"], engine["provider"]) == ("cuda (prefer)", "cpu")
    assert "WARNING" in preferred.stderr.upper()


def test_doctor_null_backend_reports_and_names_remedies(tmp_path: Path) -> None:
    """Missing model files are problems, and each has its remedy beside it."""
    done = run_cli("doctor", "--json", *NULL, env={"LIVEGATE_CACHE": str(tmp_path)})
    findings = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 1
    assert {"python", "packages", "cpu", "memory", "clock", "engine", "grpc"} <= {
        finding["subject"] for finding in findings
    }
    missing = [f for f in findings if f["grade"] == "problem"]
    assert len(missing) == 3
    assert all("models pull" in finding["remedy"] for finding in missing)


def test_doctor_all_in_place_is_status_0(reference: str) -> None:
    """With the files there is no red line."""
    done = run_cli("doctor", "--models", reference)
    assert done.returncode == 0, done.stdout


def test_models_verify_tampered_file_is_1029_with_both_digests(reference: str, tmp_path: Path) -> None:
    """Name, expected and found digest, and the command that mends it."""
    folder = tmp_path / "models"
    shutil.copytree(reference, folder)
    victim = folder / "det" / "yunet_n_dynamic.onnx"
    victim.chmod(0o644)
    content = bytearray(victim.read_bytes())
    content[1000] ^= 1
    victim.write_bytes(content)
    env = {"LIVEGATE_CACHE": str(tmp_path / "none")}
    done = run_cli("models", "verify", "--models", str(folder), env=env)
    assert done.returncode == 2
    for part in ("1029", str(victim), "104ee26c71d5", "found", "models pull --from"):
        assert part in done.stderr
    detect = run_cli("detect", "--models", str(folder), str(victim), env=env)
    assert (detect.returncode, "1029" in detect.stderr) == (2, True)


def test_models_without_the_optional_ones_are_enough(reference: str, tmp_path: Path) -> None:
    """A stick for pictures only: pulled and verified, with a note; what is asked for is missed."""
    stick = tmp_path / "stick"
    stick.mkdir()
    for name in (
        "yunet_n_dynamic.onnx",
        "2.7_80x80_MiniFASNetV2.onnx",
        "4_0_0_80x80_MiniFASNetV1SE.onnx",
    ):
        (found,) = Path(reference).rglob(name)
        shutil.copy(found, stick)
    env = {"LIVEGATE_CACHE": str(tmp_path / "cache")}
    pulled = run_cli("models", "pull", "--from", str(stick), env=env)
    assert pulled.returncode == 0, pulled.stderr
    assert "3 verified files" in pulled.stdout
    assert "not needed" in pulled.stderr
    assert run_cli("models", "verify", env=env).returncode == 0
    assert run_cli("models", "verify", "pfld_ghostone", env=env).returncode == 2


def test_models_pull_makes_golden_outputs(reference: str, tmp_path: Path) -> None:
    """One file for each network, so that no start has to ask the reference."""
    env = {"LIVEGATE_CACHE": str(tmp_path)}
    done = run_cli("models", "pull", "--from", reference, env=env)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "golden").glob("*.golden"))) == 6
    assert "golden" not in done.stderr


def test_models_pull_then_everything_is_found(reference: str, tmp_path: Path) -> None:
    """After one pull no flag is needed; a second pull changes nothing."""
    env = {"LIVEGATE_CACHE": str(tmp_path / "cache")}
    assert run_cli("models", "verify", env=env).returncode == 2
    for _ in range(2):
        done = run_cli("models", "pull", "--from", reference, env=env)
        assert done.returncode == 0, done.stderr
        assert "6 verified files" in done.stdout
    assert run_cli("models", "verify", env=env).returncode == 0
    listed = run_cli("models", "list", "--json", env=env).stdout.splitlines()
    files = [file for line in listed for file in json.loads(line)["files"]]
    assert all(file["is_good"] and str(tmp_path) in file["path"] for file in files)


def test_config_show_tells_sources_and_hides_secrets(tmp_path: Path) -> None:
    """File < environment < flag, and no secret in sight."""
    file = tmp_path / "livegate.toml"
    file.write_text('[http]\nbind = "127.0.0.1:1"\n[grpc]\ntokens = ["the-secret"]\n')
    done = run_cli(
        *("config", "show", "--json", "--config", str(file), "--metrics", "127.0.0.1:3"),
        env={"LIVEGATE_SERVER_WORKERS": "3"},
    )
    shown = json.loads(done.stdout)
    assert shown["http.bind"] == {"value": "127.0.0.1:1", "source": f"file {file}"}
    assert shown["server.workers"]["source"] == "environment LIVEGATE_SERVER_WORKERS"
    assert shown["metrics.bind"]["source"] == "flag"
    assert shown["limits.max_images"] == {"value": 16, "source": "default"}
    assert "the-secret" not in done.stdout


def test_config_unknown_key_is_refused_with_a_suggestion() -> None:
    """A typing mistake is not ignored, wherever it stands."""
    flag = run_cli("config", "show", "--set", "htpp.bind=x")
    assert (flag.returncode, "http.bind" in flag.stderr) == (2, True)
    variable = run_cli("config", "show", env={"LIVEGATE_HTTP_BINDD": "x"})
    assert (variable.returncode, "LIVEGATE_HTTP_BIND'" in variable.stderr) == (2, True)


def test_config_set_takes_tables_and_lists_as_the_environment_does() -> None:
    """Any other key, tables included; no secret shown."""
    apps = '[{"id": "kiosk", "key": "secret-key"}]'
    done = run_cli(
        *("config", "show", "--json", "--set", f"aipaas.apps={apps}"),
        *("--set", 'models.use={"face_detection": "yunet_n"}'),
        *("--set", "grpc.tokens=long-enough,other-one"),
    )
    shown = json.loads(done.stdout)
    assert shown["models.use"]["value"] == {"face_detection": "yunet_n"}
    assert shown["aipaas.apps"]["source"] == "flag"
    assert "secret-key" not in done.stdout


@pytest.mark.parametrize("key", ["grpc.tokens", "metrics.tokens"])
def test_config_empty_or_short_token_is_refused(key: str, tmp_path: Path) -> None:
    """An empty token would let everybody in."""
    section, _, name = key.partition(".")
    file = tmp_path / "c.toml"
    file.write_text(f'[{section}]\n{name} = [""]\n')
    done = run_cli("config", "show", "--config", str(file))
    assert (done.returncode, "2041" in done.stderr) == (2, True)


def test_config_app_id_named_twice_is_refused() -> None:
    """Two keys for one app would leave it to chance which one counts."""
    apps = '[{"id": "a", "key": "first-key"}, {"id": "a", "key": "second-key"}]'
    done = run_cli("serve", *NULL, "--set", f"aipaas.apps={apps}")
    assert (done.returncode, "2041" in done.stderr) == (2, True)


def test_config_variables_of_an_orchestrator_are_not_ours() -> None:
    """LIVEGATE_SERVICE_HOST is what an orchestrator sets for a service of that name."""
    done = run_cli("config", "show", env={"LIVEGATE_SERVICE_HOST": "10.0.0.1", "LIVEGATE_PORT": "x"})
    assert done.returncode == 0, done.stderr


def test_config_keys_lists_every_key() -> None:
    """The list that messages point to is there."""
    done = run_cli("config", "keys")
    assert "face_detection.input_size" in done.stdout


def test_serve_missing_models_is_1029_and_status_2(tmp_path: Path) -> None:
    """A server that cannot judge does not stay up."""
    done = run_cli(
        *("serve", "--socket", "", "--frames", "", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"),
        *("--metrics", "127.0.0.1:0"),
        env={"LIVEGATE_CACHE": str(tmp_path)},
    )
    assert done.returncode == 2
    assert "1029" in done.stderr
    assert "Traceback" not in done.stderr


def test_bench_backends_says_which_backend_won_each_network(reference: str, tmp_path: Path) -> None:
    """Every network on every backend that computes; what won stands as a line of configuration."""
    file = tmp_path / "figures.json"
    flags = ("--rounds", "1", "--seconds", "0.01", "--json", str(file))
    done = run_cli("bench", "backends", "--models", reference, *flags)
    assert done.returncode == 0, done.stderr
    figures = json.loads(file.read_text())["figures"]
    assert len(figures) == 6
    for row in figures:
        assert "null" not in row["rates"]
        assert row["won"] == max(row["rates"], key=row["rates"].get)
    assert "engine.use = { " in done.stdout
