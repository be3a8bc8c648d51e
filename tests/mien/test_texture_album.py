"""Pictures of docs/texture.md, by the real pipeline at toy size."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from faces import provenance
from gen.evaluation.texture_exam import TextureExam
from mien import texture_album
from mien.texture_album import Album, sitter, tile
from mien.texture_pictures import completed, tiles
from pipelines.texture.pipeline import TexturePipeline
from pipelines.texture.styles import STYLES
from tests.pipelines.texture_components import SIZE, toy_photo, toy_texture_pipeline

SIDE, LABEL, LEGEND = 224, 18, 28
VIEWS = 3
"""Of the animation, instead of 25: they take seconds."""


@pytest.fixture
def pipe(monkeypatch):
    monkeypatch.setattr(texture_album, "sitter", lambda name: toy_photo(40))
    monkeypatch.setattr(texture_album, "VIEWS", VIEWS)
    return toy_texture_pipeline()


def cell(drawn, row, column):
    top, left = LABEL + SIDE * row, SIDE * column
    return drawn[top : top + SIDE, left : left + SIDE]


def toy_exam():
    """Two heads, of which the first is that of the toy's photograph from the side."""
    pictures = np.stack([toy_photo(40), toy_photo(0)])
    textures = np.stack([np.full((SIZE, SIZE, 3), shade, np.uint8) for shade in (60, 200)])
    return TextureExam(
        textures=textures, pictures=255 - pictures, lit=pictures, parsing=np.zeros((2, 96, 96), np.uint8),
        landmarks=np.zeros((2, 68, 2), np.float32), yaw=np.array([40, 0], np.float32),
    )  # fmt: skip


def test_everyone_shown_is_in_the_repository():
    names = {*texture_album.PEOPLE, texture_album.STYLED, texture_album.TURNED}
    assert len(set(texture_album.PEOPLE)) == 5
    assert {sitter(name).shape for name in names} == {(128, 128, 3)}


def test_a_missing_picture_is_named():
    with pytest.raises(FileNotFoundError, match=r"no nobody\.webp"):
        sitter("heads/nobody")


def test_the_grid_has_a_row_a_person_and_one_legend(pipe, monkeypatch):
    monkeypatch.setattr(texture_album, "PEOPLE", ("a", "b"))
    album = Album(pipe)
    drawn = album.grid()
    assert drawn.shape == (LABEL + 2 * SIDE + LEGEND, 7 * SIDE, 3)
    row = tiles(toy_photo(40), album.complete(toy_photo(40)), 0, pipe.template)
    for column, expected in enumerate(row):
        assert np.array_equal(cell(drawn, 0, column), expected)
        assert np.array_equal(cell(drawn, 1, column), expected)


def test_styles_share_what_was_completed(pipe):
    album = Album(pipe)
    drawn = album.styles()
    assert drawn.shape == (LABEL + 2 * SIDE, len(STYLES) * SIDE, 3)
    for column, style in enumerate(STYLES):
        made = album.complete(toy_photo(40), style=style)
        assert np.array_equal(cell(drawn, 0, column), tile(completed(made)))
        assert np.array_equal(cell(drawn, 1, column), pipe.turntable(made, yaws=[35.0], size=SIDE)[0])
    heads = [cell(drawn, 1, column) for column in range(len(STYLES))]
    assert len({head.tobytes() for head in heads}) == len(STYLES)


def test_textures_of_nobody_differ(pipe, monkeypatch):
    seen, answer = [], TexturePipeline.__call__
    monkeypatch.setattr(
        TexturePipeline, "__call__", lambda self, **given: seen.append(given) or answer(self, **given)
    )
    drawn = Album(pipe).random()
    assert drawn.shape == (LABEL + 3 * SIDE, 6 * SIDE, 3)
    assert len({cell(drawn, 0, column).tobytes() for column in range(6)}) == 6
    ((given,),) = [seen]
    assert np.max(given["visibility"]) == 0 and given["temperature"] == 1.0
    assert [one.initial_seed() for one in given["generator"]] == [7, 8, 9, 10, 11, 12]


def test_light_is_left_taken_off_and_compared(pipe, monkeypatch):
    monkeypatch.setattr(texture_album, "LIT", (1, 0))
    album, exam = Album(pipe), toy_exam()
    drawn = album.light(exam)
    assert drawn.shape == (LABEL + 2 * SIDE, 5 * SIDE, 3)
    for row, number in enumerate((1, 0)):
        left, off = album.complete(exam.lit[number]), album.complete(exam.lit[number], delight=True)
        assert np.array_equal(cell(drawn, row, 2), tile(completed(left)))
        assert np.array_equal(cell(drawn, row, 3), tile(completed(off)))
        assert (cell(drawn, row, 4) == exam.textures[number, 0, 0]).all()
        assert not np.array_equal(cell(drawn, row, 2), cell(drawn, row, 3))


@pytest.mark.parametrize("size", [64, 512])
def test_a_tile_keeps_the_colours_of_a_texture(size):
    texture = np.zeros((size, size, 3), np.uint8)
    texture[:, size // 2 :] = (200, 100, 50)
    shown = tile(texture)
    assert shown.shape == (SIDE, SIDE, 3)
    assert (shown[:, :100] == 0).all() and (shown[:, 124:] == (200, 100, 50)).all()


def test_the_command_writes_pictures_with_their_record(pipe, monkeypatch, tmp_path):
    monkeypatch.setattr(TexturePipeline, "from_pretrained", lambda model: pipe)
    square = np.full((SIDE, SIDE, 3), 9, np.uint8)
    for name in ("grid", "styles", "random", "light"):
        monkeypatch.setattr(Album, name, lambda self: square)
    texture_album.main(["--out", str(tmp_path / "new")])
    written = sorted(file.stem for file in (tmp_path / "new").iterdir())
    assert written == [f"texture-{name}" for name in ("grid", "light", "random", "styles", "turntable")]
    records = {name: provenance.read(tmp_path / "new" / f"{name}.webp") for name in written}
    assert {one.pipeline for one in records.values()} == {"TexturePipeline"}
    assert {one.model_sha256 for one in records.values()} == {pipe.weights_sha256()}
    assert {
        name for name, one in records.items() if one.digital_source_type == "trainedAlgorithmicMedia"
    } == {"texture-random"}
    moving = Image.open(tmp_path / "new" / "texture-turntable.webp")
    assert moving.n_frames == 2 * (VIEWS - 1)  # forth and back
