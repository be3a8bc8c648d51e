"""Captions follow from records, and a caption that does not is found."""

from __future__ import annotations

from typing import Any

import numpy as np

from faces import captions, facs, vocabulary
from gen import captioning
from gen.recipes.expressions import display
from gen.record import AXES, SCHEMA


def record(seed: int) -> dict[str, Any]:
    """A record with random looks and a random display, and its caption."""
    rng = np.random.default_rng(seed)
    looks: dict[str, Any] = {}
    for name in AXES:
        options = captions.values(name)
        if name == "expression" or rng.random() < 2 / 3:
            looks[name] = options[int(rng.integers(len(options)))]
    units = display(looks["expression"], rng)
    found = dict.fromkeys(SCHEMA.names) | {f"requested_{name}": value for name, value in looks.items()}
    return found | {
        "au_requested": [units[name] for name in vocabulary.UNIT_COLUMNS], "label": looks["expression"],
        "label_decision": "keep", "caption": captioning.caption(looks, units),
    }  # fmt: skip


def test_captions_say_what_records_say():
    for seed in range(300):
        made = record(seed)
        assert captioning.contradictions(made) == []
        looks, bounds = captioning.read(made["caption"])
        assert bounds and set(bounds) == set(vocabulary.UNIT_COLUMNS)
        for name in AXES:
            wanted = made[f"requested_{name}"]
            if not (name == "hair_colour" and made["requested_hair_style"] == "bald"):
                assert looks.get(name) == (wanted or "person" if name == "gender" else wanted)
        for name, value in zip(vocabulary.UNIT_COLUMNS, made["au_requested"], strict=True):
            word = facs.intensity(value)
            assert bounds[name] == (facs.INTENSITIES[word] if word else facs.REST)


def test_any_changed_attribute_is_found():
    for seed in range(20):
        made = record(seed)
        for name in AXES:
            if name in ("expression", "hair_colour"):
                continue
            own = made[f"requested_{name}"]
            other = next(value for value in captions.values(name) if value not in (own, "person"))
            if name == "hair_style" and "bald" in (own, other):
                continue
            wrong = captioning.contradictions({**made, f"requested_{name}": other})
            assert len(wrong) == 1 and wrong[0].startswith(f"{name} is {other}")
        other = next(name for name in vocabulary.EXPRESSIONS if name != made["label"])
        assert captioning.contradictions({**made, "label": other})[0].startswith(f"expression is {other}")
        for place, name in enumerate(vocabulary.UNIT_COLUMNS):
            units = list(made["au_requested"])
            units[place] = 1.3 if units[place] < 1 else 0.0
            wrong = captioning.contradictions({**made, "au_requested": units})
            assert len(wrong) == 1 and wrong[0].startswith(name)


def test_units_that_only_one_of_them_has_are_found():
    made = record(0)
    bare = {**made, "caption": made["caption"].split(". ")[0]}
    assert captioning.contradictions(bare) == [
        "action units are in the record or in the caption, not in both"
    ]
    assert captioning.contradictions({**made, "au_requested": None}) != []
    assert captioning.contradictions({**bare, "label_decision": "relabel"}) == []
    assert captioning.contradictions({**bare, "au_requested": None}) == []


def test_a_caption_that_cannot_be_read_contradicts():
    assert "no phrase" in captioning.contradictions({**record(0), "caption": "portrait of a man, joyful"})[0]
