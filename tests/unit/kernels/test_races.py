"""No thread of a kernel reads what another writes at the same time."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from kernels_on_cpu import SOURCE
from livegate.core.resources import resource_dir

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def run_watched(folder: Path, kernels: Path) -> subprocess.CompletedProcess[str]:
    """The detection kernel under the compiler's race detector; skips where that is not to be had."""
    compiler = shutil.which("c++")
    if compiler is None:
        pytest.skip("no C++ compiler here: apt install g++")
    flags = ("-std=c++17", "-O1", "-g", "-pthread", "-fsanitize=thread", f"-I{kernels}")
    source = SOURCE.with_name("kernels_race.cpp")
    program = folder / "race"
    built = subprocess.run(
        [compiler, *flags, source, "-o", program], capture_output=True, text=True, check=False
    )
    if built.returncode != 0 and "tsan" in built.stderr:
        pytest.skip("no ThreadSanitizer here: it comes with GCC's and Clang's packages")
    assert built.returncode == 0, built.stderr
    done = subprocess.run([program], capture_output=True, text=True, check=False)
    if "FATAL: ThreadSanitizer" in done.stderr:
        pytest.skip(f"ThreadSanitizer does not run here: {done.stderr.strip()}")
    return done


def test_detection_has_no_race(tmp_path: Path) -> None:
    """Sixteen threads find and drop faces for many rounds; the detector sees nothing."""
    done = run_watched(tmp_path, resource_dir("kernels"))
    assert done.returncode == 0, done.stderr
    assert done.stdout == "64 faces\n"


def test_race_is_seen_where_one_wait_is_missing(tmp_path: Path) -> None:
    """Without the wait between two rounds the same detector complains: it does look."""
    kernels = tmp_path / "kernels"
    shutil.copytree(resource_dir("kernels"), kernels)
    source = kernels / "face_detection.cu"
    text = source.read_text()
    before, wait, after = text.partition("__syncthreads();  // nobody")
    assert wait
    source.write_text(before + "//" + after)
    done = run_watched(tmp_path, kernels)
    assert "WARNING: ThreadSanitizer: data race" in done.stderr
