"""An evaluation as one HTML page with nothing outside it. Names of files, never their pixels."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape

from livegate.evaluation.evaluation import Evaluation
from livegate.evaluation.rates import OperatingPoint, Presentation, Rate, non_response

STYLE = """
body { font: 15px/1.4 sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; margin: .5rem 0 1.5rem } td, th { padding: .2rem .8rem .2rem 0;
text-align: left; vertical-align: top; border-bottom: 1px solid #ddd } img { max-width: 48% }
code { word-break: break-all } @media print { body { margin: 0 } }
"""
TERMS = (
    "Terms of ISO/IEC 30107-3: APCER, the part of the attacks of one species that were taken for people "
    "(the worst species counts); BPCER, the part of the people that were refused; ACER, their mean. "
    "Intervals are Wilson's at 95 %. Presentations without a face, or that cannot be read, are "
    "non-responses and in no rate."
)
Row = Sequence[str]


def page_from_evaluation(own: Evaluation, figures: Mapping[str, bytes], about: Mapping[str, str]) -> str:
    """The page. `figures`: PNG files by their titles; `about`: machine, versions, settings."""
    worst_people, worst_attacks = own.worst
    clips = own.clips
    parts = [
        "<h1>How well this box tells people from attacks</h1>",
        f"<p>{TERMS}</p>",
        _table(("", "threshold", "APCER", "worst species", "BPCER", "ACER"), _points(own)),
        "<h2>Species</h2>",
        _table(("species", "APCER at the configured threshold"), _species(own)),
        "<p>" + escape(_area_and_silence(own)) + "</p>",
        *(_image(title, content) for title, content in figures.items()),
    ]
    if clips is not None:
        parts += ["<h2>Clips, judged by the gate</h2>", _table(("", ""), _clips(clips))]
    parts += [
        "<h2>Worst</h2>",
        _table(("people with the lowest scores", "score"), map(_line, worst_people)),
        _table(("attacks with the highest scores", "score", "species"), map(_attack, worst_attacks)),
        "<h2>Without a response</h2>",
        _table(("file", "why"), ((one.name, one.why) for one in own.silent_ones)),
        "<h2>What ran</h2>",
        _table(("model", "network", "sha256", "backend", "provider", "precision"), _engines(own)),
        _table(("", ""), about.items()),
    ]
    head = f'<meta charset="utf-8"><title>livegate evaluate</title><style>{STYLE}</style>'
    return f"<!doctype html><html><head>{head}</head><body>{''.join(parts)}</body></html>\n"


def rate_text(rate: Rate) -> str:
    """A part with its interval and its counts."""
    if not rate.total:
        return "none shown"
    low, high = rate.interval
    return f"{rate.value:.2%} ({low:.2%} to {high:.2%}; {rate.count} of {rate.total})"


def point_row(title: str, point: OperatingPoint) -> Row:
    """An operating point as a row of texts."""
    acer = "not known" if math.isnan(point.acer) else f"{point.acer:.2%}"
    return (
        title,
        repr(point.threshold),  # to be typed in: with fewer digits it is another one, with other errors
        rate_text(point.apcer),
        point.worst_species,
        rate_text(point.bpcer),
        acer,
    )


def _points(own: Evaluation) -> list[Row]:
    others = [point_row(f"for BPCER {most:.0%}", point) for most, point in own.alternatives]
    return [point_row("configured", own.configured), *others]


def _species(own: Evaluation) -> list[Row]:
    return [(name, rate_text(rate)) for name, rate in own.species.items()]


def _area_and_silence(own: Evaluation) -> str:
    area = own.area
    auc = (
        "not known"
        if math.isnan(area.value)
        else f"{area.value:.4f} ({area.low:.4f} to {area.high:.4f})"
    )
    return (
        f"AUC {auc}. Non-responses: people {rate_text(non_response(own.people))}, "
        f"attacks {rate_text(non_response(own.attacks))}."
    )


def _clips(point: OperatingPoint) -> list[Row]:
    opened = f"{rate_text(point.apcer)} {point.worst_species}"
    return [
        ("opened for an attack (worst species)", opened),
        ("not opened for a person", rate_text(point.bpcer)),
    ]


def _line(one: Presentation) -> Row:
    return one.name, f"{one.score:.4f}"


def _attack(one: Presentation) -> Row:
    return one.name, f"{one.score:.4f}", one.species


def _engines(own: Evaluation) -> list[Row]:
    return [
        (e.model_id, e.network, e.sha256[:16], e.backend, e.provider, e.precision) for e in own.engines
    ]


def _table(head: Row, rows: Iterable[Row]) -> str:
    def line(kind: str, cells: Row) -> str:
        return "<tr>" + "".join(f"<{kind}>{escape(cell)}</{kind}>" for cell in cells) + "</tr>"

    body = "".join(line("td", row) for row in rows)
    return f"<table>{line('th', head)}{body}</table>" if body else "<p>none</p>"


def _image(title: str, content: bytes) -> str:
    coded = base64.b64encode(content).decode()
    return f'<img alt="{escape(title)}" src="data:image/png;base64,{coded}">'
