"""The faces that are made up: from a photograph to the canonical frame, and back without touching the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from faces import alignment
from faces.images import ImageSource, describe, open_image
from pipelines.makeup.regions import region_masks


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Subject:
    """One face of one photograph."""

    photo: np.ndarray
    """(h, w, 3) uint8."""
    frame: np.ndarray
    """The canonical frame, (S, S, 3) uint8."""
    landmarks: np.ndarray
    """(68, 2) in pixels of the frame."""
    masks: dict[str, np.ndarray]
    """Region -> weight (S, S) float32, see `region_masks`."""
    matrix: np.ndarray | None
    """From pixels of the photograph to pixels of the frame, (2, 3); None where the photograph is the frame."""

    def paste(self, frame: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Bring what an edit changed in the frame back into the photograph.

        The change is what is moved, not the frame: the photograph keeps its resolution, and where the mask is 0 its
        very bytes.

        Args:
            frame: the edited frame, (S, S, 3) float32 0..1.
            mask: weight of the edit, (S, S) float32 0..1.

        Returns:
            Photograph (h, w, 3) float32 0..1, and the mask in it (h, w) float32.
        """
        change = (frame - self.frame.astype(np.float32) / 255) * mask[..., None]
        if self.matrix is not None:
            back = alignment.invert(self.matrix)
            size = (self.photo.shape[1], self.photo.shape[0])
            change = alignment.warp(change, back, size, outside=0.0)
            mask = alignment.warp(mask, back, size, outside=0.0)
        change[mask <= 0] = 0
        return np.clip(self.photo.astype(np.float32) / 255 + change, 0, 1), mask


def open_subject(source: ImageSource, analyzer: Any) -> Subject:
    """Open a photograph and find its largest face.

    Raises:
        ImageError: it cannot be used; `NoFaceFound`: it shows no face.
    """
    name = describe(source)
    photo = open_image(source, name=name)
    face = analyzer.require_face(photo, name=name)
    landmarks = alignment.transform_points(face.landmarks, face.matrix)
    masks = region_masks(face.parsing, landmarks)
    return Subject(photo=photo, frame=face.aligned, landmarks=landmarks, masks=masks, matrix=face.matrix)


def frame_subjects(frames: np.ndarray, analyzer: Any) -> list[Subject]:
    """Take canonical frames (n, S, S, 3) uint8 as photographs: nothing is detected or moved."""
    return [
        Subject(
            photo=face.aligned,
            frame=face.aligned,
            landmarks=face.landmarks,
            masks=region_masks(face.parsing, face.landmarks),
            matrix=None,
        )
        for face in analyzer.analyze_aligned(frames)
    ]
