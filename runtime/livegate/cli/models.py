"""`livegate models list | verify | pull`: the model files, by their digests; reload is cli/reload.py."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

from livegate.app.build import build_store, serving_manifests
from livegate.app.engines import prepare_golden_outputs
from livegate.cli import reload
from livegate.cli.output import answers, errors, print_json, table
from livegate.cli.settings import add_settings, load_settings
from livegate.core.errors import LiveGateError
from livegate.core.telemetry import configure_logging
from livegate.manifests.download import Download
from livegate.manifests.schema import ModelFile
from livegate.manifests.store import FileState, ModelStore, cache_dir


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("models", help="list, verify, pull and reload models")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, text, act in (
        ("list", "every model and where its files are", list_models),
        ("verify", "check every digest; status 2 when one is wrong or missing", verify),
        ("pull", "bring verified files into the cache, from upstream or from a folder", pull),
    ):
        action = actions.add_parser(name, help=text)
        action.add_argument("ids", nargs="*", metavar="ID", help="models or packs; none = all")
        add_settings(action)
        action.set_defaults(run=lambda options, act=act: _run(options, act))
        if name == "pull":
            action.add_argument("--from", dest="source", metavar="DIR", help="without the network")
        if name == "list":
            action.add_argument("--json", action="store_true", help="one JSON object a model")
    reload.add(actions)


def _run(options: argparse.Namespace, act: Any) -> int:
    config = load_settings(options, log__level="warning").config
    configure_logging(config.log)
    store = build_store(config)
    needed = {manifest.id for manifest in serving_manifests(config, store)}
    options.upstream = config.models.upstream
    named = [model_id for name in options.ids for model_id in _of_name(name, store)]
    status: int = act(options, store, named or list(store.ids()), needed | set(named))
    return status


def _of_name(name: str, store: ModelStore) -> list[str]:
    """The models that a name on the command line means: those of a pack, or one."""
    of_pack = [one for one in store.ids() if store.manifest(one).pack == name]
    return of_pack or [name]


def list_models(options: argparse.Namespace, store: ModelStore, ids: list[str], needed: set[str]) -> int:
    """Print every model with the state of its files."""
    shown = table("model", "pack", "task", "file", "state", "licence", "where")
    for model_id in ids:
        manifest = store.manifest(model_id)
        states = [store.inspect(file) for file in manifest.files]
        if options.json:
            files = [_json(state) for state in states]
            print_json({"id": model_id, "pack": manifest.pack, "task": manifest.task, "files": files})
        for state in states:
            where = escape(str(state.path or ""))
            licence = state.file.licence
            shown.add_row(
                *(model_id, manifest.pack, manifest.task),
                *(state.file.name, _word(state), licence, where),
            )
    if not options.json:
        answers().print(shown)
    return 0


def verify(options: argparse.Namespace, store: ModelStore, ids: list[str], needed: set[str]) -> int:
    """Check every file; complain of each that is not right, not of optional ones that are absent."""
    problems = 0
    for model_id in ids:
        for file in store.manifest(model_id).files:
            state = store.inspect(file)
            if state.is_good:
                answers().print(f"{model_id}: {file.name}: ok", markup=False, highlight=False)
            elif state.path is None and model_id not in needed:
                _note(f"{model_id}: {file.name}: not here, and no configured task needs it")
            else:
                problems += 1
                complaint = f"{model_id}: {store.complaint(state)}"
                errors().print(complaint, style="red", markup=False, highlight=False)
    return 2 if problems else 0


def pull(options: argparse.Namespace, store: ModelStore, ids: list[str], needed: set[str]) -> int:
    """Bring files into the cache, with progress; an optional model that a folder lacks is left out."""
    if not options.ids:
        ids = [model_id for model_id in ids if not store.is_shipped(model_id)]
    if options.source is None:
        return _pull(store, ids, Download(options.upstream))
    source = Path(options.source).expanduser()
    stick = ModelStore((source,), package=store.package)
    absent = [one for one in ids if one not in needed and not _is_whole(one, stick)]
    for model_id in absent if source.is_dir() else ():
        _note(f"{model_id}: not in {source}, and no configured task needs it")
    return _pull(store, [one for one in ids if one not in absent], source)


def _pull(store: ModelStore, ids: list[str], source: Path | Download) -> int:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, console=errors()) as progress:
        bars: dict[str, Any] = {}

        def advance(file: ModelFile, done_bytes: int) -> None:
            if file.sha256 not in bars:
                bars[file.sha256] = progress.add_task(file.name, total=file.bytes)
            progress.update(bars[file.sha256], completed=done_bytes)

        pulled = store.pull(ids, source, advance)
    try:
        for model_id in ids:
            prepare_golden_outputs(model_id, store)
    except LiveGateError as error:
        _note(f"golden outputs are left to the first start: {error.message}")
    answers().print(f"{len(pulled)} verified files in {cache_dir() / 'models'}", highlight=False)
    return 0


def _is_whole(model_id: str, store: ModelStore) -> bool:
    return all(store.inspect(file).path is not None for file in store.manifest(model_id).files)


def _note(text: str) -> None:
    errors().print(text, style="yellow", markup=False, highlight=False)


def _word(state: FileState) -> str:
    if state.is_good:
        return "[green]ok[/]"
    return "[yellow]missing[/]" if state.path is None else "[red]not the manifest's[/]"


def _json(state: FileState) -> dict[str, Any]:
    return {
        "name": state.file.name,
        "is_good": state.is_good,
        "path": str(state.path) if state.path else None,
        "expected_sha256": state.file.sha256,
        "found_sha256": state.found_sha256,
    }
