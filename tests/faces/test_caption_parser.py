"""Canonical prompts read back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from faces import captions
from faces.caption_parser import parse

KEYS = (
    "age_band", "expression", "pose", "hair_style", "hair_colour", "eye_colour", "skin_tone", "beard", "glasses",
    "cloth_colour", "light", "background",
)  # fmt: skip


def drawn(seed: int) -> dict[str, Any]:
    """Arguments of `captions.prompt`, each of them there two times out of three."""
    rng = np.random.default_rng(seed)

    def one(key: str) -> Any:
        options = captions.values(key)
        return options[int(rng.integers(len(options)))]

    looks = {"gender": one("gender")} | {key: one(key) for key in KEYS if rng.random() < 2 / 3}
    layers = [layer for layer in captions.values("makeup") if rng.random() < 0.3]
    return looks | ({"makeup": tuple(layers)} if layers else {})


def test_a_prompt_gives_back_its_arguments():
    for seed in range(300):
        looks = drawn(seed)
        text = captions.prompt(**looks)
        if looks.get("hair_style") == "bald":
            looks.pop("hair_colour", None)  # nothing is said of it
        assert parse(text) == looks


def test_each_value_of_each_attribute_is_told_from_all_others():
    texts = [captions.prompt(**{key: value}) for key in KEYS for value in captions.values(key)]
    found = [parse(text) for text in texts]
    assert len({str(item) for item in found}) == len(texts)
    assert parse("portrait of a person") == {"gender": "person"}
    assert parse("portrait of a person, no glasses")["glasses"] is False


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a portrait of a person", "expected the subject"),
        ("portrait of an young woman", "expected the subject"),
        ("portrait of a child", "expected the subject"),
        ("portrait of a person, happy", "'happy': no phrase"),
        ("portrait of a person, smiling, studio", "'studio': no phrase"),
        ("portrait of a person, smiling, angry", "'angry': expression is 'happy' already"),
        ("portrait of a person, long hair, red hair", "'red hair': no phrase|not in the order"),
        ("portrait of a person, facing left, smiling", "not in the order"),
        ("portrait of a person, lipstick, lipstick", "not in the order"),
        ("", "expected the subject"),
    ],
)
def test_other_texts_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        parse(text)
