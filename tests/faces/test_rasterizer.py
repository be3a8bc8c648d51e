"""Triangles that cover samples: which, how far in, and which of several."""

from __future__ import annotations

import numpy as np

from faces import rasterizer
from faces.rasterizer import cover

HALF = [[0, 0], [8, 0], [0, 8]]


def test_the_greatest_covers():
    corners = np.array([HALF, HALF], float)
    for first, second, seen in ((0.0, 1.0, 1), (1.0, 0.0, 0), (-2.0, -3.0, 0)):
        triangle, weights = cover(corners, (8, 8), np.array([[first] * 3, [second] * 3]))
        assert set(np.unique(triangle)) == {-1, seen}
        np.testing.assert_allclose(weights[triangle >= 0].sum(axis=1), 1, atol=1e-6)
        np.testing.assert_array_equal(triangle >= 0, np.add.outer(np.arange(8), np.arange(8)) + 1 <= 8)
    assert set(np.unique(cover(corners, (8, 8))[0])) == {-1, 1}


def test_weights_tell_the_place():
    _, weights = cover(np.array([HALF], float), (8, 8))
    np.testing.assert_allclose(weights[2, 3], [1 - 6 / 8, 3.5 / 8, 2.5 / 8], atol=1e-6)
    assert not weights[7, 7].any()


def test_triangles_that_share_an_edge_leave_no_gap_either_way_round():
    square = np.array([[[0, 0], [6, 0], [6, 6]], [[0, 0], [0, 6], [6, 6]]], float)
    assert (cover(square, (6, 6))[0] >= 0).all()
    assert (cover(square[:, ::-1], (6, 6))[0] >= 0).all()


def test_a_triangle_without_area_covers_nothing():
    assert (cover(np.array([[[0, 0], [4, 4], [8, 8]]], float), (8, 8))[0] == -1).all()


def test_portions_change_nothing(monkeypatch):
    rng = np.random.default_rng(0)
    corners = rng.uniform(-4, 20, (40, 3, 2))
    closeness = rng.uniform(0, 1, (40, 3))
    whole = cover(corners, (16, 12), closeness)
    monkeypatch.setattr(rasterizer, "_PAIRS", 50)
    for expected, found in zip(whole, cover(corners, (16, 12), closeness), strict=True):
        np.testing.assert_array_equal(expected, found)
