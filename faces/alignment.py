"""The canonical portrait frame: one similarity transform from 68 landmarks, for every picture of a face.

A matrix is (2, 3) and maps points of the input picture to points of the frame, both in pixels, (x, y) from
the top-left corner, the centre of the first pixel at 0.5.
"""

from __future__ import annotations

import math
from functools import lru_cache

import cv2
import numpy as np
import torch

ANCHORS = np.array([[0.39, 0.46], [0.61, 0.46], [0.50, 0.705]])
"""Where the centres of the eye on the image's left, the eye on its right and the mouth lie in the frame."""
FACE_BOX = (0.15, 0.17, 0.85, 0.87)
"""The part of the frame that encoders of identity see: left, top, right, bottom."""
FACE_SIZE = 112

_LEFT_EYE, _RIGHT_EYE, _OUTER_LIPS = slice(36, 42), slice(42, 48), slice(48, 60)


def anchor_points(landmarks: np.ndarray) -> np.ndarray:
    """Reduce 68 landmarks (68, d) to the centres of both eyes and of the outer lips, (3, d)."""
    parts = (landmarks[_LEFT_EYE], landmarks[_RIGHT_EYE], landmarks[_OUTER_LIPS])
    return np.stack([part.mean(0) for part in parts]).astype(np.float64)


def fit_similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Fit rotation, uniform scale and shift from points (n, 2) to points (n, 2) by least squares.

    Umeyama, "Least-squares estimation of transformation parameters between two point patterns", PAMI 1991,
    equations 40-42. Returns (2, 3); never mirrors. Raises ValueError when the source points coincide.
    """
    source, target = np.asarray(source, np.float64), np.asarray(target, np.float64)
    from_mean, to_mean = source.mean(0), target.mean(0)
    spread = ((source - from_mean) ** 2).sum(1).mean()
    if not spread > 1e-12:
        raise ValueError(
            "points to align coincide or are not numbers, at least two different ones are needed"
        )
    covariance = (target - to_mean).T @ (source - from_mean) / len(source)
    u, singular, vt = np.linalg.svd(covariance)
    signs = np.array([1.0, np.sign(np.linalg.det(u) * np.linalg.det(vt)) or 1.0])
    linear = (u * signs) @ vt * ((singular * signs).sum() / spread)
    return np.concatenate([linear, (to_mean - linear @ from_mean)[:, None]], axis=1)


def frame_matrix(landmarks: np.ndarray, size: int) -> np.ndarray:
    """Matrix (2, 3) that brings 68 landmarks (68, 2) px to the canonical frame of `size` px."""
    return fit_similarity(anchor_points(landmarks), ANCHORS * size)


def invert(matrix: np.ndarray) -> np.ndarray:
    """Inverse (2, 3) of a matrix (2, 3)."""
    linear = np.linalg.inv(matrix[:, :2])
    return np.concatenate([linear, -linear @ matrix[:, 2:]], axis=1)


def scale_of(matrix: np.ndarray) -> float:
    """Number of frame pixels to a pixel of the picture."""
    return math.sqrt(abs(float(np.linalg.det(matrix[:, :2]))))


def transform_points(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Map points (..., 2) px by a matrix (2, 3)."""
    return points @ matrix[:, :2].T + matrix[:, 2]


