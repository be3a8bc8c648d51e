"""From a picture to what is known about its faces: where, landmarks, the canonical frame, parsing, readings."""

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
from faces.conventions import LandmarkAdapter
from faces.detection import MIN_FACE, Detection, overlap
from faces.images import ImageError, ImageSource, describe, open_image
from faces.networks import network_input
from faces.perception import PerceptionNet
from faces.readings import Calibration, FaceReading, read, sigmoid
from faces.tower import FaceTower

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
class FaceAnalysis(FaceReading):
    """One face of a picture: where it is, and what `FaceReading` holds."""

    box: np.ndarray
    """Left, top, right, bottom of the landmarks in pixels of the picture, (4,) float32."""
    score: float
    """0..1: the detector's certainty times the share of the face's outline that parses as face, times the
    network's belief that there is a face."""
    landmarks: np.ndarray
    """68 points in pixels of the picture, (68, 2) float32: points of the head, seen through it where it turns."""
    outline_landmarks: np.ndarray | None
    """The same as people annotate them, the jaw on the visible outline; None without an adapter."""
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
        embedder: what tells people apart; None leaves `embedding` out.
        outline: brings landmarks to the visible outline; None leaves `outline_landmarks` out.
    """

    def __init__(
        self,
        network: PerceptionNet,
        finder: FaceBackend,
        size: int = 128,
        embedder: FaceTower | None = None,
        outline: LandmarkAdapter | None = None,
    ) -> None:
        self.network = network
        self.finder = finder
        self.size = size
        self.embedder = embedder
        self.outline = outline
        self._calibration = Calibration(**(network.config.get("calibration") or {}))

    @classmethod
    def from_pretrained(
        cls,
        source: str | os.PathLike[str] = "mini",
        *,
        backend: str = "bundled",
        size: int = 128,
        device: torch.device | str = "cpu",
        embed: bool = True,
        **options: Any,
    ) -> FaceAnalyzer:
        """Load the bundled networks ("mini") or those of a folder.

        Args:
            source: "mini", or a folder with config and weights, and perhaps folders `recognizer` and `outline` in it.
            backend: what finds faces, a key of `faces.backends.BACKENDS`.
            size: side of the canonical frame in pixels.
            device: where the network runs.
            embed: also load what tells people apart; without it `embedding` is None and a face costs less.
            **options: of the backend.

        Raises:
            FileNotFoundError: there are no weights.
            ImportError: the backend's library is not installed.
        """
        folder = weights.bundled("perception") if source == "mini" else Path(source)
        network = PerceptionNet.load(folder).to(device).eval()
        recognizer = (weights.bundled("mini") if source == "mini" else folder) / "recognizer"
        embedder = FaceTower.load(recognizer).to(device) if embed and recognizer.is_dir() else None
        outline = LandmarkAdapter.load(folder / "outline") if (folder / "outline").is_dir() else None
        return cls(network, create_backend(backend, **options), size, embedder, outline)

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
        return [
            _analysis(raw, frame, np.eye(2, 3), 1.0, self._calibration)
            for frame, raw in zip(frames, self._measure(frames), strict=True)
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
        face = _analysis(self._measure(aligned[None])[0], aligned, matrix, found.score, self._calibration)
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
        points = self._look(frame[None], ("landmarks",))["landmarks"][0] * self.size
        return alignment.transform_points(points, alignment.invert(matrix))

    def _measure(self, frames: np.ndarray) -> list[dict[str, np.ndarray]]:
        """Everything about frames (n, S, S, 3), one dict each.

        Landmarks and their deviations in pixels of the frame, labels of `parsing` (S, S), raw answers else, and
        `embedding` where there is an embedder.
        """
        rows: list[dict[str, np.ndarray]] = []
        for start in range(0, len(frames), _BATCH):
            batch = frames[start : start + _BATCH]
            out = self._look(batch, None)
            out["landmarks"] = out["landmarks"] * frames.shape[1]
            if self.outline is not None:
                out["outline"] = self.outline.convert(out["landmarks"])
            out["landmark_sigma"] = np.exp(out.pop("landmarks_log_sigma")) * frames.shape[1]
            if self.embedder is not None:
                out["embedding"] = self._embed(batch)
            rows += [{name: values[row] for name, values in out.items()} for row in range(len(batch))]
        return rows

    @torch.no_grad()
    def _look(self, frames: np.ndarray, tasks: tuple[str, ...] | None) -> dict[str, np.ndarray]:
        """Answers of the network on at most a batch of frames; of parsing the labels at the frames' size."""
        size, device = frames.shape[1], next(self.network.parameters()).device
        seen = torch.from_numpy(alignment.resize_frame(frames, self.network.size)).to(device)
        out = self.network(network_input(seen), tasks)
        if "parsing" in out:
            logits = _enlarged(out["parsing"].float(), size, self.network.size)
            out["parsing"] = logits.argmax(1).to(torch.uint8)
        return {
            name: (value if name == "parsing" else value.float()).cpu().numpy() for name, value in out.items()
        }

    @torch.no_grad()
    def _embed(self, frames: np.ndarray) -> np.ndarray:
        """(n, e) of length 1, the mean over a face and its mirror image (Wang et al. 2018, section 4.1)."""
        assert self.embedder is not None  # asked for only where there is one
        crops = alignment.crop_face(frames, self.embedder.image_size)
        both = np.stack([crops, crops[:, :, ::-1]])
        device = next(self.embedder.parameters()).device
        vectors = self.embedder(
            network_input(torch.from_numpy(both.reshape(-1, *crops.shape[1:])).to(device))
        )
        mean = vectors.view(2, len(frames), -1).sum(dim=0)
        return functional.normalize(mean, dim=-1).cpu().numpy()


