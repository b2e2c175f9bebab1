"""Small bundles for tests: a LiveGate of one file, and a pip that only unpacks."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from livegate.bundles.archive import Seal, write_bundle
from livegate.bundles.box import Box, box_of, this_python
from livegate.bundles.install import Order
from livegate.bundles.manifest import BundleManifest, Member, Target
from livegate.bundles.signing import SigningKey
from livegate.bundles.trust import KeyTrust

LIVEGATE = """
import os, pathlib, sys
version = "{version}"
broken = {broken!r}
if sys.argv[1:] == ["--version"]:
    print("livegate", version)
elif sys.argv[1:] == ["serve", "--check"]:
    own = pathlib.Path(sys.prefix).parent
    assert os.environ["LIVEGATE_MODELS"] == str(own / "models"), os.environ["LIVEGATE_MODELS"]
    assert not os.environ.get("LIVEGATE_CONFIG", "").startswith(str(own.parent)) or (
        os.environ["LIVEGATE_CONFIG"] == str(own / "config/livegate.toml")
    ), os.environ["LIVEGATE_CONFIG"]
    sys.exit(f"livegate: {{broken}}" if broken else 0)
elif sys.argv[1:] == ["config"]:
    print(os.environ.get("LIVEGATE_CONFIG", ""))
elif sys.argv[1:] == ["serve"]:
    print("serving", flush=True)
    sys.stdin.read()
"""
PIP = """
import pathlib, sys, sysconfig, zipfile
assert sys.argv[1] == "install" and "--no-index" in sys.argv
for wheel in sys.argv[2:]:
    if wheel.endswith(".whl"):
        zipfile.ZipFile(wheel).extractall(sysconfig.get_path("purelib"))
"""
MODEL = "models/tiny/tiny.onnx"
CONFIG = "config/livegate.toml"
MADE_S = 1_790_000_000


def box() -> Box:
    """The machine that the tests run on."""
    return box_of(this_python())


def here() -> Target:
    """A target that it fits."""
    found = box()
    return Target(found.machine, found.python, "2.17")


def signing_key() -> SigningKey:
    """A new one."""
    return SigningKey(Ed25519PrivateKey.generate())


def wheel(files: Mapping[str, str]) -> bytes:
    """A zip archive."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        for name, text in files.items():
            made.writestr(zipfile.ZipInfo(name), text)
    return out.getvalue()


def contents(
    version: str = "1.0", *, broken: str = "", more: Mapping[str, bytes] | None = None
) -> dict[str, bytes]:
    """The members of a bundle that installs."""
    own = {
        "livegate/__init__.py": "",
        "livegate/__main__.py": LIVEGATE.format(version=version, broken=broken),
    }
    return {
        CONFIG: b"[log]\nlevel = 'info'\n",
        MODEL: b"weights",
        f"wheels/livegate-{version}-py3-none-any.whl": wheel(own),
        "wheels/pip-1-py3-none-any.whl": wheel({"pip/__main__.py": PIP}),
        **(more or {}),
    }


def manifest_of(files: Mapping[str, bytes], **changes: object) -> BundleManifest:
    """A manifest of these files."""
    own: dict[str, object] = {
        "version": "1.0",
        "target": Target("x86_64", "3.10", "2.35"),
        "extras": ("cpu",),
        "models": ("tiny",),
        "made_s": MADE_S,
        "unpacked_bytes": 1000,
        "has_secrets": False,
        "sees_system_packages": False,
        "signer": "0" * 64,
        "members": tuple(
            Member(path, len(files[path]), hashlib.sha256(files[path]).hexdigest())
            for path in sorted(files)
        ),
    }
    return BundleManifest(**{**own, **changes})  # type: ignore[arg-type]


def bundle_bytes(
    seal: Seal, manifest: BundleManifest, members: Mapping[str, bytes], folder: Path
) -> bytes:
    """The archive of members."""
    sources = []
    for number, member in enumerate(manifest.members):
        path = folder / f"source-{number}"
        path.write_bytes(members[member.path])
        sources.append((member, path))
    out = io.BytesIO()
    write_bundle(out, seal, sources)
    return out.getvalue()


def write_stub_bundle(path: Path, key: SigningKey, version: str = "1.0", **changes: object) -> Path:
    """A bundle that installs in a moment; `broken` is what its LiveGate says when it is tried."""
    broken, more = str(changes.pop("broken", "")), changes.pop("more", None)
    members = contents(version, broken=broken, more=more)  # type: ignore[arg-type]
    manifest = manifest_of(members, **{"version": version, "target": here(), **changes})
    folder = path.parent / f"{path.name}.sources"
    folder.mkdir()
    path.write_bytes(bundle_bytes(key.seal(manifest.to_bytes()), manifest, members, folder))
    return path


def order(bundle: Path, key: SigningKey, *, allows_older: bool = False) -> Order:
    """To install it, believing its key."""
    return Order(bundle, KeyTrust((key.public,)), this_python(), (key.public,), allows_older)
