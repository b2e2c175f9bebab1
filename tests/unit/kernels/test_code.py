"""Which code a GPU gets: a fatbin that fits, else what a compiler on the box makes."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from livegate.core.errors import ErrorCode, SetupError
from livegate.core.resources import resource_dir
from livegate.kernels import nvrtc
from livegate.kernels.code import OPERATIONS, fatbin_name, load_code, source_digest
from livegate.kernels.nvrtc import Cubin, Nvrtc, Version, nvrtc_paths, open_compilers

ORIN, XAVIER = (8, 7), (7, 2)
JETPACK_6, CUDA_13 = (12, 6), (13, 0)


@dataclass
class FakeCompiler:
    """A compiler that takes everything but some GPUs."""

    version: Version
    refuses: tuple[Version, ...] = ()
    log: str = ""
    asked: list[str] = field(default_factory=list)

    def compile(self, name: str, source: str, headers: dict[str, str], capability: Version) -> Cubin:
        """Say that it was here."""
        assert name == "letterbox.cu"
        self.asked.append(source)
        if capability in self.refuses:
            raise SetupError(ErrorCode.INIT_FAIL, f"{self.version} does not know {capability}")
        assert "crop.cuh" in headers
        return Cubin(f"by {self.version}".encode(), self.log)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The sources, without what `make kernels` may have put beside them."""
    shutil.copytree(
        resource_dir("kernels"), tmp_path / "kernels", ignore=shutil.ignore_patterns("*.fatbin")
    )
    return tmp_path / "kernels"


def put_fatbin(folder: Path, operation: str = "letterbox") -> None:
    """A fatbin of these sources by CUDA 13.0."""
    (folder / fatbin_name(operation, CUDA_13, folder)).write_bytes(b"fatbin of " + operation.encode())


def code(
    folder: Path, capability: Version, driver: Version, *compilers: FakeCompiler
) -> tuple[bytes, str]:
    """What is loaded for the letterbox, and where it is from."""
    found = load_code("letterbox", capability, driver, folder, compilers=lambda: compilers)
    return found.content, found.origin


def test_operations_are_the_sources(folder: Path) -> None:
    """Every operation has its file, every file is an operation."""
    assert sorted(OPERATIONS) == sorted(path.stem for path in folder.glob("*.cu"))


def test_fatbin_that_fits_is_taken_and_no_compiler_is_looked_for(folder: Path) -> None:
    """Looking for compilers opens libraries: not where there is a fatbin."""
    put_fatbin(folder)
    put_fatbin(folder, "face_crops")

    def nobody() -> Sequence[Nvrtc]:
        raise AssertionError("compilers were looked for")

    for driver in (CUDA_13, (13, 2), (14, 0)):
        found = load_code("letterbox", ORIN, driver, folder, compilers=nobody)
        assert found.content == b"fatbin of letterbox"
        assert found.origin.startswith("fatbin letterbox-cuda13.0-")


def test_fatbin_of_a_newer_release_than_the_drivers_is_left_alone(folder: Path) -> None:
    """JetPack 6 has a driver for 12.6, which refuses what CUDA 13 built: its own compiler is used."""
    put_fatbin(folder)
    own = FakeCompiler(JETPACK_6)
    assert code(folder, ORIN, JETPACK_6, own) == (b"by (12, 6)", "NVRTC 12.6 for sm_87")
    assert own.asked == [(folder / "letterbox.cu").read_text()]


def test_fatbin_without_code_for_an_old_gpu_is_left_alone(folder: Path) -> None:
    """CUDA 13 builds nothing for Xavier."""
    put_fatbin(folder)
    assert code(folder, XAVIER, CUDA_13, FakeCompiler(JETPACK_6))[1] == "NVRTC 12.6 for sm_72"


@pytest.mark.parametrize("name", ["crop.cuh", "letterbox.cu", "face_detection.cuh"])
def test_fatbin_of_other_sources_is_left_alone(folder: Path, name: str) -> None:
    """One more byte in any source, and the structures of a launch may lie otherwise."""
    put_fatbin(folder)
    with (folder / name).open("a") as source:
        source.write("\n")
    assert code(folder, ORIN, CUDA_13, FakeCompiler(CUDA_13))[1] == "NVRTC 13.0 for sm_87"


def test_digest_knows_names_and_contents(folder: Path) -> None:
    """Text that moves from one file to another is another digest."""
    before = source_digest(folder)
    (folder / "frame.cuh").rename(folder / "frames.cuh")
    assert source_digest(folder) != before


def test_compiler_of_a_newer_release_than_the_drivers_is_passed_over(folder: Path) -> None:
    """The driver would not load what it makes; within one major release it does."""
    newest, newer, older = FakeCompiler((13, 0)), FakeCompiler((12, 9)), FakeCompiler((11, 8))
    assert code(folder, ORIN, JETPACK_6, newest, newer, older)[1] == "NVRTC 12.9 for sm_87"
    assert newest.asked == older.asked == []


def test_compiler_that_does_not_know_the_gpu_is_followed_by_the_next(folder: Path) -> None:
    """The newest may have dropped an old GPU."""
    newest = FakeCompiler((13, 0), refuses=(XAVIER,))
    assert code(folder, XAVIER, CUDA_13, newest, FakeCompiler((12, 6)))[0] == b"by (12, 6)"


def test_no_code_is_an_error_that_says_what_was_tried(folder: Path) -> None:
    """The GPU, the driver, each compiler's own words, and what to install."""
    refusing = FakeCompiler((11, 8), refuses=((12, 0),))
    with pytest.raises(
        SetupError, match=r"capability 12\.0 .* CUDA 13\.0: \(11, 8\) does not"
    ) as caught:
        code(folder, (12, 0), CUDA_13, refusing)
    assert caught.value.code is ErrorCode.INIT_FAIL
    assert "libnvrtc" in (caught.value.hint or "")
    with pytest.raises(SetupError, match="no NVRTC"):
        code(folder, ORIN, JETPACK_6, FakeCompiler((13, 0)))


def test_compilers_that_do_not_load_are_passed_over(tmp_path: Path) -> None:
    """A box without NVRTC, or with a damaged one, has none; it is no error to look."""
    damaged = tmp_path / "libnvrtc.so.12"
    damaged.write_bytes(b"\x7fELF")
    assert open_compilers(["libnvrtc-of-nobody.so.1", damaged]) == []


def test_compilers_are_looked_for_in_the_wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NVIDIA's wheels put their libraries where no loader looks."""
    library = tmp_path / "cuda_nvrtc" / "lib" / "libnvrtc.so.12"
    library.parent.mkdir(parents=True)
    library.touch()
    spec = ModuleSpec("nvidia", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(nvrtc.importlib.util, "find_spec", {"nvidia": spec}.get)
    assert library in list(nvrtc_paths())
    monkeypatch.setattr(nvrtc.importlib.util, "find_spec", {}.get)
    assert library not in list(nvrtc_paths())