def _enlarged(logits: torch.Tensor, size: int, seen: int) -> torch.Tensor:
    """Bring logits (n, k, h, w) to a frame of `size` px.

    Those at half of the `seen` size are of every other pixel, the first one included. Stock interpolation takes them
    for means of 2 x 2 pixels, half a pixel to the lower right: too far for lips.
    """
    height, width = logits.shape[-2:]
    if width == seen:
        return functional.interpolate(logits, size=(size, size), mode="bilinear", antialias=size < seen)
    padded = functional.pad(logits, (0, 1, 0, 1), mode="replicate")
    exact = functional.interpolate(
        padded, size=(2 * height + 1, 2 * width + 1), mode="bilinear", align_corners=True
    )[..., :-1, :-1]
    if exact.shape[-1] == size:
        return exact
    return functional.interpolate(exact, size=(size, size), mode="bilinear", antialias=size < exact.shape[-1])


def loose_matrix(found: Detection, size: int) -> np.ndarray:
    """Matrix (2, 3) that brings a detector's box roughly to where a face lies in the frame of `size` px."""
    angle = np.deg2rad(found.tilt)
    upright = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    linear = upright * (_BOX_SIDE * size / found.side)
    centre = (found.box[:2] + found.box[2:]) / 2
    return np.concatenate([linear, (np.array(_BOX_CENTRE) * size - linear @ centre)[:, None]], axis=1)


def _analysis(
    raw: dict[str, np.ndarray],
    aligned: np.ndarray,
    matrix: np.ndarray,
    score: float,
    calibration: Calibration,
) -> FaceAnalysis:
    """Assemble the record from what was measured in the frame."""
    points, parsing = raw["landmarks"], raw["parsing"]
    to_picture = alignment.invert(matrix)
    landmarks = alignment.transform_points(points, to_picture).astype(np.float32)
    outline = None
    if "outline" in raw:
        outline = alignment.transform_points(raw["outline"], to_picture).astype(np.float32)
    box = np.concatenate([landmarks.min(0), landmarks.max(0)])
    turn = float(np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0])))
    presence = float(sigmoid(raw["presence"])[0])
    return FaceAnalysis(
        box=box,
        score=score * face_share(points, parsing) * presence,
        landmarks=landmarks,
        outline_landmarks=outline,
        aligned=aligned,
        parsing=parsing,
        matrix=matrix,
        **read(raw, alignment.scale_of(matrix), turn, raw.get("embedding"), calibration),
    )


def face_share(points: np.ndarray, parsing: np.ndarray) -> float:
    """Share of the outline of 68 points (68, 2) px that parses (S, S) as face."""
    outline = np.zeros(parsing.shape, np.uint8)
    cv2.fillConvexPoly(outline, cv2.convexHull(np.rint(points - 0.5).astype(np.int32)), 1)
    inside = outline > 0
    return float(np.isin(parsing[inside], vocabulary.PARTS["face"]).mean()) if inside.any() else 0.0
