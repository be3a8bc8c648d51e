"""What is measured on every generated face, and the cascade of checks that keeps it or turns it down.

Only the detector, the landmarks and the identity encoder of the pipeline itself are used; the networks that
evaluation scores with never choose samples.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict, Field

_FACE_SIDE = 112
_NOSE_DEPTH = 0.55
"""How far the tip of the nose stands before the eyes, in distances between the eyes (an average head)."""


class PictureThresholds(BaseModel):
    """Limits of the checks, all absolute, so that equal samples get equal verdicts in every dataset."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    contrast: float = Field(default=0.03, ge=0, le=1)
    """Least standard deviation of the pixels, 0..1: a black or grey image is no face."""
    face_size: float = Field(default=0.2, ge=0, le=1)
    """Least side of the face's box as a share of the image's side."""
    sharpness: float = Field(default=0.0, ge=0)
    """Least sharpness (see `sharpness`); 0 measures without rejecting."""


class Thresholds(PictureThresholds):
    """Limits where pictures show known identities."""

    similarity: float | None = Field(default=None, ge=-1, le=1)
    """Least cosine between a sample and the reference of its identity. By default what two in ten thousand
    pairs of different training identities exceed."""
    margin: float = Field(default=0.0, ge=-1, le=1)
    """How much nearer a sample must be to its own reference than to that of any other identity."""


class ExpressionThresholds(PictureThresholds):
    """Limits where pictures show labelled expressions."""

    quality: float = Field(default=0.25, ge=0, le=1)
    """Least quality of the picture as the analyzer reads it; 0 measures without rejecting."""


class MakeupThresholds(Thresholds):
    """Limits where pictures are pairs, bare and made up."""

    makeup: float = Field(default=0.5, ge=0, le=1)
    """Largest probability that a bare picture wears makeup; 1 measures without rejecting."""
    drift: float = Field(default=0.01, ge=0)
    """Largest mean distance of the landmarks of a made-up picture from those of its bare one, as a share of the
    distance of the outer eye corners."""
    outside: float = Field(default=2 / 255, ge=0, le=1)
    """Largest difference of a made-up picture from its bare one where no region of the face is."""


Check = Callable[[dict[str, Any], PictureThresholds], str | None]


