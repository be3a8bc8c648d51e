"""The readers: shards by offset, image folders, caches; and the order of the data."""

from __future__ import annotations

import io
import json
import pickle
import tarfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from torch.utils.data import DataLoader

from train.data import ArrayCache, ImageFolder, ShardDataset, write_cache
from train.order import Order, Share


def picture(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (12, 10, 3), dtype=np.uint8)


def encoded(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


def write_shard(folder, shard: int, count: int = 3) -> None:
    rows = []
    with tarfile.open(folder / f"heads-{shard:05d}.tar", "w") as tar:
        for number in range(shard * count, (shard + 1) * count):
            landmarks = io.BytesIO()
            np.save(landmarks, np.full((68, 2), number, np.float32))
            members = {
                "json": json.dumps({"age_years": 20 + number}).encode(),
                "landmarks.npy": landmarks.getvalue(),
                "parsing.png": encoded(np.full((12, 10), number, np.uint8)),
                "png": encoded(picture(number)),
            }
            for extension, data in members.items():
                info = tarfile.TarInfo(f"{number:06d}.{extension}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
            rows.append({"key": f"{number:06d}", "age_years": 20 + number})
    pq.write_table(pa.Table.from_pylist(rows), folder / f"heads-{shard:05d}.parquet")
    (folder / f"heads-{shard:05d}.json").write_text("{}")


@pytest.fixture
def shards(tmp_path):
    for number in range(2):
        write_shard(tmp_path, number)
    return tmp_path


def test_shards_are_read_at_random(shards):
    dataset = ShardDataset(shards, fields=("image", "labels", "parsing", "landmarks"))
    assert len(dataset) == 6
    for number in (4, 0, 5):
        sample = dataset[number]
        assert sample["key"] == f"{number:06d}"
        assert np.array_equal(sample["image"], picture(number))
        assert sample["labels"] == {"age_years": 20 + number}
        assert sample["parsing"].shape == (12, 10) and (sample["parsing"] == number).all()
        assert sample["landmarks"].dtype == np.float32 and (sample["landmarks"] == number).all()
    assert dataset.labels(["age_years"])["age_years"].to_pylist() == list(range(20, 26))
    assert dataset.keys[5] == "000005"


def test_only_the_chosen_fields_are_read(shards):
    assert set(ShardDataset(shards, fields=("parsing",))[0]) == {"key", "parsing"}
    with pytest.raises(
        ValueError, match=r"samples have no 'depth'; they have image, labels, landmarks, parsing"
    ):
        ShardDataset(shards, fields=("depth",))


def test_shards_work_in_loader_workers_and_pickles(shards):
    dataset = ShardDataset(shards, fields=("image",))
    first = dataset[0]["image"]
    loader = DataLoader(dataset, batch_size=3, num_workers=1)
    assert np.array_equal(next(iter(loader))["image"][0].numpy(), first)
    assert np.array_equal(pickle.loads(pickle.dumps(dataset))[0]["image"], first)


def test_shards_without_marker_are_not_read(shards):
    (shards / "heads-00001.json").unlink()
    assert len(ShardDataset(shards)) == 3
    (shards / "heads-00000.json").unlink()
    with pytest.raises(FileNotFoundError, match="no complete shard"):
        ShardDataset(shards)


def test_damaged_member_is_named(shards):
    dataset = ShardDataset(shards, fields=("image",))
    offset, _ = dataset._samples[1][2]["png"]
    with (shards / "heads-00000.tar").open("r+b") as file:
        file.seek(offset)
        file.write(b"spoilt!!")
    assert np.array_equal(dataset[0]["image"], picture(0))
    with pytest.raises(ValueError, match=r"heads-00000\.tar: member 000001\.png .* the shard is damaged"):
        dataset[1]


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_image_folder(tmp_path, kind):
    rows = [{"file_name": f"{number}.png", "age": number} for number in range(3)]
    for number in range(3):
        Image.fromarray(picture(number)).save(tmp_path / f"{number}.png")
    if kind == "jsonl":
        (tmp_path / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif kind == "csv":
        (tmp_path / "metadata.csv").write_text(
            "file_name,age\n" + "".join(f"{n}.png,{n}\n" for n in range(3))
        )
    else:
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / "metadata.parquet")
    dataset = ImageFolder(tmp_path)
    assert len(dataset) == 3
    assert dataset[2]["labels"] == {"age": 2} and dataset[2]["key"] == "2"
    assert np.array_equal(dataset[2]["image"], picture(2))


def test_image_folder_names_what_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no metadata\.jsonl"):
        ImageFolder(tmp_path)
    (tmp_path / "metadata.jsonl").write_text('{"file_name": "a.png"}\n')
    with pytest.raises(FileNotFoundError, match=r"a\.png: named in the metadata"):
        ImageFolder(tmp_path)[0]


def test_cache_is_made_once_and_again_for_another_source(tmp_path):
    calls = []

    def make(indices: range) -> dict[str, np.ndarray]:
        calls.append(indices)
        return {"latents": np.array([[index, 2 * index] for index in indices], np.float16)}

    cache = write_cache(tmp_path / "latents", {"size": 64}, 5, make, batch_size=2)
    assert calls == [range(0, 2), range(2, 4), range(4, 5)]
    assert (
        len(cache) == 5 and cache[3]["latents"].tolist() == [3, 6] and cache[3]["latents"].dtype == np.float16
    )
    write_cache(tmp_path / "latents", {"size": 64}, 5, make)
    assert len(calls) == 3
    write_cache(tmp_path / "latents", {"size": 128}, 5, make)
    assert len(calls) == 4
    with pytest.raises(ValueError, match="made from another source"):
        ArrayCache(tmp_path / "latents", source={"size": 64})


def test_cache_that_was_interrupted_does_not_exist(tmp_path):
    def make(indices: range) -> dict[str, np.ndarray]:
        if indices.start:
            raise KeyboardInterrupt
        return {"x": np.zeros((len(indices), 1))}

    with pytest.raises(KeyboardInterrupt):
        write_cache(tmp_path / "x", {}, 4, make, batch_size=2)
    with pytest.raises(FileNotFoundError, match="no cache here"):
        ArrayCache(tmp_path / "x")


def test_every_epoch_is_another_whole_permutation():
    order = Order(10, seed=1)
    epochs = [[order[epoch * 10 + offset] for offset in range(10)] for epoch in range(3)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]
    assert [Order(10, seed=1)[20 + offset] for offset in range(10)] == epochs[2]


def test_shares_cover_every_batch_exactly():
    parts = [Share(batch_size=8, rank=rank, processes=2, accumulation=2).parts(24) for rank in range(2)]
    first = [next(part) for _ in range(2) for part in parts]
    assert sorted(sum(first, [])) == list(range(24, 32))
    assert [next(part) for part in parts] == [[32, 33], [36, 37]]
    with pytest.raises(ValueError, match=r"batch_size=8: must be a multiple of .* 3 x 1 = 3"):
        Share(batch_size=8, processes=3)
