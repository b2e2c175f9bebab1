"""An offline model from an ONNX file: what atc is told.

Shapes are profiles, not ranges. A network whose batch is free is built for batches of 1, 2, 4 and so on;
one whose sides are free for each size that it will be given, one picture at a time. Both at once cannot
be had.

Source: CANN, ATC guide: --dynamic_batch_size and --dynamic_image_size (2 to 100 profiles, one or the
other), --insert_op_conf, --out_nodes (names of outputs), --precision_mode (force_fp32, force_fp16),
--output_type.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from livegate.backends.ascend.aipp import aipp_config, suits_aipp
from livegate.core.errors import ErrorCode, SetupError
from livegate.engines.base import BuildWatch
from livegate.manifests.schema import InputTensor, Letterbox, Network, Precision

MAX_PROFILES = 100
CONVERT_S, LOOK_S = 3600.0, 0.2
"""On an Arm box a conversion takes its time; one that takes an hour hangs."""
PHASE = "atc (it tells no progress)"
PRECISION_MODES: dict[Precision, str] = {"fp32": "force_fp32", "fp16": "force_fp16"}
TOLD_LINES, TOLD_CHARS = 3, 600
Size = tuple[int, int]
"""Height and width."""


@dataclass(frozen=True, slots=True)
class Profiles:
    """The batches, or the sizes of a picture, that a model is built for; both empty for one shape."""

    batches: tuple[int, ...] = ()
    sizes: tuple[Size, ...] = ()


def profiles_of(network: Network) -> Profiles:
    """What a network has to be built for.

    Raises:
        SetupError: MODELINIT_FAIL for a free dimension without a range, or more profiles than atc takes.
    """
    spec = network.input
    least, usual, greatest = network.extents()
    if isinstance(spec.height, str) or isinstance(spec.width, str):
        rows, columns = (2, 3) if spec.layout == "NCHW" else (1, 2)
        profiles = Profiles(sizes=_sizes(network, (usual[rows], usual[columns])))
    elif least[0] < greatest[0]:
        steps = {least[0], greatest[0], *(1 << power for power in range(13))}
        profiles = Profiles(batches=tuple(n for n in sorted(steps) if least[0] <= n <= greatest[0]))
    else:
        return Profiles()
    found = len(profiles.batches) + len(profiles.sizes)
    if found > MAX_PROFILES:
        raise SetupError(
            ErrorCode.MODELINIT_FAIL,
            f"network {network.name} would need {found} profiles, atc takes {MAX_PROFILES}",
            hint="[networks.sizes] names those that are needed, docs/models.md",
        )
    return profiles


def _sizes(network: Network, usual: Size) -> tuple[Size, ...]:
    """The manifest's, else what a letterbox of the usual long side makes; and the golden ones."""
    height, width = network.golden.sides
    golden = {(height, width), (width, height)}
    if network.sizes:
        return tuple(sorted({*network.sizes, *golden}))
    long, crop = max(usual), network.crop
    step = crop.multiple_of if isinstance(crop, Letterbox) else long
    sides = range(step, long + 1, step)
    return tuple(sorted({(long, side) for side in sides} | {(side, long) for side in sides} | golden))


def fed_tensor(network: Network, precision: Precision) -> InputTensor:
    """What a converted network is fed with: the picture itself, where AIPP makes the tensor of it."""
    spec = network.input
    return spec.as_picture() if precision == "fp16" and suits_aipp(spec) else spec


