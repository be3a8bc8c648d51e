"""Planted repetitions are found, other pictures are not (check D7)."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from gen.duplicates import find


def face(seed: int, turn: float = 0.0) -> np.ndarray:
    """A drawing with the layout of a portrait, so that different ones are alike in their coarse shape."""
    rng = np.random.default_rng(seed)
    canvas = np.full((128, 128, 3), rng.integers(60, 230, 3), np.uint8)
    shift = int(turn)
    skin, hair, cloth = (tuple(int(value) for value in rng.integers(30, 240, 3)) for _ in range(3))
    cv2.ellipse(canvas, (64 + shift, 58), (44, 50), 0, 0, 360, hair, -1)
    cv2.rectangle(canvas, (20, 108), (108, 128), cloth, -1)
    cv2.ellipse(canvas, (64 + shift, 66), (int(rng.integers(28, 36)), 42), 0, 0, 360, skin, -1)
    for x in (50, 78):
        cv2.circle(canvas, (x + shift, 59), int(rng.integers(3, 7)), (20, 20, 20), -1)
    corner = int(rng.integers(-6, 7))
    cv2.ellipse(
        canvas, (64 + shift, 88), (int(rng.integers(8, 15)), abs(corner) + 1), 0, 0, 180, (120, 30, 40), 2
    )
    cv2.line(canvas, (64, 62), (60 + int(rng.integers(0, 9)), 78), (90, 60, 50), 2)
    noise = rng.normal(0, 2, canvas.shape)
    return np.clip(canvas + noise, 0, 255).astype(np.uint8)


def jpeg(image):
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=70)
    return np.asarray(Image.open(io.BytesIO(buffer.getvalue())))


def brighter(image):
    return np.clip(image.astype(int) + 8, 0, 255).astype(np.uint8)


def softer(image):
    return cv2.GaussianBlur(image, (3, 3), 0.7)


def smaller(image):
    return cv2.resize(cv2.resize(image, (112, 112), interpolation=cv2.INTER_AREA), (128, 128))


ORIGINALS = [(f"p{seed}", face(seed)) for seed in range(60)]


def test_different_pictures_are_not_repetitions():
    found = list(find([*ORIGINALS, *((f"t{seed}", face(seed, turn=5)) for seed in range(40))]))
    assert len(found) <= 1  # at most 1 % of 100


def test_exact_repetitions_are_all_found():
    found = list(find([*ORIGINALS, *((f"copy{key}", image.copy()) for key, image in ORIGINALS)]))
    assert len(found) == 60
    assert all(row.kind == "exact" and row.key == f"copy{row.first}" and row.score == 1 for row in found)


@pytest.mark.parametrize("change", [jpeg, brighter, softer, smaller])
def test_near_repetitions_are_found(change):
    found = list(find([*ORIGINALS, *((f"near{key}", change(image)) for key, image in ORIGINALS)]))
    right = [row for row in found if row.kind == "near" and row.key == f"near{row.first}"]
    assert len(right) >= 0.95 * 60


def test_mirrored_repetitions_are_found():
    mirrored = [(f"m{key}", jpeg(np.ascontiguousarray(image[:, ::-1]))) for key, image in ORIGINALS]
    found = list(find([*ORIGINALS, *mirrored]))
    right = [row for row in found if row.key == f"m{row.first}" and row.kind in ("mirror", "near")]
    assert len(right) >= 0.95 * 60
    assert sum(row.kind == "mirror" for row in right) >= 0.9 * 60
