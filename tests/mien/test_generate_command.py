"""What `mien generate` makes of its settings, recipe files and ranges of shards, and what is printed."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gen.engine import Run
from gen.sample import Step
from mien import generate
from mien.cli import app
from pipelines.texture.styles import STYLES


def invoke(*arguments):
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def engine(monkeypatch):
    """Stands in for the engine; keeps what it was asked."""
    seen = {}

    def make(recipe, out, *, progress, **settings):
        seen.update(settings, recipe=recipe, out=out)
        progress(Step(stage="identities", done=2, total=2, kept=2, rejected=1))
        progress(Step(stage="images", done=0, total=6, kept=0, rejected=0))
        progress(Step(stage="images", done=6, total=6, kept=5, rejected=1))
        done = 1 if seen["shard_range"] else 2
        return Run(out=Path(out), planned=6, kept=5, rejected=1, shards=2, shards_done=done)

    monkeypatch.setattr("gen.engine.generate", make)
    return seen


def test_options_become_the_recipe(engine, tmp_path):
    result = invoke(
        "generate", "identities", "--ids", 2, "--images-per-id", 3, "--seed", 5, "--format", "folder", "--workers", 2,
        "--out", tmp_path,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    recipe = engine["recipe"]
    assert (recipe.ids, recipe.images_per_id, recipe.seed, recipe.format) == (2, 3, 5, "folder")
    assert (engine["out"], engine["workers"], engine["engine"]) == (tmp_path, 2, "local")
    assert (engine["shard_range"], engine["overwrite"]) == (None, False)
    assert str(tmp_path / "report.html") in result.stdout


def test_json_is_all_of_standard_output(engine, tmp_path):
    result = invoke("generate", "identities", "--ids", 2, "--out", tmp_path, "--json")
    run = json.loads(result.stdout)
    assert (run["pictures"], run["planned"], run["rejected"], run["shards"]) == (5, 6, 1, "2 of 2")


def test_a_part_of_the_shards_has_no_report_yet(engine, tmp_path):
    run = json.loads(invoke("generate", "identities", "--shards", "0:1", "--out", tmp_path, "--json").stdout)
    assert engine["shard_range"] == (0, 1)
    assert "report" not in run


def test_a_recipe_file_replaces_the_options(engine, tmp_path):
    file = tmp_path / "recipe.yaml"
    file.write_text("recipe: identities\nids: 7\nimages_per_id: 2\n")
    assert invoke("generate", "identities", "--recipe", file, "--out", tmp_path).exit_code == 0
    assert (engine["recipe"].ids, engine["recipe"].images_per_id) == (7, 2)


def test_options_become_the_recipe_of_expressions(engine, tmp_path):
    result = invoke(
        "generate", "expressions", "--per-class", 3, "--seed", 5, "--format", "parquet", "--model", "x", "--workers",
        2, "--shards", "0:1", "--overwrite", "--out", tmp_path, "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    recipe = engine["recipe"]
    assert (recipe.kind, recipe.per_class, recipe.seed, recipe.format) == ("expressions", 3, 5, "parquet")
    assert (recipe.model, engine["out"], engine["workers"]) == ("x", tmp_path, 2)
    assert (engine["shard_range"], engine["overwrite"]) == ((0, 1), True)
    assert json.loads(result.stdout)["pictures"] == 5


def test_five_hundred_of_each_expression_are_the_default(engine, tmp_path):
    assert invoke("generate", "expressions", "--out", tmp_path).exit_code == 0
    assert engine["recipe"].per_class == 500 and engine["recipe"].semantic_scale == 0


def test_options_become_the_recipe_of_makeup(engine, tmp_path):
    result = invoke(
        "generate", "makeup", "--faces", 3, "--styles", 4, "--seed", 5, "--format", "folder", "--model", "x",
        "--makeup-model", "y", "--workers", 2, "--shards", "0:1", "--overwrite", "--out", tmp_path, "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    recipe = engine["recipe"]
    assert (recipe.kind, recipe.faces, recipe.styles, recipe.seed, recipe.format) == (
        "makeup",
        3,
        4,
        5,
        "folder",
    )
    assert (recipe.model, recipe.makeup_model, engine["out"], engine["workers"]) == ("x", "y", tmp_path, 2)
    assert (engine["shard_range"], engine["overwrite"]) == ((0, 1), True)
    assert json.loads(result.stdout)["pictures"] == 5


def test_five_styles_of_fifty_faces_are_the_default(engine, tmp_path):
    assert invoke("generate", "makeup", "--out", tmp_path).exit_code == 0
    recipe = engine["recipe"]
    assert (recipe.faces, recipe.styles, recipe.batch_size) == (50, 5, 6)
    assert (recipe.model, recipe.makeup_model) == ("mini", "mini")


def test_options_become_the_recipe_of_drags(engine, tmp_path):
    result = invoke(
        "generate", "drags", "--pairs", 3, "--size", 128, "--seed", 5, "--format", "folder", "--makehuman", tmp_path,
        "--workers", 2, "--shards", "0:1", "--overwrite", "--out", tmp_path, "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    recipe = engine["recipe"]
    assert (recipe.kind, recipe.pairs, recipe.size, recipe.seed, recipe.format) == (
        "drags",
        3,
        128,
        5,
        "folder",
    )
    assert (recipe.makehuman, engine["out"], engine["workers"]) == (str(tmp_path), tmp_path, 2)
    assert (engine["shard_range"], engine["overwrite"]) == ((0, 1), True)
    assert json.loads(result.stdout)["pictures"] == 5


def test_the_assets_of_drags_are_a_place_and_no_setting(engine, tmp_path, monkeypatch):
    monkeypatch.setenv("MIEN_MAKEHUMAN", "from/the/environment")
    assert invoke("generate", "drags", "--out", tmp_path).exit_code == 0
    assert (engine["recipe"].pairs, engine["recipe"].makehuman) == (200, "from/the/environment")
    file = tmp_path / "recipe.yaml"
    file.write_text("recipe: drags\npairs: 7\nedits: [gaze]\n")
    assert invoke("generate", "drags", "--recipe", file, "--makehuman", "x", "--out", tmp_path).exit_code == 0
    assert (engine["recipe"].pairs, engine["recipe"].makehuman) == (7, "x")


def test_drags_without_assets_end_with_one_line(tmp_path, monkeypatch):
    monkeypatch.delenv("MIEN_MAKEHUMAN", raising=False)
    for options, words in (
        ([], "no head assets: pass --makehuman DIR"),
        (["--makehuman", tmp_path], "base.obj: missing"),
    ):
        result = invoke("generate", "drags", "--out", tmp_path / "set", *options)
        assert result.exit_code == 1 and words in result.stderr and "Traceback" not in result.stderr
    assert not (tmp_path / "set").exists()


def test_options_become_the_recipe_of_textures(engine, tmp_path):
    result = invoke(
        "generate", "textures", "--people", 3, "--styles", "fantasy,photoreal", "--seed", 5, "--format", "folder",
        "--model", "x", "--workers", 2, "--shards", "0:1", "--overwrite", "--out", tmp_path, "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    recipe = engine["recipe"]
    assert (recipe.kind, recipe.people, recipe.seed, recipe.format) == ("textures", 3, 5, "folder")
    assert (recipe.styles, recipe.batch_size, recipe.model) == (("photoreal", "fantasy"), 8, "x")
    assert (engine["out"], engine["workers"]) == (tmp_path, 2)
    assert (engine["shard_range"], engine["overwrite"]) == ((0, 1), True)
    assert json.loads(result.stdout)["pictures"] == 5


def test_all_styles_of_textures_are_the_default_and_help_names_them(engine, tmp_path):
    assert invoke("generate", "textures", "--out", tmp_path).exit_code == 0
    recipe = engine["recipe"]
    assert (recipe.people, recipe.styles, recipe.model) == (200, STYLES, "mini")
    text = " ".join(invoke("generate", "textures", "--help").stdout.split())
    assert all(style in text for style in STYLES)
    result = invoke("generate", "textures", "--styles", "anime", "--out", tmp_path)
    assert result.exit_code == 1 and "unknown anime, permitted: photoreal, cartoon" in result.stderr


def test_a_file_of_another_recipe_is_refused(engine, tmp_path):
    file = tmp_path / "recipe.yaml"
    file.write_text("recipe: expressions\nper_class: 7\n")
    result = invoke("generate", "identities", "--recipe", file, "--out", tmp_path)
    assert result.exit_code == 1 and "recipe" not in engine
    assert "a recipe of expressions; make it with `mien generate expressions`" in result.stderr
    assert invoke("generate", "expressions", "--recipe", file, "--out", tmp_path).exit_code == 0
    assert engine["recipe"].per_class == 7


def test_help_names_all_sets():
    text = invoke("generate", "--help").stdout
    assert all(name in text for name in ("identities", "expressions", "makeup", "drags", "textures"))
    text = invoke("generate", "expressions", "--help").stdout
    assert all(
        option in text
        for option in ("--per-class", "--seed", "--recipe", "--shards", "--overwrite", "--json")
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--shards", "8"], "shards is '8', expected FIRST:LAST"),
        (["--shards", "a:b"], "expected FIRST:LAST"),
        (["--recipe", "absent.yaml"], "absent.yaml"),
    ],
)
def test_bad_settings_are_1_and_one_line(engine, tmp_path, arguments, message):
    result = invoke("generate", "identities", "--out", tmp_path, *arguments)
    assert result.exit_code == 1
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert "recipe" not in engine


def test_one_process_a_core_is_the_default(engine, tmp_path, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    generate.make(generate.build("identities", None, {"ids": 2}), tmp_path)
    assert engine["workers"] == 3
