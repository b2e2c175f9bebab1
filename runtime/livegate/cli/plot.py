"""A video's movements over time as a picture: what the thresholds saw, and what was accepted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from livegate.core.config import ActionsConfig
from livegate.core.errors import ErrorCode, RequestError, SetupError
from livegate.core.results import Action, FaceSample, VideoVerdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Read = Callable[[FaceSample], float | None]
PANELS: tuple[tuple[str, Read, tuple[Action, ...]], ...] = (
    (
        "yaw, degrees\n> 0: image's right",
        lambda one: one.yaw_deg,
        (Action.SHAKE_LEFT, Action.SHAKE_RIGHT),
    ),
    ("pitch, degrees\n> 0: down", lambda one: one.pitch_deg, (Action.NOD,)),
    ("mouth\nopening / width", lambda one: one.mouth, (Action.MOUTH,)),
    ("eyes\nopening / width", lambda one: one.eyes, (Action.BLINK,)),
)
ACCEPTED, SEEN, PICTURE = "tab:green", "tab:orange", "tab:blue"


def require_plots() -> None:
    """Hold that the library is there, before the work is done.

    Raises:
        SetupError: NO_EXIST.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise SetupError(
            ErrorCode.NO_EXIST,
            "--plot needs matplotlib, which is not installed",
            hint="pip install 'livegate[plot]'",
        ) from error


def plot_verdict(verdict: VideoVerdict, config: ActionsConfig, name: str, path: Path) -> None:
    """Draw yaw, pitch, mouth and eyes over seconds into a file; the suffix says which kind.

    Raises:
        RequestError: WRITE_FAIL, or PARAM_FAILURE for a suffix that is none.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 8), layout="constrained")
    rows = figure.subplots(len(PANELS), 1, sharex=True)
    accepted = {result.event for result in verdict.actions if result.event is not None}
    for axes, (label, read, actions) in zip(rows, PANELS, strict=True):
        _draw(axes, verdict, label, read)
        for event in verdict.events:
            if event.action in actions:
                _mark(axes, event, ACCEPTED if event in accepted else SEEN)
        for level in _levels(actions, config):
            axes.axhline(level, color="grey", linewidth=0.8, linestyle=":")
    rows[-1].set_xlabel("seconds of the video")
    word = "ALIVE" if verdict.is_alive else "NOT ALIVE: " + ", ".join(r.value for r in verdict.reasons)
    figure.suptitle(f"{name}: {word}\ngreen = accepted, orange = seen, blue = the picture", fontsize=10)
    try:
        figure.savefig(path, dpi=100)
    except OSError as error:
        why = f"{path} cannot be written: {error.strerror}"
        raise RequestError(ErrorCode.WRITE_FAIL, why) from error
    except ValueError as error:
        raise RequestError(
            ErrorCode.PARAM_FAILURE, f"{path}: {error}", hint="name it out.png"
        ) from error


def _draw(axes: Axes, verdict: VideoVerdict, label: str, read: Read) -> None:
    """One signal; a gap where it is not known."""
    values = [(one.pts_ms / 1000, read(one)) for one in verdict.track]
    axes.plot(
        [second for second, _ in values],
        [float("nan") if value is None else value for _, value in values],
        color="black",
        linewidth=1,
        marker=".",
        markersize=3,
    )
    if verdict.picture:
        axes.axvline(verdict.picture_pts_ms / 1000, color=PICTURE, linewidth=0.8, linestyle="--")
    axes.set_xlim(0, verdict.duration_ms / 1000)
    low, high = axes.get_ylim()
    axes.set_ylim(min(0.0, low), high)  # else a flat signal's noise looks like a movement
    axes.set_ylabel(label, fontsize=8)
    axes.grid(alpha=0.3)


def _mark(axes: Axes, event: Any, colour: str) -> None:
    axes.axvspan(event.start_ms / 1000, event.end_ms / 1000, color=colour, alpha=0.2)
    axes.annotate(
        f"{event.action.value} {event.confidence:.2f}",
        (event.peak_ms / 1000, 0),
        xycoords=("data", "axes fraction"),
        xytext=(0, 4),
        textcoords="offset points",
        fontsize=8,
        horizontalalignment="center",
    )


def _levels(actions: tuple[Action, ...], config: ActionsConfig) -> tuple[float, ...]:
    """Least heights above a rest of 0. Eyes have none: what counts is the part that they lose."""
    if Action.SHAKE_LEFT in actions:
        return (config.shake_deg, -config.shake_deg)
    if Action.NOD in actions:
        return (config.nod_deg,)
    return (config.mouth_open,) if Action.MOUTH in actions else ()
