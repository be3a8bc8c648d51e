"""`mien expression` and `mien analyze`: what reaches the pipeline, what lies on disk, what is printed."""

from __future__ import annotations

import json
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import weights
from faces import provenance, vocabulary
from mien import demo, expression, portrait
from mien.cli import app

needs_perception = pytest.mark.skipif(
    not {"mini", "perception"} <= weights.available().keys(), reason="mini is not bundled in this clone"
)


class Painter:
    """Answers like ExpressionPipeline with pictures of one grey each."""

    def __init__(self) -> None:
        self.calls: list[dict] = []

    def __call__(self, **given):
        self.calls.append(given)
        greys = [int(generator.initial_seed()) % 256 for generator in given["generator"]]
        return SimpleNamespace(images=[Image.new("RGB", (8, 8), (grey,) * 3) for grey in greys])

    def to(self, device):
        return self


@pytest.fixture
def painter(monkeypatch, tmp_path):
    """Install the stand-in, with a model folder whose hash can be taken."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model_index.json").write_text("{}")
    Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(tmp_path / "photo.jpg")
    module, painted = ModuleType("pipelines.expression.pipeline"), Painter()
    module.ExpressionPipeline = SimpleNamespace(from_pretrained=lambda model: painted)
    monkeypatch.setitem(sys.modules, "pipelines.expression.pipeline", module)
    monkeypatch.setattr(expression, "seen_prompt", lambda picture: f"seen on {picture.name}")
    portrait.model_digest.cache_clear()
    return painted


def invoke(*arguments):
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, [str(argument) for argument in arguments])


def test_units_are_read_from_text():
    assert expression.parse_units("AU12=0.8, au4l=.3,") == {"AU12": 0.8, "AU4L": 0.3}
    assert expression.parse_units("") == {}
    for wrong in ("AU12", "AU12=much", "=1=2"):
        with pytest.raises(ValueError, match="NAME=NUMBER"):
            expression.parse_units(wrong)


def test_a_smile_of_a_person_is_written_with_its_origin(painter, tmp_path):
    result = invoke(
        "expression", tmp_path / "photo.jpg", "--units", "AU12=0.8", "--count", 2, "--seed", 5, "--steps", 4,
        "--model", tmp_path / "model", "--out", tmp_path / "o" / "e.png", "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    (call,) = painter.calls
    assert call["action_units"] == {"AU12": 0.8} and call["expression"] is None
    assert call["image"] == [str(tmp_path / "photo.jpg")]
    rows = json.loads(result.stdout)
    assert [row["seed"] for row in rows] == [5, 6]
    record = provenance.read(rows[1]["file"])
    assert (record.pipeline, record.seed, record.steps) == ("ExpressionPipeline", 6, 4)
    assert record.extra["action_units"] == {"AU12": 0.8}
    assert call["prompt"] == rows[0]["prompt"] == "seen on photo.jpg"
    assert record.prompt_sha256 == provenance.prompt_hash("seen on photo.jpg")


def test_nobody_in_particular_and_an_expression_by_name(painter, tmp_path):
    result = invoke(
        "expression", "--expression", "sad", "--model", tmp_path / "model", "--out", tmp_path / "e.png"
    )
    assert result.exit_code == 0, result.output
    assert painter.calls[0]["image"] is None and painter.calls[0]["action_units"] is None
    assert painter.calls[0]["expression"] == "sad" and painter.calls[0]["prompt"] == "portrait of a person"


def test_a_prompt_of_ones_own_is_taken_as_it_is(painter, tmp_path):
    result = invoke(
        "expression", tmp_path / "photo.jpg", "--prompt", "a knight", "--model", tmp_path / "model",
        "--out", tmp_path / "e.png",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert painter.calls[0]["prompt"] == "a knight"


@needs_perception
def test_the_prompt_names_what_is_seen_and_should_stay():
    prompts = {
        name: expression.seen_prompt(demo.REFERENCES / f"{name}.webp") for name in ("head-12", "head-26")
    }
    assert "black hair" in prompts["head-12"] and "bald" in prompts["head-26"]
    assert "facing the camera" in expression.seen_prompt(demo.REFERENCES / "head-12.webp", pose="frontal")


def test_wrong_units_and_pictures_are_one_line(painter, tmp_path):
    result = invoke(
        "expression", "--units", "smile", "--model", tmp_path / "model", "--out", tmp_path / "e.png"
    )
    assert result.exit_code == 1 and "NAME=NUMBER" in result.stderr
    result = invoke("expression", tmp_path / "none.jpg", "--out", tmp_path / "e.png")
    assert result.exit_code == 1 and "no such picture" in result.stderr
    assert painter.calls == [] and not (tmp_path / "e.png").exists()


@needs_perception
def test_a_face_is_described_without_its_embedding():
    reference = sorted(demo.REFERENCES.glob("*.webp"))[0]
    result = invoke("analyze", reference, "--json")
    assert result.exit_code == 0, result.output
    (face,) = json.loads(result.stdout)
    assert len(face["landmarks"]) == 68 and set(face["action_units"]) == set(vocabulary.UNIT_COLUMNS)
    assert face["expression"] in (*vocabulary.EXPRESSIONS, vocabulary.MIXED)
    assert "embedding" not in face and abs(face["pose"]["yaw"]) < 60
    table = invoke("analyze", reference)
    assert table.exit_code == 0 and face["expression"] in table.output


@needs_perception
def test_a_picture_without_a_face_says_so(tmp_path):
    Image.new("RGB", (200, 200), "beige").save(tmp_path / "wall.png")
    result = invoke("analyze", tmp_path / "wall.png")
    assert result.exit_code == 1 and "wall.png: no face" in result.stderr
