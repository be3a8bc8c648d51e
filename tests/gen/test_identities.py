"""The identities recipe end to end with a random pipeline: bytes, batches, failures, previews (checks D1, D8)."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import toy_portraits
from PIL import Image
from toy_portraits import FrameAnalyzer, ToyIdentities, save_pipeline

from faces import provenance
from gen import anchors, preview
from gen.checks import Thresholds
from gen.engine import generate
from gen.overview import decode
from gen.plan import Plan, PlanConflict
from gen.portraits import PortraitMaker, Studio
from gen.shards import rejected_rows
from gen.worker import GenerationAborted, make_batch, remake
from gen.writers import WRITERS
from pipelines.portrait.pipeline import PortraitPipeline


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return save_pipeline(tmp_path_factory.mktemp("model") / "toy")


@pytest.fixture(scope="module")
def recipe(model) -> ToyIdentities:
    return ToyIdentities(model=str(model))


@pytest.fixture(scope="module")
def dataset(recipe, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("identities") / "set"
    run = generate(recipe, out)
    assert run.complete and run.kept == 18 and run.shards == 3
    return out


def shards(out: Path) -> dict[str, str]:
    files = sorted([*(out / "data").iterdir(), *(out / anchors.FOLDER).iterdir()])
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def entries(out: Path):
    return list(WRITERS["webdataset"].read(out / "data", "train"))


def test_two_workers_give_the_bytes_of_one(recipe, dataset, tmp_path):
    generate(recipe, tmp_path / "two", workers=2)
    assert shards(tmp_path / "two") == shards(dataset)


def test_killed_and_resumed_gives_the_same_bytes(recipe, dataset, tmp_path):
    out = tmp_path / "killed"
    command = [sys.executable, toy_portraits.__file__, recipe.model_dump_json(), str(out), "1"]
    paths = os.pathsep.join([*filter(None, sys.path)])
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": paths})
    deadline = time.monotonic() + 1500
    while not (out / anchors.FOLDER).exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(random.Random(5).uniform(0, 0.1))
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (out / "README.md").exists(), "the kill came after the end: nothing was tested"
    generate(recipe, out)
    assert shards(out) == shards(dataset)


def test_a_row_alone_is_the_row_of_its_batch(recipe, dataset):
    item = Plan.of(recipe, recipe.models()).items(dataset)[1]
    stored = {entry.key: entry for entry in entries(dataset)}
    for row in (item.batches[0][2], item.batches[1][0]):
        alone, kept = remake(item, row.id), stored[row.id]
        difference = np.abs(alone.image.astype(int) - decode(kept.png))
        assert difference.max() <= 2
        assert alone.measured["id_sim_to_ref"] == pytest.approx(
            kept.record["measured_id_sim_to_ref"], abs=0.01
        )


def test_rows_differ_by_seed_person_and_prompt(dataset):
    pictures = [decode(entry.png) for entry in entries(dataset)]
    for first in range(len(pictures)):
        for second in range(first):
            assert np.abs(pictures[first].astype(int) - pictures[second]).mean() > 2


def test_records_say_what_was_asked_and_what_was_measured(dataset, recipe):
    for entry in entries(dataset):
        record = entry.record
        assert record["requested_pose"] and record["requested_age_band"] in (
            "young",
            "middle-aged",
            "elderly",
        )
        assert -1 <= record["measured_id_sim_to_ref"] <= 1 and record["measured_faces_found"] == 1
        assert record["model"] == "toy" and len(record["model_sha256"]) == 64 and record["steps"] == 2
        assert record["scheduler"] == "DPMSolverMultistepScheduler" and record["minimum_age"] == 18
        assert record["digital_source_type"] == "trainedAlgorithmicMedia"
        assert provenance.read(entry.png).model_sha256 == record["model_sha256"]
        assert entry.landmarks.shape == (68, 2) and entry.parsing.shape == (32, 32)
    assert str(recipe.model) not in (dataset / "README.md").read_text()
    assert "Nearest pairs" in (dataset / "report.html").read_text()


def test_anchors_are_measured_as_they_are_stored(dataset, recipe):
    studio = recipe.studio()
    for anchor in anchors.load(dataset).values():
        assert np.allclose(studio.look(anchor.image).embedding, anchor.embedding, atol=1e-6)
        assert provenance.read((dataset / anchors.FOLDER / f"{anchor.id}.png").read_bytes()).synthetic


def test_other_weights_are_other_plans(recipe, dataset, tmp_path):
    other = save_pipeline(tmp_path / "toy")
    assert recipe.model_copy(update={"model": str(other)}).digest(recipe.models()) == recipe.digest(
        recipe.models()
    )
    weights = other / "unet/diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\1")
    with pytest.raises(PlanConflict, match="the files of the model"):
        generate(recipe.model_copy(update={"model": str(other)}), dataset)


def test_broken_weights_stop_the_run_and_write_no_picture(recipe, dataset, tmp_path):
    pipe = PortraitPipeline.from_pretrained(recipe.model)
    with torch.no_grad():
        pipe.unet.conv_out.weight.fill_(float("nan"))
    pipe.save_pretrained(tmp_path / "broken")
    (tmp_path / "broken/identity_prior.safetensors").write_bytes(
        (Path(recipe.model) / "identity_prior.safetensors").read_bytes()
    )
    broken = recipe.model_copy(update={"model": str(tmp_path / "broken")})
    with pytest.raises((GenerationAborted, ValueError), match="not finite"):
        generate(broken, tmp_path / "out")
    assert not list((tmp_path / "out").rglob("*.png"))
    shutil.copytree(dataset / anchors.FOLDER, tmp_path / "later" / anchors.FOLDER)
    with pytest.raises(GenerationAborted, match="in a row failed, the last .* not finite"):
        generate(broken, tmp_path / "later")
    assert not list((tmp_path / "later/data").rglob("*.tar"))


class Crowd(FrameAnalyzer):
    """Sees as many faces as it is told."""

    def __init__(self, count: int):
        self.count = count

    def __call__(self, pixels):
        return super().__call__(pixels) * self.count

    def analyze_aligned(self, frames):
        return []


@pytest.mark.parametrize(("count", "words"), [(0, "no face found"), (2, "2 faces found")])
def test_no_face_and_two_faces_are_recorded_rejections(recipe, dataset, count, words):
    people = anchors.load(dataset)
    good = recipe.studio()
    studio = Studio(good.pipe, Crowd(count), steps=2, guidance=2.5, identity_scale=1.0)
    maker = PortraitMaker(good, people, Thresholds(contrast=0, similarity=-1, margin=-1))
    maker.condition(next(iter(people)))
    maker.studio = studio
    row = Plan.of(recipe, recipe.models()).rows[0]
    (sample,) = maker.make([row])
    assert sample.rejected_by == "one face" and words in sample.reason and sample.image is not None


def test_a_black_picture_is_turned_down(recipe, dataset):
    studio = recipe.studio()
    maker = PortraitMaker(studio, anchors.load(dataset), Thresholds(similarity=-1, margin=-1))
    studio.make = lambda prompts, negative, conditions, noise: np.zeros((len(prompts), 32, 32, 3))
    rows = Plan.of(recipe, recipe.models()).rows[:2]
    assert [sample.rejected_by for sample in maker.make(rows)] == ["contrast", "contrast"]


def test_a_picture_of_somebody_else_is_turned_down_then_tried_again(recipe, dataset):
    maker = PortraitMaker(
        recipe.studio(),
        anchors.load(dataset),
        Thresholds(contrast=0, face_size=0, similarity=0.9999, margin=-1),
    )

    class Patience:
        def note(self, sample):
            assert not sample.failed

    row = Plan.of(recipe, recipe.models()).rows[0]
    first, second = make_batch(maker, [row], 2, Patience())
    assert first.rejected_by == second.rejected_by == "identity" and "to the reference" in first.reason
    assert (first.row.attempt, second.row.attempt) == (0, 1) and first.row.seed != second.row.seed


def test_damaged_identities_are_found_and_made_again(recipe, dataset, tmp_path):
    out = tmp_path / "copy"
    shutil.copytree(dataset, out)
    for shard in (out / "data").iterdir():
        shard.unlink()
    (out / anchors.FOLDER / "id000002.png").write_bytes(b"not a picture")
    with pytest.raises(FileNotFoundError, match="pictures are missing or changed; run the same recipe again"):
        anchors.load(out)
    generate(recipe, out)
    assert shards(out) == shards(dataset)


def test_rejections_stand_in_the_folder_with_pictures(recipe, tmp_path):
    strict = recipe.model_copy(
        update={"ids": 2, "thresholds": Thresholds(contrast=0, face_size=0, similarity=1.0)}
    )
    run = generate(strict, tmp_path / "out")
    rows = rejected_rows(tmp_path / "out")
    assert run.kept == 0 and len(rows) == run.rejected == run.planned * strict.attempts
    for row in rows:
        assert row["rejected_by"] == "identity" and row["measured"]["id_sim_to_ref"] < 1
        with Image.open(tmp_path / "out/rejected" / row["picture"]) as picture:
            assert picture.size == (32, 32)


def test_dry_run_needs_no_model_and_names_the_balance():
    text = preview.dry_run(ToyIdentities(model="nowhere", ids=4, images_per_id=2))
    assert "4 synthetic identities x 2 images: 8 pictures in 1 shards" in text
    assert "joint balance of identities" in text and "id000000_00000: portrait of" in text


def test_preview_is_one_picture_and_nothing_else(recipe, tmp_path):
    path = preview.preview(recipe, tmp_path / "preview.jpg", 6)
    with Image.open(path) as sheet:
        assert sheet.size[0] > 4 * 32 and sheet.size[1] > 2 * 32
    assert [file.name for file in tmp_path.iterdir()] == ["preview.jpg"]


def test_plan_files_describe_the_run(dataset, recipe):
    plan = json.loads((dataset / "plan/plan.json").read_text())
    assert plan["digest"] == recipe.digest(recipe.models()) and plan["rows"] == 18
    rows = [json.loads(line) for line in (dataset / "plan/rows.jsonl").read_text().splitlines()]
    assert [row["id"] for row in rows] == [row.id for row in recipe.rows()]
