"""A tuned profile: read strictly, used where it was measured, below every other source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from livegate import __version__
from livegate.core.config import Config
from livegate.core.errors import ErrorCode, SetupError
from livegate.core.profile import MAX_BYTES, Profile, TunedMachine, read_profile, this_machine, unlike
from livegate.core.settings import load

HERE = this_machine()
SETTINGS = {"engine.use": {"yunet_n": "openvino/cpu"}, "server.workers": 3}


def profile(**changes: Any) -> Profile:
    """One of this very box."""
    made = Profile(livegate=__version__, pack="starter", machine=HERE, settings=SETTINGS, trials=())
    return msgspec.structs.replace(made, **changes)


def test_profile_of_this_box_is_taken_below_everything_else() -> None:
    """What nobody set comes from it, and says so; a flag wins."""
    loaded = load(environ={}, profile=profile())
    assert loaded.config.server.workers == 3
    assert loaded.config.engine.use == {"yunet_n": "openvino/cpu"}
    assert set(loaded.sources.values()) == {"profile"}
    assert loaded.unused_profile == ""
    loaded = load(environ={"LIVEGATE_SERVER_WORKERS": "5"}, profile=profile())
    assert loaded.config.server.workers == 5
    assert loaded.sources["server.workers"] == "environment LIVEGATE_SERVER_WORKERS"


def test_profile_does_not_mix_into_a_chosen_backend() -> None:
    """Who asks for a backend gets it for every model, and threads that were counted for none."""
    tuned = {**SETTINGS, "engine.intra_op_threads": 2, "face_detection.input_size": 224}
    loaded = load(environ={}, flags={"engine.backend": "null"}, profile=profile(settings=tuned))
    assert loaded.sources == {"engine.backend": "flag", "face_detection.input_size": "profile"}


def test_threads_inside_a_run_are_taken_with_the_workers_they_won_with_only() -> None:
    """Two inside each run of four workers would ask for twice the cores."""
    tuned = {"engine.use": {}, "engine.intra_op_threads": 2, "server.workers": 1}
    loaded = load(environ={}, flags={"server.workers": 4}, profile=profile(settings=tuned))
    assert (loaded.config.engine.intra_op_threads, loaded.config.server.workers) == (1, 4)
    assert loaded.sources["engine.use"] == "profile"


def test_backend_that_nobody_asked_for_may_be_replaced_by_another() -> None:
    """A provider that fails since an update of its driver must not keep a gate shut."""
    loaded = load(environ={}, profile=profile())
    assert loaded.config.engine.policy == "prefer"
    threads = profile(settings={"server.workers": 3})
    assert load(environ={}, profile=threads).config.engine.policy == "require"


def other(name: str) -> TunedMachine:
    """This box but for one fact."""
    lists = {"libraries": {"onnxruntime": "0.1"}, "accelerators": ("another",)}
    value = {"cores": 99, **lists}.get(name, "another")
    return msgspec.structs.replace(HERE, **{name: value})


@pytest.mark.parametrize(
    "changes",
    [
        {"livegate": "0.0.1"},
        {"pack": "reference"},
        {"use": {"silent_liveness": "minifasnet_pair"}},
        *({"machine": other(name)} for name in TunedMachine.__struct_fields__),
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_profile_of_anything_else_is_not_used_and_says_why(changes: dict[str, Any]) -> None:
    """Another release, pack, processor, number of cores, board, driver or library."""
    loaded = load(environ={}, profile=profile(**changes))
    assert loaded.sources == {}
    assert " was " in loaded.unused_profile


def test_unlike_is_empty_for_the_same_box() -> None:
    """The two readings of one machine are equal."""
    assert unlike(profile(), Config().models, this_machine()) == ""


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"\xff\x00",
        b"[" * 5000,
        msgspec.json.encode(profile()).replace(b"3}", b"[" * 5000 + b"]" * 5000 + b"}"),
        msgspec.json.encode(profile()).replace(b"livegate.profile/1", b"livegate.profile/2"),
        msgspec.json.encode(profile())[:-1] + b',"more":1}',
        msgspec.json.encode(profile(settings={"http.token": "x"})),
        msgspec.json.encode(profile(settings={"server.workers": "three"})),
        msgspec.json.encode(profile(settings={"engine.use": 3})),
        b" " * (MAX_BYTES + 1),
    ],
    ids=[
        "nothing",
        "no fields",
        "no text",
        "deep",
        "deep inside",
        "format",
        "field",
        "key",
        "value",
        "table",
        "length",
    ],
)
def test_damaged_profile_is_told_with_its_path(content: bytes, tmp_path: Path) -> None:
    """1015 and the way to do without; a profile sets nothing but what a measurement decides."""
    file = tmp_path / "profile.json"
    file.write_bytes(content)
    with pytest.raises(SetupError) as caught:
        read_profile(file)
    assert caught.value.code is ErrorCode.CONFIG_ADD_FAIL
    assert str(file) in caught.value.message


def test_profile_that_cannot_be_opened_is_open_fail(tmp_path: Path) -> None:
    """A folder, or nothing at all."""
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(SetupError) as caught:
            read_profile(path)
        assert caught.value.code is ErrorCode.OPEN_FAIL
