from __future__ import annotations

import numpy as np
import pytest

from faces import vocabulary
from faces.head.expression import PROTOTYPES
from faces.head.spec import full_action_units
from faces.openset import basic_distance
from faces.perception import AGE_CENTRES, TASKS
from faces.readings import Calibration, FaceReading, read, sigmoid, softmax


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


def units_of(**shown: float) -> np.ndarray:
    values = full_action_units(shown)
    return np.array([values[name] for name in vocabulary.UNIT_COLUMNS], np.float32)


def test_the_top_expression_gives_way_to_none_of_them():
    logits = np.zeros(8, np.float32)
    logits[vocabulary.EXPRESSIONS.index("happy")] = 3
    typical = units_of(**PROTOTYPES["happy"])
    assert reading(expression=logits, action_units=typical).top_expression == "happy"
    both = np.maximum(typical, units_of(**PROTOTYPES["surprise"]))
    assert reading(expression=logits, action_units=both).top_expression == vocabulary.MIXED


def test_distance_to_the_basic_expressions():
    table = np.stack([units_of(**units) for units in PROTOTYPES.values()])
    np.testing.assert_allclose(basic_distance(table), 0, atol=1e-6)
    np.testing.assert_allclose(basic_distance(0.7 * table), 0, atol=1e-6)
    assert basic_distance(units_of(AU18=0.9)[None])[0] == pytest.approx(0.9, abs=1e-6)


def test_temperature_softens_and_the_centre_decides():
    logits = np.zeros(8, np.float32)
    logits[0] = 2
    sharp, soft = (
        FaceReading(**read(raw(expression=logits), 1, 0, None, Calibration(temperature=t))).expression[
            "neutral"
        ]
        for t in (0.5, 4.0)
    )
    assert sharp > 0.85 > 0.3 > soft
    far = raw(action_units=units_of(AU18=0.9))
    assert FaceReading(**read(far, 1, 0, None, Calibration(open_set_centre=0.9))).open_set == pytest.approx(
        0.5
    )


def test_age_abstains_when_it_is_wide():
    peak = np.full(len(AGE_CENTRES), -20.0, np.float32)
    peak[AGE_CENTRES.index(36)] = 20
    assert reading(age=peak).age_years == pytest.approx(36, abs=1e-3)
    assert reading().age_years is None
    assert reading().age_deviation > 15


def test_probabilities():
    assert softmax(np.array([[0.0, 0.0]])).tolist() == [[0.5, 0.5]]
    assert sigmoid(np.array([0.0, 1000.0])).tolist() == [0.5, pytest.approx(1.0)]
