"""`livegate bundle`: LiveGate, models and a configuration as one signed file, for boxes without network.

Exit status: 0 = written, 2 = an error.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from livegate import __version__
from livegate.bundles.box import box_of, this_python
from livegate.bundles.manifest import Target
from livegate.cli.output import answers, errors
from livegate.core.config import Config
from livegate.core.errors import ErrorCode, RequestError, SetupError
from livegate.core.files import read_file
from livegate.core.resources import PACKAGE_DIR
from livegate.core.settings import keys, load
from livegate.ingest.location import location_from_url

MAX_CONFIG_BYTES = 1 << 20
MACHINES = ("x86_64", "aarch64")
GLIBC = "2.35"
"""Of Ubuntu 22.04, which JetPack 6 is made from."""


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("bundle", help="make one signed file that installs without a network")
    parser.add_argument("out", nargs="?", metavar="DIR", help="the folder to write into")
    parser.add_argument(
        "--new-key", metavar="FILE", help="make a key to sign with, and FILE.pub for boxes"
    )
    parser.add_argument("--key", metavar="FILE", help="the private key to sign with")
    parser.add_argument("--machine", choices=MACHINES, help="of the boxes; else this one's")
    parser.add_argument("--python", metavar="3.N", help="their Python; else this one's")
    parser.add_argument("--glibc", default=GLIBC, metavar="2.N", help=f"their oldest glibc ({GLIBC})")
    parser.add_argument(
        "--extra", action="append", metavar="NAME", help="extras of LiveGate; repeatable (cpu)"
    )
    parser.add_argument(
        "--with", dest="more", action="append", default=[], metavar="REQ", help="another package"
    )
    parser.add_argument(
        "--find-links", action="append", default=[], metavar="DIR", help="a folder with wheels, too"
    )
    parser.add_argument(
        "--system-packages",
        action="store_true",
        help="let the boxes' own Python packages be seen: TensorRT of a JetPack",
    )
    parser.add_argument("--wheel", metavar="FILE", help="LiveGate's own wheel; else built or fetched")
    parser.add_argument("--config", metavar="FILE", help="the configuration of the boxes")
    parser.add_argument(
        "--with-secrets", action="store_true", help="take a configuration that holds credentials"
    )
    parser.add_argument("--models", metavar="DIR", action="append", default=[], help="model files")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Make a key or a bundle."""
    from livegate.bundles.signing import new_key, read_signing_key

    if options.new_key:
        key, public = new_key(Path(options.new_key))
        say = (
            f"{options.new_key} signs: keep it to yourself\n{public} is for the boxes: {key.public.line}"
        )
        answers().print(say.strip(), markup=False, highlight=False)
        return 0
    if not options.out or not options.key:
        raise RequestError(
            ErrorCode.PARAM_FAILURE,
            "a bundle needs a folder and a key",
            hint="livegate bundle DIR --key FILE; `livegate bundle --new-key FILE` makes a key",
        )
    target, config, content = _target(options), Config(), None
    if options.config:
        config = load(file=Path(options.config), environ={}).config
        content = read_file(options.config, MAX_CONFIG_BYTES)
    secrets = secret_keys(config)
    if secrets and not options.with_secrets:
        raise SetupError(
            ErrorCode.CONFIG_ADD_FAIL,
            f"{options.config} holds credentials, and a bundle travels: {', '.join(secrets)}",
            hint="set them on the boxes (ROOT/livegate.toml or the environment), or --with-secrets",
        )
    key = read_signing_key(Path(options.key))
    return _make(options, target, config, content, key, has_secrets=bool(secrets))


def _make(
    options: argparse.Namespace,
    target: Target,
    config: Config,
    content: bytes | None,
    key: Any,
    *,
    has_secrets: bool,
) -> int:
    from livegate.app.build import serving_manifests
    from livegate.bundles.bundler import BundlePlan, Bundler
    from livegate.bundles.wheels import Resolver
    from livegate.manifests.store import ModelStore

    store = ModelStore(Path(folder) for folder in options.models)
    models = tuple(serving_manifests(config, store))
    resolver = Resolver(target, [Path(folder) for folder in options.find_links])
    extras = tuple(sorted(options.extra or ("cpu",)))
    with tempfile.TemporaryDirectory(prefix="livegate-wheel-") as folder:
        requirement = _requirement(options.wheel, extras, resolver, Path(folder))
        plan = BundlePlan(
            target=target,
            requirement=requirement,
            extras=extras,
            more=tuple(options.more),
            config=content,
            has_secrets=has_secrets,
            sees_system_packages=options.system_packages,
            models=models,
        )
        made = Bundler(resolver, store, key, _tell).make(plan, Path(options.out))
    size = made.bundle.stat().st_size
    answers().print(
        f"{made.bundle}: {size} bytes, for {target}, with {', '.join(made.manifest.models)}\n"
        f"{made.installer}: for boxes that have no LiveGate yet: python3 {made.installer.name}\n"
        f"its sha256, to be told on another way: {made.installer_sha256}",
        markup=False,
        highlight=False,
    )
    return 0


def _requirement(wheel: str | None, extras: tuple[str, ...], resolver: Any, folder: Path) -> str:
    """LiveGate itself: a wheel that is named, that of the checkout which runs, or the index's."""
    named = f"livegate[{','.join(extras)}]"
    checkout = PACKAGE_DIR.parents[1]
    if wheel:
        path = Path(wheel).absolute()
        if not path.is_file() or not path.name.startswith("livegate-") or path.suffix != ".whl":
            raise RequestError(ErrorCode.NO_EXIST, f"{wheel} is no wheel of LiveGate")
    elif (checkout / "pyproject.toml").is_file():
        path = resolver.build(checkout, folder)
    else:
        return f"{named}=={__version__}"
    return f"{named} @ {path.as_uri()}"


def _target(options: argparse.Namespace) -> Target:
    box = box_of(this_python())
    return Target(options.machine or box.machine, options.python or box.python, options.glibc)


def secret_keys(config: Config) -> list[str]:
    """The keys of a configuration that hold credentials; of cameras, those whose URL may.

    Raises:
        RequestError: PARAM_FAILURE for a camera's URL that is none.
    """
    found = []
    for key in keys():
        value = getattr(getattr(config, key.section), key.name)
        if key.path == "ingest.cameras":
            value = [camera for camera in value if _may_hold_a_password(camera.url)]
        if key.is_secret and value:
            found.append(key.path)
    return found


def _may_hold_a_password(url: str) -> bool:
    """As USER:PASSWORD@, or in a query or a NAME=VALUE of the path, where some cameras want it."""
    return "@" in url or bool(url and location_from_url(url).secrets)


def _tell(text: str) -> None:
    errors().print(text, markup=False, highlight=False)