def atc_command(
    atc: str, network: Network, precision: Precision, soc: str, folder: Path
) -> tuple[str, ...]:
    """The command that makes `folder`/model.om of `folder`/model.onnx."""
    spec, profiles = network.input, profiles_of(network)
    shape = [-1 if isinstance(side, str) else side for side in spec.shape]
    if not profiles.batches:
        shape[0] = network.extents()[1][0] if not profiles.sizes else 1
    command = [
        atc,
        f"--model={folder / 'model.onnx'}",
        "--framework=5",
        f"--output={folder / 'model'}",
        f"--soc_version={soc}",
        f"--input_format={spec.layout}",
        f"--input_shape={spec.name}:{','.join(map(str, shape))}",
        f"--out_nodes={';'.join(output.name for output in network.outputs)}",
        "--output_type=FP32",
        f"--precision_mode={PRECISION_MODES[precision]}",
        "--log=error",
    ]
    if profiles.batches:
        command.append(f"--dynamic_batch_size={','.join(map(str, profiles.batches))}")
    if profiles.sizes:
        told = ";".join(f"{height},{width}" for height, width in profiles.sizes)
        command.append(f"--dynamic_image_size={told}")
    if fed_tensor(network, precision) != spec:
        command.append(f"--insert_op_conf={folder / 'aipp.cfg'}")
    return tuple(command)


def find_atc() -> str:
    """Where the converter is.

    Raises:
        SetupError: INIT_FAIL when the box has none.
    """
    toolkit = os.environ.get("ASCEND_TOOLKIT_HOME", "/usr/local/Ascend/ascend-toolkit/latest")
    found = shutil.which("atc") or shutil.which("atc", path=f"{toolkit}/bin")
    if found is None:
        raise SetupError(
            ErrorCode.INIT_FAIL,
            "atc, which converts models for the Ascend, is not here",
            hint="install the CANN toolkit (nnrt has no atc) and source its set_env.sh, or build the "
            "engines on a box with the same chip and bring the cache's folder engines/",
        )
    return found


def convert(
    network: Network,
    model: bytes,
    precision: Precision,
    soc: str,
    watch: BuildWatch,
    *,
    clock: Callable[[], float] = time.monotonic,
) -> bytes:
    """Run atc. Takes minutes.

    Raises:
        SetupError: MODELINIT_FAIL with what atc said, or when it was given up; INIT_FAIL without atc.
    """
    atc = find_atc()
    with tempfile.TemporaryDirectory(prefix="livegate-atc-") as name:  # mode 0700
        folder = Path(name)
        (folder / "model.onnx").write_bytes(model)
        (folder / "aipp.cfg").write_text(aipp_config(network.input))
        command = atc_command(atc, network, precision, soc, folder)
        _run(command, folder, network, watch, clock)
        found = sorted(folder.glob("model*.om"))  # some releases put system and processor into the name
        if not found:
            raise _failed(network, "it ended well and left no model")
        return found[0].read_bytes()


def _run(
    command: tuple[str, ...],
    folder: Path,
    network: Network,
    watch: BuildWatch,
    clock: Callable[[], float],
) -> None:
    watch.phase_start(PHASE, "", 1)
    until_s = clock() + CONVERT_S
    with (folder / "said").open("wb+") as said:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            # What is LiveGate's own may be a secret.
            env={name: value for name, value in os.environ.items() if not name.startswith("LIVEGATE_")},
        )
        try:
            while True:
                try:
                    status = process.wait(LOOK_S)
                    break
                except subprocess.TimeoutExpired:
                    if not watch.step_complete(PHASE, -1):
                        raise _failed(network, "it was given up") from None
                    if clock() > until_s:
                        raise _failed(network, f"it took longer than {CONVERT_S:.0f} s") from None
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        said.seek(0)
        words = said.read().decode(errors="replace")
    if status != 0:
        raise _failed(network, _reason(words) or f"it ended with {status}")
    watch.phase_finish(PHASE)


def _reason(words: str) -> str:
    """The lines with an error's number (E10001: …), else the last ones."""
    lines = [" ".join(line.split()) for line in words.splitlines() if line.strip()]
    numbered = [line for line in lines if line[:1] == "E" and line[1:6].isdigit()]
    return "; ".join(numbered[:TOLD_LINES] or lines[-TOLD_LINES:])[:TOLD_CHARS]


def _failed(network: Network, why: str) -> SetupError:
    return SetupError(
        ErrorCode.MODELINIT_FAIL,
        f"network {network.name} was not converted by atc: {why}",
        hint="another precision may do",
        fields={"network": network.name},
    )
