"""The expressions recipe: what it plans, from its settings alone."""

from __future__ import annotations

import collections
import json

import numpy as np
import pytest
from pydantic import ValidationError

from faces import captions, vocabulary
from faces.head.expression import PROTOTYPES
from gen import recipe
from gen.balance import total_variation
from gen.recipes.expressions import ExpressionsRecipe
from gen.recipes.identities import IdentitiesRecipe


def test_the_default_plan_is_balanced_and_a_function_of_its_settings():
    made = ExpressionsRecipe(per_class=90)
    rows = made.rows()
    assert (
        rows == ExpressionsRecipe(per_class=90).rows()
        and rows != ExpressionsRecipe(per_class=90, seed=1).rows()
    )
    assert len({row.id for row in rows}) == len({row.seed for row in rows}) == len(rows) == 720
    counts = collections.Counter(row.requested["expression"] for row in rows)
    assert counts == dict.fromkeys(vocabulary.EXPRESSIONS, 90)
    planned, axes = made.balanced()["pictures"]
    assert set(axes) == {"expression", "age_band", "skin_tone", "pose"}
    assert [row.requested for row in rows] == planned
    assert total_variation(planned, axes) == (pytest.approx(0, abs=1e-12), 1)
    for name in ("gender", "hair_colour", "light"):
        assert total_variation(*made.balanced()[f"{name} by expression"])[0] < 0.03


def test_pictures_of_an_identity_are_of_one_person():
    people = collections.defaultdict(list)
    for row in ExpressionsRecipe(per_class=40).rows():
        people[row.identity_id].append(row)
    for rows in people.values():
        assert len(rows) == 4 and [row.variant for row in rows] == [0, 1, 2, 3]
        for name in ("gender", "age_band", "skin_tone", "hair_colour"):
            assert len({row.requested[name] for row in rows}) == 1
        assert len({row.requested["expression"] for row in rows}) == 4


def test_action_units_are_those_of_the_expression_with_the_rest_at_rest():
    strengths = []
    for row in ExpressionsRecipe(per_class=20).rows():
        typical = PROTOTYPES[row.requested["expression"]]
        assert list(row.action_units) == list(vocabulary.UNIT_COLUMNS)
        for name, value in row.action_units.items():
            wanted = typical.get(name, typical.get(name.rstrip("LR"), 0.0))
            assert (value > 0) == (wanted > 0) and value <= 1.4
            if wanted:
                strengths.append(value / wanted)
                assert 0.4 * 0.85 - 1e-3 <= value / wanted <= 1.1 * 1.15 + 1e-3
    assert np.std(strengths) > 0.05
    one, again = (ExpressionsRecipe(per_class=20, steps=steps).rows()[7] for steps in (20, 30))
    assert one.action_units == again.action_units == one.again().action_units


def test_the_prompt_is_canonical_and_words_follow_it():
    for row in ExpressionsRecipe(per_class=2, words="studio portrait").rows():
        canonical, words = row.prompt.rsplit(", ", 1)
        assert words == "studio portrait" and canonical == captions.prompt(**row.requested)
        captions.refuse_minors(row.prompt)


def test_a_recipe_survives_its_file_and_the_order_of_its_axes(tmp_path):
    path = tmp_path / "set.yaml"
    path.write_text(
        "recipe: expressions\nper_class: 6\naxes: {pose: [right, left], skin_tone: {6: 1, 1: 2}}\n"
        "further_axes: {light: [dim, soft]}\nthresholds: {quality: 0.5}\n"
    )
    loaded = recipe.load(path)
    assert isinstance(loaded, ExpressionsRecipe) and loaded.thresholds.quality == 0.5
    turned = {**loaded.settings(), "axes": {"skin_tone": {"1": 2, "6": 1}, "pose": ["left", "right"]}}
    other = recipe.from_settings(turned)
    assert other.digest({}) == loaded.digest({}) and other.rows() == loaded.rows()
    again = recipe.from_settings(json.loads(json.dumps(loaded.settings(), sort_keys=True)))
    assert again.rows() == loaded.rows()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"per_class": 0}, "per_class is 0"),
        ({"axes": {"mood": ["good"]}}, "axes: unknown axis 'mood'"),
        ({"axes": {"expression": ["happy"]}}, "expression is the class"),
        ({"axes": {"pose": ["upside"]}}, "pose is 'upside'"),
        ({"axes": {"pose": "left"}}, "axis 'pose' is 'left', permitted: a list"),
        ({"axes": {"gender": ["woman"]}}, "'gender' is balanced by axes already"),
        ({"further_axes": {"light": {"soft": 0}}}, "axis 'light' has weights"),
        ({"thresholds": {"similarity": 0.4}}, "unknown setting 'thresholds.similarity'"),
        ({"unit_scale": -1}, "unit_scale is -1"),
    ],
)
def test_mistakes_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        recipe.from_settings({"recipe": "expressions", **settings})


@pytest.mark.parametrize(
    "settings", [{"axes": {"age_band": ["child"]}}, {"words": "aged twelve"}, {"negative_prompt": "toddler"}]
)
def test_no_path_leads_to_a_minor(settings):
    with pytest.raises(ValidationError):
        ExpressionsRecipe(**settings)


def test_identities_keep_their_plans():
    made = IdentitiesRecipe(ids=2, images_per_id=2)
    assert set(made.settings()["thresholds"]) == {
        "contrast",
        "face_size",
        "sharpness",
        "similarity",
        "margin",
    }
    assert all(row.action_units == {} for row in made.rows())
