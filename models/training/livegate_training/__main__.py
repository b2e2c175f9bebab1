"""The command: `python -m livegate_training train MODEL`, see `--help`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from livegate_training.folders import Folders, MissingMaterial
from livegate_training.nobody import gather_nobody
from livegate_training.recipe import read_recipe
from livegate_training.wallpapers import gather

ROOT = Path(__file__).resolve().parents[3]
SHARED = ROOT.parent / "shared"
MODELS = ("lg_detect", "lg_face", "lg_silent")
GATHERERS = {"photographs": gather, "nobody": gather_nobody}


def main(arguments: list[str] | None = None) -> int:
    """0 = done, 2 = something that the recipe needs is not there."""
    options = _parser().parse_args(arguments)
    if options.command in GATHERERS:
        pictures = GATHERERS[options.command](options.unpacked, options.target)
        print(f"{len(pictures)} pictures in {options.target}")
        return 0
    folders = Folders(options.data, options.reference, options.work, options.photographs, options.nobody)
    try:
        if options.command == "train":
            return _train(options, folders)
        if options.command == "release":
            return _release(options, folders)
        return _judge(options, folders)
    except MissingMaterial as error:
        print(error, file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="livegate_training", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    train = commands.add_parser("train", help="make samples, train, write the ONNX files")
    train.add_argument("model", choices=MODELS)
    train.add_argument("--config", default="full")
    train.add_argument("--device", default=None, help="cpu or cuda; the default is what is there")
    judge = commands.add_parser("judge", help="our networks beside the reference models")
    judge.add_argument("model", choices=[*MODELS, "all"])
    judge.add_argument("--config", default="full")
    judge.add_argument("--media", type=Path, default=SHARED / "media", help="what is judged on")
    judge.add_argument("--nobody", type=Path, help="more faceless pictures, JPEG, to judge lg_detect on")
    release = commands.add_parser("release", help="write manifests and graphs into a folder")
    release.add_argument("model", choices=MODELS)
    release.add_argument("--config", default="full")
    release.add_argument("--target", type=Path, required=True)
    for name, packages in (("photographs", "wallpaper packages"), ("nobody", "gcompris-qt-data")):
        pictures = commands.add_parser(name, help=f"a folder for --{name}")
        pictures.add_argument("unpacked", type=Path, help=f"usr/share of {packages}")
        pictures.add_argument("target", type=Path, help="where one JPEG each goes")
    for command in (train, release):
        command.set_defaults(nobody=None)
    for command in (train, judge, release):
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


def _judge(options: argparse.Namespace, folders: Folders) -> int:
    from livegate_training.judge import judge

    print(f"{'figure':<58} {'ours':>22} {'reference':>22}")
    for model in MODELS if options.model == "all" else (options.model,):
        graphs = _graphs(folders, model, options.config)
        print(f"-- {model}, {' '.join(graph.name for graph in graphs)}")
        judge(model, graphs, folders, options.media, lambda line: print(line, flush=True))
    return 0


def _release(options: argparse.Namespace, folders: Folders) -> int:
    from livegate_training.release import write_goldens, write_models

    graphs = _graphs(folders, options.model, options.config)
    for path in write_models(options.model, graphs, options.target):
        print(path)
    for path in write_goldens(options.model, options.target):
        print(path)
    return 0


def _graphs(folders: Folders, model: str, config: str) -> list[Path]:
    found = sorted((folders.work / model / config).glob("*.onnx"))
    if not found:
        raise MissingMaterial(
            f"{folders.work / model / config} holds no network: run make train MODEL={model} first"
        )
    return found


if __name__ == "__main__":
    sys.exit(main())
