"""FACS in words: what action units are called and how strong they are, and the way back from the words.

Names and the five steps of intensity are those of the Facial Action Coding System (Ekman, Friesen and Hager 2002).
The rig's intensities are no codes of a certified coder: where a step begins on their scale is set here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from faces.vocabulary import ACTION_UNITS, SIDED_ACTION_UNITS, UNIT_COLUMNS

NAMES: dict[str, str] = {
    "AU1": "inner brow raiser", "AU2": "outer brow raiser", "AU4": "brow lowerer", "AU5": "upper lid raiser",
    "AU7": "lid tightener", "AU9": "nose wrinkler", "AU10": "upper lip raiser", "AU12": "lip corner puller",
    "AU15": "lip corner depressor", "AU16": "lower lip depressor", "AU17": "chin raiser", "AU18": "lip pucker",
    "AU20": "lip stretcher", "AU22": "lip funneler", "AU24": "lip pressor", "AU25": "lips part",
    "AU26": "jaw drop", "AU38": "nostril dilator", "AU43": "eye closure",
}  # fmt: skip

STRONGEST = 1.5
"""Largest intensity that the rig shows; 1 is a strong display."""
REST = (0.0, 0.05)
"""Intensities that nobody would see: such a unit is not named."""
INTENSITIES: dict[str, tuple[float, float]] = {
    "trace": (0.05, 0.2),
    "slight": (0.2, 0.45),
    "marked": (0.45, 0.8),
    "severe": (0.8, 1.15),
    "maximum": (1.15, STRONGEST),
}
"""The steps A to E: word -> where it begins, included, and where it ends, excluded but for the last."""

AT_REST = "all action units at rest"
_SIDES = {"L": "left", "R": "right"}
_PHRASE = re.compile(rf"(AU\d+) ([a-z ]+) ({'|'.join(INTENSITIES)})(?: on the (left|right))?")

Bounds = tuple[float, float]


def intensity(value: float) -> str | None:
    """Name the step of an intensity in 0..1.5; None at rest.

    Raises:
        ValueError: it is outside.
    """
    if not 0 <= value <= STRONGEST:  # NaN fails as well
        raise ValueError(f"intensity is {value}, permitted: 0 to {STRONGEST}")
    return next((word for word, (low, _) in reversed(INTENSITIES.items()) if value >= low), None)


def is_within(value: float, bounds: Bounds) -> bool:
    """Whether an intensity lies within the bounds that `parse` gives for it."""
    low, high = bounds
    return low <= value < high or value == high == STRONGEST


def columns(units: Mapping[str, float]) -> dict[str, float]:
    """Intensity of each of `vocabulary.UNIT_COLUMNS`, 0 for what is not named.

    Args:
        units: name -> intensity; "AU12" means both sides, "AU12L" the subject's left, whatever "AU12" says.

    Raises:
        ValueError: an unknown name.
    """
    unknown = sorted(set(units) - {*ACTION_UNITS, *UNIT_COLUMNS})
    if unknown:
        raise ValueError(f"action units {', '.join(unknown)}: unknown, known are {', '.join(UNIT_COLUMNS)}")
    return {name: float(units.get(name, units.get(name.rstrip("LR"), 0.0))) for name in UNIT_COLUMNS}


def describe(units: Mapping[str, float]) -> str:
    """Put action units into words, the strongest first: "AU12 lip corner puller marked, AU4 brow lowerer slight".

    A side is named where the two differ. Units at rest are left out; a face at rest is `AT_REST`.

    Args:
        units: as for `columns`, intensities in 0..1.5.

    Raises:
        ValueError: an unknown name, or an intensity outside.
    """
    words = {name: intensity(value) for name, value in columns(units).items()}
    phrases = [phrase for unit in ACTION_UNITS for phrase in _phrases(unit, words)]
    order = list(reversed(INTENSITIES))
    phrases.sort(key=lambda phrase: order.index(phrase[1]))
    return ", ".join(f"{unit} {NAMES[unit]} {word}{side}" for unit, word, side in phrases) or AT_REST


def parse(text: str) -> dict[str, Bounds]:
    """Read back what `describe` says: bounds of the intensity of every one of `vocabulary.UNIT_COLUMNS`.

    Raises:
        ValueError: it is not such a text, contradicts itself, or calls a unit by another unit's name.
    """
    found = dict.fromkeys(UNIT_COLUMNS, REST)
    if text == AT_REST:
        return found
    for phrase in text.split(", "):
        for column, bounds in _read(phrase).items():
            if found[column] != REST:
                raise ValueError(f"'{phrase}': {column} is described twice")
            found[column] = bounds
    return found


def _phrases(unit: str, words: Mapping[str, str | None]) -> list[tuple[str, str, str]]:
    """What is said of one unit: (unit, word, " on the left", " on the right" or ""), no more than two of them."""
    if unit not in SIDED_ACTION_UNITS:
        said = {"": words[unit]}
    elif words[unit + "L"] == words[unit + "R"]:
        said = {"": words[unit + "L"]}
    else:
        said = {f" on the {name}": words[unit + side] for side, name in _SIDES.items()}
    return [(unit, word, side) for side, word in said.items() if word]


def _read(phrase: str) -> dict[str, Bounds]:
    match = _PHRASE.fullmatch(phrase)
    if not match or NAMES.get(match[1]) != match[2]:
        raise ValueError(f"'{phrase}': expected words like 'AU12 lip corner puller marked on the left'")
    unit, bounds, side = match[1], INTENSITIES[match[3]], match[4]
    if unit not in SIDED_ACTION_UNITS:
        if side:
            raise ValueError(f"'{phrase}': {unit} has no sides")
        return {unit: bounds}
    return {unit + letter: bounds for letter, name in _SIDES.items() if side in (None, name)}
