"""A small expression classifier that is trained from nothing in seconds: what tells training sets apart.

Histograms of oriented gradients (Dalal and Triggs 2005) of the face and ridge regression onto the classes. It shares
nothing with the networks of Mien, is deterministic, and has one setting, which cross-validation chooses.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from faces import alignment, vocabulary

_SIDE, _CELL = 96, 12
_PENALTIES = (1.0, 10.0, 100.0, 1000.0)
_FOLDS = 4


@dataclass(frozen=True, slots=True)
class ExpressionRidge:
    """A fitted classifier."""

    mean: np.ndarray
    weights: np.ndarray
    """(features + 1, classes)."""

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Names (n,) for features (n, f)."""
        scores = (features - self.mean) @ self.weights[:-1] + self.weights[-1]
        return np.array(vocabulary.EXPRESSIONS)[scores.argmax(axis=1)]


def features_of(images: np.ndarray) -> np.ndarray:
    """Gradients of canonical frames (n, s, s, 3) uint8, and of their mirror images: (2, n, f) float32."""
    hog = cv2.HOGDescriptor(
        (_SIDE, _SIDE), (2 * _CELL, 2 * _CELL), (_CELL, _CELL), (_CELL, _CELL), 9
    )  # fmt: skip
    crops = alignment.crop_face(images, _SIDE)
    rows = [
        [np.asarray(hog.compute(np.ascontiguousarray(side))).ravel() for side in (crop, crop[:, ::-1])]
        for crop in crops
    ]
    return np.moveaxis(np.array(rows, np.float32), 1, 0)


def fit(features: np.ndarray, labels: np.ndarray, persons: np.ndarray) -> ExpressionRidge:
    """Train on features (2, n, f) as `features_of` gives them, with the penalty that people left out favour.

    Args:
        features: of pictures and their mirror images.
        labels: (n,) names.
        persons: (n,) who is shown; one person is never on both sides of a fold.
    """
    _, person = np.unique(persons, return_inverse=True)
    fold = np.random.default_rng(0).permutation(person.max() + 1)[person] % _FOLDS
    right = np.zeros(len(_PENALTIES))
    for held in range(min(_FOLDS, person.max() + 1)):
        train, test = fold != held, fold == held
        if not train.any() or not test.any():
            continue
        for number, penalty in enumerate(_PENALTIES):
            found = _solve(features[:, train], labels[train], penalty).predict(features[0, test])
            right[number] += (found == labels[test]).sum()
    return _solve(features, labels, _PENALTIES[int(right.argmax())])


def _solve(features: np.ndarray, labels: np.ndarray, penalty: float) -> ExpressionRidge:
    """Ridge regression in its dual form: there are fewer pictures than gradients, or not many more."""
    x, y = features.reshape(-1, features.shape[-1]), np.tile(labels, 2)
    mean = x.mean(axis=0)
    targets = (y[:, None] == np.array(vocabulary.EXPRESSIONS)).astype(np.float64)
    # Classes count alike however many pictures they have.
    share = np.maximum(targets.mean(axis=0), 1e-9)
    weight = np.sqrt((1 / (share * len(share)))[targets.argmax(axis=1)])[:, None]
    bias = (targets * weight**2).sum(axis=0) / (weight**2).sum()
    a, b = (x - mean) * weight, (targets - bias) * weight
    if len(a) <= a.shape[1]:
        weights = a.T @ np.linalg.solve(a @ a.T + penalty * np.eye(len(a)), b)
    else:
        weights = np.linalg.solve(a.T @ a + penalty * np.eye(a.shape[1]), a.T @ b)
    return ExpressionRidge(mean, np.vstack([weights, bias]))


def accuracy(found: np.ndarray, truth: np.ndarray) -> float:
    """Mean recall over the classes of the truth, (n,) names each."""
    return mean_recall(found == truth, truth)


def mean_recall(right: np.ndarray, truth: np.ndarray) -> float:
    """The same off how often each picture is classified rightly, (n,) 0..1."""
    return float(np.mean([right[truth == name].mean() for name in np.unique(truth)]))
