"""Reading the examination of textures."""

from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq
import pytest

from gen.evaluation import texture_exam
from gen.evaluation.texture_exam import BINS
from tests.gen.evaluation import texture_standins
from tests.gen.evaluation.texture_standins import YAWS


@pytest.fixture(scope="module")
def drawn():
    return texture_standins.exam()


@pytest.fixture
def folder(drawn, tmp_path):
    texture_standins.write(drawn, tmp_path / "texture")
    return tmp_path / "texture"


def test_what_is_written_is_read_in_the_order_of_yaw(drawn, folder):
    for place in (folder, folder.parent):
        read = texture_exam.load(place)
        assert len(read) == len(YAWS) and read.yaw.tolist() == list(YAWS)
        for name in ("textures", "pictures", "lit", "parsing", "landmarks"):
            assert np.array_equal(getattr(read, name), getattr(drawn, name)), name
            assert getattr(read, name).dtype == getattr(drawn, name).dtype
        assert read.landmarks.shape == (len(YAWS), 68, 2)


def test_some_are_spread_over_the_set(drawn):
    assert drawn.some(3).yaw.tolist() == [YAWS[0], YAWS[2], YAWS[5]]
    assert drawn.some(1).yaw.tolist() == [YAWS[0]]
    assert drawn.some(99).yaw.tolist() == list(YAWS)
    few = drawn.some(2)
    assert len(few) == 2 and np.array_equal(few.pictures[1], drawn.pictures[5])
    assert {len(getattr(few, name)) for name in ("textures", "lit", "parsing", "landmarks")} == {2}


def test_bins_are_of_both_sides_and_share_no_head(drawn):
    assert drawn.within(0, 15).tolist() == [False, False, False, True, False, False]
    assert drawn.within(30, 45).tolist() == [False, True, False, False, False, True]
    assert drawn.within(8, 20).tolist() == [False, False, False, True, False, False], "20 is beyond"
    assert np.sum([drawn.within(*one) for one in BINS], axis=0).tolist() == [1] * len(YAWS)
    assert drawn.within(0, 90).all()


def test_an_absent_set_says_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing/texture: draw it with .*--data FOLDER"):
        texture_exam.load(tmp_path / "nothing")


def test_missing_columns_are_named(folder):
    table = pq.read_table(folder / "labels.parquet")
    pq.write_table(table.drop_columns(["yaw", "landmarks"]), folder / "labels.parquet")
    with pytest.raises(ValueError, match="columns yaw, landmarks are missing"):
        texture_exam.load(folder)


def test_a_missing_picture_is_named(folder):
    (folder / "7-2.lit.webp").unlink()
    with pytest.raises(FileNotFoundError, match=r"7-2\.lit\.webp"):
        texture_exam.load(folder)


def test_the_exam_of_the_clone_fits_the_bars():
    exam = texture_exam.load()
    assert exam.textures.shape[1:] == (128, 128, 3) and exam.pictures.shape == exam.lit.shape
    assert min(exam.within(*one).sum() for one in BINS) >= 3
    inside = (exam.landmarks >= 0) & (exam.landmarks < exam.pictures.shape[1])
    assert inside.all() and (np.diff(exam.yaw) >= 0).all()
    difference = np.abs(exam.pictures.astype(int) - exam.lit).mean(axis=(1, 2, 3))
    assert difference.min() > 0, "light changes something"
