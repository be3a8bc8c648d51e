"""Reading the makeup exam, the trials it gives, and making it out of shards."""

from __future__ import annotations

import io
import json
import tarfile

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from faces.head.heldout import write_heldout
from faces.makeup import BARE, REGIONS, MakeupLook
from gen.evaluation import makeup_exam
from tests.gen.evaluation import makeup_standins


@pytest.fixture(scope="module")
def drawn():
    return makeup_standins.exam(groups=3, looks=3)


@pytest.fixture(scope="module")
def folder(drawn, tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "makeup"
    makeup_standins.write(drawn, path)
    return path


def test_round_trip_in_the_order_of_people_and_pictures(drawn, folder):
    read = makeup_exam.load(folder)
    assert [row["file"] for row in read.labels] == [row["file"] for row in drawn.labels]  # 7-10 after 7-9
    assert (read.images == drawn.images).all() and (read.alphas == drawn.alphas).all()
    assert (read.parsing == drawn.parsing).all() and read.labels[1]["makeup"] == drawn.labels[1]["makeup"]
    assert (read.people, read.pictures, read.size) == (12, 4, 128)
    assert (makeup_exam.load(folder.parent).images == drawn.images).all()


def test_people_groups_and_looks(drawn):
    assert drawn.groups.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert drawn.companions(5).tolist() == [6, 7, 4]
    assert drawn.styles[drawn.row(5, 2)] == drawn.styles[drawn.row(6, 2)] != drawn.styles[drawn.row(5, 1)]
    assert drawn.look(drawn.row(5)) == BARE
    assert isinstance(drawn.look(drawn.row(5, 2)), MakeupLook)
    assert drawn.spread(3) == [0, 6, 11] and drawn.spread(99) == list(range(12))


def test_weights_lay_layers_over_each_other(drawn):
    row = drawn.row(2, 1)
    whole = 1 - np.prod([1 - drawn.weight(row, region) for region in REGIONS], axis=0)
    np.testing.assert_allclose(drawn.weight(row), whole)
    assert drawn.weight(drawn.row(2)).max() == 0
    lips = next(layer for layer in drawn.labels[row]["makeup"] if layer["region"] == "lips")
    assert drawn.weight(row, "lips").max() == pytest.approx(lips["alpha"], abs=0.003)


def test_another_size_keeps_what_is_where(drawn):
    large = drawn.resized(256)
    assert large.images.shape[1:] == large.alphas.shape[1:3] + (3,) == (256, 256, 3)
    assert large.weight(1, "lips").sum() == pytest.approx(4 * drawn.weight(1, "lips").sum(), rel=0.02)
    assert set(np.unique(large.parsing)) == set(np.unique(drawn.parsing))
    assert drawn.resized(128) is drawn


def test_references_are_other_people_in_the_same_look(drawn):
    trials = makeup_exam.transfers(drawn, range(12), 99)
    assert len(trials) == 36
    for trial in trials:
        assert drawn.styles[trial.source] == "bare" and drawn.persons[trial.source] == trial.person
        assert drawn.styles[trial.reference] == drawn.styles[trial.target] != "bare"
        assert drawn.persons[trial.target] == trial.person != drawn.persons[trial.reference]
    assert len({trial.target for trial in trials}) == 36
    assert len({trial.reference for trial in trials}) > 20
    assert len(makeup_exam.transfers(drawn, [1, 4, 7], 1)) == 3


def test_an_absent_or_damaged_set_tells_why(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing/makeup: render it with .*--data FOLDER"):
        makeup_exam.load(tmp_path / "nothing")
    table = pq.read_table(folder / "labels.parquet")
    pq.write_table(table.drop_columns(["style"]), tmp_path / "labels.parquet")
    with pytest.raises(ValueError, match="columns style are missing"):
        makeup_exam.load(tmp_path)
    pq.write_table(table.slice(1), tmp_path / "labels.parquet")
    with pytest.raises(ValueError, match="person 7-11 does not have one bare picture"):
        makeup_exam.load(tmp_path)
    pq.write_table(table.slice(0, 4), tmp_path / "labels.parquet")
    with pytest.raises(ValueError, match="style bare is worn by one person alone"):
        makeup_exam.load(tmp_path)


def png(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "png")
    return buffer.getvalue()


def test_shards_with_opacity_are_kept_without_loss(drawn, tmp_path):
    shards = tmp_path / "shards"
    shards.mkdir()
    with tarfile.open(shards / "heads-00000.tar", "w") as tar:
        for row, label in enumerate(drawn.labels):
            buffer = io.BytesIO()
            np.save(buffer, np.zeros((68, 2), np.float32))
            parts = {
                "alpha.png": png(drawn.alphas[row]), "json": json.dumps(label).encode(),
                "landmarks.npy": buffer.getvalue(), "parsing.png": png(drawn.parsing[row]),
                "png": png(drawn.images[row]),
            }  # fmt: skip
            for name, content in parts.items():
                member = tarfile.TarInfo(f"0007_{row:07d}.{name}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    settings = {"settings": {"pictures_per_identity": 4}}
    (shards / "heads-00000.json").write_text(json.dumps(settings))
    assert write_heldout(shards, tmp_path / "makeup", parsing=True) == 48
    read = makeup_exam.load(tmp_path)
    assert (read.images == drawn.images).all() and (read.alphas == drawn.alphas).all()


def test_the_exam_of_the_clone_holds_what_the_bars_need():
    exam = makeup_exam.load()
    assert (exam.people, exam.pictures, exam.size, exam.groups.max()) == (48, 6, 128, 11)
    # Pictures of a person differ in makeup alone, so a pixel far from it never does.
    for person in range(0, 48, 7):
        bare = exam.images[exam.row(person)].astype(int)
        for row in range(exam.row(person, 1), exam.row(person, 5) + 1):
            changed = np.abs(exam.images[row] - bare).max(axis=-1) > 0
            assert changed[exam.weight(row) > 0.3].mean() > 0.8
            assert changed[~exam.face(row)].mean() < 0.01
