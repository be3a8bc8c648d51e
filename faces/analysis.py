"""From a picture to what is known about its faces: where, landmarks, the canonical frame, parsing."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch.nn import functional

import weights
from faces import alignment, vocabulary
from faces.backends import FaceBackend, create_backend
from faces.detection import MIN_FACE, Detection, overlap
from faces.images import ImageError, ImageSource, describe, open_image
from faces.networks import PerceptionNet, network_input

_BOX_CENTRE, _BOX_SIDE = (0.5, 0.52), 0.59
"""Where the box of a cascade lies in the canonical frame: medians over rendered heads."""
_LEAST_FACE = 0.5
"""Share of the face's outline that must parse as face; chance patterns that a detector takes for one fail."""
_FRAME_TO_BOX = (0.9, 3.2)
"""Permitted sides of the canonical frame in sides of the detector's box; beyond it landmarks went astray."""
_BATCH = 32


class NoFaceFound(ImageError):  # noqa: N818 - the name is part of the interface
    """A picture in which no face is large and clear enough; the message names it."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FaceAnalysis:
    """One face of a picture."""

    box: np.ndarray
    """Left, top, right, bottom of the landmarks in pixels of the picture, (4,) float32."""
    score: float
    """0..1: the detector's certainty times the share of the face's outline that parses as face."""
    landmarks: np.ndarray
    """68 points in pixels of the picture, (68, 2) float32."""
    aligned: np.ndarray
    """The canonical frame, (S, S, 3) uint8."""
    parsing: np.ndarray
    """Ids of `vocabulary.PARSING` in the canonical frame, (S, S) uint8."""
    matrix: np.ndarray
    """From pixels of the picture to pixels of the frame, (2, 3)."""

    def part(self, name: str) -> np.ndarray:
        """Mask (S, S) bool of a part of `vocabulary.PARTS` in the frame; may be empty."""
        return np.isin(self.parsing, vocabulary.PARTS[name])

    @property
    def area(self) -> float:
        """Area of the box in pixels of the picture."""
        return float(np.prod(self.box[2:] - self.box[:2]))


class FaceAnalyzer:
    """Finds and describes faces.

    A detector's box gives a loose crop, the network's landmarks there a first alignment, its landmarks in
    that a second, and landmarks and parsing are read in the canonical frame that results.

    Args:
        network: landmarks and parsing, in evaluation mode, on its device.
        finder: what says where faces are.
        size: side of the canonical frame in pixels.
    """

    def __init__(self, network: PerceptionNet, finder: FaceBackend, size: int = 128) -> None:
        self.network = network
        self.finder = finder
        self.size = size

    @classmethod
    def from_pretrained(
        cls,
        source: str | os.PathLike[str] = "mini",
        *,
        backend: str = "bundled",
        size: int = 128,
        device: torch.device | str = "cpu",
        **options: Any,
    ) -> FaceAnalyzer:
        """Load the bundled network ("mini") or that of a folder.

        Args:
            source: "mini" or a folder with config and weights.
            backend: what finds faces, a key of `faces.backends.BACKENDS`.
            size: side of the canonical frame in pixels.
            device: where the network runs.
            **options: of the backend.

        Raises:
            FileNotFoundError: there are no weights.
            ImportError: the backend's library is not installed.
        """
        folder = weights.bundled("perception") if source == "mini" else Path(source)
        network = PerceptionNet.load(folder).to(device).eval()
        return cls(network, create_backend(backend, **options), size)

    def __call__(self, image: ImageSource, *, name: str | None = None) -> list[FaceAnalysis]:
        """Analyze every face of a picture, largest first; an empty list when there is none.

        Args:
            image: whatever `open_image` opens.
            name: how errors call the picture.

        Raises:
            ImageError: the picture cannot be used.
        """
        pixels = open_image(image, name=name)
        faces: list[FaceAnalysis] = []
        for found in sorted(self.finder.find(pixels), key=lambda found: -found.score):
            face = self._analyze(pixels, found)
            if face and all(overlap(face.box, other.box) < 0.5 for other in faces):
                faces.append(face)
        return sorted(faces, key=lambda face: -face.area)

    def require_face(self, image: ImageSource, name: str | None = None) -> FaceAnalysis:
        """Analyze the largest face of a picture.

        Raises:
            ImageError: the picture cannot be used.
            NoFaceFound: it shows no face.
        """
        name = name or describe(image)
        faces = self(image, name=name)
        if not faces:
            advice = "give a picture that shows the whole face, sharp and lit"
            raise NoFaceFound(f"{name}: no face of at least {MIN_FACE} px, {advice}")
        return faces[0]

    def analyze_aligned(self, frames: np.ndarray) -> list[FaceAnalysis]:
        """Analyze pictures that are canonical frames already, such as renders: nothing is detected or moved.

        Args:
            frames: (n, S, S, 3) uint8.

        Returns:
            One analysis a frame, in order; where a frame shows no face its score is near 0.
        """
        if frames.ndim != 4 or frames.shape[1] != frames.shape[2] or frames.dtype != np.uint8:
            raise ValueError(f"frames {frames.dtype} of shape {frames.shape}, expected uint8 (n, S, S, 3)")
        identity = np.eye(2, 3)
        measured = self._measure(frames)
        return [
            _analysis(points, parsing, frame, identity, 1.0)
            for frame, points, parsing in zip(frames, *measured, strict=True)
        ]

    def _analyze(self, pixels: np.ndarray, found: Detection) -> FaceAnalysis | None:
        try:
            matrix = self._refined(pixels, found)
        except ValueError:  # landmarks that coincide span no frame
            return None
        side = self.size / alignment.scale_of(matrix)
        if not _FRAME_TO_BOX[0] <= side / found.side <= _FRAME_TO_BOX[1]:
            return None
        aligned = alignment.warp(pixels, matrix, (self.size, self.size))
        points, parsing = (values[0] for values in self._measure(aligned[None]))
        face = _analysis(points, parsing, aligned, matrix, found.score)
        return face if face.score >= _LEAST_FACE * found.score else None

    def _refined(self, pixels: np.ndarray, found: Detection) -> np.ndarray:
        """Align by the landmarks of two looks: the loose crop, then the frame that they give."""
        landmarks = found.landmarks
        if landmarks is None:
            landmarks = self._landmarks(pixels, loose_matrix(found, self.size))
        landmarks = self._landmarks(pixels, alignment.frame_matrix(landmarks, self.size))
        return alignment.frame_matrix(landmarks, self.size)

    def _landmarks(self, pixels: np.ndarray, matrix: np.ndarray) -> np.ndarray:
        frame = alignment.warp(pixels, matrix, (self.size, self.size))
        points, _ = self._measure(frame[None])
        return alignment.transform_points(points[0], alignment.invert(matrix))

    @torch.no_grad()
    def _measure(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Landmarks (n, 68, 2) px and parsing (n, S, S) of frames (n, S, S, 3)."""
        size, device = frames.shape[1], next(self.network.parameters()).device
        points, labels = [], []
        for start in range(0, len(frames), _BATCH):
            seen = alignment.resize_frame(frames[start : start + _BATCH], self.network.size)
            batch = network_input(torch.from_numpy(seen).to(device))
            out = self.network(batch)
            logits = functional.interpolate(out["parsing"].float(), size=(size, size), mode="bilinear")
            points.append((out["landmarks"].float() * size).cpu().numpy())
            labels.append(logits.argmax(1).to(torch.uint8).cpu().numpy())
        empty = (np.zeros((0, 68, 2), np.float32), np.zeros((0, size, size), np.uint8))
        return (np.concatenate(points), np.concatenate(labels)) if points else empty


