"""Ways to find faces: what ships with Mien, and libraries that a user may install.

Landmarks in the canonical frame and parsing always come from Mien's own network, so that the output of
`FaceAnalyzer` means the same with every backend; a backend only says where the faces are.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Protocol

import numpy as np

from faces.detection import Detection

BACKENDS = {
    "bundled": "faces.backends.bundled:BundledBackend",
    "insightface": "faces.backends.insightface:InsightFaceBackend",
    "mediapipe": "faces.backends.mediapipe:MediaPipeBackend",
}
"""Name -> where it lives; imported on first use."""


class FaceBackend(Protocol):
    """Anything that says where the faces of a picture are."""

    def find(self, image: np.ndarray) -> list[Detection]:
        """Find faces in a picture (h, w, 3) uint8 RGB; boxes, and 68 landmarks where it knows them."""
        ...


def create_backend(name: str, **options: Any) -> FaceBackend:
    """Make a backend by its name.

    Raises:
        ValueError: there is no backend of that name.
        ImportError: its library is not installed; the message says how to install it.
    """
    if name not in BACKENDS:
        raise ValueError(f"face backend '{name}', permitted: {', '.join(BACKENDS)}")
    module, kind = BACKENDS[name].split(":")
    return getattr(import_module(module), kind)(**options)


def padded(image: np.ndarray, share: float) -> tuple[np.ndarray, int]:
    """Add a grey border of a share of the longer side: detectors miss a face that fills the picture."""
    border = round(share * max(image.shape[:2]))
    return np.pad(image, ((border, border), (border, border), (0, 0)), constant_values=127), border
