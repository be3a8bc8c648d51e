"""Recipes are strict, readable from YAML, and never ask for minors (check D6)."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from faces import captions, vocabulary
from gen import recipe
from gen.balance import total_variation
from gen.plan import Plan
from gen.recipes import RECIPES
from gen.recipes.identities import IdentitiesRecipe


def small(**settings) -> IdentitiesRecipe:
    return IdentitiesRecipe(**{"ids": 12, "images_per_id": 5, **settings})


def test_yaml_and_python_give_the_same_recipe(tmp_path):
    path = tmp_path / "set.yaml"
    path.write_text(
        "recipe: identities\nids: 3\nseed: 7\nimage_axes:\n  pose: [left, frontal]\n  skin_tone: [same, 6]\n"
        "  glasses: {true: 1, false: 3}\nthresholds: {similarity: 0.4}\n"
    )
    loaded = recipe.load(path)
    again = recipe.from_settings(loaded.settings())
    assert isinstance(loaded, IdentitiesRecipe) and again.digest({}) == loaded.digest({})
    assert loaded.image_axes["glasses"] == {True: 1, False: 3} and loaded.thresholds.similarity == 0.4
    assert loaded.digest({}) != loaded.model_copy(update={"seed": 8}).digest({})
    assert [row.prompt for row in again.rows()] == [row.prompt for row in loaded.rows()]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("recipe: identities\nidz: 3", "unknown setting 'idz'"),
        ("recipe: identities\nids: 0", "ids is 0"),
        ("recipe: identities\nids: many", "ids is 'many'"),
        ("recipe: faces", "recipe is 'faces', permitted: identities"),
        ("ids: 3", "recipe is None"),
        ("- 1\n- 2", "holds list"),
        ("a: [1", "not YAML"),
        ("recipe: identities\nimage_axes: {mood: [good]}", "unknown axis 'mood', permitted: gender"),
        ("recipe: identities\nimage_axes: {pose: [upside]}", "pose is 'upside'"),
        ("recipe: identities\nimage_axes: {pose: {left: 0}}", "axis 'pose' has weights"),
        ("recipe: identities\nimage_axes: {glasses: [same]}", "'glasses' may be 'same' only"),
        ("recipe: identities\nthresholds: {blur: 2}", "unknown setting 'thresholds.blur'"),
    ],
)
def test_mistakes_name_file_setting_and_remedy(tmp_path, text, message):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match="bad.yaml: ") as error:
        recipe.load(path)
    assert message in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "settings",
    [
        {"identity_axes": {"age_band": ["child"]}},
        {"image_axes": {"age_band": ["teenager", "young"]}},
        {"identity_axes": {"gender": ["girl"]}},
        {"identity_axes": {"gender": ["boy", "man"]}},
        {"words": "as a 12 year old"},
        {"words": "school children in the background"},
        {"words": "aged twelve"},
        {"negative_prompt": "toddler"},
    ],
)
def test_no_path_leads_to_a_minor(settings):
    with pytest.raises(ValidationError):
        small(**settings)


def test_every_planned_prompt_and_age_is_of_an_adult():
    made = small(ids=40, words="studio portrait")
    for row in made.rows():
        captions.refuse_minors(row.prompt)
        assert vocabulary.AGE_BANDS[row.requested["age_band"]][0] >= 18
        assert row.prompt.endswith(", studio portrait")


def test_plan_is_balanced_jointly_and_repeats():
    axes = {"gender": ["woman", "man"], "age_band": ["young", "elderly"], "skin_tone": [1, 3, 6]}
    made = small(
        ids=36,
        identity_axes=axes,
        image_axes={"pose": list(vocabulary.POSES), "expression": ["happy", "sad"]},
    )
    people = [slot.traits for slot in made.identities()]
    assert total_variation(people, made.identity_axes) == (pytest.approx(0, abs=1e-12), 3)
    rows = made.rows()
    assert len(rows) == 180 and len({row.seed for row in rows}) == 180
    distance, smallest = total_variation([row.requested for row in rows], made.image_axes)
    assert distance < 1e-12 and smallest == 18
    for first in range(0, 180, 5):
        assert len({row.requested["pose"] for row in rows[first : first + 5]}) >= 3
    assert made.rows() == rows and small(seed=1).rows()[0].seed != small().rows()[0].seed


def test_same_keeps_what_the_identity_has():
    made = small(
        identity_axes={"hair_colour": ["red", "black"]}, image_axes={"hair_colour": {"same": 4, "grey": 1}}
    )
    traits = {slot.id: slot.traits["hair_colour"] for slot in made.identities()}
    rows = made.rows()
    kept = [row for row in rows if row.requested["hair_colour"] == traits[row.identity_id]]
    assert len(kept) == 48 and {row.requested["hair_colour"] for row in rows if row not in kept} == {"grey"}


def test_samples_keep_their_seed_and_looks_when_identities_are_added():
    few, more = small(ids=6).rows(), small(ids=9).rows()
    assert few == more[: len(few)]


def test_shards_hold_whole_batches(tmp_path):
    plan = Plan.of(small(batch_size=8, shard_size=20), {"w": "0"})
    items = plan.items(tmp_path)
    assert [len(batch) for item in items for batch in item.batches] == [8] * 7 + [4]
    assert [item.count for item in items] == [24, 24, 12]
    assert [row for item in items for batch in item.batches for row in batch] == list(plan.rows)


def test_recipes_are_registered_under_their_names():
    assert all(name == made.kind and issubclass(made, recipe.Recipe) for name, made in RECIPES.items())