def loose_matrix(found: Detection, size: int) -> np.ndarray:
    """Matrix (2, 3) that brings a detector's box roughly to where a face lies in the frame of `size` px."""
    angle = np.deg2rad(found.tilt)
    upright = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    linear = upright * (_BOX_SIDE * size / found.side)
    centre = (found.box[:2] + found.box[2:]) / 2
    return np.concatenate([linear, (np.array(_BOX_CENTRE) * size - linear @ centre)[:, None]], axis=1)


def _analysis(
    points: np.ndarray, parsing: np.ndarray, aligned: np.ndarray, matrix: np.ndarray, score: float
) -> FaceAnalysis:
    """Assemble the record from what was measured in the frame."""
    landmarks = alignment.transform_points(points, alignment.invert(matrix)).astype(np.float32)
    box = np.concatenate([landmarks.min(0), landmarks.max(0)])
    return FaceAnalysis(
        box=box,
        score=score * face_share(points, parsing),
        landmarks=landmarks,
        aligned=aligned,
        parsing=parsing,
        matrix=matrix,
    )


def face_share(points: np.ndarray, parsing: np.ndarray) -> float:
    """Share of the outline of 68 points (68, 2) px that parses (S, S) as face."""
    outline = np.zeros(parsing.shape, np.uint8)
    cv2.fillConvexPoly(outline, cv2.convexHull(np.rint(points - 0.5).astype(np.int32)), 1)
    inside = outline > 0
    return float(np.isin(parsing[inside], vocabulary.PARTS["face"]).mean()) if inside.any() else 0.0
