"""The record of the training renders, built from shards."""

from __future__ import annotations

import io
import json
import tarfile

import numpy as np
import pytest
from PIL import Image

from gen.evaluation import shards, training_set
from gen.evaluation.judge import Judge
from gen.evaluation.training_set import TrainingSet
from tests.gen.evaluation import standins


def write_shard(path, heldout, rows, keep=("png", "json")):
    with tarfile.open(path, "w") as archive:
        for row in rows:
            buffer = io.BytesIO()
            Image.fromarray(heldout.images[row]).save(buffer, "png")
            labels = json.dumps(heldout.labels[row]).encode()
            files = {"png": buffer.getvalue(), "json": labels, "parsing.png": b"0", "landmarks.npy": b"0"}
            for ending in sorted(name for name in files if name in keep):
                member = tarfile.TarInfo(f"k{row:03d}.{ending}")
                member.size = len(files[ending])
                archive.addfile(member, io.BytesIO(files[ending]))


@pytest.fixture(scope="module")
def heldout():
    return standins.held_out(12)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, heldout):
    path = tmp_path_factory.mktemp("shards")
    everything = ("png", "json", "parsing.png", "landmarks.npy")
    write_shard(path / "heads-00000.tar", heldout, range(20), everything)
    write_shard(path / "heads-00001.tar", heldout, range(20, 36), everything)
    return path


def test_shards_are_read_in_order(folder, heldout):
    samples = list(shards.read(folder))
    assert [sample.key for sample in samples] == [f"k{row:03d}" for row in range(36)]
    assert all((sample.image == image).all() for sample, image in zip(samples, heldout.images, strict=True))
    assert [sample.labels for sample in samples] == heldout.labels


def test_set_is_built_saved_and_loaded(folder, heldout, tmp_path):
    judge = Judge(standins.StandInJudge())
    built = training_set.build(shards.read(folder), judge, dimensions=4)
    built.save(tmp_path / "training.npz")
    loaded = TrainingSet.load(tmp_path / "training.npz")
    assert loaded.keys.tolist() == [f"k{row:03d}" for row in range(36)]
    assert loaded.identities.tolist() == sorted(set(heldout.identities))
    assert loaded.features == pytest.approx(built.features, abs=2e-3)
    assert np.linalg.norm(loaded.centres, axis=1) == pytest.approx(np.ones(12), abs=1e-6)
    features = judge.measure(heldout.images).features
    assert loaded.project(features) == pytest.approx(loaded.features, abs=6e-3)
    spread = np.var(loaded.features, axis=0)
    assert (np.diff(spread) < 0).all(), "principal components come in the order of their variance"


def test_held_out_heads_must_be_strangers(folder, heldout):
    built = training_set.build(shards.read(folder), Judge(standins.StandInJudge()), dimensions=2)
    built.require_disjoint(["somebody", "else"])
    with pytest.raises(ValueError, match=r"held-out heads: 2 of them were trained on \(h0003, h0005\)"):
        built.require_disjoint(["h0005", "h0003", "h0003", "other"])


def test_absent_and_damaged_input_is_named(tmp_path, heldout):
    with pytest.raises(FileNotFoundError, match=r"no \*.tar shards here"):
        list(shards.read(tmp_path))
    write_shard(tmp_path / "heads-00000.tar", heldout, [1], keep=("png",))
    with pytest.raises(ValueError, match="sample k001 needs a picture .* and a json"):
        list(shards.read(tmp_path))
    with pytest.raises(
        FileNotFoundError, match=r"make it with `python -m gen.evaluation.training_set SHARDS"
    ):
        TrainingSet.load(tmp_path / "training.npz")
    with pytest.raises(ValueError, match="no samples"):
        training_set.build([], Judge(standins.StandInJudge()))
