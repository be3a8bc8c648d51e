"""`mien portrait`: what reaches the pipeline, what lies on disk afterwards. The pipeline is a stand-in that paints."""

import json
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from faces import provenance
from mien import portrait
from mien.cli import app


class Painter:
    """Answers like PortraitPipeline with pictures of one grey each: the first number that its generator draws."""

    calls: list[dict] = []

    def __call__(self, **given):
        self.calls.append(given)
        greys = [int(generator.initial_seed()) % 256 for generator in given["generator"]]
        return SimpleNamespace(images=[Image.new("RGB", (8, 8), (grey,) * 3) for grey in greys])

    def to(self, device):
        self.device = device
        return self


@pytest.fixture
def painter(monkeypatch, tmp_path):
    """Install the stand-in, with a model folder whose hash can be taken."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model_index.json").write_text("{}")
    Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(tmp_path / "photo.jpg")
    module = ModuleType("pipelines.portrait.pipeline")
    painted = Painter()
    painted.calls = []
    module.PortraitPipeline = SimpleNamespace(from_pretrained=lambda model: painted)
    monkeypatch.setitem(sys.modules, "pipelines.portrait.pipeline", module)
    portrait.model_digest.cache_clear()
    return painted


def request(tmp_path, **changes):
    settings = {
        "references": (tmp_path / "photo.jpg",),
        "prompt": "portrait of a person",
        "model": str(tmp_path / "model"),
    }
    return portrait.PortraitRequest(**{**settings, "out": tmp_path / "o" / "p.png", **changes})


def test_one_portrait_with_provenance(painter, tmp_path):
    rows = portrait.make(request(tmp_path, seed=7, steps=5))
    assert [row["file"] for row in rows] == [str(tmp_path / "o" / "p.png")]
    record = provenance.read(tmp_path / "o" / "p.png")
    assert (record.seed, record.steps, record.pipeline) == (7, 5, "PortraitPipeline")
    assert record.prompt_sha256 == provenance.prompt_hash("portrait of a person")
    assert record.model == "model", "the folder it lies in is nobody's business"
    assert record.model_sha256 == portrait.model_digest(str(tmp_path / "model"))


def test_several_portraits_are_numbered_and_differ_by_seed(painter, tmp_path):
    rows = portrait.make(request(tmp_path, count=3, seed=10))
    assert [row["seed"] for row in rows] == [10, 11, 12]
    files = [tmp_path / "o" / f"p-{number}.png" for number in (1, 2, 3)]
    assert [Image.open(file).getpixel((0, 0))[0] for file in files] == [10, 11, 12]


def test_what_the_pipeline_is_asked(painter, tmp_path):
    references = (tmp_path / "photo.jpg", tmp_path / "photo.jpg")
    wanted = {
        "steps": 9,
        "guidance": 3.0,
        "identity": 0.8,
        "negative_prompt": "smiling",
        "count": 2,
        "device": "cpu",
    }
    portrait.make(request(tmp_path, references=references, **wanted))
    (call,) = painter.calls
    assert call["image"] == [str(path) for path in references], "pictures of one person"
    assert (call["num_inference_steps"], call["guidance_scale"], call["identity_scale"]) == (9, 3.0, 0.8)
    assert painter.device == "cpu"
    assert (call["negative_prompt"], call["num_images_per_prompt"], len(call["generator"])) == (
        "smiling",
        2,
        2,
    )


def test_the_digest_depends_on_the_weights(painter, tmp_path):
    model = tmp_path / "model"
    before = portrait.model_digest(str(model))
    (model / "weights.safetensors").write_bytes(b"1")
    portrait.model_digest.cache_clear()
    assert portrait.model_digest(str(model)) != before


@pytest.mark.parametrize(
    ("model", "name"),
    [("mini", "mini"), ("someone/faces-1.5", "someone/faces-1.5"), ("/data/me/checkpoint", "checkpoint"),
     ("./runs/a/export", "export")],
)  # fmt: skip
def test_names_of_models_hold_no_paths(model, name):
    assert portrait.model_name(model) == name


def invoke(*arguments):
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, [str(argument) for argument in arguments])


def test_command_prints_files_or_json(painter, tmp_path):
    arguments = [
        "portrait",
        tmp_path / "photo.jpg",
        "--out",
        tmp_path / "a.png",
        "--model",
        tmp_path / "model",
    ]
    assert invoke(*arguments).stdout.strip() == str(tmp_path / "a.png")
    rows = json.loads(invoke(*arguments, "--json", "--seed", 4).stdout)
    assert [(row["file"], row["seed"]) for row in rows] == [(str(tmp_path / "a.png"), 4)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reference": "absent.jpg"}, "absent.jpg: no such picture"),
        ({"out": "a.gif"}, "a.gif: the suffix tells the format"),
    ],
)
def test_bad_input_costs_no_model(painter, tmp_path, changes, message):
    given = {"reference": tmp_path / "photo.jpg", "out": tmp_path / "a.png", **changes}
    result = invoke("portrait", given["reference"], "--out", given["out"])
    assert result.exit_code == 1
    assert message in result.stderr
    assert painter.calls == []
