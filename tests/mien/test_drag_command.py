"""`mien drag`: what reaches the pipeline, what lies on disk, what is said, and what is refused in plain words."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from faces import provenance
from faces.images import ImageError
from mien import drag
from mien.cli import app
from mien.drag import DragRequest, described
from pipelines.drag.pipeline import DragPipeline
from tests.pipelines.drag_components import toy_drag_pipeline, toy_photo


@pytest.fixture
def pipe(monkeypatch, tmp_path):
    """The real pipeline at toy size, whose frame of 32 px is the left square of a photograph of 96 x 64."""
    made = toy_drag_pipeline()
    monkeypatch.setattr(DragPipeline, "from_pretrained", lambda model: made)
    Image.fromarray(toy_photo(0, 64, 96)).save(tmp_path / "face.png")
    return made


@pytest.fixture
def calls(pipe, monkeypatch):
    """What the pipeline is asked, which then answers as ever."""
    seen = []

    def remembering(name):
        answer = getattr(DragPipeline, name)

        def call(self, photo, drags, pins, mask, **given):
            seen.append({"name": name, "drags": drags, "pins": pins, "mask": mask} | given)
            return answer(self, photo, drags, pins, mask, **given)

        return call

    for name in ("__call__", "preview"):
        monkeypatch.setattr(DragPipeline, name, remembering(name))
    return seen


def invoke(tmp_path, *arguments):
    command = ["drag", str(tmp_path / "face.png"), *(str(one) for one in arguments)]
    return CliRunner(env={"COLUMNS": "300"}).invoke(app, command)


def test_an_edit_is_written_with_what_was_asked(calls, tmp_path):
    out = tmp_path / "deep" / "out.png"
    asked = ("--drag", "20,30 24,30", "--drag", "40, 40  40, 36", "--pin", "10,8", "--seed", 7, "--steps", 2)
    result = invoke(tmp_path, *asked, "--out", out, "--json")
    assert result.exit_code == 0, result.output
    (call,) = calls
    assert call["drags"].tolist() == [[[20.5, 30.5], [24.5, 30.5]], [[40.5, 40.5], [40.5, 36.5]]]
    assert call["pins"].tolist() == [[10.5, 8.5]] and call["mask"] is None
    assert call["num_inference_steps"] == 2 and call["generator"].initial_seed() == 7
    assert Image.open(out).size == (96, 64)
    written = provenance.read(out)
    assert written.digital_source_type == "compositeWithTrainedAlgorithmicMedia"
    assert (written.pipeline, written.seed, written.steps) == ("DragPipeline", 7, 2)
    assert written.extra["drags"][1] == [40.5, 40.5, 40.5, 36.5] and "face.png" not in str(written)


def test_facts_are_in_pixels_of_the_photograph(pipe, tmp_path):
    out = tmp_path / "out.png"
    result = invoke(tmp_path, "--drag", "20,30 24,27", "--steps", 1, "--out", out, "--json")
    facts = json.loads(result.stdout)
    (moved,) = facts["drags"]
    assert (moved["source"], moved["target"], moved["length"]) == ([20, 30], [24, 27], 5)
    photo = Image.open(tmp_path / "face.png")
    answer = pipe(photo, [((20.5, 30.5), (24.5, 27.5))], num_inference_steps=1)
    assert moved["residual"] == pytest.approx(2 * answer.residual[0][0], rel=1e-5)
    differs = (np.asarray(Image.open(out)) != np.asarray(photo)).any(axis=-1)
    assert facts["changed"] == pytest.approx(differs.mean()) and 0 < facts["changed"] < 0.7
    assert facts["face"] is True


def test_what_moved_is_said_in_words(pipe, tmp_path):
    asked = ("--drag", "20,30 24,27", "--pin", "3,3", "--pin", "9,3", "--steps", 1)
    result = invoke(tmp_path, *asked, "--out", tmp_path / "out.png")
    file, moved, whole = result.stdout.splitlines()
    assert file.endswith("out.png")
    assert moved.startswith(
        "what was at 20,30 moves 5.0 px to 24,27; the predicted flow misses that point by "
    )
    assert whole.startswith("2 pinned, ") and whole.endswith("% of the picture changed")


def test_a_picture_without_a_face_is_edited_in_the_middle_and_says_so(pipe, tmp_path):
    Image.new("RGB", (96, 64)).save(tmp_path / "face.png")  # the stand-in finds no face in black
    result = invoke(tmp_path, "--drag", "40,30 44,30", "--steps", 1, "--out", tmp_path / "out.png")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1].startswith(
        "no face found: what was edited is the square in the middle"
    )


def test_normalized_points_are_shares_of_width_and_height(calls, tmp_path):
    asked = ("--normalized", "--drag", "0.25,0.5 0.5,0.25", "--pin", "0,1", "--steps", 1)
    assert invoke(tmp_path, *asked, "--out", tmp_path / "out.png").exit_code == 0
    assert calls[0]["drags"].tolist() == [[[24, 32], [48, 16]]] and calls[0]["pins"].tolist() == [[0, 64]]


def test_a_preview_draws_nothing(calls, tmp_path):
    out = tmp_path / "out.png"
    assert invoke(tmp_path, "--preview", "--drag", "20,30 24,30", "--out", out).exit_code == 0
    assert [call["name"] for call in calls] == ["preview"]
    written = provenance.read(out)
    assert written.extra["preview"] is True and written.seed is written.steps is None


def test_the_white_of_a_mask_may_change(calls, tmp_path):
    white = np.zeros((64, 96, 4), np.uint8)
    white[:, :30] = 255
    white[:, 50:, :3] = 255  # white, but transparent
    Image.fromarray(white).save(tmp_path / "mask.png")
    asked = ("--mask", tmp_path / "mask.png", "--drag", "20,30 24,30", "--steps", 1)
    assert invoke(tmp_path, *asked, "--out", tmp_path / "out.png").exit_code == 0
    mask = calls[0]["mask"]
    assert mask.dtype == bool and mask[:, :30].all() and not mask[:, 30:].any()
    changed = np.asarray(Image.open(tmp_path / "out.png")) != np.asarray(Image.open(tmp_path / "face.png"))
    assert changed[:, :30].any() and not changed[:, 30:].any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, 'drag: none given; give one at least, such as --drag "310,420 310,450"'),
        ({"drags": ()}, "none given"),
        ({"drags": ("3,4",)}, r"drag '3,4': 1 point, expected a source and a target, such as '310,420 310,450'"),
        ({"drags": ("3,4 5,6 7,8",)}, "3 points, expected a source and a target"),
        ({"drags": ("",)}, "0 points, expected a source and a target"),
        ({"drags": ("3,4 five,6",)}, r"drag '3,4 five,6': 'five,6' is not X,Y, two numbers such as 310,420"),
        ({"drags": ("3 4",)}, "'3' is not X,Y"),
        ({"drags": ("3,4,5 6,7",)}, "'3,4,5' is not X,Y"),
        ({"drags": ("nan,4 6,7",)}, "'nan,4' is not X,Y"),
        ({"drags": ("3,4 6,inf",)}, "'6,inf' is not X,Y"),
        ({"drags": ("3,4 6,7",), "pins": ("1,2 3,4",)}, "pin '1,2 3,4': 2 points, expected one, such as '310,420'"),
    ],
)  # fmt: skip
def test_points_that_make_no_sense_are_refused_at_once(pipe, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        DragRequest(face=tmp_path / "face.png", **options)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--drag", "20,30 96,30"], "drag '20,30 96,30': 96,30 lies outside face.png, which reaches from 0,0 to 95,63"),
        (["--drag=-1,30 9,30"], "-1,30 lies outside face.png"),
        (["--drag", "2,3 4,5", "--pin", "3,64"], "pin '3,64': 3,64 lies outside face.png"),
        (["--normalized", "--drag", "0.5,0.5 1.5,0.5"], "1.5,0.5 lies outside face.png, which reaches from 0,0 to 1,1"),
        (["--drag", "80,30 82,30"], "lies outside the face's frame, which is all that is edited"),
        (["--drag", "9,9 12,9", "--pin", "9,9"], "give it one target"),
        (["--drag", "40,30 44,30", "--mask", "half.png"], "lies outside the mask; start where the picture may change"),
        (["--drag", "9,9 12,9", "--mask", "small.png"], "small.png: 40 x 40 pixels, expected 96 x 64"),
        (["--drag", "9,9 12,9", "--mask", "text.png"], "text.png: not a picture that can be read"),
        (["--drag", "9,9 12,9", "--mask", "none.png"], "none.png: no such picture"),
        (["--drag", "9,9 12,9", "--out", "drag.gif"], "the suffix tells the format"),
    ],
)  # fmt: skip
def test_what_the_picture_does_not_allow_is_one_line(pipe, monkeypatch, tmp_path, arguments, message):
    monkeypatch.chdir(tmp_path)
    half = np.zeros((64, 96), np.uint8)
    half[:, :30] = 255
    Image.fromarray(half).save("half.png")
    Image.new("L", (40, 40), 255).save("small.png")
    (tmp_path / "text.png").write_text("no picture")
    result = invoke(tmp_path, *arguments)
    assert result.exit_code == 1 and result.stdout == ""
    assert message in " ".join(result.stderr.split())
    assert not (tmp_path / "drag.png").exists()


def test_a_photograph_that_is_none_is_named(pipe, tmp_path):
    (tmp_path / "face.png").write_text("no picture")
    with pytest.raises(ImageError, match=r"face\.png: not a picture that can be read"):
        drag.make(DragRequest(face=tmp_path / "face.png", drags=("3,4 5,6",)))
    (tmp_path / "face.png").unlink()
    assert "face.png: no such picture" in invoke(tmp_path, "--drag", "3,4 5,6").stderr


def test_facts_of_a_drag_of_shares_are_told_as_they_were_given():
    drags = [{"source": [0.25, 0.5], "target": [0.5, 0.5], "length": 24.0, "residual": 0.25}]
    lines = described({"drags": drags, "pins": 0, "changed": 0.125, "face": True})
    assert lines == [
        "what was at 0.25,0.5 moves 24.0 px to 0.5,0.5; the predicted flow misses that point by 0.2 px",
        "12% of the picture changed",
    ]
