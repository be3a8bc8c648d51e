"""`mien texture`: what reaches the pipeline, what lies on disk with which record, what is said, and what is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image
from typer.testing import CliRunner

from faces import provenance
from mien import texture
from mien.cli import app
from mien.texture import TextureRequest, described
from mien.texture_pictures import provenance_picture, row, texel_shares
from pipelines.texture.pipeline import TexturePipeline
from pipelines.texture.provenance import ORIGIN_COLOURS as COLOURS
from pipelines.texture.provenance import TexelOrigin
from tests.pipelines.texture_components import SIZE, toy_photo, toy_texture_pipeline
from tests.pipelines.texture_ellipsoid import ellipsoid

TILE, LABEL = 224, 18
VIEWS = 5
"""Of an animation, instead of 25: they take seconds."""


@pytest.fixture
def pipe(monkeypatch, tmp_path):
    """The real pipeline at toy size, and a photograph of its head from the side, in the current folder."""
    made = toy_texture_pipeline()
    monkeypatch.setattr(TexturePipeline, "from_pretrained", lambda model: made)
    monkeypatch.chdir(tmp_path)
    Image.fromarray(toy_photo(40)).save("somebody.png")
    return made


@pytest.fixture
def calls(pipe, monkeypatch):
    """What the pipeline is asked and answers."""
    seen, answer = [], TexturePipeline.__call__

    def call(self, photo, **given):
        made = answer(self, photo, **given)
        seen.append((photo, given, made))
        return made

    monkeypatch.setattr(TexturePipeline, "__call__", call)
    return seen


def invoke(*arguments):
    command = ["texture", "somebody.png", *(str(one) for one in arguments)]
    return CliRunner(env={"COLUMNS": "300"}).invoke(app, command)


def made_by(*arguments):
    result = invoke("--steps", 2, *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def mesh_of(path):
    loaded = trimesh.load(path, process=False)
    (mesh,) = loaded.geometry.values() if isinstance(loaded, trimesh.Scene) else (loaded,)
    return mesh


def glb_tree(path):
    data = Path(path).read_bytes()
    return json.loads(data[20 : 20 + int.from_bytes(data[12:16], "little")])


def test_options_reach_the_pipeline(calls):
    asked = ("--mode", "blend", "--strength", 0.5, "--insides", "eyes", "--insides", "mouth", "--seed", 7)
    made_by(*asked, "--repaint", "--style", "painting", "--delight")
    ((photo, given, _),) = calls
    assert photo == "somebody.png"
    assert given.pop("generator").initial_seed() == 7
    assert given == {
        "mode": "blend", "strength": 0.5, "insides": ("eyes", "mouth"), "repaint": True, "style": "painting",
        "delight": True, "num_inference_steps": 2,
    }  # fmt: skip


def test_by_default_the_head_is_a_glb_that_is_named_after_the_photograph(calls, tmp_path):
    facts = made_by("--seed", 7)
    assert facts["files"] == [facts["file"]] == ["somebody.glb"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["somebody.glb", "somebody.png"]
    mesh, made = mesh_of("somebody.glb"), calls[0][2]
    assert np.allclose(mesh.vertices, made.mesh[0].vertices * 0.1, atol=1e-5)
    inside = np.asarray(mesh.visual.material.baseColorTexture.convert("RGB"))
    assert np.array_equal(inside, np.asarray(made.texture[0]))
    tree = glb_tree("somebody.glb")
    record = tree["asset"]["extras"]["mien"]
    assert record["digital_source_type"] == "compositeWithTrainedAlgorithmicMedia"
    assert (record["pipeline"], record["model"], record["seed"], record["steps"]) == (
        "TexturePipeline", "mini", 7, 2,
    )  # fmt: skip
    assert "somebody" not in json.dumps(record)
    assert "KHR_materials_unlit" in tree["extensionsUsed"]


def test_a_lit_head_has_a_material_that_lights_shine_on(pipe):
    made_by("--lit")
    assert "KHR_materials_unlit" not in glb_tree("somebody.glb").get("extensionsUsed", [])


def test_an_obj_comes_with_its_material_and_texture(pipe):
    facts = made_by("--out", "deep/head.obj")
    assert [Path(file).name for file in facts["files"]] == ["head.obj", "head.mtl", "head.png"]
    assert all(Path(file).is_file() for file in facts["files"])
    mesh = mesh_of("deep/head.obj")
    assert len(mesh.faces) == len(ellipsoid().triangles)
    record = provenance.read("deep/head.png")
    assert record.extra["shows"] == "texture" and record.model_sha256 == pipe.weights_sha256()
    assert record.to_json() in Path("deep/head.obj").read_text()


def test_a_png_is_the_texture_alone_with_its_settings(calls):
    made_by("--out", "skin.png", "--mode", "blend", "--strength", 0.25, "--seed", 3)
    assert np.array_equal(np.asarray(Image.open("skin.png")), np.asarray(calls[0][2].texture[0]))
    record = provenance.read("skin.png")
    assert (record.seed, record.steps, record.model_sha256 is not None) == (3, 2, True)
    settings = {
        "mode": "blend",
        "strength": 0.25,
        "insides": ["eyes"],
        "repaint": False,
        "style": "photoreal",
    }
    assert record.extra == settings | {"delight": False, "shows": "texture"}


def test_numbers_are_those_of_the_output(calls, pipe):
    facts = made_by()
    made = calls[0][2]
    counted = made.provenance[0][pipe.layout.valid]
    assert 0 < pipe.layout.valid.mean() < 1  # texels outside of the layout are not told as generated
    for name in ("seen", "mirrored", "generated"):
        assert facts["texels"][name] == pytest.approx((counted == TexelOrigin[name.upper()]).mean())
        assert facts["texels"][name] > 0.01
    assert sum(facts["texels"].values()) == pytest.approx(1)
    assert facts["residual"] == pytest.approx(made.mesh[0].fit.residual) and 0 < facts["seconds"] < 60


def test_what_was_made_is_said_in_words(pipe):
    lines = invoke("--steps", 1, "--partial", "part.png").stdout.splitlines()
    assert lines[:2] == ["somebody.glb", "part.png"]
    shares = [int(share) for share in re.findall(r"(\d+)%", lines[2])]
    assert len(shares) == 3 and abs(sum(shares) - 100) <= 1
    facts = {
        "texels": {"seen": 0.25, "mirrored": 0.2, "generated": 0.55}, "residual": 0.0215, "seconds": 12.34
    }  # fmt: skip
    assert described(facts) == [
        "of the texels 25% are seen, 20% generated after their mirror image, 55% generated",
        "the head's landmarks miss those of the photograph by 2.1% of the distance of the eyes' outer corners",
        "12.3 s",
    ]


@pytest.mark.parametrize("suffix", [".webp", ".gif"])
def test_a_turntable_moves_forth_and_back(calls, pipe, monkeypatch, suffix):
    monkeypatch.setattr(texture, "VIEWS", VIEWS)
    made_by("--turntable", f"turn{suffix}")
    with Image.open(f"turn{suffix}") as moving:
        assert moving.n_frames == 2 * VIEWS - 2 and moving.info["loop"] == 0
        frames = []
        for number in (0, VIEWS - 1, VIEWS - 2, VIEWS):
            moving.seek(number)
            moving.load()  # only then does a WebP know how long it is shown
            assert moving.info["duration"] == 60
            frames.append(np.asarray(moving.convert("RGB")).astype(int))
    left, right, before, after = frames
    expected = pipe.turntable(calls[0][2], yaws=(-60, 60))
    for frame, view in zip((left, right), expected, strict=True):
        assert np.abs(frame - view).mean() < 4
    assert np.abs(left - right).mean() > 8 and np.abs(before - after).mean() < 1
    record = provenance.read(f"turn{suffix}")
    assert record.extra["shows"] == "turntable" and record.seed == 0
    assert record.digital_source_type == "compositeWithTrainedAlgorithmicMedia"


def test_a_turntable_that_stands_still_is_a_strip(pipe):
    made_by("--turntable", "strip.png")
    assert Image.open("strip.png").size == (5 * 256, 256)
    assert provenance.read("strip.png").extra["shows"] == "turntable"


def test_a_picture_of_provenance_shows_the_layout_in_three_colours(calls, pipe):
    made_by("--provenance", "origins.png")
    drawn, origins = np.asarray(Image.open("origins.png")), calls[0][2].provenance[0]
    scale = drawn.shape[1] // SIZE
    texels = drawn[scale // 2 : SIZE * scale : scale, scale // 2 :: scale]
    for origin, colour in COLOURS.items():
        assert np.array_equal((texels == colour).all(-1), (origins == origin) & pipe.layout.valid)
        swatches = (drawn[SIZE * scale :] == colour).all(-1)
        assert swatches.sum() == 144
    assert (texels[~pipe.layout.valid] == 255).all()
    assert provenance.read("origins.png").digital_source_type == "algorithmicMedia"


def test_a_partial_texture_is_as_opaque_as_it_is_seen(calls):
    made_by("--partial", "part.webp")
    drawn, made = np.asarray(Image.open("part.webp")), calls[0][2]
    assert np.abs(drawn[..., 3] / 255 - made.visibility[0]).max() < 0.003
    assert np.abs(drawn[..., :3] / 255 - made.partial[0]).max() < 0.003
    assert provenance.read("part.webp").extra["shows"] == "partial"


def test_legends_tell_shares_in_one_line_where_they_fit():
    origins = np.repeat(np.array([[0, 1, 2, 2]], np.uint8), 4, axis=0)
    assert texel_shares(origins) == {"seen": 0.5, "mirrored": 0.25, "generated": 0.25}
    assert texel_shares(origins, origins > 0) == {"seen": 2 / 3, "mirrored": 1 / 3, "generated": 0}
    assert provenance_picture(origins).shape == (448 + 64, 448, 3)
    assert provenance_picture(np.zeros((1024, 1024), np.uint8)).shape == (1024 + 24, 1024, 3)


@pytest.mark.parametrize("output_type", ["pil", "np", "pt"])
def test_a_row_shows_photo_textures_provenance_and_head(pipe, output_type):
    photo = toy_photo(40)
    noise = torch.Generator().manual_seed(4)
    made = pipe(photo, num_inference_steps=1, output_type=output_type, generator=noise)
    drawn = row(photo, made, 0, pipe.template)
    assert drawn.dtype == np.uint8 and drawn.shape == (LABEL + TILE + 4 + 24, 7 * TILE, 3)
    tiles = [drawn[LABEL : LABEL + TILE, start : start + TILE] for start in range(0, 7 * TILE, TILE)]
    assert (tiles[0][TILE // 2, 16] == 0).all()  # the photograph's background
    texels = tiles[2][3::7, 3::7].astype(int)  # every texel is 7 px wide, and mixed with none in its middle
    again = pipe(photo, num_inference_steps=1, generator=torch.Generator().manual_seed(4))
    assert np.abs(texels - np.asarray(again.texture[0])).max() <= 1
    colours = [tuple(colour) for colour in np.unique(tiles[3].reshape(-1, 3), axis=0)]
    assert set(COLOURS.values()) <= set(colours)
    views = pipe.turntable(made, yaws=(-45, 0, 45), size=TILE)
    assert np.abs(np.stack(tiles[4:]).astype(int) - views).max() <= 1
    assert np.abs(tiles[4].astype(int) - tiles[6]).mean() > 8


def test_a_row_needs_the_head_of_the_photograph(pipe):
    blank = np.zeros((SIZE, SIZE, 3), np.uint8)
    made = pipe(texture=blank, visibility=np.zeros((SIZE, SIZE)), num_inference_steps=1)
    with pytest.raises(ValueError, match="completed without one"):
        row(toy_photo(0), made, 0, pipe.template)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "head.gltf"], "out head.gltf: the suffix tells the format, permitted: .glb .obj .png"),
        (["--out", "head"], "permitted: .glb .obj .png"),
        (["--turntable", "turn.mp4"], "turntable turn.mp4: the suffix tells the format, permitted: .png .webp .gif"),
        (["--provenance", "map.gif"], "provenance map.gif: the suffix tells"),
        (["--partial", "part.jpg"], "partial part.jpg: the suffix tells the format, permitted: .png .webp"),
        (["--insides", "nose"], "insides nose: choose any of eyes, mouth"),
        (["--style", "cubism"], "style cubism: choose one of photoreal, "),
        (["--lit", "--out", "head.obj"], "lit: of .glb alone"),
        (["--out", "old.glb"], "old.glb: there already; --overwrite replaces it"),
        (["--out", "old.obj"], "old.png: there already"),
        (["--out", "somebody.png", "--overwrite"], "somebody.png: is the photograph, which is never overwritten"),
        (["--out", "somebody.obj", "--overwrite"], "somebody.png: is the photograph"),
        (["--partial", "deep/../somebody.png", "--overwrite"], "is the photograph"),
        (["--out", "head.obj", "--turntable", "./head.png"], "head.png: two results would go to this file"),
    ],
)  # fmt: skip
def test_what_cannot_be_written_is_one_line_before_anything_is_made(calls, tmp_path, arguments, message):
    Path("deep").mkdir()
    for name in ("old.glb", "old.png"):
        Path(name).write_bytes(b"kept")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    result = invoke(*arguments)
    assert result.exit_code == 1 and result.stdout == "" and not calls
    assert message in " ".join(result.stderr.split())
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


def test_a_head_that_is_there_is_replaced_when_asked(pipe):
    Path("somebody.glb").write_bytes(b"old")
    made_by("--overwrite")
    assert len(mesh_of("somebody.glb").vertices) == len(ellipsoid().mean)


def test_photographs_that_cannot_be_used_are_named(pipe, tmp_path):
    Image.new("RGB", (96, 96)).save("somebody.png")
    result = invoke()
    assert result.exit_code == 1 and "somebody.png: no face" in result.stderr
    Path("somebody.png").write_text("no picture")
    assert "somebody.png: not a picture that can be read" in invoke().stderr
    Path("somebody.png").unlink()
    assert "somebody.png: no such picture" in invoke().stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("asked", [["--mode", "mix"], ["--strength", "1.5"], ["--steps", "0"]])
def test_wrong_usage_is_2(pipe, asked):
    assert invoke(*asked).exit_code == 2


def test_a_request_names_its_files():
    request = TextureRequest(face=Path(__file__), out=Path("a.OBJ"), turntable=Path("b.gif"))
    assert [path.name for path in request.files()] == ["a.OBJ", "a.mtl", "a.png", "b.gif"]
