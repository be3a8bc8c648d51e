"""The recipe of textures: what it plans, from its settings alone."""

from __future__ import annotations

import collections
import json

import pytest

from gen import recipe
from gen.plan import Plan
from gen.recipes import RECIPES
from gen.recipes.textures import TexturesRecipe
from pipelines.texture.styles import STYLES


def test_every_person_is_planned_in_every_style():
    made = TexturesRecipe(people=5)
    rows = made.rows()
    assert rows == TexturesRecipe(people=5).rows()
    assert len({row.id for row in rows}) == len({row.seed for row in rows}) == len(rows) == 5 * len(STYLES)
    assert [row.seed for row in rows] != [row.seed for row in TexturesRecipe(people=5, seed=1).rows()]
    for first in range(0, len(rows), len(STYLES)):
        person = rows[first : first + len(STYLES)]
        assert len({row.identity_id for row in person}) == 1
        assert [row.requested for row in person] == [{"style_id": style} for style in STYLES]
        assert [row.variant for row in person] == list(range(len(STYLES)))
        assert [row.role == "texture" for row in person] == [style == "photoreal" for style in STYLES]


def test_a_larger_set_keeps_the_rows_of_a_smaller_one():
    assert TexturesRecipe(people=6).rows()[: 3 * len(STYLES)] == TexturesRecipe(people=3).rows()


def test_batches_and_shards_hold_whole_people(tmp_path):
    for settings in ({}, {"styles": "cartoon,photoreal"}, {"batch_size": 10}, {"shard_size": 7}):
        made = TexturesRecipe(people=30, **settings)
        for item in Plan.of(made, {}).items(tmp_path):
            for batch in item.batches:
                counts = collections.Counter(row.identity_id for row in batch)
                assert set(counts.values()) == {len(made.styles)}


def test_styles_are_a_list_or_names_between_commas_in_any_order():
    made = TexturesRecipe(styles="fantasy, photoreal,fantasy")
    assert made.styles == ("photoreal", "fantasy") and made.batch_size == 8
    assert made == TexturesRecipe(styles=["photoreal", "fantasy"])
    assert made.digest({}) == TexturesRecipe(styles=("fantasy", "photoreal")).digest({})
    assert TexturesRecipe().styles == STYLES


def test_a_recipe_survives_its_file(tmp_path):
    path = tmp_path / "set.yaml"
    path.write_text("recipe: textures\npeople: 3\nstyles: [sculpture]\nthresholds: {face_score: null}\n")
    loaded = recipe.load(path)
    assert isinstance(loaded, TexturesRecipe) and RECIPES["textures"] is TexturesRecipe
    assert loaded.thresholds.face_score is None and loaded.batch_size == 4
    again = recipe.from_settings(json.loads(json.dumps(loaded.settings())))
    assert again == loaded and again.rows() == loaded.rows()
    assert loaded.digest({"a": "0"}) != loaded.digest({"a": "1"})
    assert loaded.digest({}) == loaded.model_copy(update={"model": "elsewhere"}).digest({})


def test_the_face_analysis_belongs_to_the_plan_where_it_is_asked(tmp_path):
    (tmp_path / "model_index.json").write_text("{}")
    plain = TexturesRecipe(model=str(tmp_path), thresholds={"face_score": None})
    assert set(plain.models()) == {"texture/model_index.json"}
    found = TexturesRecipe(model=str(tmp_path)).models()
    assert any(name.startswith("perception/") for name in found) and "texture/model_index.json" in found


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"people": 0}, "people is 0"),
        ({"styles": "photoreal,anime"}, "unknown anime, permitted: photoreal, cartoon"),
        ({"styles": []}, "styles is"),
        ({"styles": 3}, "styles is 3"),
        ({"batch_size": 7}, "batch_size is 7, expected a multiple of the 5 styles"),
        ({"strength": 2}, "strength is 2"),
        ({"thresholds": {"asymmetry": -1}}, "thresholds.asymmetry is -1"),
        ({"thresholds": {"quality": 0.4}}, "unknown setting 'thresholds.quality'"),
        ({"gender": "woman"}, "unknown setting 'gender'"),
    ],
)
def test_mistakes_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        recipe.from_settings({"recipe": "textures", **settings})


def test_missing_weights_are_named_before_anything_is_written(tmp_path, monkeypatch):
    import weights
    from gen.engine import generate

    monkeypatch.setattr(weights, "FOLDER", tmp_path / "weights")
    (tmp_path / "weights").mkdir()
    with pytest.raises(FileNotFoundError, match="bundled weights 'texture'"):
        generate(TexturesRecipe(people=1), tmp_path / "set")
    assert not (tmp_path / "set").exists()


def test_a_preview_has_whole_people():
    assert TexturesRecipe().smaller(16).people == 3 and TexturesRecipe().smaller(1).people == 1
