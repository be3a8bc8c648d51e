"""Captions and prompts use a closed vocabulary, name what is there, and never a minor."""

from __future__ import annotations

import re
from itertools import product
from typing import Any

import numpy as np
import pytest

from faces import captions, vocabulary

LABELS = {
    "identity_id": "000001", "age_years": 27.5, "age_band": "young", "rendered_gender": 0.1,
    "gender": "woman", "skin_tone": 2, "eye_colour": "blue-green", "hair_style": "side-parted",
    "hair_colour": "blond", "beard": 0.0, "glasses": True,
    "expression": "happy", "au": {"AU12": 0.8}, "yaw": -24.0, "pitch": 3.0, "roll": 0.0,
    "pose": "left", "light": "soft", "background": "blue", "cloth_colour": "red", "marks": ["mole"],
    "makeup": [
        {"region": "lips", "alpha": 0.7},
        {"region": "lips", "alpha": 0.2},
        {"region": "blush", "alpha": 0.05},
    ],
}  # fmt: skip


def many(labels: dict, count: int = 400) -> list[str]:
    return [captions.caption(labels, np.random.default_rng(seed)) for seed in range(count)]


def test_tables_cover_the_vocabulary() -> None:
    for key, values in {
        "age_band": vocabulary.AGE_BANDS,
        "expression": vocabulary.EXPRESSIONS,
        "pose": vocabulary.POSES,
        "hair_style": vocabulary.HAIR_STYLES,
        "hair_colour": vocabulary.HAIR_COLOURS,
        "light": vocabulary.LIGHTS,
        "eye_colour": vocabulary.EYE_COLOURS,
        "skin_tone": vocabulary.SKIN_TONES,
        "background": vocabulary.BACKGROUNDS,
        "cloth_colour": vocabulary.CLOTH_COLOURS,
    }.items():
        assert set(captions._TABLES[key]) == set(values), key


def test_caption_depends_on_the_generator_alone() -> None:
    assert many(LABELS, 20) == many(LABELS, 20)
    assert len(set(many(LABELS, 100))) > 90


def test_captions_are_short_and_closed() -> None:
    known = set(captions.words())
    for style, seed in product(vocabulary.HAIR_STYLES, range(60)):
        labels = LABELS | {"hair_style": style, "gender": "man", "beard": 0.7}
        text = captions.caption(labels, np.random.default_rng(seed))
        assert len(text.split()) <= captions.MAX_WORDS
        assert len(re.findall(r"[a-z]+|[^a-z\s]", text)) <= captions.MAX_PIECES
        assert set(re.findall(r"[a-z]+", text)) <= known


@pytest.mark.parametrize(
    "wording",
    ["young", "woman", "smil|happy|cheerful", "left", "blond", "side", "glasses", "lipstick",
     "soft|diffuse", "blue-green eyes", "light skin|fair skin", "red", "blue background"],
)  # fmt: skip
def test_every_attribute_is_sometimes_there_and_sometimes_not(wording: str) -> None:
    named = np.mean([bool(re.search(wording, text)) for text in many(LABELS)])
    assert 0.08 < named < 0.95


def test_the_age_band_of_a_text_is_the_one_it_names() -> None:
    for band, years in vocabulary.AGE_BANDS.items():
        labels = LABELS | {"age_band": band, "age_years": years[0]}
        found = [captions.stated_age_band(text) for text in many(labels)]
        assert set(found) == {band, None}
        assert 0.7 < found.count(band) / len(found) < 0.95
    assert captions.stated_age_band("portrait of a woman, golden hair") is None


def test_absent_things_are_not_claimed() -> None:
    texts = " ".join(many(LABELS | {"glasses": False, "gender": "man"}))
    assert "wearing glasses" not in texts and "full beard" not in texts and "blush" not in texts
    assert "clean-shaven" in texts


def test_bald_heads_have_no_hair_colour() -> None:
    texts = many(LABELS | {"hair_style": "bald"})
    assert any("bald" in text for text in texts) and not any("blond" in text for text in texts)


def test_prompt_is_canonical() -> None:
    hair: dict[str, Any] = {"hair_style": "long", "hair_colour": "black"}
    woman: dict[str, Any] = {"gender": "woman", "age_band": "young"}
    text = captions.prompt(**woman, expression="happy", pose="left", **hair, light="soft")
    assert text == "portrait of a young woman, smiling, facing left, long black hair, soft light"
    assert captions.prompt() == "portrait of a person"
    assert captions.prompt(age_band="elderly") == "portrait of an elderly person"
    assert captions.prompt(makeup=["lips"], glasses=False) == "portrait of a person, no glasses, lipstick"


def test_prompt_uses_known_words_only() -> None:
    known = set(captions.words())
    keys = {"age_band": vocabulary.AGE_BANDS, "pose": vocabulary.POSES, "hair_style": vocabulary.HAIR_STYLES}
    for values in product(*keys.values()):
        stated: dict[str, Any] = dict(zip(keys, values, strict=True))
        text = captions.prompt(**stated, hair_colour="red", beard="stubble", skin_tone=4, expression="anger")
        assert set(re.findall(r"[a-z]+", text)) <= known


def test_prompt_rejects_what_it_does_not_know() -> None:
    with pytest.raises(ValueError, match="expression is 'joy', permitted: neutral, happy"):
        captions.prompt(expression="joy")
    with pytest.raises(ValueError, match="minor"):
        captions.prompt(gender="girl")
    with pytest.raises(ValueError, match="minor"):
        captions.prompt(age_band="teenager")
    with pytest.raises(ValueError, match="age 17 is below 18"):
        captions.caption(LABELS | {"age_years": 17}, np.random.default_rng(0))


@pytest.mark.parametrize(
    "text",
    ["a little boy", "Portrait of a TEENAGE man", "toddlers", "a 12 year old", "aged 9", "17-years-old woman",
     "\uff43\uff48\uff49\uff4c\uff44", "woman, age of 16", "14yo", "a twelve-year-old", "age: 15"],
)  # fmt: skip
def test_minor_words_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="only adults"):
        captions.refuse_minors(text)


@pytest.mark.parametrize(
    "text",
    ["a young woman", "a 35 year old man", "cowboy hat", "aged 60", "a minor scar", "baby blue eyes"],
)
def test_adult_words_pass(text: str) -> None:
    captions.refuse_minors(text)
