"""`livegate evaluate`: how well do the models tell people from attacks on your own pictures?

Exit status: 0 = done; with --most-acer, 1 when the ACER at the configured threshold is above it;
2 = an error.
"""

from __future__ import annotations

import argparse
import platform
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
from rich.progress import track

from livegate import __version__
from livegate.cli.output import answers, errors, json_bytes, table
from livegate.cli.plot import require_plots
from livegate.cli.settings import add_settings, load_settings
from livegate.core.config import Config
from livegate.core.errors import ErrorCode, RequestError
from livegate.core.telemetry import Metrics, configure_logging
from livegate.evaluation.evaluation import Evaluation


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("evaluate", help="error rates on pictures of people and of attacks")
    parser.add_argument("--real", metavar="DIR", required=True, help="pictures of living people")
    parser.add_argument(
        "--spoof", metavar="DIR", required=True, help="pictures of attacks, a folder for each species"
    )
    parser.add_argument(
        "--clips", metavar="DIR", help="videos in its folders real and spoof, judged by the gate"
    )
    parser.add_argument("--out", metavar="DIR", default="evaluation", help="for the report")
    parser.add_argument("--most-acer", type=_part, metavar="PART", help="0..1: exit with 1 above it")
    add_settings(parser)
    parser.set_defaults(run=run)


def _part(text: str) -> float:
    part = float(text)
    if not 0 <= part <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1; 5 % are 0.05")
    return part


def run(options: argparse.Namespace) -> int:
    """Judge every file, print the rates, write the report."""
    require_plots()
    config = load_settings(options, log__level="warning").config
    configure_logging(config.log)
    own = _judged(options, config)
    _write(own, Path(options.out), options)
    _print(own)
    answers().print(f"report: {Path(options.out) / 'index.html'}", highlight=False)
    most = options.most_acer
    return int(most is not None and not own.configured.acer <= most)


def _judged(options: argparse.Namespace, config: Config) -> Evaluation:
    from livegate.app.build import build_pipeline, build_service, build_store
    from livegate.evaluation.collect import CLIPS, SILENT, judge_clip, judge_pictures, labelled
    from livegate.ingest.headers import SUFFIXES

    real, spoof = Path(options.real), Path(options.spoof)
    folders = {False: real, True: spoof}
    files = {mark: labelled(folder, SUFFIXES, is_attack=mark) for mark, folder in folders.items()}
    clips = {
        mark: labelled(Path(options.clips) / name, CLIPS, is_attack=mark) if options.clips else []
        for mark, name in ((False, "real"), (True, "spoof"))
    }
    service = build_service(config, Metrics())
    try:
        pipeline = build_pipeline(config, build_store(config))
        service.start(pipeline)
        limit = config.limits.max_image_bytes
        pictures = {
            mark: tuple(_shown(judge_pictures(service, some, folders[mark], limit), len(some)))
            for mark, some in files.items()
        }
        judged = {
            mark: tuple(
                judge_clip(service, config, path, species, Path(options.clips))
                for path, species in _shown(some, len(some))
            )
            for mark, some in clips.items()
        }
        steps = pipeline.plan((SILENT,))
    finally:
        service.close()
    silent = pipeline.judge((SILENT,), [{"silent_liveness": 0.0}])[0]  # says its threshold
    return Evaluation(
        people=pictures[False],
        attacks=pictures[True],
        clips_of_people=judged[False],
        clips_of_attacks=judged[True],
        threshold=silent.threshold or 0.0,
        engines=tuple(info for step in steps for info in step.model.infos),
    )


def _shown(every: Iterable[Any], total: int) -> Iterable[Any]:
    """With progress, on a terminal."""
    console = errors()
    return track(every, "judging", total=total, console=console, disable=not console.is_terminal)


def _write(own: Evaluation, folder: Path, options: argparse.Namespace) -> None:
    from livegate.evaluation.evaluation import as_json
    from livegate.evaluation.figures import det_png, histogram_png
    from livegate.evaluation.page import page_from_evaluation

    figures = {"det.png": det_png(own), "scores.png": histogram_png(own)}
    about = {
        "livegate": __version__,
        "machine": f"{platform.node()}, {platform.machine()}, Python {platform.python_version()}",
        "pictures of people": options.real,
        "pictures of attacks": options.spoof,
        "clips": options.clips or "none",
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in figures.items():
            (folder / name).write_bytes(content)
        page = page_from_evaluation(own, figures, about)
        (folder / "index.html").write_text(page, encoding="utf-8", errors="replace")
        report = {"about": about, **as_json(own)}
        (folder / "report.json").write_bytes(msgspec.json.format(json_bytes(report), indent=1))
    except OSError as error:
        why = f"{folder} cannot be written: {error.strerror}"
        raise RequestError(ErrorCode.WRITE_FAIL, why) from error


def _print(own: Evaluation) -> None:
    from livegate.evaluation.page import point_row, rate_text
    from livegate.evaluation.rates import non_response

    shown = table("", "threshold", "APCER", "worst species", "BPCER", "ACER")
    shown.add_row(*point_row("configured", own.configured))
    for most, point in own.alternatives:
        shown.add_row(*point_row(f"for BPCER {most:.0%}", point))
    answers().print(shown)
    area = own.area
    answers().print(f"AUC {area.value:.4f} ({area.low:.4f} to {area.high:.4f})", highlight=False)
    for title, some in (("people", own.people), ("attacks", own.attacks)):
        answers().print(f"no response, {title}: {rate_text(non_response(some))}", highlight=False)
    if own.clips is not None:
        answers().print(
            f"clips: opened for an attack {rate_text(own.clips.apcer)}, "
            f"not opened for a person {rate_text(own.clips.bpcer)}",
            highlight=False,
        )
