"""Drawing the examination of textures; needs head assets and an EGL context, and skips with the reason without."""

from __future__ import annotations

import os
from types import SimpleNamespace

import numpy as np
import pytest

from faces import vocabulary
from faces.head.assets import ENVIRONMENT
from faces.rasterizer import cover
from gen.evaluation import texture_exam, texture_heads
from gen.evaluation.texture_heads import PITCH, SIZE, YAW, ExamPainter
from pipelines.texture.unwrapping import unwrap

SEED, COUNT = 5, 2


@pytest.fixture(scope="module")
def painter():
    if not os.environ.get(ENVIRONMENT):
        pytest.skip(f"head assets: set {ENVIRONMENT} to MakeHuman's data folder")
    pytest.importorskip("moderngl", reason="rendering needs the extra: pip install 'mien[render]'")
    try:
        return ExamPainter(SEED, COUNT)
    except RuntimeError as error:
        pytest.skip(f"no EGL context: {error}")


@pytest.fixture(scope="module")
def heads(painter):
    """Two heads, each with the arguments that its picture without light was rendered with."""
    shown, render = [], texture_heads.render

    def recording(*arguments, **options):
        shown.append(arguments)
        return render(*arguments, **options)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(texture_heads, "render", recording)
        drawn = [painter.draw(index) for index in range(COUNT)]
    return list(zip(drawn, shown[::2], strict=True))


def test_textures_are_those_of_the_set_and_of_different_people(painter, heads):
    for index, (head, _) in enumerate(heads):
        texture, labels = painter._set.sample(index)
        assert np.array_equal(head.texture, texture) and head.texture.dtype == np.uint8
        assert head.row["identity_id"] == labels["identity_id"]
    assert np.abs(heads[0][0].texture.astype(int) - heads[1][0].texture).mean() > 3
    assert painter._set.config.materials == "unseen"


def test_a_head_is_the_same_whenever_it_is_drawn(painter, heads):
    again = painter.draw(1)
    assert again.row == heads[1][0].row
    for name in ("texture", "picture", "lit", "parsing"):
        assert np.array_equal(getattr(again, name), getattr(heads[1][0], name)), name


def test_heads_turn_to_both_sides_and_their_landmarks_are_in_the_picture(heads):
    assert -YAW <= heads[0][0].row["yaw"] < 0 < heads[1][0].row["yaw"] <= YAW
    for head, _ in heads:
        assert abs(head.row["pitch"]) <= PITCH
        points = np.reshape(head.row["landmarks"], (68, 2))
        assert points.min() > 0 and points.max() < SIZE
        column, row = points.astype(int).T
        skin = (head.parsing > 0)[row, column]
        assert skin[17:60].all(), "the jaw and the inner edge of the lips may be just beside it"
        right, left = points[36:42].mean(axis=0), points[42:48].mean(axis=0)
        assert right[0] < left[0] and points[8, 1] > left[1]


def test_labels_say_where_the_head_is_and_where_its_eyes_are(heads):
    skin, eye, nothing = (vocabulary.PARSING.index(name) for name in ("skin", "l_eye", "background"))
    for head, _ in heads:
        assert set(np.unique(head.parsing)) == {nothing, skin, eye}
        outside = np.abs(head.picture.astype(int) - 128).max(axis=-1) <= 1
        assert (
            outside[head.parsing == nothing].mean() > 0.97 and outside[head.parsing != nothing].mean() < 0.05
        )
        rows, columns = (head.parsing == eye).nonzero()
        points = np.reshape(head.row["landmarks"], (68, 2))[36:48]
        assert abs(rows.mean() - points[:, 1].mean()) < 8
        assert points[:, 0].min() - 5 < columns.min() and columns.max() < points[:, 0].max() + 5


def test_light_changes_the_head_and_neither_its_background_nor_its_brightness_on_the_whole(heads):
    for head, _ in heads:
        inside = head.parsing > 0
        picture, lit = head.picture.astype(int), head.lit.astype(int)
        assert np.abs(lit - picture)[inside].mean() > 5
        assert lit[inside].mean() == pytest.approx(picture[inside].mean(), rel=0.03)
        assert np.abs(lit - picture)[~inside].mean() < 0.5


def test_what_pictures_show_meets_the_texture(heads):
    """Unwrapped from the head's own mesh, so nothing but the drawing and the reading can be wrong."""
    for head, (vertices, triangles, places, _, camera) in heads:
        size = len(head.texture)
        found = cover(places[triangles] * size, (size, size))
        template = SimpleNamespace(
            mean=vertices, triangles=triangles, texel_triangles=lambda _, found=found: found
        )
        layout = SimpleNamespace(size=size, valid=found[0] >= 0)
        partial = unwrap(head.picture, vertices, template, camera, layout, head.parsing, margin=1.0)
        well = partial.weight > 0.9
        assert well.mean() > 0.1
        error = np.square(partial.texture - head.texture / 255)[well].mean()
        assert -10 * np.log10(error) > 26


def test_a_written_set_is_the_one_that_was_drawn(painter, heads, tmp_path, monkeypatch):
    monkeypatch.setattr(texture_heads, "ExamPainter", lambda *_: painter)
    texture_heads.main([str(tmp_path), "--count", str(COUNT), "--seed", str(SEED)])
    read = texture_exam.load(tmp_path)
    assert len(read) == COUNT
    for row, (head, _) in enumerate(heads):  # drawn in the order of yaw
        assert np.array_equal(read.textures[row], head.texture) and np.array_equal(read.lit[row], head.lit)
        assert np.array_equal(read.pictures[row], head.picture) and np.array_equal(
            read.parsing[row], head.parsing
        )
        assert read.landmarks[row].ravel().tolist() == head.row["landmarks"]
