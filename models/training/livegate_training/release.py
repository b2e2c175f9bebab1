"""Graphs and manifests side by side, as models/ holds them and as the runtime loads them."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from livegate.app.engines import prepare_golden_outputs
from livegate.engines.specimen import DRAWING
from livegate.manifests.goldens import golden_key
from livegate.manifests.store import ModelStore, cache_dir

TEMPLATES = Path(__file__).parent / "manifests"
MANIFESTS = {
    "lg_face": ("lg_face", "lg_face_pose"),
    "lg_silent": ("lg_silent",),
    "lg_detect": ("lg_detect",),
}
"""The models that each network serves; a file lies with the first of them."""


def write_models(model: str, graphs: Sequence[Path], target: Path) -> list[Path]:
    """Fill `target`/<id>/ with manifest.toml and the graphs; the manifests' paths."""
    made = []
    for number, model_id in enumerate(MANIFESTS[model]):
        home = target / model_id
        home.mkdir(parents=True, exist_ok=True)
        manifest = home / "manifest.toml"
        manifest.write_text(_filled((TEMPLATES / f"{model_id}.toml").read_text(), graphs))
        made.append(manifest)
        if number == 0:
            for graph in graphs:
                shutil.copyfile(graph, home / graph.name)
    return made


def write_goldens(model: str, target: Path) -> list[Path]:
    """Golden outputs beside the manifests, so that no box has to ask the reference; their paths."""
    store, made = ModelStore((), package=target), []
    for model_id in MANIFESTS[model]:
        prepare_golden_outputs(model_id, store)
        manifest = store.manifest(model_id)
        home = target / model_id / "golden"
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir()
        for network in manifest.networks:
            name = f"{golden_key(network, manifest.file(network.file), DRAWING)}.golden"
            made.append(Path(shutil.copyfile(cache_dir() / "golden" / name, home / name)))
    return made


def _filled(template: str, graphs: Sequence[Path]) -> str:
    """The template with `@sha256 FILE@` and `@bytes FILE@` replaced by what the files are."""
    contents = {graph.name: graph.read_bytes() for graph in graphs}

    def told(match: re.Match[str]) -> str:
        content = contents[match["file"]]
        return hashlib.sha256(content).hexdigest() if match["what"] == "sha256" else str(len(content))

    return re.sub(r"@(?P<what>sha256|bytes) (?P<file>[^@]+)@", told, template)
