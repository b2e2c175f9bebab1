"""What is shipped is what a release writes: no manifest is mended by hand alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from livegate_training.release import MANIFESTS, write_models
from support import ROOT


@pytest.mark.parametrize("model", MANIFESTS)
def test_shipped_manifests_are_those_of_their_templates(model: str, tmp_path: Path) -> None:
    """Written anew from the graphs that are here, every manifest of the model is the same text."""
    graphs = sorted((ROOT / "models" / model).glob("*.onnx"))
    written = write_models(model, graphs, tmp_path)
    assert len(written) == len(MANIFESTS[model])
    for path in written:
        assert path.read_text() == (ROOT / "models" / path.parent.name / path.name).read_text()
