"""Formats lose nothing and give the same bytes twice (checks D2, D3, D5)."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import webdataset
from toy_recipe import ToyRecipe

from faces import provenance
from gen.plan import Plan, PlanRow
from gen.record import SCHEMA, Entry, entry
from gen.writers import WRITERS, convert

RECIPE = ToyRecipe(count=7, rejected_share=0)


@pytest.fixture(scope="module")
def entries() -> list[Entry]:
    item = Plan.of(RECIPE, RECIPE.models()).items(Path("unused"))[0]
    maker = RECIPE.maker(Path("unused"))
    return [entry(sample, item, maker.facts) for batch in item.batches for sample in maker.make(batch)]


@pytest.fixture(scope="module")
def pairs(entries) -> list[Entry]:
    """The same with flow, masks and targets."""
    rng = np.random.default_rng(0)
    return [
        dataclasses.replace(
            item,
            masks=rng.integers(0, 256, (32, 32, 3), dtype=np.uint8),
            flow=np.dstack(
                [rng.integers(-3000, 3000, (32, 32, 2)) / 64, rng.integers(0, 2, (32, 32))]
            ).astype(np.float32),
            target=item.png[::-1],
            target_parsing=rng.integers(0, 19, (32, 32), dtype=np.uint8),
        )
        for item in entries
    ]


def same(first: Entry, second: Entry) -> bool:
    for name in ("landmarks", "parsing", "masks", "flow", "target_parsing"):
        one, other = getattr(first, name), getattr(second, name)
        if (one is None) != (other is None):
            return False
        if one is not None and not (one.dtype == other.dtype and np.array_equal(one, other)):
            return False
    return (first.record, first.png, first.target) == (second.record, second.png, second.target)


@pytest.mark.parametrize("target", ["folder", "webdataset", "parquet"])
@pytest.mark.parametrize("source", ["folder", "webdataset", "parquet"])
def test_round_trip_from_format_to_format(entries, tmp_path, source, target):
    WRITERS[source].write(tmp_path / "a", "train", 0, 1, entries)
    assert convert(tmp_path / "a", source, tmp_path / "b", target, "train", per_shard=3) == 7
    found = list(WRITERS[target].read(tmp_path / "b", "train"))
    assert [item.key for item in found] == [item.key for item in entries]
    assert all(map(same, found, entries))


@pytest.mark.parametrize("target", ["folder", "webdataset", "parquet"])
@pytest.mark.parametrize("source", ["folder", "webdataset", "parquet"])
def test_flow_and_targets_travel_from_format_to_format(pairs, tmp_path, source, target):
    WRITERS[source].write(tmp_path / "a", "train", 0, 1, pairs)
    convert(tmp_path / "a", source, tmp_path / "b", target, "train", per_shard=3)
    found = list(WRITERS[target].read(tmp_path / "b", "train"))
    assert len(found) == 7 and all(map(same, found, pairs))


def test_a_flow_between_the_steps_of_the_file_is_kept_to_a_hundredth(pairs, tmp_path):
    smooth = np.random.default_rng(1).normal(0, 9, (32, 32, 2))
    (entry, *_) = pairs
    entry = dataclasses.replace(entry, flow=np.dstack([smooth, np.ones((32, 32))]).astype(np.float32))
    for name, writer in WRITERS.items():
        writer.write(tmp_path / name, "train", 0, 1, [entry])
        (found,) = writer.read(tmp_path / name, "train")
        assert 0 < np.abs(found.flow[..., :2] - smooth).max() <= 1 / 128 and found.flow[..., 2].all()


@pytest.mark.parametrize("name", list(WRITERS))
def test_only_some_entries_of_a_shard_have_a_flow(entries, pairs, tmp_path, name):
    mixed = [pairs[0], *entries[1:]]
    WRITERS[name].write(tmp_path, "train", 0, 1, mixed)
    found = list(WRITERS[name].read(tmp_path, "train"))
    assert all(map(same, found, mixed)) and found[1].flow is None is found[1].target


@pytest.mark.parametrize("name", list(WRITERS))
def test_the_same_samples_give_the_same_bytes(entries, tmp_path, name):
    def digest(folder: Path) -> list[str]:
        paths = WRITERS[name].write(folder, "train", 2, 5, entries)
        files = [file for path in paths for file in (sorted(path.rglob("*")) if path.is_dir() else [path])]
        return [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]

    assert digest(tmp_path / "a") == digest(tmp_path / "b")
    assert not list(tmp_path.rglob(".*"))


def test_webdataset_itself_groups_the_samples(entries, tmp_path):
    tar, table = WRITERS["webdataset"].write(tmp_path, "train", 0, 1, entries)
    samples = list(webdataset.WebDataset(str(tar), shardshuffle=False))
    assert [sample["__key__"] for sample in samples] == [item.key for item in entries]
    assert {"png", "json", "parsing.png", "landmarks.npy"} <= set(samples[0])
    assert json.loads(samples[0]["json"])["caption"] == "toy 0"
    rows = pq.read_table(table)
    assert rows.schema.names == SCHEMA.names and rows.num_rows == len(samples)
    assert [hashlib.sha256(sample["png"]).hexdigest() for sample in samples] == rows["sha256"].to_pylist()


def test_entries_without_landmarks_and_parsing_survive(entries, tmp_path):
    bare = Entry(record={**entries[0].record, "landmarks68": None}, png=entries[0].png)
    for name, writer in WRITERS.items():
        writer.write(tmp_path / name, "train", 0, 1, [bare])
        found = next(iter(writer.read(tmp_path / name, "train")))
        assert found.landmarks is None and found.parsing is None and found.record == bare.record


def test_a_dot_in_an_id_is_refused():
    with pytest.raises(ValueError, match=r"no dot"):
        PlanRow(id="a.1", identity_id="a", variant=1, seed=0, prompt="")


def test_every_picture_says_what_it_is(entries):
    for item in entries:
        found = provenance.read(item.png)
        assert found.digital_source_type == item.record["digital_source_type"] == "algorithmicMedia"
        assert found.synthetic and found.seed == item.record["seed"]
        assert found.extra["id"] == item.key and found.extra["licence"] == item.record["licence"] == "CC0-1.0"
        assert hashlib.sha256(item.png).hexdigest() == item.record["sha256"]


def test_requested_and_measured_are_kept_apart(entries):
    record = entries[0].record
    assert list(record) == SCHEMA.names or set(record) == set(SCHEMA.names)
    assert record["requested_pose"] == "frontal" and record["measured_yaw_deg"] == 0.25
    assert record["requested_expression"] is None
    assert not any(name in record for name in ("pose", "expression", "age_band", "gender"))


@pytest.mark.parametrize("name", list(WRITERS))
def test_rows_of_an_older_schema_read_as_nulls(entries, tmp_path, name, monkeypatch):
    old = pa.schema([field for field in SCHEMA if field.name not in ("label", "au_measured")])
    short = Entry(record={key: entries[0].record[key] for key in old.names}, png=entries[0].png)
    monkeypatch.setattr(sys.modules[f"gen.writers.{name}"], "SCHEMA", old, raising=False)
    WRITERS[name].write(tmp_path, "train", 0, 1, [short])
    (found,) = WRITERS[name].read(tmp_path, "train")
    assert list(found.record) == SCHEMA.names and found.record["label"] is found.record["au_measured"] is None
    assert {key: found.record[key] for key in old.names} == short.record


def test_record_fields_outside_the_schema_are_refused(entries):
    item = Plan.of(RECIPE, RECIPE.models()).items(Path("unused"))[0]
    sample = RECIPE.maker(Path("unused")).make(item.batches[0])[0]
    with pytest.raises(ValueError, match="shoe_size are not in the schema"):
        entry(sample, item, {"shoe_size": 44})
