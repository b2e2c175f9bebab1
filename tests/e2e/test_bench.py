"""`livegate bench` as it is typed, against servers that compute nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jsonschema
import psutil
import pytest

from e2e.pictures import jpeg
from e2e.running import HANG_S, run_cli, wait_until, with_cache
from livegate_bench.rows import report_schema_text

TINY = ("--backend", "null", "--quick", "--rounds", "1", "--seconds", "0.1")


@pytest.fixture
def picture(tmp_path: Path) -> str:
    path = tmp_path / "picture.jpg"
    path.write_bytes(jpeg(320, 240))
    return str(path)


def report_of(tmp_path: Path, *arguments: str) -> dict[str, Any]:
    file = tmp_path / "report.json"
    done = run_cli("bench", *arguments, "--json", str(file))
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(file.read_text())
    jsonschema.validate(report, json.loads(report_schema_text()))
    return report


def test_every_system_answers_and_its_row_carries_what_it_must(tmp_path: Path, picture: str) -> None:
    """One server for all; the dialects ask for credentials and are asked with them."""
    systems = ["null", "in-process", "grpc-tcp", "grpc-unix"]
    systems += ["frame-queue", "aipaas", "huawei-frs", "linkface", "in-process-frames"]
    chosen = [part for name in systems for part in ("--system", name)]
    report = report_of(tmp_path, "single_stream", *TINY, "--seed", "7", "--picture", picture, *chosen)
    rows = report["rows"]
    assert [row["system"] for row in rows] == systems
    assert str(tmp_path) not in report["command"]
    for row in rows:
        assert row["requests"] > 0
        assert row["errors"] == {}
        assert row["latency"]["count"] == row["requests"]
        assert (row["seed"], row["percentile"], row["is_stable"]) == (7, 0.9, False)
        assert row["unstable_because"] == "1 windows, 3 are needed"
        assert row["rss_bytes"] > 1 << 20
        assert row["picture"].startswith("320x240, ")
    served = [row for row in rows if not row["system"].startswith(("null", "in-process"))]
    assert all(row["load_core_ms_per_request"] <= row["core_ms_per_request"] for row in served)
    assert all(row["engines"] for row in rows if row["system"] != "null")
    assert rows[2]["engines"] == rows[4]["engines"] == rows[1]["engines"] == rows[-1]["engines"]
    assert {"decode", "infer"} <= set(rows[1]["stages_ms"]) & set(rows[2]["stages_ms"])
    assert rows[4]["bytes_copied_per_request"] == 0  # read in place


def test_cameras_are_counted_by_search(tmp_path: Path, picture: str) -> None:
    """One frame of each of two cameras is no burden for any box."""
    few = ("--fps", "10", "--most-cameras", "2", "--age-ms", "60000")
    (row,) = report_of(tmp_path, "camera_fleet", *TINY, "--picture", picture, *few)["rows"]
    assert row["figures"]["max_cameras"] == 2
    assert row["requests"] == row["latency"]["count"] == 2
    assert row["drops"] == {}


@pytest.mark.parametrize(
    ("system", "busy"),
    [
        ("grpc-tcp", "5003"),
        pytest.param("aipaas", "5003", marks=pytest.mark.slow),
        pytest.param("linkface", "503 INTERNAL_ERROR", marks=pytest.mark.slow),
    ],
)
def test_surplus_is_refused_and_nothing_else_fails(
    tmp_path: Path, picture: str, system: str, busy: str
) -> None:
    """A queue with one place, and far more than it can do: a row at capacity, one above."""
    chosen = ("--system", system, "--set", "server.queue_capacity=1", "--picture", picture)
    at, over = report_of(tmp_path, "overload", *TINY, *chosen, "--rate", "100", "--times", "50")["rows"]
    assert (at["settings"]["times"], over["settings"]["times"]) == (1, 50)
    for row in (at, over):
        assert row["requests"] > 0
        assert set(row["errors"]) <= {busy}
        assert row["figures"]["capacity_per_s"] == 100
    assert over["requests"] + over["errors"][busy] == 500
    assert {"accepted_p99_ratio", "refused_p50_ms", "late_p99_ms"} <= set(over["figures"])


def test_server_that_dies_ends_the_bench_in_one_line_and_leaves_nobody(picture: str) -> None:
    """Status 2, and neither the load nor anything else goes on."""
    command = (*(sys.executable, "-m", "livegate", "bench", "single_stream", "--picture", picture),)
    load = ("--backend", "null", "--seconds", "300", "--system", "grpc-tcp", "--system", "frame-queue")
    bench = subprocess.Popen(
        [*command, *load], stderr=subprocess.PIPE, text=True, env=with_cache(), start_new_session=True
    )
    own = psutil.Process(bench.pid)
    wait_until(lambda: len(_loads(own)) == 2)
    (server,) = (child for child in own.children() if "serve" in child.cmdline())
    left = own.children(recursive=True)
    time.sleep(0.2)  # whether it dies before or in the first round makes no difference
    server.kill()
    _, said = bench.communicate(timeout=HANG_S)
    assert bench.returncode == 2
    assert f"livegate bench: the server ended with status {-signal.SIGKILL}" in said
    assert "Traceback" not in said
    wait_until(lambda: not any(process.is_running() for process in left))


def test_bench_that_is_terminated_takes_its_server_along(picture: str) -> None:
    """As a service manager or `timeout` ends it."""
    command = (sys.executable, "-m", "livegate", "bench", "single_stream", "--picture", picture)
    load = ("--backend", "null", "--seconds", "300", "--system", "grpc-tcp")
    bench = subprocess.Popen([*command, *load], stderr=subprocess.DEVNULL, env=with_cache())
    own = psutil.Process(bench.pid)
    wait_until(lambda: len(_loads(own)) == 1)
    left = own.children(recursive=True)
    for _ in range(2):  # as timeout(1) does
        os.kill(bench.pid, signal.SIGTERM)
    assert bench.wait(HANG_S) == 128 + signal.SIGTERM
    wait_until(lambda: not any(process.is_running() for process in left))


def _loads(bench: psutil.Process) -> list[psutil.Process]:
    """The processes of its load; multiprocessing's own helper is none."""
    return [child for child in bench.children() if "spawn_main" in " ".join(child.cmdline())]


