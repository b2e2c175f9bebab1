"""From folders to labelled scores: every picture through the same service as a request's.

Folders are labels. Below the folder of attacks each folder is a species (print, replay, ...); files that
lie in it directly are the species "attack". Clips are judged as a camera's frames would be: the gate's
word for the person in front, OPEN or not, is what counts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path

from livegate.core.config import Config
from livegate.core.errors import LiveGateError
from livegate.core.files import files_below, read_file
from livegate.core.request import CODE_ANALYZE, AnalyzeRequest
from livegate.core.results import NO_FACE_SCORE, Analysis, GateDecision
from livegate.core.telemetry import StageClock
from livegate.core.view import View
from livegate.evaluation.rates import Presentation
from livegate.ingest.video import VideoReader
from livegate.pipelines.session import Session
from livegate.service.liveness import LivenessService

CLIPS = frozenset((".mp4", ".mov", ".avi", ".flv", ".webm", ".mkv", ".wmv"))
SILENT = 1031
ATTACK = "attack"
AHEAD = 2
"""Pictures that wait while each worker works."""
Step = Callable[[], None]


def labelled(folder: Path, suffixes: frozenset[str], *, is_attack: bool) -> list[tuple[Path, str]]:
    """The files below a folder, in the order of their names, each with its species.

    Raises:
        RequestError: NO_EXIST when there is none.
    """
    found = files_below(folder, suffixes)
    return [(path, _species(path, folder) if is_attack else "") for path in found]


def judge_pictures(
    service: LivenessService, files: list[tuple[Path, str]], root: Path, max_bytes: int
) -> Iterator[Presentation]:
    """Each file's score, in the order of the files."""
    waiting: deque[tuple[Path, str, Future[Analysis] | LiveGateError]] = deque()
    for path, species in files:
        waiting.append((path, species, _asked(service, path, max_bytes)))
        if len(waiting) > AHEAD * service.status.workers:
            yield _told(*waiting.popleft(), root)
    while waiting:
        yield _told(*waiting.popleft(), root)


def judge_clip(
    service: LivenessService, config: Config, path: Path, species: str, root: Path
) -> Presentation:
    """1 when the gate opened for somebody in the clip, else 0; what fails afterwards closes no gate."""
    session = Session(service.lease, (SILENT,), View(), config.gate, now_ns=lambda: now_ns)
    name, now_ns, is_open, has_face = _name(path, root), 0, False, False
    try:
        with VideoReader(read_file(path, config.video.max_bytes), config.video) as reader:
            for picture in reader:
                now_ns = picture.pts_ms * 1_000_000
                frame = picture.frame

                def look() -> None:
                    nonlocal is_open, has_face
                    seen = session.look(frame, now_ns, StageClock(), service.scratch)  # noqa: B023
                    is_open = is_open or seen.gate is GateDecision.OPEN
                    has_face = has_face or seen.person > 0

                service.queue(look).result()
    except LiveGateError as error:
        return Presentation(name, species, 1.0 if is_open else None, str(error))
    if not has_face:
        return Presentation(name, species, None, "no face was found")
    return Presentation(name, species, float(is_open))


def _asked(service: LivenessService, path: Path, max_bytes: int) -> Future[Analysis] | LiveGateError:
    try:
        content = read_file(path, max_bytes)
        return service.submit(AnalyzeRequest(CODE_ANALYZE, "", (SILENT,), (content,), ""))
    except LiveGateError as error:
        return error


def _told(path: Path, species: str, asked: Future[Analysis] | LiveGateError, root: Path) -> Presentation:
    name = _name(path, root)
    try:
        if isinstance(asked, LiveGateError):
            raise asked
        score = asked.result().verdicts[0].score
    except LiveGateError as error:
        return Presentation(name, species, None, str(error))
    if score == NO_FACE_SCORE:
        return Presentation(name, species, None, "no face was found")
    return Presentation(name, species, score)


def _name(path: Path, root: Path) -> str:
    return str(path.relative_to(root))


def _species(path: Path, folder: Path) -> str:
    below = path.relative_to(folder).parts
    return below[0] if len(below) > 1 else ATTACK
