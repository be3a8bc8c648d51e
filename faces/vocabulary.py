"""Names that every part of Mien shares: regions, landmarks, action units, expressions, strata.

One source of truth: labels, captions, networks and evaluation index into these tuples, so their order is a
file format. "Left" and "right" are the subject's own sides, as in CelebAMask-HQ, unless a name says otherwise.
"""

from __future__ import annotations

import numpy as np

PARSING = (
    "background", "skin", "l_brow", "r_brow", "l_eye", "r_eye", "eye_g", "l_ear", "r_ear", "ear_r",
    "nose", "mouth", "u_lip", "l_lip", "neck", "neck_l", "cloth", "hair", "hat",
)  # fmt: skip
"""The 19 classes of CelebAMask-HQ in the order of BiSeNet face parsing."""

PARTS: dict[str, tuple[int, ...]] = {
    "face": (1, 2, 3, 4, 5, 6, 10, 11, 12, 13),
    "ears": (7, 8),
    "eyes": (4, 5),
    "nose": (10,),
    "mouth": (11, 12, 13),
}
"""The five facial parts of ConsistentID (section 3.2 of the paper) and the parsing ids that make them."""

EXPRESSIONS = ("neutral", "happy", "sad", "surprise", "fear", "disgust", "anger", "contempt")

CIRCUMPLEX: dict[str, tuple[float, float]] = {
    "neutral": (0.0, 0.0),
    "happy": (0.81, 0.51),
    "sad": (-0.63, -0.27),
    "surprise": (0.40, 0.67),
    "fear": (-0.64, 0.60),
    "disgust": (-0.60, 0.35),
    "anger": (-0.51, 0.59),
    "contempt": (-0.35, 0.25),
}
"""Valence and arousal, -1..1, of each expression at full strength: Russell and Mehrabian (1977), "Evidence for a
three-factor theory of emotions", table 2; contempt, which they lack, is set between anger and neutral."""

MIXED = "mixed"
"""Label of a face that shows none of `EXPRESSIONS`: a free combination of action units, or two expressions at once."""

ACTION_UNITS = (
    "AU1", "AU2", "AU4", "AU5", "AU7", "AU9", "AU10", "AU12", "AU15", "AU16",
    "AU17", "AU18", "AU20", "AU22", "AU24", "AU25", "AU26", "AU38", "AU43",
)  # fmt: skip
"""FACS action units that the head can show, intensity 0..1 (a strong one may reach 1.2)."""

SIDED_ACTION_UNITS = ("AU1", "AU2", "AU4", "AU5", "AU7", "AU12", "AU43")
"""Action units that the left and the right half of the face can show apart: "AU1L" is the subject's left."""

UNIT_COLUMNS = tuple(
    column
    for unit in ACTION_UNITS
    for column in ((unit + "L", unit + "R") if unit in SIDED_ACTION_UNITS else (unit,))
)
"""What networks read and take: a column for each action unit, two (left, right) for a sided one."""

_UNIT_MIRROR = np.array(
    [
        UNIT_COLUMNS.index(name[:-1] + {"L": "R", "R": "L"}[name[-1]]) if name[-1] in "LR" else index
        for index, name in enumerate(UNIT_COLUMNS)
    ]
)

AGE_BANDS: dict[str, tuple[int, int]] = {
    "young": (18, 34),
    "middle-aged": (35, 54),
    "elderly": (55, 85),
}
"""Years, both ends included. Nobody younger than 18 is rendered or generated."""

MINIMUM_AGE = 18

HAIR_STYLES = (
    "bald", "short", "cropped", "side-parted", "tousled", "afro", "bob", "straight bob", "braided", "long", "ponytail",
)  # fmt: skip

HAIR_COLOURS = ("black", "brown", "blond", "red", "grey")

EYE_COLOURS = ("brown", "light brown", "green", "blue-green", "blue", "light blue", "grey")

POSES: dict[str, float] = {
    "left": -25.0,
    "slightly left": -12.0,
    "frontal": 0.0,
    "slightly right": 12.0,
    "right": 25.0,
}
"""Yaw in degrees at the centre of each named pose; positive turns the face towards the right side of the image."""

LIGHTS = ("soft", "side", "bright", "dim", "warm", "cool")

BACKGROUNDS = ("grey", "white", "dark", "blue", "green", "beige")

CLOTH_COLOURS = ("white", "black", "grey", "red", "blue", "green", "yellow")

SKIN_TONES = (1, 2, 3, 4, 5, 6)
"""Rendered skin tone from light (1) to dark (6): a parameter of the renderer, never what a person is."""

_LANDMARK_MIRROR = np.array(
    [16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17]
    + [27, 28, 29, 30, 35, 34, 33, 32, 31, 45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40]
    + [54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65]
)

_PARSING_MIRROR = np.array([0, 1, 3, 2, 5, 4, 6, 8, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18], dtype=np.uint8)


def flip_landmarks(landmarks: np.ndarray, width: float) -> np.ndarray:
    """Mirror 68 iBUG landmarks, (..., 68, 2) in pixels, as the mirrored image of that width shows them."""
    mirrored = landmarks[..., _LANDMARK_MIRROR, :].copy()
    mirrored[..., 0] = width - mirrored[..., 0]
    return mirrored


def flip_parsing(parsing: np.ndarray) -> np.ndarray:
    """Mirror a label map (..., h, w) of `PARSING` ids and swap the sided classes."""
    return _PARSING_MIRROR[parsing[..., ::-1]]


def flip_units(values: np.ndarray) -> np.ndarray:
    """Mirror intensities (..., units) in the order of `UNIT_COLUMNS`: left and right change places."""
    return values[..., _UNIT_MIRROR]


def age_band(years: float) -> str:
    """Name the band of `AGE_BANDS` that an age in years falls in; raises ValueError below 18."""
    if years < MINIMUM_AGE:
        raise ValueError(f"age {years:g} is below {MINIMUM_AGE}: only adults are rendered or generated")
    return next((name for name, (_, high) in AGE_BANDS.items() if years < high + 1), "elderly")


def pose_name(yaw: float) -> str:
    """Name the entry of `POSES` nearest to a yaw in degrees."""
    return min(POSES, key=lambda name: abs(POSES[name] - yaw))
