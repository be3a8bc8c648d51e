"""Measurements and the cascade."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from gen.checks import (
    CASCADE,
    EXPRESSION_STAGES,
    IDENTITY_STAGES,
    MAKEUP_STAGES,
    PICTURE_STAGES,
    ExpressionThresholds,
    Thresholds,
    contrast,
    geometry,
    sharpness,
    verdict,
    waterfall,
)

GOOD = {
    "contrast": 0.2, "faces_found": 1, "face_size": 0.5, "sharpness": 3.0, "id_sim_to_ref": 0.8,
    "id_sim_to_other": 0.3,
}  # fmt: skip
LIMITS = Thresholds(sharpness=1.0, similarity=0.5, margin=0.1)


def head(yaw: float, roll: float = 0.0) -> np.ndarray:
    """68 points of a head with eyes 30 px apart, seen under weak perspective."""
    points = np.zeros((68, 3))
    points[36:42] = [-15, 0, 0]
    points[42:48] = [15, 0, 0]
    points[[37, 38, 43, 44], 1] = -2
    points[[40, 41, 46, 47], 1] = 2
    points[30] = [0, 15, 0.55 * 30]
    points[62], points[66] = [0, 28, 0], [0, 34, 0]
    angle, tilt = np.radians([yaw, roll])
    flat = np.stack([points[:, 0] * np.cos(angle) + points[:, 2] * np.sin(angle), points[:, 1]], 1)
    turn = np.array([[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]])
    return flat @ turn.T + 64


@pytest.mark.parametrize("yaw", [-30, -10, 0, 20])
@pytest.mark.parametrize("roll", [0, 15])
def test_pose_of_a_known_head(yaw, roll):
    found = geometry(head(yaw, roll))
    assert found["yaw_deg"] == pytest.approx(yaw, abs=0.5)
    assert found["roll_deg"] == pytest.approx(roll, abs=0.1)
    assert found["mouth_open"] == pytest.approx(6 / 30 / np.cos(np.radians(yaw)), rel=0.02)
    assert found["eyes_open"] == pytest.approx(4 / 30 / np.cos(np.radians(yaw)), rel=0.02)


def test_blur_lowers_sharpness_and_size_hardly_matters():
    rng = np.random.default_rng(0)
    image = cv2.GaussianBlur(rng.integers(0, 256, (160, 160, 3), dtype=np.uint8), (0, 0), 2)
    box = np.array([20.4, 20, 140, 160.7])
    values = [sharpness(cv2.GaussianBlur(image, (0, 0), sigma), box) for sigma in (0.5, 1, 2, 4)]
    assert values == sorted(values, reverse=True) and values[0] > 4 * values[-1]
    double = cv2.resize(image, (320, 320), interpolation=cv2.INTER_CUBIC)
    assert sharpness(double, box * 2) == pytest.approx(sharpness(image, box), rel=0.3)
    assert sharpness(image, np.array([-50.0, -50, -40, -40])) >= 0  # a box beside the picture


def test_good_samples_pass():
    assert verdict(GOOD, LIMITS) == (None, "")
    assert verdict({key: value for key, value in GOOD.items() if "sim" not in key}, LIMITS) == (None, "")


@pytest.mark.parametrize(
    ("change", "check", "words"),
    [
        ({"contrast": 0.0}, "contrast", "at least 0.03"),
        ({"faces_found": 0}, "one face", "no face found, exactly one wanted"),
        ({"faces_found": 2}, "one face", "2 faces found"),
        ({"face_size": 0.1}, "face size", "at least 0.2"),
        ({"sharpness": 0.5}, "sharpness", "sharpness 0.50, at least 1 wanted"),
        ({"id_sim_to_ref": 0.4}, "identity", "cosine 0.400 to the reference"),
        ({"id_sim_to_other": 0.75}, "other identity", "but 0.750 to that of another"),
    ],
)
def test_each_defect_is_turned_down_by_its_check(change, check, words):
    rejected_by, reason = verdict({**GOOD, **change}, LIMITS)
    assert rejected_by == check and words in reason


LABELLED = {
    "contrast": 0.2, "faces_found": 1, "face_size": 0.5, "sharpness": 3.0, "quality": 0.6,
    "label_decision": "keep", "label_intended": "fear", "label_pseudo": "surprise", "label_soft": [0.2, 0.8],
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "check", "words"),
    [
        ({}, None, ""),
        ({"label_decision": "relabel"}, None, ""),
        ({"label_decision": None}, None, ""),
        ({"quality": 0.4}, "quality", "quality 0.40, at least 0.5 wanted"),
        ({"label_decision": "drop"}, "label", "asked for fear, read as surprise (probability 0.80)"),
        ({"label_decision": "drop", "quality": 0.4}, "quality", ""),
        ({"id_sim_to_ref": 0.0, "id_sim_to_other": 1.0}, None, ""),
    ],
)
def test_labelled_expressions_have_checks_of_their_own(change, check, words):
    rejected_by, reason = verdict({**LABELLED, **change}, ExpressionThresholds(quality=0.5))
    assert rejected_by == check and words in reason


def test_identities_have_no_limit_of_quality():
    assert verdict({**GOOD, "quality": 0.0}, LIMITS) == (None, "")
    assert set(CASCADE) == {*PICTURE_STAGES, *IDENTITY_STAGES, *EXPRESSION_STAGES, *MAKEUP_STAGES}


def test_a_waterfall_has_the_stages_that_there_are():
    rows = waterfall([None, "label"], (*PICTURE_STAGES, *EXPRESSION_STAGES))
    assert [name for name, _, _ in rows] == ["error", *PICTURE_STAGES, "quality", "label"]
    assert rows[-1] == ("label", 2, 1)


def test_black_images_have_no_contrast():
    assert contrast(np.zeros((8, 8, 3), np.uint8)) == 0
    assert verdict({"contrast": 0.0, "faces_found": 0}, LIMITS)[0] == "contrast"


def test_waterfall_counts_every_attempt_once():
    rows = waterfall([None] * 5 + ["error", "sharpness", "sharpness", "identity"])
    assert [name for name, _, _ in rows] == ["error", *CASCADE]
    assert rows[0][1] == 9 and rows[-1][1] - rows[-1][2] == 5
    assert sum(lost for _, _, lost in rows) == 4
    assert {name: lost for name, _, lost in rows}["sharpness"] == 2
