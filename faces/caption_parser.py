"""The way back from a canonical prompt to the attributes that it words, to prove that a caption says what is so."""

from __future__ import annotations

from functools import cache
from itertools import product
from typing import Any

from faces import captions

_PLAIN = (
    "expression", "pose", "eye_colour", "skin_tone", "beard", "glasses", "cloth_colour", "light", "background",
)  # fmt: skip
"""Arguments of `captions.prompt` that have a phrase of their own."""


def parse(text: str) -> dict[str, Any]:
    """Invert `captions.prompt`: the arguments that give exactly this text.

    The gender is always among them. What a prompt leaves unsaid is not: the hair colour of a bald head.

    Args:
        text: a canonical prompt, such as "portrait of a young woman, smiling, facing left".

    Raises:
        ValueError: a phrase is not canonical, or says again what another said; or the order is another.
    """
    subject, *phrases = text.split(", ")
    if subject not in _subjects():
        raise ValueError(f"'{subject}': expected the subject of a canonical prompt, 'portrait of a person'")
    found = dict(_subjects()[subject])
    for phrase in phrases:
        if phrase not in _phrases():
            raise ValueError(f"'{phrase}': no phrase of a canonical prompt")
        for key, value in _phrases()[phrase].items():
            if key in found and key != "makeup":
                raise ValueError(f"'{phrase}': {key} is {found[key]!r} already")
            found[key] = found.get(key, ()) + value if key == "makeup" else value
    if captions.prompt(**found) != text:
        raise ValueError(f"'{text}': not in the order of a canonical prompt, '{captions.prompt(**found)}'")
    return found


@cache
def _subjects() -> dict[str, dict[str, Any]]:
    """First phrase -> what it says."""
    ages = (None, *captions.values("age_band"))
    looks = [{"gender": gender, "age_band": age} for gender in captions.values("gender") for age in ages]
    return {captions.prompt(**look): {key: value for key, value in look.items() if value} for look in looks}


@cache
def _phrases() -> dict[str, dict[str, Any]]:
    """Every later phrase -> what it says."""
    looks: list[dict[str, Any]] = [{key: value} for key in _PLAIN for value in captions.values(key)]
    looks += [{"makeup": (layer,)} for layer in captions.values("makeup")]
    styles, colours = ((None, *captions.values(key)) for key in ("hair_style", "hair_colour"))
    for style, colour in product(styles, colours):
        hair = {"hair_style": style, "hair_colour": colour if style != "bald" else None}
        looks.append({key: value for key, value in hair.items() if value})
    return {captions.prompt(**look).partition(", ")[2]: look for look in looks if look}
