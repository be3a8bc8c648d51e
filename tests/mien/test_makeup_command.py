"""`mien makeup`: what reaches the pipeline, what lies on disk, and what is refused."""

from __future__ import annotations

import json
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from faces import provenance
from faces.makeup import BARE, MakeupLook
from mien.cli import app
from mien.makeup import MakeupRequest


class Painter:
    """Answers like MakeupPipeline with a grey picture."""

    def __init__(self) -> None:
        self.calls: list[tuple] = []

    def __call__(self, image, makeup, **given):
        self.calls.append((image, makeup, given))
        return SimpleNamespace(images=[Image.new("RGB", (8, 8), (90,) * 3)])

    def to(self, device):
        return self

    def weights_sha256(self):
        return "0" * 64


@pytest.fixture
def painter(monkeypatch, tmp_path):
    for name in ("face", "worn"):
        Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(tmp_path / f"{name}.png")
    module, painted = ModuleType("pipelines.makeup.pipeline"), Painter()
    module.MakeupPipeline = SimpleNamespace(from_pretrained=lambda model: painted)
    monkeypatch.setitem(sys.modules, "pipelines.makeup.pipeline", module)
    return painted


def invoke(*arguments):
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, ["makeup", *(str(one) for one in arguments)])


def test_a_look_of_a_photograph(painter, tmp_path):
    out = tmp_path / "deep" / "out.png"
    face, worn = tmp_path / "face.png", tmp_path / "worn.png"
    asked = ("--reference", worn, "--region", "lips", "--region", "eyes", "--strength", 0.5, "--seed", 7)
    result = invoke(face, *asked, "--out", out, "--json")
    assert result.exit_code == 0, result.output
    image, makeup, given = painter.calls[0]
    assert (image, makeup) == (str(face), str(worn))
    assert given["region"] == ["lips", "eyes"] and given["strength"] == 0.5
    assert given["generator"].initial_seed() == 7
    assert json.loads(result.output)["file"] == str(out)
    written = provenance.read(out)
    assert written.digital_source_type == "compositeWithTrainedAlgorithmicMedia"
    assert written.extra["makeup"] == "photograph" and "worn" not in str(written)


def test_a_look_of_colours_and_removal(painter, tmp_path):
    face, out = tmp_path / "face.png", tmp_path / "out.png"
    assert invoke(face, "--lips", "#b0203a:0.6", "--liner", "#000000", "--out", out).exit_code == 0
    assert invoke(face, "--remove", "--out", out).exit_code == 0
    assert painter.calls[0][1] == MakeupLook.of(lips=("#b0203a", 0.6), liner="#000000")
    assert painter.calls[1][1] == BARE


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "give one of"),
        ({"remove": True, "lips": "#ff0000"}, "give one of"),
        ({"remove": True, "region": ("hair",)}, "choose any of"),
        ({"lips": "red"}, "six hexadecimal digits"),
        ({"lips": "#ff0000:much"}, "COLOUR:OPACITY"),
        ({"lips": "#ff0000:1.5"}, "opacity 1.5"),
    ],
)
def test_what_makes_no_sense_is_refused(painter, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        MakeupRequest(face=tmp_path / "face.png", **options)


def test_a_missing_photograph_is_named(painter, tmp_path):
    result = invoke(tmp_path / "nobody.png", "--remove")
    assert result.exit_code == 1 and "nobody.png" in result.output
