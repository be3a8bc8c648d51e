"""Brows painted over rendered ones: where they are, and what stays as it is."""

from __future__ import annotations

import numpy as np
import pytest

from faces import vocabulary
from train.brows import paint_brows

L_BROW, R_BROW, SKIN, HAIR = (vocabulary.PARSING.index(name) for name in ("l_brow", "r_brow", "skin", "hair"))


@pytest.fixture
def face() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A bright face, hair above row 30, and brows along a line."""
    image = np.full((128, 128, 3), 200, np.uint8)
    parsing = np.full((128, 128), SKIN, np.uint8)
    parsing[:30] = HAIR
    landmarks = np.zeros((68, 2), np.float32)
    landmarks[17:22] = np.stack([np.linspace(30, 58, 5), np.full(5, 50)], axis=1)
    landmarks[22:27] = np.stack([np.linspace(70, 98, 5), np.full(5, 50)], axis=1)
    return image, parsing, landmarks


def test_labels_lie_where_the_paint_is(face):
    image, parsing, landmarks = face
    for seed in range(20):
        picture, labels = paint_brows(image, parsing, landmarks, np.random.default_rng(seed))
        is_brow = np.isin(labels, (L_BROW, R_BROW))
        assert is_brow.sum() > 40
        changed = (picture != image).any(axis=2)
        assert changed[is_brow].mean() > 0.95  # of a hair of strength 0 nothing is to be seen
        rows, columns = np.nonzero(labels == R_BROW)
        assert rows.min() > 30 and rows.max() < 66 and columns.max() < 64
        assert (np.nonzero(labels == L_BROW)[1] >= 64).all()


def test_shapes_differ_and_the_sides_are_alike(face):
    areas = []
    for seed in range(30):
        _, labels = paint_brows(*face, np.random.default_rng(seed))
        left, right = (labels == L_BROW).sum(), (labels == R_BROW).sum()
        assert left == pytest.approx(right, rel=0.25)
        areas.append(left)
    assert max(areas) > 2.5 * min(areas)


def test_hair_and_the_arguments_stay(face):
    image, parsing, landmarks = face
    parsing[45:55, 30:58] = HAIR  # hair over the right brow
    kept = image.copy(), parsing.copy()
    picture, labels = paint_brows(image, parsing, landmarks, np.random.default_rng(0))
    np.testing.assert_array_equal(image, kept[0])
    np.testing.assert_array_equal(parsing, kept[1])
    np.testing.assert_array_equal(labels[parsing == HAIR], HAIR)
    np.testing.assert_array_equal(picture[parsing == HAIR], image[parsing == HAIR])
