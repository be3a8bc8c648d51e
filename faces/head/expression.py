"""From action units to MakeHuman's expression morphs, and the eight basic expressions as action units.

The mapping was read off renders of every morph at full strength; it is not the work of a certified FACS coder.
"""

from __future__ import annotations

from faces.head.spec import full_action_units

PROTOTYPES: dict[str, dict[str, float]] = {
    "neutral": {},
    "happy": {"AU12": 0.85, "AU25": 0.75, "AU7": 0.3},
    "sad": {"AU1": 1.0, "AU15": 0.95, "AU17": 0.25, "AU7": 0.2},
    "surprise": {"AU1": 0.9, "AU2": 0.9, "AU5": 0.9, "AU26": 0.7},
    "fear": {"AU1": 1.0, "AU2": 0.35, "AU5": 1.0, "AU16": 0.75, "AU20": 0.45, "AU26": 0.2},
    "disgust": {"AU9": 1.2, "AU10": 0.75, "AU15": 0.3, "AU4": 0.7, "AU7": 0.5},
    "anger": {"AU4": 1.3, "AU5": 0.4, "AU9": 0.4, "AU38": 1.0, "AU15": 0.35, "AU24": 0.7},
    "contempt": {"AU12L": 0.95, "AU1L": 0.35, "AU2L": 0.6, "AU7R": 0.35},
}
"""Typical action units of each expression, after EMFACS (Friesen & Ekman, 1983) within what the morphs can show."""

_SIDED = {
    "AU1": "eyebrows-{}-inner-up",
    "AU2": "eyebrows-{}-extern-up",
    "AU4": "eyebrows-{}-down",
    "AU5": "eye-{}-opened-up",
    "AU7": "eye-{}-slit",
    "AU43": "eye-{}-closure",
}
_PLAIN = {
    "AU10": "mouth-elevation",
    "AU15": "mouth-depression",
    "AU16": "mouth-depression-retraction",
    "AU17": "mouth-eversion",
    "AU18": "mouth-pursing",
    "AU20": "mouth-retraction",
    "AU22": "mouth-protusion",
    "AU24": "mouth-compression",
    "AU26": "mouth-open",
}
_JAW_LIMIT = 0.75  # beyond it the tongue leaves through the chin


def morph_weights(units: dict[str, float]) -> dict[str, tuple[float, float]]:
    """Weights of the expression morphs for action units: morph -> (right half, left half), each 0..1.5."""
    full = full_action_units(units)
    weights: dict[str, tuple[float, float]] = {}
    for unit, pattern in _SIDED.items():
        for side, letter in (("left", "L"), ("right", "R")):
            weights[pattern.format(side)] = _both(full[unit + letter])
    for unit, morph in _PLAIN.items():
        weights[morph] = _both(full[unit])
    weights["mouth-open"] = _both(min(full["AU26"], _JAW_LIMIT))
    for side in ("left", "right"):
        weights[f"nose-{side}-dilatation"] = _both(full["AU38"])
        weights[f"nose-{side}-elevation"] = _both(full["AU9"])
    weights["nose-compression"] = _both(full["AU9"])
    # A smile with parted lips is a morph of its own; parting them on top of a closed smile tears the mouth.
    parted = min(full["AU25"], 1.0)
    smile = (full["AU12R"], full["AU12L"])
    weights["mouth-corner-puller"] = (smile[0] * (1 - 0.35 * parted), smile[1] * (1 - 0.35 * parted))
    weights["mouth-upward-retraction"] = (smile[0] * parted, smile[1] * parted)
    weights["mouth-parling"] = _both(parted * (1 - min(1.0, max(smile))))
    return {name: pair for name, pair in weights.items() if max(pair) > 1e-4}


def _both(weight: float) -> tuple[float, float]:
    return weight, weight


def mouth_is_open(units: dict[str, float]) -> bool:
    """Whether teeth or tongue can be seen."""
    full = full_action_units(units)
    return max(full[unit] for unit in ("AU10", "AU16", "AU22", "AU25", "AU26")) > 0.05
