"""What a start would be refused for is found without one: an update is tried before it serves."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from livegate.app.rehearsal import rehearse
from livegate.core.config import CameraConfig
from livegate.core.errors import ErrorCode, LiveGateError
from support import config_with

DOOR = CameraConfig("door", url="rtsp://192.0.2.7/stream")
BAD_URL, BAD_REGION, GATE = (
    replace(DOOR, **changes)
    for changes in ({"url": "nonsense://x"}, {"region": (0.5, 0.5, 0.9, 0.9)}, {"name": "gate"})
)


@pytest.mark.parametrize(
    ("sections", "what"),
    [
        ({"ingest": {"cameras": (BAD_URL,)}}, "scheme"),
        ({"ingest": {"cameras": (DOOR, DOOR)}}, "two named door"),
        ({"ingest": {"cameras": (BAD_REGION,)}}, "region"),
        ({"ingest": {"cameras": (DOOR, GATE), "max_cameras": 1}}, "one too many"),
        ({"ingest": {"cameras": (DOOR,), "watchdog_s": 1.0}}, "watchdog_s"),
        ({"ingest": {"cameras": (DOOR,)}, "frames": {"socket": ""}}, "frames.socket"),
        ({"grpc": {"bind": "127.0.0.1"}}, "not an address"),
        ({"http": {"bind": "127.0.0.1:http"}}, "not an address"),
        ({"metrics": {"bind": "127.0.0.1:99999"}}, "not an address"),
        ({"grpc": {"tls_cert": "cert.pem"}}, "grpc.tls_key is not"),
        ({"http": {"tls_key": "key.pem"}}, "http.tls_cert is not"),
        ({"metrics": {"tls_cert": "cert.pem"}}, "metrics.tls_key is not"),
        ({"urls": {"allow": ("store.branch.example",)}}, "store.branch.example"),
        ({"urls": {"networks": ("10.1.2.3/24",)}}, "10.1.2.3/24"),
        ({"urls": {"buckets": {"a": "/nope"}}}, "/nope"),
    ],
)
def test_rehearsal_refuses_what_a_start_would(sections: dict[str, dict[str, object]], what: str) -> None:
    """A mistake in one camera must not first be met by the service that restarts for ever."""
    with pytest.raises(LiveGateError, match=what) as caught:
        rehearse(config_with(**sections))
    assert caught.value.code is ErrorCode.CONFIG_ADD_FAIL


@pytest.mark.parametrize(
    ("sections", "what"),
    [
        ({"http": {"bind": "127.0.0.1:50051"}}, "grpc.bind and http.bind are both 127.0.0.1:50051"),
        ({"grpc": {"socket": "/run/" + "x" * 103}}, "longer than 107 bytes"),
        ({"frames": {"socket": "/run/" + "x" * 103}}, "longer than 107 bytes"),
        ({"grpc": {"socket": "/run/s"}, "frames": {"socket": "/run/s"}}, "grpc.socket is the same"),
    ],
)
def test_rehearsal_refuses_places_that_no_start_would_get(
    sections: dict[str, dict[str, object]], what: str
) -> None:
    """With the code of a start that finds its place taken."""
    with pytest.raises(LiveGateError, match=what) as caught:
        rehearse(config_with(**sections))
    assert caught.value.code is ErrorCode.INIT_FAIL


def test_rehearsal_reads_the_authorities_that_urls_trust() -> None:
    """A file that is not there yet is not there after the update either."""
    with pytest.raises(LiveGateError, match=r"/nope\.pem"):
        rehearse(config_with(urls={"ca_file": "/nope.pem"}))


def test_rehearsal_of_good_cameras_tells_what_would_run() -> None:
    """Nothing is opened: the camera need not be there."""
    engines = rehearse(config_with(ingest={"cameras": (DOOR, CameraConfig("kiosk"))}))
    assert {engine.model_id for engine in engines} >= {"lg_detect", "lg_silent"}
