"""The bars of face analysis on analyses with planted faults."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from faces import vocabulary
from faces.analysis import FaceAnalysis, FaceAnalyzer
from faces.head.expression import PROTOTYPES
from faces.head.spec import full_action_units
from faces.head.study import compound_units, free_units, is_compound
from faces.perception import AGE_CENTRES, ATTRIBUTES, PerceptionNet
from gen.evaluation import exam, perception
from gen.evaluation.exam import Exam

SIDE = 16


def truth(people: int = 12, pictures: int = 8) -> Exam:
    """People whose pictures go through basic, free and compound expressions."""
    labels = []
    for person in range(people):
        for state in range(pictures):
            rng = np.random.default_rng([person, state])
            kind = state % 4
            expression = vocabulary.EXPRESSIONS[(person + state) % 8]
            units = PROTOTYPES[expression]
            if kind > 1:
                expression = vocabulary.MIXED
                units = free_units(rng) if kind == 2 else compound_units(rng)
            labels.append(
                {
                    "identity_id": f"p{person}", "expression": expression, "au": full_action_units(units),
                    "yaw": rng.normal(0, 20), "pitch": rng.normal(0, 5), "roll": rng.normal(0, 3),
                }
            )  # fmt: skip
    count = len(labels)
    rng = np.random.default_rng(5)
    return Exam(
        images=np.zeros((count, SIDE, SIDE, 3), np.uint8),
        parsing=np.tile(
            np.arange(19, dtype=np.uint8).repeat(SIDE)[: SIDE * SIDE].reshape(SIDE, SIDE), (count, 1, 1)
        ),
        landmarks=rng.uniform(0, SIDE, (count, 68, 2)).astype(np.float32),
        labels=labels,
    )


def perfect(wanted: Exam, row: int) -> FaceAnalysis:
    """An analysis that says what is true."""
    labels = wanted.labels[row]
    expression = dict.fromkeys(vocabulary.EXPRESSIONS, 0.001)
    if labels["expression"] in expression:
        expression[labels["expression"]] = 0.993
    person = np.random.default_rng(int(labels["identity_id"][1:])).normal(size=32)
    return FaceAnalysis(
        box=np.zeros(4), score=1.0, landmarks=wanted.landmarks[row], outline_landmarks=None, aligned=wanted.images[row],
        parsing=wanted.parsing[row], matrix=np.eye(2, 3), landmark_sigma=np.ones(68), pose=wanted.pose[row],
        action_units={name: labels["au"][name] for name in vocabulary.UNIT_COLUMNS}, expression=expression,
        open_set=float(is_compound(labels["au"])), valence=0.0, arousal=0.0, age=np.full(len(AGE_CENTRES), 1.0),
        hair_colour={}, attributes=dict.fromkeys(ATTRIBUTES, 0.0), quality=1.0,
        embedding=person / np.linalg.norm(person),
    )  # fmt: skip


@pytest.fixture(scope="module")
def wanted() -> Exam:
    return truth()


def scored(wanted: Exam, change=lambda face, row: face) -> dict:
    found = [change(perfect(wanted, row), row) for row in range(len(wanted.labels))]
    return {bar.name.split(" (")[0]: bar for bar in perception.score(wanted, found, "test")}


def test_perfect_analyses_pass_every_bar(wanted):
    bars = scored(wanted)
    assert len(bars) == 9
    assert all(bar.passed for bar in bars.values())
    assert bars["landmarks, NME by the eyes' distance"].value == 0
    assert bars["action units, mean r"].value == pytest.approx(1)
    assert bars["unseen compounds against the 8, AUROC"].value == 1
    assert bars["identity, equal error rate"].value == 0
    assert bars["expression, accuracy of 8"].control < 0.4 and bars["action units, mean r"].control < 0.3


def test_each_fault_fails_its_own_bar(wanted):
    rng = np.random.default_rng(0)

    def change(**values):
        return lambda face, row: dataclasses.replace(face, **{k: v(face, row) for k, v in values.items()})

    faults = {
        "landmarks, NME by the eyes' distance": change(landmarks=lambda face, row: face.landmarks + 3),
        "parsing, mean IoU": change(parsing=lambda face, row: face.parsing * 0),
        "head pose, mean error in degrees": change(pose=lambda face, row: -face.pose),
        "action units, mean r": change(
            action_units=lambda face, row: {name: rng.random() for name in face.action_units}
        ),
        "expression, accuracy of 8": change(
            expression=lambda face, row: dict(
                zip(face.expression, np.roll(list(face.expression.values()), 1), strict=True)
            )
        ),
        "unseen compounds against the 8, AUROC": change(open_set=lambda face, row: rng.random()),
        "identity, equal error rate": change(
            embedding=lambda face, row: (lambda v: v / np.linalg.norm(v))(rng.normal(size=32))
        ),
    }
    for name, fault in faults.items():
        failed = {other for other, bar in scored(wanted, fault).items() if not bar.passed}
        assert name in failed, name
        assert failed <= {name, "action units, least r", "expression, calibration error"}, name


def test_overconfidence_fails_the_calibration(wanted):
    rng = np.random.default_rng(1)

    def guess(face, row):
        if rng.random() < 0.7:
            return face
        values = dict.fromkeys(vocabulary.EXPRESSIONS, 0.001)
        values[str(rng.choice(vocabulary.EXPRESSIONS))] = 0.993
        return dataclasses.replace(face, expression=values)

    assert not scored(wanted, guess)["expression, calibration error"].passed


def test_a_camera_harms_and_repeats():
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3)).astype(np.uint8)
    seen = exam.through_a_camera(images)
    np.testing.assert_array_equal(seen, exam.through_a_camera(images))
    assert np.abs(seen.astype(int) - images).mean() > 5
    np.testing.assert_array_equal(exam.through_a_camera(images[:1])[0], seen[0])


def test_both_looks_of_the_exam_are_whole_and_disjoint():
    first, second = (exam.load(look) for look in exam.FOLDERS)
    for pictures in (first, second):
        assert pictures.images.shape == (480, 128, 128, 3) and pictures.parsing.shape == (480, 128, 128)
        assert len(np.unique(pictures.identities)) == 80
        assert np.abs(pictures.pose[:, 0]).max() <= 45
        basic = pictures.expression != vocabulary.MIXED
        assert 0.4 < basic.mean() < 0.6
        assert sum(is_compound(row["au"]) for row in pictures.labels) > 60
    assert not set(first.identities) & set(second.identities)
    with pytest.raises(FileNotFoundError, match="exam: no labels.parquet"):
        exam.load("first", exam.Path("nowhere"))


def test_time_and_weights_are_measured():
    class NoBoxes:
        def find(self, image):
            return []

    net = PerceptionNet(size=32, widths=(4, 8, 8, 8), depths=(0, 1, 0, 0), width=16, layers=1, heads=2).eval()
    analyzer = FaceAnalyzer(net, NoBoxes(), size=32)
    threads = torch.get_num_threads()
    assert 0 < perception.milliseconds(analyzer).value < 1000
    assert torch.get_num_threads() == threads
    count = sum(value.numel() for value in net.state_dict().values())
    assert perception.megabytes(analyzer).value == pytest.approx(2 * count / 1e6)
