"""What a dataset is worth, with pictures whose gradients spell out the expression."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from faces import vocabulary
from gen.evaluation.dataset import Dataset
from gen.evaluation.heldout import HeldOut
from gen.evaluation.recognizer import accuracy, features_of, fit
from gen.evaluation.training_value import Pictures, compare

SIDE = 64


def stripes(expression: str, rng: np.random.Generator, clarity: float = 1.0) -> np.ndarray:
    """A face of stripes whose direction is the expression, (64, 64, 3) uint8; noise where clarity ends."""
    angle = np.pi / 2 * (vocabulary.EXPRESSIONS.index(expression) + 0.5) / 8  # no mirror image is another one
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    wave = np.sin(40 * (x * np.cos(angle) + y * np.sin(angle)) + rng.uniform(0, 6))
    mixed = clarity * wave + (1 - clarity) * rng.normal(0, 1, wave.shape)
    return np.repeat((127 + 100 * np.tanh(mixed))[..., None], 3, axis=2).astype(np.uint8)


def people(count: int, rng: np.random.Generator, clarity: float = 1.0, prefix: str = "p"):
    rows, images = [], []
    for person in range(count):
        for state in range(3):
            expression = vocabulary.EXPRESSIONS[(person * 3 + state) % 8]
            rows.append(
                {
                    "identity_id": f"{prefix}{person:03d}", "state": state, "expression": expression,
                    "requested_expression": expression, "age_years": 20 + person % 60, "skin_tone": 1 + person % 6,
                    "gender": "woman" if person % 2 else "man",
                }
            )  # fmt: skip
            images.append(stripes(expression, rng, clarity))
    return np.stack(images), rows


@pytest.fixture(scope="module")
def heads():
    images, rows = people(48, np.random.default_rng(0), 0.9)
    return HeldOut(images=images, labels=rows)


def made(images, rows) -> Dataset:
    return Dataset(images=images, rows=rows, references={}, planned=[])


def test_the_classifier_learns_directions(heads):
    features = features_of(heads.images)
    labels = np.array([row["expression"] for row in heads.labels])
    model = fit(features[:, :96], labels[:96], heads.identities[:96])
    assert accuracy(model.predict(features[0, 96:]), labels[96:]) > 0.8


def test_accuracy_counts_classes_alike():
    truth = np.array(["happy"] * 9 + ["sad"])
    assert accuracy(np.array(["happy"] * 10), truth) == 0.5


def test_a_set_like_the_renders_is_worth_as_much(heads):
    bars, value = compare(made(*people(60, np.random.default_rng(7), 0.9, "q")), heads)
    ratio, gain, rises = bars
    assert ratio.value is not None and ratio.value > 0.85
    assert value.count == 96 and set(value.scaling) == {0.1, 0.5, 1.0}
    assert value.mixture[0.0] == pytest.approx(value.renders)
    assert value.mixture[1.0] == pytest.approx(value.synthetic)
    assert set(value.groups) == {"age_band", "skin_tone", "gender"}
    assert rises.n == 3 and gain.value is not None


def test_a_set_with_shuffled_labels_fails(heads):
    images, rows = people(60, np.random.default_rng(7), 0.9, "q")
    shuffled = np.random.default_rng(1).permutation([row["requested_expression"] for row in rows])
    for row, label in zip(rows, shuffled, strict=True):
        row["requested_expression"] = str(label)
    bars, _ = compare(made(images, rows), heads)
    assert bars[0].value is not None and bars[0].value < 0.5 and not bars[0].passed


def test_labels_of_the_annotation_come_before_what_was_asked(heads):
    images, rows = people(60, np.random.default_rng(7), 0.9, "q")
    for row in rows:
        row["label"], row["requested_expression"] = row["requested_expression"], "neutral"
    assert compare(made(images, rows), heads)[0][0].passed


def test_balanced_choice_is_balanced_and_repeats():
    labels = np.array(["happy"] * 30 + ["sad"] * 5 + ["fear"] * 5)
    pictures = Pictures(features=np.zeros((2, 40, 1)), labels=labels, persons=np.arange(40))
    chosen = pictures.balanced(15)
    assert sorted(np.unique(chosen.labels, return_counts=True)[1]) == [5, 5, 5]
    np.testing.assert_array_equal(pictures.balanced(15).persons, chosen.persons)
    assert len(pictures.balanced(99)) == 40


def test_the_face_is_what_is_looked_at():
    rng = np.random.default_rng(0)
    image = stripes("happy", rng)
    framed = image.copy()
    framed[:5] = 0
    np.testing.assert_allclose(features_of(framed[None]), features_of(image[None]), atol=1e-5)
    blurred = cv2.GaussianBlur(image, (0, 0), 4)
    assert not np.allclose(features_of(blurred[None]), features_of(image[None]))
