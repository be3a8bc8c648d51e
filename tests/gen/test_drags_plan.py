"""The recipe of drags: what it plans, from its settings alone."""

from __future__ import annotations

import collections
import json

import pytest

from faces.head.assets import AssetError
from faces.head.motion import KINDS
from gen import recipe
from gen.balance import total_variation
from gen.plan import Plan
from gen.recipes import RECIPES
from gen.recipes.drags import DragsRecipe


def test_every_pair_has_both_directions():
    made = DragsRecipe(pairs=20)
    rows = made.rows()
    assert rows == DragsRecipe(pairs=20).rows() and len({row.id for row in rows}) == len(rows) == 40
    assert [row.requested for row in rows] != [row.requested for row in DragsRecipe(pairs=20, seed=1).rows()]
    for before, after in zip(rows[::2], rows[1::2], strict=True):
        assert (before.role, after.role) == ("before", "after")
        assert before.identity_id == after.identity_id and before.requested == after.requested
        assert before.id == f"{before.identity_id}_before" and after.id == f"{before.identity_id}_after"


def test_pairs_are_balanced_over_edits_and_looks_jointly():
    made = DragsRecipe(pairs=360)
    planned, axes = made.balanced()["pairs"]
    assert set(axes["edit"]) == set(KINDS) and set(axes) == {"edit", "gender", "age_band", "skin_tone"}
    assert total_variation(planned, axes) == (pytest.approx(0, abs=1e-12), 2)
    few, axes = DragsRecipe(pairs=40).balanced()["pairs"]
    for name, values in axes.items():
        assert total_variation(few, {name: values})[0] < 0.06


def test_batches_and_shards_hold_whole_pairs(tmp_path):
    for settings in ({}, {"batch_size": 6}, {"shard_size": 10}):
        for item in Plan.of(DragsRecipe(pairs=50, **settings), {}).items(tmp_path):
            for batch in item.batches:
                counts = collections.Counter(row.identity_id for row in batch)
                assert set(counts.values()) == {2}


def test_weights_and_lists_of_edits():
    assert set(DragsRecipe(edits=["pose", "gaze"]).edits) == {"pose", "gaze"}
    made = DragsRecipe(pairs=40, edits={"pose": 3, "shape": 1})
    counts = collections.Counter(row.requested["edit"] for row in made.rows())
    assert counts == {"pose": 60, "shape": 20}


def test_a_recipe_survives_its_file_and_names_no_folder(tmp_path):
    path = tmp_path / "set.yaml"
    path.write_text("recipe: drags\npairs: 3\nsize: 128\nedits: [pose]\naxes: {skin_tone: {6: 1, 1: 2}}\n")
    loaded = recipe.load(path)
    assert isinstance(loaded, DragsRecipe) and RECIPES["drags"] is DragsRecipe
    again = recipe.from_settings(json.loads(json.dumps(loaded.settings())))
    assert again.rows() == loaded.rows() and again.digest({}) == loaded.digest({})
    moved = loaded.model_copy(update={"makehuman": str(tmp_path)})
    assert moved.digest({}) == loaded.digest({}) and str(tmp_path) not in json.dumps(moved.settings())
    assert loaded.digest({"a": "0"}) != loaded.digest({"a": "1"})


def test_equal_axes_in_another_order_are_equal_plans():
    axes = {"skin_tone": [1, 6], "gender": ["woman", "man"]}
    turned = {"gender": ["man", "woman"], "skin_tone": [6, 1]}
    assert DragsRecipe(axes=axes).rows() == DragsRecipe(axes=turned).rows()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pairs": 0}, "pairs is 0"),
        ({"size": 64}, "size is 64"),
        ({"batch_size": 3}, "batch_size is 3"),
        ({"model": "mini"}, "model is 'mini'"),
        ({"edits": ["haircut"]}, "edits: unknown haircut, permitted: expression, pose"),
        ({"edits": []}, "edits is"),
        ({"edits": {"pose": 0}}, "axis 'edits' has weights"),
        ({"axes": {"mood": ["good"]}}, "axes: unknown axis 'mood'"),
        (
            {"axes": {"pose": ["left"]}},
            "axes: 'pose' is drawn freely, permitted: gender, age_band, skin_tone",
        ),
        ({"axes": {"gender": ["person"]}}, "gender is 'person', permitted: woman, man"),
        ({"axes": {"age_band": ["child"]}}, "asks for a minor"),
        ({"axes": {"gender": ["girl"]}}, "asks for a minor"),
        ({"thresholds": {"moving_share": 0}}, "thresholds.moving_share is 0"),
        ({"thresholds": {"quality": 0.4}}, "unknown setting 'thresholds.quality'"),
    ],
)
def test_mistakes_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        recipe.from_settings({"recipe": "drags", **settings})


def test_missing_assets_are_named_before_anything_is_written(tmp_path, monkeypatch):
    from gen.engine import generate

    monkeypatch.delenv("MIEN_MAKEHUMAN", raising=False)
    with pytest.raises(AssetError, match="--makehuman DIR or set MIEN_MAKEHUMAN"):
        generate(DragsRecipe(pairs=1), tmp_path / "set")
    assert not (tmp_path / "set").exists()


def test_a_preview_has_whole_pairs():
    assert DragsRecipe().smaller(16).pairs == 8 and DragsRecipe().smaller(1).pairs == 1
