"""What a server counted between two looks."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from livegate.core.results import StageTimes
from livegate.core.telemetry import Metrics
from livegate_bench.measure import scrape
from support import HANG_S

FRAMES = 'livegate_frames_total{camera="a",event="%s"} %d\n'


def counted(before: str, after: str) -> dict[scrape.Sample, float]:
    return scrape.difference(scrape.samples_from(after), scrape.samples_from(before))


def test_stages_are_means_of_what_was_counted_in_between() -> None:
    """Of the server's own metrics; `rest` is what a face's clock saw beside them."""
    metrics = Metrics()
    metrics.count_judged(StageTimes(decode_ns=500_000_000), (), 0)
    before = metrics.exposition().decode()
    for _ in range(4):
        metrics.count_judged(StageTimes(decode_ns=2_000_000, infer_ns=6_000_000), (), 0)
        metrics.request_seconds.labels("grpc").observe(0.009)
    found = scrape.stages_ms(counted(before, metrics.exposition().decode()), 4)
    assert found["decode"] == pytest.approx(2)
    assert found["infer"] == pytest.approx(6)
    assert found["rest"] == pytest.approx(1)


def test_stages_of_a_server_that_tells_none_are_empty() -> None:
    """Not a row of zeros."""
    text = Metrics().exposition().decode()
    assert scrape.stages_ms(counted(text, text), 4) == {}
    assert scrape.stages_ms({}, 0) == {}


def test_drops_are_by_reason_and_of_all_cameras() -> None:
    """What was judged, and what was dropped before, does not count."""
    before = FRAMES % ("dropped_replaced", 5) + FRAMES % ("judged", 9)
    after = FRAMES % ("dropped_replaced", 7) + FRAMES % ("judged", 99) + FRAMES % ("no_slot", 1)
    after += (FRAMES % ("dropped_expired", 3)).replace('"a"', '"b"')
    found = counted(before, after)
    assert scrape.dropped(found) == {"replaced": 2, "expired": 3, "no_slot": 1}
    assert scrape.total(found, "livegate_frames_total", "judged") == 90
    assert scrape.total(found, "livegate_frames_total") == 96


def test_scrape_goes_past_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """What that answers for 127.0.0.1 would be taken for the server's."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        found = scrape.scrape(f"127.0.0.1:{server.server_port}")
        thread.join(HANG_S)
    assert found == {("livegate_frames_total", ""): 7.0}


class Answering(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"livegate_frames_total 7\n")

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""
