"""Real bundles: made from an index, installed on a box without any network, served from there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import simplejpeg

from e2e.running import environment, free_port
from livegate.bundles.archive import read_seal
from livegate.bundles.box import this_python
from livegate.bundles.manifest import BundleManifest, manifest_from_bytes
from support import ROOT, alone, astronaut

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

NO_INDEX = ("Failed to fetch", "error sending request", "1025 ", "Could not connect", "dns error")
# Runs without a network: the server from the bundle, and a client of each face.
ASK = """
import base64, fcntl, json, pathlib, signal, socket, struct, subprocess, sys, time, urllib.request
if sys.argv[6] == "alone":  # in a new network name space, loopback is down: SIOCSIFFLAGS, IFF_UP
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sH14x", b"lo", 1))
command, photo, ports = sys.argv[1], pathlib.Path(sys.argv[2]).read_bytes(), sys.argv[3:6]
grpc, http, metrics = (f"127.0.0.1:{port}" for port in ports)
faces = ["--grpc", grpc, "--http", http, "--metrics", metrics, "--socket", "", "--frames", ""]
server = subprocess.Popen([command, "serve", *faces], stdout=2)
try:
    for _ in range(1200):
        assert server.poll() is None, "the server ended"
        try:
            urllib.request.urlopen(f"http://{metrics}/readyz", timeout=5).close()
            break
        except OSError:
            time.sleep(0.05)
    from livegate.client import LivenessClient
    with LivenessClient(grpc) as client:
        answer = client.analyze(photo)
    told = {"grpc": answer.results[0].decision.name, "engine": answer.engines[0].backend}
    picture = base64.b64encode(photo).decode()
    data = {"taskId": "t", "algoTasks": [{"algoTask": 1031}], "imageList": [{"image": picture}]}
    body = json.dumps({"code": 1019, "data": data}).encode()
    head = {"Content-Type": "application/json", "X-APP-ID": "me"}
    url = f"http://{http}/aipaas/live/v1/detection/silent"
    with urllib.request.urlopen(urllib.request.Request(url, body, head), timeout=60) as found:
        results = json.load(found)["data"]["results"]
    told["http"] = results[0]["algo_type"], results[0]["score"]
finally:
    server.send_signal(signal.SIGTERM)
    status = server.wait(60)
told["status"] = status
print(json.dumps(told))
"""


@dataclass(frozen=True)
class Maker:
    """Where bundles are made: a key, and a cache of wheels."""

    folder: Path

    def env(self) -> dict[str, str]:
        """Ours, with that cache."""
        return {**environment(), "LIVEGATE_CACHE": str(self.folder / "cache")}

    def make(self, name: str, *arguments: str) -> Path:
        """A bundle; skips where no index answers."""
        out = self.folder / name
        key = ("--key", str(self.folder / "key"))
        command = [sys.executable, "-m", "livegate", "bundle", str(out), *key, *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=600, check=False, env=self.env()
        )
        for reason in NO_INDEX:
            if done.returncode and reason in done.stderr:
                pytest.skip(f"the wheels are not to be had here: {reason}")
        assert done.returncode == 0, done.stderr
        (bundle,) = out.glob("*.bundle")
        return bundle


@pytest.fixture(scope="module")
def maker(tmp_path_factory: pytest.TempPathFactory) -> Maker:
    """With a new key."""
    folder = tmp_path_factory.mktemp("maker")
    command = [sys.executable, "-m", "livegate", "bundle", "--new-key", str(folder / "key")]
    subprocess.run(command, check=True, capture_output=True)
    return Maker(folder)


def manifest_of(bundle: Path) -> BundleManifest:
    """What a bundle says that it holds."""
    with bundle.open("rb") as stream:
        return manifest_from_bytes(read_seal(stream).manifest)


def test_bundle_installs_and_serves_where_no_network_is(maker: Maker, tmp_path: Path) -> None:
    """With bare Python, in a network name space without routes: one command, then both faces answer."""
    config = tmp_path / "config.toml"
    config.write_text("[server]\nworkers = 1\n")
    bundle = maker.make("here", "--config", str(config))
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(simplejpeg.encode_jpeg(astronaut(), quality=95, colorspace="BGR"))
    root, env = tmp_path / "root", {**environment(), "LIVEGATE_CACHE": str(tmp_path / "cache")}
    installer = [this_python(), "-I", "-S", str(bundle.with_suffix(".pyz")), "--root", str(root)]
    done = subprocess.run(
        [*alone(), *installer], capture_output=True, text=True, timeout=600, check=False, env=env
    )
    assert done.returncode == 0, done.stderr
    livegate, python = root / "current/bin/livegate", root / "current/venv/bin/python"
    ports = [str(free_port()) for _ in range(3)]
    where = "alone" if alone() else "here"
    ask = [*alone(), str(python), "-I", "-c", ASK, str(livegate), str(photo), *ports, where]
    done = subprocess.run(ask, capture_output=True, text=True, timeout=300, check=False, env=env)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["grpc"], told["http"][0], told["status"]) == ("GENUINE", "1031", 0)
    assert 0.5 <= told["http"][1] <= 1
    assert told["engine"].startswith("onnxruntime")
    assert (
        str(ROOT)
        not in subprocess.run(
            [str(python), "-I", "-c", "import livegate; print(livegate.__file__)"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    )


@pytest.mark.parametrize(
    ("python", "only"), [("3.10", {"exceptiongroup", "tomli"}), ("3.12", frozenset())]
)
def test_bundle_for_a_jetson_closes_over_itself(maker: Maker, python: str, only: set[str]) -> None:
    """Made on this machine for aarch64; `livegate bundle` has resolved it again from its own wheels."""
    bundle = maker.make(f"aarch64-{python}", "--machine", "aarch64", "--python", python)
    manifest = manifest_of(bundle)
    wheels = {Path(member.path).name for member in manifest.wheels()}
    projects = {name.split("-")[0] for name in wheels}
    assert {"livegate", "onnxruntime", "numpy", "cryptography", "pip", "grpcio"} <= projects
    assert only <= projects
    assert bool(only) or not projects & {"exceptiongroup", "tomli"}
    assert not any("x86_64" in name for name in wheels)
    assert any(name.startswith("numpy-") and "aarch64" in name for name in wheels)
    assert (manifest.target.machine, manifest.target.python) == ("aarch64", python)
    done = subprocess.run(
        [this_python(), "-I", "-S", str(bundle.with_suffix(".pyz")), "--root", str(maker.folder / "r")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "it is for aarch64" in done.stderr) == (2, os.uname().machine != "aarch64")


def test_offline_check_sees_a_network() -> None:
    """The name space that the installation runs in really has no way out."""
    if not alone():
        pytest.skip("no network name space can be made here")
    code = "import socket; socket.create_connection(('192.0.2.1', 80), 5)"
    done = subprocess.run(
        [*alone(), sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "unreachable" in done.stderr