def sharpness(image: np.ndarray, box: np.ndarray) -> float:
    """Variance of the Laplacian of the face at 112 px, grey levels 0..1, times 1000.

    Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy", 2000 (LAPV). A fixed size makes it
    independent of the image's; it is an absolute number, to be compared with renders or photographs of the
    user's.

    Args:
        image: (h, w, 3) uint8.
        box: (4,) left, top, right, bottom in pixels.
    """
    height, width = image.shape[:2]
    left, top = (int(max(0, round(float(value)))) for value in box[:2])
    right, bottom = int(min(width, round(float(box[2])))), int(min(height, round(float(box[3]))))
    crop = image[top : max(bottom, top + 2), left : max(right, left + 2)]
    grey = cv2.cvtColor(np.ascontiguousarray(crop), cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    return float(cv2.Laplacian(cv2.resize(grey, (_FACE_SIDE, _FACE_SIDE)), cv2.CV_32F).var() * 1000)


def geometry(landmarks: np.ndarray) -> dict[str, float]:
    """Estimate pose and openings by simple ratios of 68 landmarks, (68, 2) pixels.

    Returns:
        yaw_deg (positive towards the right side of the image; the nose tip's offset between the eyes, as a
        rotation), roll_deg, mouth_open and eyes_open (in distances between the eyes).
    """
    points = np.asarray(landmarks, np.float64)
    left, right = points[36:42].mean(0), points[42:48].mean(0)
    across = right - left
    distance = max(float(np.hypot(*across)), 1e-6)
    along = across / distance
    offset = float((points[30] - (left + right) / 2) @ along)
    down = np.array([-along[1], along[0]])
    lids = points[[41, 40, 47, 46]] - points[[37, 38, 43, 44]]
    return {
        "yaw_deg": float(np.degrees(np.arctan2(offset, _NOSE_DEPTH * distance))),
        "roll_deg": float(np.degrees(np.arctan2(across[1], across[0]))),
        "mouth_open": float((points[66] - points[62]) @ down) / distance,
        "eyes_open": float((lids @ down).mean()) / distance,
    }


def contrast(image: np.ndarray) -> float:
    """Standard deviation of the pixels of an (h, w, 3) uint8 image, 0..1."""
    return float(image.std() / 255)


def verdict(measured: dict[str, Any], limits: PictureThresholds) -> tuple[str | None, str]:
    """Send measurements through the cascade; a check passes what was not measured for it.

    Returns:
        The first check that turns the sample down and its reason in words; (None, "") when it is kept.
    """
    for name, check in CASCADE.items():
        reason = check(measured, limits)
        if reason:
            return name, reason
    return None, ""


def waterfall(
    rejected_by: list[str | None], stages: Sequence[str] | None = None
) -> list[tuple[str, int, int]]:
    """Count what passes from stage to stage: (check, samples that reach it, samples that it turns down).

    Args:
        rejected_by: of every sample the check that turned it down.
        stages: the checks that there are, by default all of `CASCADE`; "error" comes before them.
    """
    left, rows = len(rejected_by), []
    for name in ("error", *(CASCADE if stages is None else stages)):
        lost = rejected_by.count(name)
        rows.append((name, left, lost))
        left -= lost
    return rows


def _contrast(measured: dict[str, Any], limits: PictureThresholds) -> str | None:
    value = measured["contrast"]
    return f"contrast {value:.3f}, at least {limits.contrast:g} wanted" if value < limits.contrast else None


def _one_face(measured: dict[str, Any], limits: PictureThresholds) -> str | None:
    found = measured["faces_found"]
    return None if found == 1 else f"{found or 'no'} face{'s' if found > 1 else ''} found, exactly one wanted"


def _size(measured: dict[str, Any], limits: PictureThresholds) -> str | None:
    value = measured["face_size"]
    return (
        f"face of {value:.2f} of the side, at least {limits.face_size:g} wanted"
        if value < limits.face_size
        else None
    )


def _sharpness(measured: dict[str, Any], limits: PictureThresholds) -> str | None:
    value = measured["sharpness"]
    return (
        f"sharpness {value:.2f}, at least {limits.sharpness:g} wanted" if value < limits.sharpness else None
    )


def _quality(measured: dict[str, Any], limits: PictureThresholds) -> str | None:
    value = measured.get("quality")
    if value is None or not isinstance(limits, ExpressionThresholds) or value >= limits.quality:
        return None
    return f"quality {value:.2f}, at least {limits.quality:g} wanted"


def _identity(measured: dict[str, Any], limits: PictureThresholds) -> str | None:
    value = measured.get("id_sim_to_ref")
    if value is None or not isinstance(limits, Thresholds):
        return None
    if limits.similarity is None or value >= limits.similarity:
        return None
    return f"cosine {value:.3f} to the reference, at least {limits.similarity:g} wanted"


def _other(measured: dict[str, Any], limits: PictureThresholds) -> str | None:
    own, other = measured.get("id_sim_to_ref"), measured.get("id_sim_to_other")
    if own is None or other is None or not isinstance(limits, Thresholds) or own - other >= limits.margin:
        return None
    return f"cosine {own:.3f} to its reference but {other:.3f} to that of another identity"


def _label(measured: dict[str, Any], limits: PictureThresholds) -> str | None:
    if measured.get("label_decision") != "drop":
        return None
    sure = max(measured["label_soft"])
    return (
        f"asked for {measured['label_intended']}, read as {measured['label_pseudo']} (probability {sure:.2f})"
    )


def _bare(measured: dict[str, Any], limits: PictureThresholds) -> str | None:
    value = measured.get("makeup")
    if value is None or not isinstance(limits, MakeupThresholds) or value <= limits.makeup:
        return None
    return f"wears makeup with probability {value:.2f}, at most {limits.makeup:g} permitted"


def _drift(measured: dict[str, Any], limits: PictureThresholds) -> str | None:
    value = measured.get("landmark_drift")
    if value is None or not isinstance(limits, MakeupThresholds) or value <= limits.drift:
        return None
    return f"landmarks moved by {value:.4f} of the distance of the eyes, at most {limits.drift:g} permitted"


def _outside(measured: dict[str, Any], limits: PictureThresholds) -> str | None:
    value = measured.get("outside_difference")
    if value is None or not isinstance(limits, MakeupThresholds) or value <= limits.outside:
        return None
    return f"changed by {value * 255:.0f}/255 away from the face, at most {limits.outside * 255:.3g}/255 permitted"


CASCADE: dict[str, Check] = {
    "contrast": _contrast, "one face": _one_face, "face size": _size, "sharpness": _sharpness,
    "quality": _quality, "identity": _identity, "other identity": _other, "label": _label,
    "bare": _bare, "landmarks": _drift, "outside": _outside,
}  # fmt: skip
"""Checks in their order; the cheap ones first."""
PICTURE_STAGES = ("contrast", "one face", "face size", "sharpness")
IDENTITY_STAGES = ("identity", "other identity")
EXPRESSION_STAGES = ("quality", "label")
MAKEUP_STAGES = ("bare", "landmarks", "outside")
PAIR = "pair"
"""Stage of pictures that were not made, because what they would have been painted on was turned down."""
