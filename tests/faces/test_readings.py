from __future__ import annotations

import numpy as np
import pytest

from faces import vocabulary
from faces.perception import AGE_CENTRES, TASKS
from faces.readings import FaceReading, read, sigmoid, softmax


def raw(**changed: np.ndarray) -> dict[str, np.ndarray]:
    answers = {name: np.zeros(count, np.float32) for name, (count, kind) in TASKS.items() if kind == "values"}
    return answers | {"landmark_sigma": np.full(68, 2.0)} | changed


def reading(scale: float = 1.0, turn: float = 0.0, **changed: np.ndarray) -> FaceReading:
    return FaceReading(**read(raw(**changed), scale, turn, None))


def test_pose_is_of_the_picture_and_sigma_in_its_pixels():
    face = reading(scale=2.0, turn=10.0, pose=np.array([1, 0, 0.5], np.float32))
    np.testing.assert_allclose(face.pose, [45, 0, 12.5])
    np.testing.assert_allclose(face.landmark_sigma, 1.0)


def test_units_are_named_and_never_negative():
    units = np.full(len(vocabulary.UNIT_COLUMNS), -0.2, np.float32)
    units[vocabulary.UNIT_COLUMNS.index("AU12L")] = 0.8
    face = reading(action_units=units)
    assert face.action_units["AU12L"] == pytest.approx(0.8)
    assert min(face.action_units.values()) == 0


def test_the_top_expression_gives_way_to_none_of_them():
    logits = np.zeros(8, np.float32)
    logits[vocabulary.EXPRESSIONS.index("fear")] = 3
    assert reading(expression=logits, open_set=np.array([-4.0])).top_expression == "fear"
    assert reading(expression=logits, open_set=np.array([4.0])).top_expression == vocabulary.MIXED


def test_age_abstains_when_it_is_wide():
    peak = np.full(len(AGE_CENTRES), -20.0, np.float32)
    peak[AGE_CENTRES.index(36)] = 20
    assert reading(age=peak).age_years == pytest.approx(36, abs=1e-3)
    assert reading().age_years is None
    assert reading().age_deviation > 15


def test_probabilities():
    assert softmax(np.array([[0.0, 0.0]])).tolist() == [[0.5, 0.5]]
    assert sigmoid(np.array([0.0, 1000.0])).tolist() == [0.5, pytest.approx(1.0)]
