"""The command: `python -m livegate_training train MODEL`, see `--help`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from livegate_training.folders import Folders, MissingMaterial
from livegate_training.recipe import read_recipe

ROOT = Path(__file__).resolve().parents[3]
SHARED = ROOT.parent / "shared"


def main(arguments: list[str] | None = None) -> int:
    """0 = done, 2 = something that the recipe needs is not there."""
    options = _parser().parse_args(arguments)
    photographs = options.photographs
    folders = Folders(options.data, options.reference, options.work, photographs)
    try:
        if options.command == "train":
            return _train(options, folders)
        raise AssertionError(options.command)
    except MissingMaterial as error:
        print(error, file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="livegate_training", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    train = commands.add_parser("train", help="make samples, train, write the ONNX files")
    train.add_argument("model")
    train.add_argument("--config", default="full")
    train.add_argument("--device", default=None, help="cpu or cuda; the default is what is there")
    for command in (train,):
        command.add_argument("--data", type=Path, default=SHARED / "training")
        command.add_argument("--reference", type=Path, default=SHARED / "models" / "reference")
        command.add_argument("--work", type=Path, required=True, help="caches and checkpoints")
        command.add_argument("--photographs", type=Path, default=None, help="faceless pictures, JPEG")
    return parser


def _train(options: argparse.Namespace, folders: Folders) -> int:
    from livegate_training.train import train  # torch is imported by those who train only

    recipe = read_recipe(options.model, options.config)
    for path in train(recipe, folders, lambda line: print(line, flush=True), device=options.device):
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
