"""The command line with the weights that are bundled: a short run of what a user types first."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import weights
from faces import provenance
from mien import demo, demo_drag, demo_texture
from mien.cli import app

needs_weights = pytest.mark.skipif(
    not {"mini", "perception"} <= weights.available().keys(), reason="mini is not bundled in this clone"
)


def invoke(*arguments):
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, [str(argument) for argument in arguments])


def test_eight_references_are_bundled_small_and_with_provenance():
    files = sorted(demo.REFERENCES.glob("*.webp"))
    assert len(files) == 8
    assert sum(file.stat().st_size for file in files) < 300_000
    for file in files:
        assert min(Image.open(file).size) >= 128
        assert provenance.read(file).digital_source_type == "algorithmicMedia"


@needs_weights
def test_portraits_of_a_bundled_reference(tmp_path):
    reference = sorted(demo.REFERENCES.glob("*.webp"))[0]
    arguments = [
        "portrait",
        reference,
        "--prompt",
        "portrait of a person, smiling",
        "--steps",
        2,
        "--count",
        2,
    ]
    result = invoke(*arguments, "--out", tmp_path / "p.png", "--json")
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)
    first, second = (np.asarray(Image.open(row["file"]), float) for row in rows)
    assert first.shape == (128, 128, 3)
    assert np.abs(first - second).mean() > 1, "another seed makes another picture"
    assert provenance.read(rows[1]["file"]).seed == 1


@needs_weights
def test_a_picture_without_a_face_is_one_line(tmp_path):
    empty = tmp_path / "wall.png"
    Image.new("RGB", (256, 256), "beige").save(empty)
    result = invoke("portrait", empty, "--out", tmp_path / "p.png")
    assert result.exit_code == 1
    assert "wall.png: no face" in result.stderr
    assert not (tmp_path / "p.png").exists()


@needs_weights
@pytest.mark.slow
def test_a_small_demo(tmp_path):
    result = invoke("demo", "--out", tmp_path, "--identities", 4, "--images-per-id", 2, "--workers", 1)
    assert result.exit_code == 0, result.output
    text = Path(tmp_path / "index.html").read_text()
    made_up = demo.MADE_UP * (len(demo.MAKEUP) + 1)
    textured = demo_texture.COUNT
    dragged = len(demo_drag.GESTURES) * (len(demo_drag.SHOWN) + 1)
    assert (
        text.count("<img")
        == 8 * (len(demo.LOOKS) + 1) + demo.EXPRESSIVE * 9 + made_up + dragged + textured + 1
    )
