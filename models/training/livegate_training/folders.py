"""Where the training material lies: arguments, never a constant of a machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


class MissingMaterial(RuntimeError):
    """A folder or a file that the recipe needs is not there; the message says which and what to do."""


@dataclass(frozen=True, slots=True)
class Folders:
    """The material and the place for everything that is made from it.

    `work` holds caches and checkpoints; it lies outside the repository.
    """

    material: Path
    reference: Path
    work: Path
    photographs: Path | None = None
    nobody: Path | None = None
    """Faceless photographs that only judge, never train."""

    @property
    def portraits(self) -> Path:
        """Pictures of people, one face each."""
        return _existing(self.material / "portraits", "portraits, one JPEG a person")

    @property
    def heads(self) -> Path:
        """The head mesh with its shapes."""
        return _existing(self.material / "heads3d" / "ict_facekit_compact.npz", "the head mesh")

    @property
    def teachers(self) -> Path:
        """Reference weights that label what geometry cannot."""
        return _existing(self.reference, "the reference models")


def _existing(path: Path, what: str) -> Path:
    if not path.exists():
        raise MissingMaterial(
            f"{path} is not there: it holds {what}; name the folder of the training material with "
            "DATA=DIR and that of the reference models with MODELS_FROM=DIR"
        )
    return path
