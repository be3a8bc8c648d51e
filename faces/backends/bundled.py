"""The default backend: OpenCV's cascades, nothing to download."""

from __future__ import annotations

import numpy as np

from faces.detection import MIN_FACE, Detection, FaceDetector


class BundledBackend:
    """Finds faces with `FaceDetector`.

    Args:
        min_face: smallest side of a face in pixels.
    """

    def __init__(self, min_face: int = MIN_FACE) -> None:
        self._detector = FaceDetector(min_face)

    def find(self, image: np.ndarray) -> list[Detection]:
        """Find faces in a picture (h, w, 3) uint8 RGB, boxes alone."""
        return self._detector(image)