@pytest.mark.slow
def test_standard_set_has_all_of_its_rows(tmp_path: Path) -> None:
    """Each system, cameras, and starts; with the picture that is sent when none is named."""
    report = report_of(tmp_path, "standard", *TINY)
    rows = [(row["scenario"], row["system"], row["settings"].get("clients")) for row in report["rows"]]
    assert [row for row in rows if row[0] == "concurrency"] == [
        ("concurrency", "null", 1),
        ("concurrency", "in-process", report["rows"][0]["threads"]),
        *(("concurrency", "grpc-tcp", clients) for clients in (1, 4, 16)),
        ("concurrency", "in-process-frames", report["rows"][0]["threads"]),
        ("concurrency", "frame-queue", 4),
    ]
    assert [row[:2] for row in rows[7:]] == [
        ("camera_fleet", "frame-queue"),
        ("cold_start", "livegate serve"),
        ("cold_start", "bare process"),
    ]


@pytest.mark.slow
def test_cameras_that_the_server_decodes_have_a_row_of_their_own(tmp_path: Path, picture: str) -> None:
    """Frames and drops are counted; ages cannot be seen from outside."""
    tiny = ("--backend", "null", "--quick", "--rounds", "1", "--most-cameras", "1", "--fps", "10")
    _, row = report_of(tmp_path, "camera_fleet", *tiny, "--decode", "--picture", picture)["rows"]
    assert (row["system"], row["latency"]) == ("camera-file", None)
    assert row["requests"] > 0


@pytest.mark.slow
def test_soak_tells_the_growth(tmp_path: Path, picture: str) -> None:
    """Of a server that has not yet run for long."""
    (row,) = report_of(tmp_path, "soak", *TINY, "--minutes", "0.01", "--picture", picture)["rows"]
    assert {"rss_slope_mib_per_h", "fds_slope_per_h"} <= set(row["figures"])
    assert row["figures"]["fds_last"] > 3


@pytest.mark.slow
def test_cameras_of_several_rows_are_different_cameras(tmp_path: Path, picture: str) -> None:
    """All rows are connected at once, because they take turns."""
    chosen = ("--system", "frame-queue", "--clients", "1,2", "--picture", picture)
    rows = report_of(tmp_path, "concurrency", *TINY, *chosen)["rows"]
    assert [row["settings"]["clients"] for row in rows] == [1, 2]
    assert all(row["requests"] and not row["errors"] for row in rows)
