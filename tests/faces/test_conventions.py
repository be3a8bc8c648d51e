from __future__ import annotations

import numpy as np
import pytest

from faces.alignment import transform_points
from faces.conventions import LEAST, LandmarkAdapter, own_frame
from faces.head.landmarks import snap_to_outline
from gen.evaluation import exam

JAW, INNER = slice(0, 17), slice(17, 68)


@pytest.fixture(scope="module")
def faces():
    first = exam.load("first")
    pairs = zip(first.landmarks, first.parsing, strict=True)
    return first.landmarks, np.stack([snap_to_outline(*pair) for pair in pairs]), first.pose[:, 0]


def error(found, wanted, points):
    eyes = np.linalg.norm(wanted[:, 36] - wanted[:, 45], axis=1)[:, None]
    return (np.linalg.norm(found - wanted, axis=2)[:, points] / eyes).mean()


def test_an_unfitted_adapter_changes_nothing(faces):
    np.testing.assert_allclose(LandmarkAdapter().convert(faces[0][:5]), faces[0][:5], atol=1e-3)
    assert LandmarkAdapter().convert(faces[0][:0]).shape == (0, 68, 2)


def test_a_fit_brings_turned_jaws_to_the_outline_and_leaves_the_rest(faces):
    """Bar: at 30 degrees and more at least 40 % less error, points inside unchanged; on other people."""
    found, wanted, yaw = faces
    adapter = LandmarkAdapter.fit(found[:320], wanted[:320], steps=250)
    moved, turned = adapter.convert(found[320:]), np.abs(yaw[320:]) >= 30
    assert turned.sum() >= 5
    before = error(found[320:][turned], wanted[320:][turned], JAW)
    assert error(moved[turned], wanted[320:][turned], JAW) < 0.6 * before
    assert error(moved, wanted[320:], INNER) < 0.01


def test_conversion_does_not_depend_on_where_the_face_is(faces):
    found, wanted, _ = faces
    adapter = LandmarkAdapter.fit(found[:100], wanted[:100], steps=40)
    matrix = np.array([[0.0, -2.0, 300.0], [2.0, 0.0, 40.0]])
    moved = np.stack([transform_points(points, matrix) for points in found[:3]])
    expected = [transform_points(points, matrix) for points in adapter.convert(found[:3])]
    np.testing.assert_allclose(adapter.convert(moved), expected, atol=1e-2)
    assert own_frame(found[0]).shape == (2, 3)


def test_too_few_or_unlike_faces_are_refused(faces):
    with pytest.raises(ValueError, match=f"at least {LEAST}"):
        LandmarkAdapter.fit(faces[0][:10], faces[1][:10])
    with pytest.raises(ValueError, match="expected twice"):
        LandmarkAdapter.fit(faces[0][:60], faces[1][:59])
