"""The page: whole, safe, alone, and there for every report."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench_kit import bare_row, latency, report, row, varied_report, windows
from livegate_bench.report.latencyplots import latency_cdf
from livegate_bench.report.page import report_html
from livegate_bench.report.svg import tag
from livegate_bench.report.timeline import timeline
from livegate_bench.rows import Latency, Report, Row, Window

VOID = {"meta"}
EVIL = "\"'><script>alert(1)</script>&\x1b[2J\x00"


class Page(HTMLParser):
    """What is on a page; every tag that opens must close."""

    def __init__(self, content: bytes) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.words = ""
        self.feed(content.decode())
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


def plots(content: bytes) -> list[ElementTree.Element]:
    return [ElementTree.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", content.decode(), re.S)]


def test_page_needs_nothing_from_a_network_and_runs_nothing() -> None:
    """No script, no link, no picture, no import."""
    content = report_html(varied_report())
    page = Page(content)
    assert not {"script", "link", "img", "iframe", "object", "base"} & set(page.tags)
    assert not {"src", "href", "srcset", "data"} & {name for name, _ in page.attributes}
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert not re.search(rb"url\(|@import|https?:|//", content)


def test_page_of_a_full_report_has_every_plot_with_axes() -> None:
    """Load, cumulative latency, stages, losses; histogram and timeline of each row that has them."""
    content = report_html(varied_report())
    drawn = [svg.findtext("title") or "" for svg in plots(content)]
    assert drawn.count("Throughput against concurrency") == 1
    assert drawn.count("Latency, cumulative") == 2
    assert sum(name.startswith("Latency of") for name in drawn) == 8
    assert sum(name.startswith("Windows of") for name in drawn) == 9
    assert drawn.count("mean time of a request, ms") == drawn.count("requests or frames lost") == 2
    words = Page(content).words
    for unit in ("latency, ms (log)", "answered, /s", "requests answered, %", "clients (log)"):
        assert unit in words


def test_page_marks_what_is_unstable_with_the_reason() -> None:
    """Above all figures, and beside the row."""
    words = Page(report_html(varied_report())).words
    assert "1 of 9 rows unstable" in words
    assert words.count("the rates of the last three windows differ by 31 %") >= 3
    assert b'class="flag"' not in report_html(report())


def test_page_tells_circumstances_and_where_it_is_from() -> None:
    """Machine, versions, both providers, the command, the schema."""
    engine = msgspec.structs.replace(row().engines[0], provider_asked="cuda")
    words = Page(report_html(report(row(engines=(engine,))))).words
    for told in ("Made CPU", "1.31.0", "abc123", "(asked: cuda)", "livegate bench single_stream"):
        assert told in words
    assert "urn:livegate:bench:1" in words
    assert "p90, ms" in words


def test_page_escapes_everything_that_a_report_says() -> None:
    """Names are anybody's: as text they are harmless, control characters are gone."""
    evil = row(
        scenario=EVIL, system=EVIL, settings={EVIL: EVIL, "clients": 1}, pack=EVIL, is_stable=False,
        unstable_because=EVIL, stages_ms={EVIL: 1.0}, errors={EVIL: 1}, drops={EVIL: 1},
        figures={EVIL: 1.0},
        engines=(msgspec.structs.replace(row().engines[0], network=EVIL, provider=EVIL),),
    )  # fmt: skip
    machine = msgspec.structs.replace(report().machine, cpu=EVIL, board=EVIL, versions={EVIL: EVIL})
    other = msgspec.structs.replace(evil, settings={EVIL: EVIL, "clients": 2})
    content = report_html(report(evil, other, machine=machine, command=EVIL, livegate=EVIL))
    page = Page(content)
    assert "script" not in page.tags
    assert "<script>alert(1)</script>" in page.words
    assert b"\x1b" not in content
    assert b"\x00" not in content
    assert plots(content)


def test_attribute_escapes_quotes() -> None:
    """Whoever puts a name into one is safe, too."""
    assert tag("b", "<", class_="\"'>") == '<b class="&quot;&#x27;&gt;">&lt;</b>'


def lines_of(plot: str | None) -> list[list[tuple[float, float]]]:
    """The points of each line of a plot, in pixels."""
    found = [e.attrib["points"] for e in ElementTree.fromstring(plot or "").iter("polyline")]
    return [
        [(float(x), float(y)) for x, y in (p.split(",") for p in points.split())] for points in found
    ]


