"""What is read off one face beyond its outline: pose, action units, expression, age, looks, who it is like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from faces import vocabulary
from faces.openset import basic_distance
from faces.perception import AGE_CENTRES, ATTRIBUTES

_POSE_UNIT = 45.0
"""Degrees to one unit of the network's answer."""
_AGE_SURE = 12.0
"""Years; a distribution that is wider says nothing, and `age_years` abstains."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Calibration:
    """How answers become probabilities, fitted on faces that training did not show (`train.calibrate`)."""

    temperature: float = 1.0
    """Of the expressions (Guo et al. 2017, section 4.2)."""
    open_set_centre: float = 1.0
    """`basic_distance` of a face that is as likely one of the basic expressions as none."""
    open_set_width: float = 0.2
    """Of the logistic curve about it."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FaceReading:
    """Readings of one face. Nothing here says what a person is: see docs/perception.md."""

    landmark_sigma: np.ndarray
    """Deviation of each landmark in pixels of the picture, (68,): how sure the network is of it."""
    pose: np.ndarray
    """Yaw, pitch and roll of the head in degrees, (3,): to the right of the picture, up, clockwise."""
    action_units: dict[str, float]
    """Intensity of each of `vocabulary.UNIT_COLUMNS`, 0 at rest, 1 a strong display; sided where the rig is."""
    expression: dict[str, float]
    """Probability of each of `vocabulary.EXPRESSIONS`, given that it is one of them."""
    open_set: float
    """0..1: how likely it is none of them, such as two at once; from the distance of its action units."""
    valence: float
    """-1 unpleasant .. 1 pleasant, as the face shows it."""
    arousal: float
    """-1 calm .. 1 excited."""
    age: np.ndarray
    """Probability of each of `AGE_CENTRES`, the years that the face looks like."""
    hair_colour: dict[str, float]
    """Probability of each of `vocabulary.HAIR_COLOURS`, given that there is hair."""
    attributes: dict[str, float]
    """Probability of glasses, beard, makeup, and a bald head."""
    quality: float
    """0..1: what is left of the picture after blur, lost resolution, noise, compression and darkness."""
    embedding: np.ndarray | None = None
    """(e,) of length 1 for comparing faces; None when the analyzer has no embedder."""

    @property
    def top_expression(self) -> str:
        """The most probable expression, `vocabulary.MIXED` when it is likelier none of them."""
        if self.open_set > 0.5:
            return vocabulary.MIXED
        return max(self.expression, key=lambda name: self.expression[name])

    @property
    def age_deviation(self) -> float:
        """Width of the age distribution in years."""
        centres = np.array(AGE_CENTRES)
        return float(np.sqrt(self.age @ (centres - self.age @ centres) ** 2))

    @property
    def age_years(self) -> float | None:
        """Expected age in years; None, an abstention, when the distribution is too wide to mean anything."""
        return float(self.age @ np.array(AGE_CENTRES)) if self.age_deviation <= _AGE_SURE else None


def read(
    raw: dict[str, np.ndarray],
    scale: float,
    turn: float,
    embedding: np.ndarray | None,
    calibration: Calibration = Calibration(),  # noqa: B008 - immutable
) -> dict[str, Any]:
    """Turn the network's answers for one face into the fields of `FaceReading`.

    Args:
        raw: answers of `PerceptionNet` without batch; `landmark_sigma` in pixels of the frame already.
        scale: pixels of the frame to one of the picture.
        turn: degrees by which the frame turns the picture clockwise.
        embedding: of the face, or None.
        calibration: of the network.
    """
    pose = raw["pose"] * _POSE_UNIT - np.array([0.0, 0.0, turn], np.float32)
    valence, arousal = np.clip(raw["valence_arousal"], -1, 1)
    units = np.clip(raw["action_units"], 0, None)
    beyond = (basic_distance(units[None])[0] - calibration.open_set_centre) / calibration.open_set_width
    return {
        "landmark_sigma": raw["landmark_sigma"] / scale,
        "pose": pose.astype(np.float32),
        "action_units": _named(vocabulary.UNIT_COLUMNS, units),
        "expression": _named(vocabulary.EXPRESSIONS, softmax(raw["expression"] / calibration.temperature)),
        "open_set": float(sigmoid(np.array(beyond))),
        "valence": float(valence),
        "arousal": float(arousal),
        "age": softmax(raw["age"]),
        "hair_colour": _named(vocabulary.HAIR_COLOURS, softmax(raw["hair_colour"])),
        "attributes": _named(ATTRIBUTES, sigmoid(raw["attributes"])),
        "quality": float(sigmoid(raw["quality"])[0]),
        "embedding": embedding,
    }


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities over the last axis."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Probabilities of each alone."""
    return 1 / (1 + np.exp(-np.clip(logits, -30, 30)))


def _named(names: tuple[str, ...], values: np.ndarray) -> dict[str, float]:
    return {name: float(value) for name, value in zip(names, values, strict=True)}
