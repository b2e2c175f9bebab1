"""The golden gate: an engine serves only when it answers as ONNX Runtime does on the CPU in fp32.

A library, a driver or a processor can compute something else than the network without a word: another
precision, a broken kernel, a layout that is taken for another one. So every engine is fed with drawn
faces and held to the reference's outputs, within the manifest's tolerance, before it is handed out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from livegate.core.errors import ErrorCode, SetupError
from livegate.core.frame import Frame
from livegate.core.telemetry import get_logger
from livegate.engines.base import Array, Engine, fed_network
from livegate.engines.specimen import DRAWING, golden_inputs, golden_pictures
from livegate.manifests.goldens import Case, GoldenOutputs, GoldenShelf, golden_key, input_digest
from livegate.manifests.schema import ModelFile, Network, Precision
from livegate.preprocess.cut import Cut, CutInput, as_tensor
from livegate.preprocess.ops import LetterboxPlan

LoadReference = Callable[[Network, bytes], tuple[Engine, str]]
"""From a network and the verified bytes of its file: the reference engine, and its name and version."""
log = get_logger("livegate.engines")


class GoldenGate:
    """Proves the engines of one model."""

    def __init__(self, shelf: GoldenShelf, load_reference: LoadReference) -> None:
        """`load_reference` is called only where no golden outputs are found."""
        self._shelf = shelf
        self._load_reference = load_reference

    def prepare(self, network: Network, file: ModelFile, content: bytes) -> None:
        """Have the golden outputs of a network, so that a start on this box finds them.

        Raises:
            SetupError: MODELINIT_FAIL when the reference is not here, or answers no finite numbers.
        """
        self._outputs(network, file, content, tuple(golden_inputs(network)))

    def admit(
        self, network: Network, file: ModelFile, content: bytes, engine: Engine, precision: Precision
    ) -> float:
        """Hold an engine to the golden outputs, which are made and kept when there are none.

        Returns:
            How far its outputs stray at most: parts of an output's greatest value, or absolute where
            that is below 1.

        Raises:
            SetupError: MODELINIT_FAIL, with the output, the figure and the tolerance; as `prepare`.
            EngineError: the engine does not run.
        """
        inputs = tuple(golden_inputs(network))
        golden = self._outputs(network, file, content, inputs)
        tolerance, worst = network.tolerance[precision], 0.0
        for case, fed in _fed(network, engine, golden):
            answer = engine.run({network.input.name: fed})
            for output in network.outputs:
                figure = stray(answer[output.name], case.output(output.name))
                if not figure <= tolerance:
                    raise _refused(network, engine, output.name, figure, tolerance, precision)
                worst = max(worst, figure)
        return worst

    def _outputs(
        self, network: Network, file: ModelFile, content: bytes, inputs: Sequence[Array]
    ) -> GoldenOutputs:
        key = golden_key(network, file, DRAWING)
        found = self._shelf.find(key)
        if found is not None and _is_for(found, network, inputs):
            return found
        made = self._make(network, content, key, inputs)
        self._shelf.keep(made)
        log.info("golden outputs made", network=network.name, reference=made.reference)
        return made

    def _make(
        self, network: Network, content: bytes, key: str, inputs: Sequence[Array]
    ) -> GoldenOutputs:
        engine, name = self._load_reference(network, content)
        try:
            answers = [engine.run({network.input.name: fed}) for fed in inputs]
        finally:
            engine.close()
        named = [{o.name: answer[o.name] for o in network.outputs} for answer in answers]
        for outputs in named:
            _require_finite(network, outputs)
        cases = tuple(Case.of(fed, outputs) for fed, outputs in zip(inputs, named, strict=True))
        return GoldenOutputs(key, name, cases)


def _fed(network: Network, engine: Engine, golden: GoldenOutputs) -> Iterator[tuple[Case, Array]]:
    """What an engine is fed with for each case: tensors, and pictures if it makes its tensors itself."""
    own = fed_network(network, engine)
    yield from zip(golden.cases, golden_inputs(own), strict=True)
    if isinstance(own.input, CutInput):
        for case, pixels in zip(golden.cases, golden_pictures(own), strict=True):
            height, width = pixels.shape[:2]
            whole = LetterboxPlan(width, height, width, height, 1.0, 1.0)
            yield case, as_tensor(Cut(Frame(pixels, 0), whole, own.input))


def stray(found: Array, told: Array) -> float:
    """How far an output is from the golden one; infinite for another shape or a number that is none."""
    if found.shape != told.shape or not np.isfinite(found).all():
        return float("inf")
    if not told.size:
        return 0.0
    scale = max(1.0, float(np.abs(told).max()))
    return float(np.abs(found.astype(np.float64) - told).max()) / scale


def _is_for(found: GoldenOutputs, network: Network, inputs: Sequence[Array]) -> bool:
    """Whether the outputs are whole, and the inputs drawn here are those that they were made with."""
    if [case.input_sha256 for case in found.cases] != [input_digest(fed) for fed in inputs]:
        log.warning("golden outputs of other inputs", network=network.name, reference=found.reference)
        return False
    try:
        for case in found.cases:
            for output in network.outputs:
                case.output(output.name)
    except (KeyError, ValueError):
        return False
    return True


def _require_finite(network: Network, outputs: Mapping[str, Array]) -> None:
    for name, answer in outputs.items():
        if not np.isfinite(answer).all():
            raise SetupError(
                ErrorCode.MODELINIT_FAIL,
                f"network {network.name} of {network.file}: the reference itself answers numbers that "
                f"are not finite in {name}",
                hint="the weights are of no use",
            )


def _refused(
    network: Network, engine: Engine, output: str, figure: float, tolerance: float, precision: str
) -> SetupError:
    return SetupError(
        ErrorCode.MODELINIT_FAIL,
        f"network {network.name} on {engine.provider}: output {output} strays from its golden values by "
        f"{figure:.3g}, allowed are {tolerance:.3g} in {precision}",
        hint="another backend, provider or version may do; docs/models.md, The golden gate",
        fields={
            "network": network.name,
            "provider": engine.provider,
            "output": output,
            "figure": f"{figure:.6g}",
            "tolerance": f"{tolerance:.6g}",
            "precision": precision,
        },
    )