def test_timeline_window_without_latency_leaves_a_gap() -> None:
    """The rate goes on; latency is two lines, and no line where there is none at all."""
    taken = list(windows(count=5))
    taken[2] = msgspec.structs.replace(taken[2], latency_ms=None)
    assert [len(points) for points in lines_of(timeline(row(windows=tuple(taken))))] == [5, 2, 2]
    assert [len(points) for points in lines_of(timeline(row(windows=windows(ms=None))))] == [6]


def test_latency_curve_passes_half_at_the_median_and_ends_at_all() -> None:
    """It rises from nothing at the left to everything at the right."""
    made = msgspec.structs.replace(latency(), edges_ms=(1.0, 10.0, 100.0, 1000.0), counts=(5, 0, 5))
    (points,) = lines_of(latency_cdf([row(latency=made)]))
    left, right, top, bottom = points[0][0], points[-1][0], points[-1][1], points[0][1]
    third, half = (right - left) / 3, (top + bottom) / 2
    expected = [(left, bottom), (left + third, half), (right - third, half), (right, top)]
    for point, at in zip(points, expected, strict=True):
        assert point == pytest.approx(at, abs=0.11)
    assert bottom > top


FINITE = st.floats(allow_nan=False, allow_infinity=False)
MAYBE = st.none() | FINITE
WINDOWS = st.builds(
    Window, seconds=FINITE, requests=st.integers(0, 10**12), rate_per_s=FINITE, latency_ms=MAYBE,
    core_ms_per_request=MAYBE,
)  # fmt: skip


@st.composite
def latencies(draw: st.DrawFn) -> Latency:
    edges = sorted(set(draw(st.lists(st.floats(1e-300, 1e300), max_size=6))))
    bins = max(len(edges) - 1, 0)
    counts = draw(st.lists(st.integers(0, 10**9), min_size=bins, max_size=bins))
    names = ("mean_ms", "min_ms", "p50_ms", "p90_ms", "p95_ms", "p99_ms", "p99_9_ms", "max_ms")
    figures = {name: draw(FINITE) for name in names}
    return Latency(count=sum(counts), edges_ms=tuple(edges), counts=tuple(counts), **figures)


@st.composite
def odd_rows(draw: st.DrawFn) -> Row:
    numbers = st.dictionaries(st.text(max_size=5), FINITE, max_size=3)
    counts = st.dictionaries(st.text(max_size=5), st.integers(0, 10**12), max_size=3)
    return bare_row(
        settings=draw(st.dictionaries(st.sampled_from(["clients", "x"]), MAYBE | st.booleans())),
        requests=draw(st.integers(0, 10**15)),
        rate_per_s=draw(FINITE),
        started_unix_s=draw(FINITE),
        percentile=draw(FINITE),
        latency=draw(st.none() | latencies()),
        windows=tuple(draw(st.lists(WINDOWS, max_size=4))),
        stages_ms=draw(numbers),
        figures=draw(numbers),
        errors=draw(counts),
        drops=draw(counts),
        core_ms_per_request=draw(MAYBE),
        is_stable=draw(st.booleans()),
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(odd_rows(), max_size=3))
def test_page_of_any_report_is_well_formed(rows: list[Row]) -> None:
    """Nulls, nothing at all, one window, the smallest and the largest."""
    content = report_html(msgspec.structs.replace(report(), rows=tuple(rows), started_unix_s=1e300))
    Page(content)
    for svg in plots(content):
        for element in svg.iter():
            told = " ".join(value for value in element.attrib.values())
            assert "nan" not in told
            assert "inf" not in told


@pytest.mark.parametrize(
    "made",
    [
        report(bare_row()),
        report(row(requests=0, rate_per_s=0.0, latency=latency(1e-9))),
        report(row(windows=windows(count=1))),
        report(*(row(settings={"clients": n}, system="s" * 80) for n in range(1, 20))),
    ],
    ids=["nothing known", "no requests", "one window", "many rows"],
)
def test_page_of_a_meagre_report_is_well_formed(made: Report) -> None:
    """What is not there is left out."""
    content = report_html(made)
    Page(content)
    plots(content)
