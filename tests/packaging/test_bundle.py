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

from e2e.running import environment
from livegate.bundles.archive import read_seal
from livegate.bundles.box import this_python
from livegate.bundles.manifest import BundleManifest, manifest_from_bytes
from livegate_bench.sut import free_ports
from support import ROOT, alone, astronaut

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

NO_INDEX = ("Failed to fetch", "error sending request", "1025 ", "Could not connect", "dns error")
# Runs without a network: the server from the bundle, and a client of each face.
ASK = """
import base64, fcntl, json, pathlib, signal, socket, struct, subprocess, sys, tempfile, time
import urllib.request
if sys.argv[6] == "alone":  # in a new network name space, loopback is down: SIOCSIFFLAGS, IFF_UP
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sH14x", b"lo", 1))
command, photo, ports = sys.argv[1], pathlib.Path(sys.argv[2]).read_bytes(), sys.argv[3:6]
grpc, http, metrics = (f"127.0.0.1:{port}" for port in ports)
folder = tempfile.mkdtemp()
paths = ["--socket", f"{folder}/grpc.sock", "--frames", f"{folder}/frames.sock"]
faces = ["--grpc", grpc, "--http", http, "--metrics", metrics, *paths]
server = subprocess.Popen([command, "serve", *faces], stdout=2)

def post(path, kind, body):
    head = {"Content-Type": kind, "X-APP-ID": "me"}
    asked = urllib.request.Request(f"http://{http}{path}", body, head)
    with urllib.request.urlopen(asked, timeout=60) as found:
        return json.load(found)

def ask_http():
    picture = base64.b64encode(photo).decode()
    data = {"taskId": "t", "algoTasks": [{"algoTask": 1031}], "imageList": [{"image": picture}]}
    body = json.dumps({"code": 1019, "data": data}).encode()
    answer = post("/aipaas/live/v1/detection/silent", "application/json", body)
    yield "aipaas", answer["data"]["results"][0]["score"] >= 0.5
    body = json.dumps({"image_base64": picture}).encode()
    yield "frs", post("/v1/p/live-detect-face", "application/json", body)["result"]["alive"]
    part = b'--x\\r\\nContent-Disposition: form-data; name="file"; filename="f"\\r\\n\\r\\n'
    kind, body = "multipart/form-data; boundary=x", part + photo + b"\\r\\n--x--\\r\\n"
    yield "linkface", post("/hackness/selfie_hack_detect", kind, body)["score"] < 0.98

def ask_frames():
    import simplejpeg
    from livegate.client import FrameProducer
    pixels = simplejpeg.decode_jpeg(photo, "BGR")
    height, width = pixels.shape[:2]
    with FrameProducer(f"{folder}/frames.sock", camera="c", width=width, height=height) as producer:
        with producer.loan() as slot:
            slot[:] = pixels
        for result in producer.results(timeout_s=60):
            return result.outcome.decision.name

try:
    for _ in range(1200):
        assert server.poll() is None, "the server ended"
        try:
            urllib.request.urlopen(f"http://{metrics}/readyz", timeout=5).close()
            break
        except OSError:
            time.sleep(0.05)
    from livegate.client import LivenessClient
    told = {}
    for name, address in (("grpc", grpc), ("socket", f"unix:{folder}/grpc.sock")):
        with LivenessClient(address) as client:
            answer = client.analyze(photo)
        told[name] = answer.results[0].decision.name
    told["engine"] = answer.engines[0].backend
    told.update(ask_http())
    told["frames"] = ask_frames()
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


@pytest.fixture(scope="module")
def installed(maker: Maker) -> Path:
    """The root of an installation that bare Python made without a network."""
    config = maker.folder / "config.toml"
    config.write_text("[server]\nworkers = 1\n")
    bundle, root = maker.make("here", "--config", str(config)), maker.folder / "root"
    installer = [this_python(), "-I", "-S", str(bundle.with_suffix(".pyz")), "--root", str(root)]
    run_offline(maker, *installer)
    return root


def run_offline(maker: Maker, *command: str) -> str:
    """A command's standard output, in a network name space without routes where one can be had."""
    done = subprocess.run(
        [*alone(), *command],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        env=maker.env(),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_face_answers_from_a_bundle(maker: Maker, installed: Path, tmp_path: Path) -> None:
    """gRPC over TCP and Unix socket, three dialects, the frame queue: with nothing of this checkout."""
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(simplejpeg.encode_jpeg(astronaut(), quality=95, colorspace="BGR"))
    livegate, python = installed / "current/bin/livegate", installed / "current/venv/bin/python"
    where = run_offline(maker, str(python), "-I", "-c", "import livegate; print(livegate.__file__)")
    assert str(ROOT) not in where
    ports = [str(port) for port in free_ports(3)]
    ask = (str(python), "-I", "-c", ASK, str(livegate), str(photo), *ports)
    told = json.loads(run_offline(maker, *ask, "alone" if alone() else "here"))
    assert told.pop("engine").startswith("onnxruntime")
    dialects = {"aipaas": True, "frs": True, "linkface": True}
    words = dict.fromkeys(("grpc", "socket", "frames"), "GENUINE")
    assert told == {**words, **dialects, "status": 0}


def test_selftest_of_a_bundle_finds_the_box_fit(maker: Maker, installed: Path) -> None:
    """As the branch would run it after the installation."""
    said = run_offline(maker, str(installed / "current/bin/livegate"), "selftest", "--quick")
    assert said.splitlines()[-1].startswith("fit to guard a door")


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
