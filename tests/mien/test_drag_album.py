"""Pictures of docs/drag.md, by the real pipeline at toy size."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from faces import provenance
from mien import drag_pictures
from mien.drag_pictures import Album, disc, sitter, surroundings
from pipelines.drag.gestures import EXAMPLES
from pipelines.drag.pipeline import DragPipeline
from tests.pipelines.drag_components import SIZE, toy_drag_pipeline, toy_photo

LANDMARKS = np.random.default_rng(5).uniform(90, 160, (68, 2)).astype(np.float32)
LANDMARKS[36:42], LANDMARKS[42:48] = (100, 110), (150, 110)
SIDE, LABEL = 224, 18


class Finder:
    """Finds the same face in every picture; its frame is the whole of it."""

    def require_face(self, image, name=None):
        scale = SIZE / np.asarray(image).shape[0]
        return SimpleNamespace(landmarks=LANDMARKS, matrix=np.array([[scale, 0.0, 0.0], [0.0, scale, 0.0]]))


@pytest.fixture
def pipe():
    made = toy_drag_pipeline()
    made.analyzer = Finder()
    return made


def test_every_example_has_a_sitter_and_a_short_name():
    assert list(drag_pictures._SITTERS) == list(drag_pictures._SHORT) == list(EXAMPLES)
    assert set(drag_pictures._ROUNDS) <= set(EXAMPLES)
    assert all(sitter(name).shape == (256, 256, 3) for name in drag_pictures._SITTERS.values())


def test_a_tile_shows_the_surroundings_of_a_face():
    points = np.array([(100.0, 60.0), (180.0, 160.0)])
    view = surroundings(points)
    corners = points @ view[:, :2].T + view[:, 2]
    assert np.allclose(corners.mean(axis=0), SIDE / 2)
    assert np.ptp(corners[:, 1]) == pytest.approx(SIDE / 1.5)


def test_a_row_shows_what_was_asked_and_what_was_made(pipe):
    photo = sitter("head-12")
    edit = Album(pipe).gesture(photo, "turn the head")
    face, asked, flow, moved, made = Album(pipe).row(edit)
    assert {tile.shape for tile in (face, asked, flow, moved, made)} == {(SIDE, SIDE, 3)}
    assert np.array_equal(face, edit.shown(photo)) and np.array_equal(made, edit.shown(edit.result))
    red = (np.abs(asked.astype(int) - (225, 20, 60)).max(axis=-1) < 40).sum()
    assert red > 20 > (np.abs(face.astype(int) - (225, 20, 60)).max(axis=-1) < 40).sum()
    assert not np.array_equal(moved, made)


def test_equal_edits_are_equal(pipe):
    photo, drags = toy_photo(2, 256, 256), [((128.0, 140.0), (148.0, 140.0))]
    album = Album(pipe)
    first, second = album.edit(photo, drags, ()), album.edit(photo, drags, ())
    assert np.array_equal(first.result, second.result) and not np.array_equal(first.result, photo)


def test_what_changed_is_dark_and_only_within_the_mask(pipe):
    photo, mask = toy_photo(2, 256, 256), disc((256, 256), np.array([128.0, 140.0]), 30)
    edit = Album(pipe).edit(photo, [((128.0, 140.0), (148.0, 140.0))], (), mask)
    change, within = edit.change(), edit.shown(mask.astype(np.float32)) > 0
    assert (change[~within] == 255).all() and change[within].min() < 100
    shaded = edit.asked(mask)
    assert shaded[~within].mean() < 0.5 * edit.asked()[~within].mean()


def test_a_disc_is_counted_in_middles_of_pixels():
    assert disc((4, 6), np.array([2.5, 1.5]), 1.0).astype(int).tolist() == [
        [0, 0, 1, 0, 0, 0],
        [0, 1, 1, 1, 0, 0],
        [0, 0, 1, 0, 0, 0],
        [0, 0, 0, 0, 0, 0],
    ]


def test_each_round_edits_what_the_last_one_made(pipe, monkeypatch):
    album, seen = Album(pipe), []
    edit = album.edit
    monkeypatch.setattr(album, "edit", lambda *given, **named: seen.append(edit(*given, **named)) or seen[-1])
    sheet = album.rounds()
    assert sheet.shape == (LABEL + 2 * SIDE, 64 + 4 * SIDE, 3)
    assert all(np.array_equal(b.photo, a.result) for a, b in zip(seen, seen[1:], strict=False))
    assert all(np.array_equal(one.view, seen[0].view) for one in seen)


def test_drags_marked_by_hand_lie_on_the_face_of_the_photograph():
    assert len(drag_pictures.PHOTOGRAPHED) == 4
    for drags, pins in drag_pictures.PHOTOGRAPHED.values():
        points = np.array([point for drag in drags for point in drag] + list(pins))
        assert (points > (180, 80)).all() and (points < (270, 190)).all()


def test_the_command_writes_pictures_with_their_record(pipe, monkeypatch, tmp_path):
    monkeypatch.setattr(DragPipeline, "from_pretrained", lambda model: pipe)
    tile = np.full((SIDE, SIDE, 3), 9, np.uint8)
    for name in ("grid", "pins", "mask", "lengths", "rounds"):
        monkeypatch.setattr(Album, name, lambda self: tile)
    drag_pictures.main(["--out", str(tmp_path)])
    written = sorted(file.stem for file in tmp_path.glob("*.webp"))
    assert written == ["drag-grid", "drag-lengths", "drag-mask", "drag-pins", "drag-rounds"]
    record = provenance.read(tmp_path / "drag-grid.webp")
    assert (record.pipeline, record.model_sha256) == ("DragPipeline", pipe.weights_sha256())
    Image.fromarray(toy_photo(4, 512, 512)).save(tmp_path / "astronaut.png")
    drag_pictures.main(["--out", str(tmp_path), "--photograph", str(tmp_path / "astronaut.png")])
    record = provenance.read(tmp_path / "drag-photograph.webp")
    assert record.digital_source_type == "compositeWithTrainedAlgorithmicMedia"
    assert Image.open(tmp_path / "drag-photograph.webp").size == (64 + 5 * SIDE, LABEL + 4 * SIDE)
