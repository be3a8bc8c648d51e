"""Reading the drag exam, the drags it draws, and making it out of shards."""

from __future__ import annotations

import dataclasses
import io
import json
import tarfile

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from faces.flow import encode_flow
from faces.head.heldout import write_heldout
from gen.evaluation import drag_exam
from gen.evaluation.drag_exam import partner
from tests.gen.evaluation import drag_standins


@pytest.fixture(scope="module")
def drawn():
    return drag_standins.exam(people=4)


@pytest.fixture(scope="module")
def folder(drawn, tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "drag"
    drag_standins.write(drawn, path)
    return path


def pixels(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of points."""
    columns, rows = np.floor(points).astype(int).T
    return rows, columns


def test_round_trip_in_the_order_of_people_and_pictures(drawn, folder):
    read = drag_exam.load(folder)
    assert [row["file"] for row in read.labels] == [row["file"] for row in drawn.labels]
    assert (read.images == drawn.images).all() and (read.heads == drawn.heads).all()
    assert (read.seen == drawn.seen).all() and np.abs(read.landmarks - drawn.landmarks).max() < 1e-5
    assert np.abs(read.flows - drawn.flows).max() <= 1 / 128 and read.flows.dtype == np.float32
    assert (read.people, read.size, read.persons.tolist()) == (4, 128, [0, 0, 1, 1, 2, 2, 3, 3])
    assert (drag_exam.load(folder.parent).images == drawn.images).all()


def test_numbers_of_people_are_ordered_as_numbers():
    names = ["63-10", "63-9", "7-1", "a-2"]
    assert sorted(names, key=drag_exam._number) == ["7-1", "63-9", "63-10", "a-2"]


def test_edits_of_everybody_both_ways_or_of_a_few_people_one_way(drawn):
    assert drawn.edits().tolist() == list(range(8)) and partner(4) == 5 and partner(5) == 4
    assert drawn.edits(2).tolist() == [0, 7] and drawn.edits(99).tolist() == [0, 3, 4, 7]


@pytest.mark.parametrize("kind", drag_exam.PLACES)
def test_drags_follow_the_flow_from_what_both_pictures_show(drawn, monkeypatch, kind):
    monkeypatch.setattr(drag_exam, "PLACES", {kind: 1.0})
    seen = drawn.seen.copy()
    seen[:, :, 70:] = False
    half = dataclasses.replace(drawn, seen=seen)
    for row in (0, 3, 5):
        few, more = half.drags(row, 3), half.drags(row, 10)
        assert len(few.sources) == 3 and len(more.sources) == 10 and len(few.pins) == 0
        assert (more.sources[:3] == few.sources).all()
        at = pixels(more.sources)
        assert seen[row][at].all() and np.abs(more.vectors - half.flows[row][at]).max() < 1e-4
        length = np.linalg.norm(half.flows[row], axis=-1)
        if kind == "moving":
            assert (length[at] >= np.quantile(length[seen[row]], 0.7)).all()
            apart = np.linalg.norm(more.sources[:, None] - more.sources, axis=-1) + 99 * np.eye(10)
            assert apart.min() > 5
        marked = set(zip(*pixels(half.landmarks[row]), strict=True))
        assert (set(zip(*at, strict=True)) <= marked) == (kind == "landmarks")
        assert (half.drags(row, 3).sources == few.sources).all()
    assert (half.drags(0, 3).sources != half.drags(2, 3).sources).any()


def test_68_drags_are_the_landmarks_that_both_pictures_show(drawn):
    assert (pixels(drawn.drags(2, 68).sources)[0] == pixels(drawn.landmarks[2])[0]).all()
    seen = drawn.seen.copy()
    seen[:, :, 70:] = False
    fewer = dataclasses.replace(drawn, seen=seen).drags(2, 68)
    assert 0 < len(fewer.sources) < 68 and fewer.sources[:, 0].max() < 70
    seen[:] = False
    seen[:, 41, 18:28] = True  # above all landmarks
    alone = dataclasses.replace(drawn, seen=seen).drags(2, 68)
    assert len(alone.sources) == 10 and (alone.sources[:, 1] == 41.5).all()


def test_unmoved_is_what_neither_picture_moves_or_hides(drawn):
    still = drawn.unmoved(4)
    length = np.maximum(*(np.linalg.norm(drawn.flows[row], axis=-1) for row in (4, 5)))
    assert (length[still] < 0.25).all() and still[:38].all() and 0.4 < still.mean() < 0.9
    seen = drawn.seen.copy()
    seen[5, 41, 17] = False  # the partner's pixel is new in it
    assert still[41, 17] and not dataclasses.replace(drawn, seen=seen).unmoved(4)[41, 17]


def test_another_size_keeps_what_is_where(drawn):
    small = drawn.resized(64)
    assert small.images.shape == (8, 64, 64, 3) and small.heads.dtype == small.seen.dtype == bool
    assert small.heads[0].sum() == drawn.heads[0].sum() / 4
    middle = small.flows[4][40, 32], drawn.flows[4][80, 64]
    assert np.abs(2 * middle[0] - middle[1]).max() < 0.5 and np.abs(middle[1]).max() > 5
    drags = small.drags(4, 5)
    assert drags.size == (64, 64) and drags.sources.max() < 64
    assert (small.landmarks == drawn.landmarks / 2).all() and drawn.resized(128) is drawn


def test_an_absent_or_damaged_set_tells_why(folder, tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"nothing/drag: render it with `mien heads --motion`.*--data"
    ):
        drag_exam.load(tmp_path / "nothing")
    rows = pq.read_table(folder / "labels.parquet").to_pylist()

    def relabelled(rows: list[dict]):
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / "labels.parquet")
        return drag_exam.load(tmp_path)

    with pytest.raises(ValueError, match="columns edit are missing"):
        relabelled([{name: row[name] for name in row if name != "edit"} for row in rows])
    with pytest.raises(ValueError, match=r"person 7-3 has pictures \[0\], not pairs"):
        relabelled(rows[1:])
    with pytest.raises(ValueError, match="1 people; flows are shuffled"):
        relabelled(rows[:2])
    with pytest.raises(FileNotFoundError, match=r"7-0-0\.flow\.png"):
        relabelled(rows)


def test_a_pair_that_shares_nothing_is_refused(drawn, tmp_path):
    seen = drawn.seen.copy()
    seen[3] = False
    drag_standins.write(dataclasses.replace(drawn, seen=seen), tmp_path)
    with pytest.raises(ValueError, match=r"nothing of 7-1-1\.webp is shown by its partner"):
        drag_exam.load(tmp_path)


def png(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "png")
    return buffer.getvalue()


def write_shard(drawn, folder, flow: bool = True) -> None:
    """Write pairs as `mien heads --motion` does."""
    folder.mkdir()
    with tarfile.open(folder / "heads-00000.tar", "w") as tar:
        for row, label in enumerate(drawn.labels):
            buffer = io.BytesIO()
            np.save(buffer, drawn.landmarks[row])
            parts = {
                "json": json.dumps(label).encode(), "landmarks.npy": buffer.getvalue(),
                "parsing.png": png(drawn.heads[row].astype(np.uint8)), "png": png(drawn.images[row]),
            }  # fmt: skip
            if flow:
                parts["flow.png"] = encode_flow(drawn.flows[row], drawn.seen[row])
            for name, content in parts.items():
                member = tarfile.TarInfo(f"0007_{row:07d}.{name}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    (folder / "heads-00000.json").write_text(json.dumps({"settings": {"pictures_per_identity": 2}}))


def test_shards_with_flow_are_kept_without_loss(drawn, tmp_path):
    write_shard(drawn, tmp_path / "shards")
    assert write_heldout(tmp_path / "shards", tmp_path / "drag", parsing=True) == 8
    read = drag_exam.load(tmp_path)
    assert (read.images == drawn.images).all() and (read.seen == drawn.seen).all()
    assert np.abs(read.flows - drawn.flows).max() <= 1 / 128
    assert np.abs(read.landmarks - drawn.landmarks).max() < 0.006


def test_shards_without_flow_are_made_smaller(drawn, tmp_path):
    write_shard(drawn, tmp_path / "shards", flow=False)
    write_heldout(tmp_path / "shards", tmp_path / "drag")
    with Image.open(tmp_path / "drag" / "7-0-0.webp") as image:
        assert (np.asarray(image) != drawn.images[0]).any()
    assert not list((tmp_path / "drag").glob("*.png"))


def test_the_exam_of_the_clone_holds_what_the_bars_need():
    exam = drag_exam.load()
    assert (exam.people, exam.size, len(exam.labels)) == (48, 128, 96)
    assert len({row["edit"] for row in exam.labels}) == 5
    grid = np.stack(np.meshgrid(np.arange(128), np.arange(128)), axis=-1).astype(np.float32)
    for row in range(0, 96, 7):
        # The partner's colours, fetched along the flow, are the picture's own where both show them.
        flow, seen, other = exam.flows[row], exam.seen[row], partner(row)
        to = (grid + flow).astype(np.float32)
        fetched = cv2.remap(exam.images[other], to[..., 0], to[..., 1], cv2.INTER_LINEAR).astype(float)
        missed = np.abs(fetched - exam.images[row])[seen].mean()
        idle = np.abs(exam.images[other].astype(float) - exam.images[row])[seen].mean()
        assert missed < 9 and (missed < 0.6 * idle or idle < 2)
        back = cv2.remap(exam.flows[other], to[..., 0], to[..., 1], cv2.INTER_LINEAR)
        assert np.median(np.linalg.norm(flow + back, axis=-1)[seen]) < 0.1
        assert not flow[~exam.heads[row]].any() and not seen[~exam.heads[row]].any()
        assert exam.seen[row].sum() > 0.5 * exam.heads[row].sum() and len(exam.drags(row, 68).sources) > 10
