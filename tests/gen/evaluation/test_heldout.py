"""Reading the held-out heads."""

from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq
import pytest

from gen.evaluation import heldout, testdata
from tests.gen.evaluation import standins


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("heads")
    made = standins.held_out(4)
    # The order of rows on disk does not matter.
    made.labels.reverse()
    standins.write(heldout.HeldOut(images=made.images[::-1], labels=made.labels), path)
    return path


def test_round_trip_in_the_order_of_heads_and_states(folder):
    read, made = heldout.load(folder), standins.held_out(4)
    assert read.labels == made.labels
    assert (read.images == made.images).all()
    assert read.heads == 4
    assert read.row(2, 1) == 7 and read.labels[7]["identity_id"] == "h0002" and read.labels[7]["state"] == 1
    assert read.identities.tolist() == [
        name for name in ("h0000", "h0001", "h0002", "h0003") for _ in range(3)
    ]


def test_spread_covers_the_set():
    read = standins.held_out(10)
    assert read.spread(4).tolist() == [0, 3, 6, 9]
    assert read.spread(99).tolist() == list(range(10))


def test_first_reference(folder):
    image = heldout.first_reference(folder)
    assert any((image == reference).all() for reference in heldout.load(folder).images[::3])


def test_an_absent_set_tells_where_to_get_it(tmp_path, monkeypatch):
    with pytest.raises(
        FileNotFoundError, match=r"nothing: render them with `python -m faces.head.heldout`.*--data"
    ):
        heldout.load(tmp_path / "nothing")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(testdata.gen, "__file__", str(tmp_path / "gen" / "__init__.py"))
    with pytest.raises(FileNotFoundError, match="tests/data/heads and tests/data/heads"):
        heldout.find()


def test_damaged_tables_are_named(folder, tmp_path):
    table = pq.read_table(folder / "labels.parquet")
    pq.write_table(table.drop_columns(["yaw", "age_years"]), tmp_path / "labels.parquet")
    with pytest.raises(ValueError, match="columns age_years, yaw are missing"):
        heldout.load(tmp_path)
    pq.write_table(table.slice(1), tmp_path / "labels.parquet")
    with pytest.raises(ValueError, match=r"head h0003 has states \[0, 1\], not 0, 1, 2"):
        heldout.load(tmp_path)
    pq.write_table(table, tmp_path / "labels.parquet")
    with pytest.raises(FileNotFoundError, match="h0000-0.webp"):
        heldout.load(tmp_path)


def test_images_are_rgb(folder):
    images = heldout.load(folder).images
    assert images.dtype == np.uint8 and images.shape == (12, 128, 128, 3)
