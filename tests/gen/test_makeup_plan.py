"""The makeup recipe: what it plans, from its settings alone, and the styles that all identities share."""

from __future__ import annotations

import collections
import json

import numpy as np
import pytest
from pydantic import ValidationError

from faces import captions
from faces.makeup import BARE, LAYERS
from gen import looks, recipe
from gen.balance import total_variation
from gen.plan import Plan
from gen.recipes.makeup import MakeupRecipe


def test_every_identity_has_a_bare_picture_and_one_of_each_style():
    made = MakeupRecipe(faces=4)
    rows = made.rows()
    assert rows == MakeupRecipe(faces=4).rows() and rows != MakeupRecipe(faces=4, seed=1).rows()
    assert len({row.id for row in rows}) == len({row.seed for row in rows}) == len(rows) == 24
    styles = ["bare", *(f"style-{number:02d}" for number in range(5))]
    people = collections.defaultdict(list)
    for row in rows:
        people[row.identity_id].append(row)
    assert list(people) == [f"id{number:06d}" for number in range(4)]
    for name, own in people.items():
        assert [row.requested["style_id"] for row in own] == styles
        assert [row.id for row in own] == [f"{name}_{style}" for style in styles]
        assert [row.role for row in own] == ["bare", *["makeup"] * 5]
        assert len({row.prompt for row in own}) == 1


def test_a_batch_and_a_shard_hold_whole_identities(tmp_path):
    for settings in ({}, {"styles": 3}, {"styles": 2, "batch_size": 6}):
        made = MakeupRecipe(faces=40, **settings)
        for item in Plan.of(made, {}).items(tmp_path):
            for batch in item.batches:
                assert len(batch) % (1 + made.styles) == 0 and batch[0].role == "bare"
    assert MakeupRecipe(styles=3).batch_size == 4 and MakeupRecipe(styles=2, batch_size=6).batch_size == 6


def test_portraits_are_balanced_adults_without_glasses_and_makeup():
    made = MakeupRecipe(faces=96)
    planned, axes = made.balanced()["portraits"]
    for name, values in axes.items():
        assert total_variation(planned, {name: values})[0] < 0.03
    for slot in made.identities():
        captions.refuse_minors(slot.prompt)
        assert (
            slot.prompt == captions.prompt(**made.portrait_looks(slot.traits)) and "no glasses" in slot.prompt
        )
        assert slot.negative == "lipstick, eye shadow, eyeliner, blush"
    assert all(row.negative_prompt == slot.negative for row in made.rows()[:6])


def test_styles_are_functions_of_seed_and_number():
    five, nine = looks.styles(3, 5), looks.styles(3, 9)
    assert list(five) == ["bare", *(f"style-{number:02d}" for number in range(5))]
    assert five["bare"] == BARE and all(nine[name] == look for name, look in five.items())
    assert looks.draw(4, 0) != looks.draw(3, 0) != looks.draw(3, 1)


def test_styles_are_looks_in_range_that_differ():
    drawn = [looks.draw(seed, number) for seed in range(10) for number in range(12)]
    for look in drawn:
        assert 2 <= len(look.layers) <= 4
        for layer in look.layers.values():
            assert 0.2 <= layer.opacity <= 0.98 and 0.2 <= layer.spread <= 1
            assert max(layer.colour) <= 0.9
    shares = {name: np.mean([name in look.layers for look in drawn]) for name in LAYERS}
    assert all(share > 0.6 for share in shares.values())
    for seed in range(10):
        vectors = np.stack([looks.draw(seed, number).vector() for number in range(5)])
        distances = np.linalg.norm(vectors[:, None] - vectors[None], axis=2)
        assert distances[~np.eye(5, dtype=bool)].min() > 0.15
        lips = [
            look.layers["lips"].colour
            for number in range(5)
            if "lips" in (look := looks.draw(seed, number)).layers
        ]
        assert len(set(lips)) == len(lips)


def test_columns_hold_all_of_a_look():
    for number in range(20):
        look = looks.draw(0, number)
        stored = looks.columns(look)
        record = {f"{layer}_{part}": None for layer in LAYERS for part in ("colour", "opacity", "spread")}
        assert set(stored) <= set(record)
        assert looks.read(json.loads(json.dumps(record | stored))) == look
    assert looks.columns(BARE) == {}


def test_a_recipe_survives_its_file(tmp_path):
    path = tmp_path / "set.yaml"
    path.write_text(
        "recipe: makeup\nfaces: 3\nstyles: 4\nidentity_axes: {pose: [left, right], skin_tone: {6: 1, 1: 2}}\n"
        "thresholds: {drift: 0.02}\n"
    )
    loaded = recipe.load(path)
    assert isinstance(loaded, MakeupRecipe) and loaded.thresholds.drift == 0.02 and loaded.batch_size == 5
    again = recipe.from_settings(json.loads(json.dumps(loaded.settings())))
    assert again.rows() == loaded.rows() and again.digest({}) == loaded.digest({})
    moved = loaded.model_copy(update={"model": "elsewhere", "makeup_model": "there"})
    assert moved.digest({}) == loaded.digest({})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"faces": 0}, "faces is 0"),
        ({"styles": 0}, "styles is 0"),
        ({"styles": "many"}, "styles is 'many'"),
        ({"strength": 0}, "strength is 0"),
        ({"identity_axes": {"mood": ["good"]}}, "identity_axes: unknown axis 'mood'"),
        ({"identity_axes": {"pose": ["upside"]}}, "pose is 'upside'"),
        ({"thresholds": {"quality": 0.4}}, "unknown setting 'thresholds.quality'"),
    ],
)
def test_mistakes_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        recipe.from_settings({"recipe": "makeup", **settings})


@pytest.mark.parametrize(
    "settings",
    [{"identity_axes": {"age_band": ["child"]}}, {"words": "aged twelve"}, {"negative_prompt": "toddler"}],
)
def test_no_path_leads_to_a_minor(settings):
    with pytest.raises(ValidationError):
        MakeupRecipe(**settings)