def align(image: np.ndarray, landmarks: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Bring a picture (h, w, 3) to the canonical frame by its 68 landmarks (68, 2) px.

    Returns the frame (size, size, 3) and the matrix (2, 3). Beyond the picture its edge pixels are repeated.
    """
    matrix = frame_matrix(landmarks, size)
    return warp(image, matrix, (size, size)), matrix


def unalign(aligned: np.ndarray, matrix: np.ndarray, base: np.ndarray) -> np.ndarray:
    """Put a frame (S, S, 3) back into the picture `base` (h, w, 3) that it came from; returns a new picture.

    The border blends over a pixel; a caller that wants a soft seam multiplies with its own mask.
    """
    height, width = base.shape[:2]
    back = warp(aligned, invert(matrix), (width, height))
    cover = warp(np.ones(aligned.shape[:2], np.float32), invert(matrix), (width, height), outside=0.0)[
        ..., None
    ]
    mixed = base + cover * (back.astype(np.float32) - base)
    return np.rint(mixed).astype(base.dtype) if base.dtype == np.uint8 else mixed.astype(base.dtype)


def align_labels(labels: np.ndarray, matrix: np.ndarray, size: int) -> np.ndarray:
    """Bring a label map (h, w) to the frame (size, size), nearest neighbour, 0 beyond the picture."""
    return _warp_affine(labels, matrix, (size, size), cv2.INTER_NEAREST, 0)


def unalign_labels(labels: np.ndarray, matrix: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Put a label map (S, S) of the frame back into a picture of `shape` (h, w), 0 beyond the frame."""
    return _warp_affine(labels, invert(matrix), (shape[1], shape[0]), cv2.INTER_NEAREST, 0)


def warp(
    image: np.ndarray, matrix: np.ndarray, size: tuple[int, int], outside: float | None = None
) -> np.ndarray:
    """Resample a picture (h, w[, c]) of uint8 or float32 through a matrix to `size` (width, height).

    Where the picture shrinks it is averaged over area, so nothing aliases. Beyond the picture its edge is
    repeated, or the value `outside` taken.
    """
    image, matrix = _seen_part(image, matrix, size)
    reach = int(0.5 / scale_of(matrix))
    if reach > 1:  # whole-number area average first: keeps the supersampled warp below small
        height, width = (max(1, side // reach) for side in image.shape[:2])
        factors = np.array([image.shape[1] / width, image.shape[0] / height])
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        matrix = np.concatenate([matrix[:, :2] * factors, matrix[:, 2:]], axis=1)
    samples = max(1, math.ceil(1 / scale_of(matrix) - 1e-6))
    fine = _warp_affine(
        image, matrix * samples, (size[0] * samples, size[1] * samples), cv2.INTER_LINEAR, outside
    )
    return cv2.resize(fine, size, interpolation=cv2.INTER_AREA) if samples > 1 else fine


def _seen_part(image: np.ndarray, matrix: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Cut away what the frame does not see: faster, and OpenCV warps nothing longer than 32767 px."""
    corners = np.array([[0, 0], [size[0], 0], [0, size[1]], size], np.float64)
    seen = transform_points(corners, invert(matrix))
    margin = 2 + math.ceil(1 / scale_of(matrix))
    limit = np.array(image.shape[1::-1])
    low = np.clip(np.floor(seen.min(0)) - margin, 0, limit - 1).astype(int)
    high = np.clip(np.ceil(seen.max(0)) + margin, low + 1, limit).astype(int)
    shifted = matrix.copy()
    shifted[:, 2] += matrix[:, :2] @ low
    return image[low[1] : high[1], low[0] : high[0]], shifted


def _warp_affine(
    image: np.ndarray, matrix: np.ndarray, size: tuple[int, int], method: int, outside: float | None
):
    """`cv2.warpAffine` in our convention: OpenCV counts pixel centres from 0, we count them from 0.5."""
    shifted = matrix.astype(np.float64).copy()
    shifted[:, 2] += shifted[:, :2] @ (0.5, 0.5) - 0.5
    border = cv2.BORDER_REPLICATE if outside is None else cv2.BORDER_CONSTANT
    value = (outside or 0.0,) * 4
    return cv2.warpAffine(image, shifted, size, flags=method, borderMode=border, borderValue=value)


@lru_cache(maxsize=64)
def resampling_weights(start: float, stop: float, length: int, size: int) -> np.ndarray:
    """Weights (size, length) that resample the span start..stop of a row of `length` pixels to `size` pixels.

    Triangle filter, widened when shrinking: what `torch.nn.functional.interpolate(antialias=True)` computes,
    for any span within the row. Rows add up to one.
    """
    step = (stop - start) / size
    centres = start + (np.arange(size) + 0.5) * step
    reach = max(step, 1.0)
    weights = np.maximum(0.0, 1.0 - np.abs(np.arange(length) + 0.5 - centres[:, None]) / reach)
    weights = (weights / weights.sum(1, keepdims=True)).astype(np.float32)
    weights.flags.writeable = False
    return weights


def crop_box(images: np.ndarray, box: tuple[float, float, float, float], size: int) -> np.ndarray:
    """Resample a part of frames (..., S, S, 3), box as shares of S, to (..., size, size, 3), same type."""
    # By torch: threads of numpy's own BLAS wait busily after a product, which triples the time of networks.
    pixels = torch.from_numpy(np.ascontiguousarray(images)).float().movedim(-1, -3)
    with torch.autocast("cpu", enabled=False):
        crop = crop_box_tensor(pixels, box, size).movedim(-3, -1).numpy()
    return np.rint(crop).astype(np.uint8) if images.dtype == np.uint8 else crop.astype(images.dtype)


def crop_box_tensor(images: torch.Tensor, box: tuple[float, float, float, float], size: int) -> torch.Tensor:
    """The same for tensors (..., 3, S, S) of any range; differentiable."""
    side = images.shape[-1]
    left, top, right, bottom = (share * side for share in box)
    rows = torch.tensor(resampling_weights(top, bottom, side, size)).to(images)
    columns = torch.tensor(resampling_weights(left, right, side, size)).to(images)
    return rows @ images @ columns.T


def crop_face(aligned: np.ndarray, size: int = FACE_SIZE) -> np.ndarray:
    """Cut `FACE_BOX` out of frames (..., S, S, 3) for an encoder of `size` px."""
    return crop_box(aligned, FACE_BOX, size)


def crop_face_tensor(aligned: torch.Tensor, size: int = FACE_SIZE) -> torch.Tensor:
    """Cut `FACE_BOX` out of frames (..., 3, S, S) for an encoder of `size` px; differentiable."""
    return crop_box_tensor(aligned, FACE_BOX, size)


def resize_frame(aligned: np.ndarray, size: int) -> np.ndarray:
    """Resize frames (..., S, S, 3) to (..., size, size, 3), antialiased."""
    return aligned if aligned.shape[-2] == size else crop_box(aligned, (0.0, 0.0, 1.0, 1.0), size)
