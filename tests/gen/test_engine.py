"""A dataset is the same bytes however it was made: workers, kills, resumes, job arrays."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import toy_recipe
from toy_recipe import ToyRecipe

from gen.engine import clear, generate
from gen.overview import decode
from gen.plan import Plan, PlanConflict
from gen.shards import rejected_rows
from gen.worker import GenerationAborted, remake
from gen.writers import WRITERS

RECIPE = ToyRecipe(count=22)


def tree(out: Path) -> dict[str, str]:
    """Hash every file of the shards."""
    files = [
        path
        for part in ("data", "rejected", "plan")
        for path in sorted((out / part).rglob("*"))
        if path.is_file()
    ]
    return {path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """The dataset made in one go by one worker."""
    out = tmp_path_factory.mktemp("whole") / "set"
    run = generate(RECIPE, out)
    assert run.complete and run.shards == 3
    return out


def test_two_workers_give_the_bytes_of_one(whole, tmp_path):
    steps = []
    run = generate(RECIPE, tmp_path / "two", workers=2, progress=steps.append)
    assert run.complete
    assert tree(tmp_path / "two") == tree(whole)
    assert steps[-1].done == steps[-1].total == 22
    assert steps[-1].kept == run.kept


def start(recipe: ToyRecipe, out: Path, workers: int) -> subprocess.Popen:
    paths = os.pathsep.join([*filter(None, sys.path)])
    command = [sys.executable, toy_recipe.__file__, recipe.model_dump_json(), str(out), str(workers)]
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": paths}, start_new_session=True)


def test_killed_at_random_moments_and_resumed_gives_the_same_bytes(whole, tmp_path):
    out, slow = tmp_path / "killed", RECIPE.model_copy(update={"seconds": 0.1})
    reference = tmp_path / "reference"
    generate(slow, reference)
    moments = random.Random(3)
    for _ in range(2):
        process = start(slow, out, 1)
        deadline = time.monotonic() + 1500
        while not (out / "plan/plan.json").exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        time.sleep(moments.uniform(0.1, 0.5))
        os.killpg(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    assert len(list((out / "data").glob("*.json"))) < 3, "the kills came after the end: nothing was tested"
    assert generate(slow, out).complete
    assert tree(out) == tree(reference)
    assert not list(out.rglob(".*")), "a killed run left temporary files"


def test_a_dying_worker_is_replaced(whole, tmp_path):
    mark = tmp_path / "kill"
    mark.touch()
    recipe = RECIPE.model_copy(update={"kill_file": str(mark)})
    run = generate(recipe, tmp_path / "out", workers=2)
    assert not mark.exists() and run.complete
    assert [row.png for row in read(tmp_path / "out")][0][:8] == b"\x89PNG\r\n\x1a\n"
    assert pixels(tmp_path / "out") == pixels(whole)


def read(out: Path):
    return list(WRITERS["webdataset"].read(out / "data", "train"))


def pixels(out: Path) -> list[bytes]:
    return [decode(entry.png).tobytes() for entry in read(out)]


def test_job_arrays_make_the_same_set(whole, tmp_path):
    out = tmp_path / "array"
    first = generate(RECIPE, out, shard_range=(0, 1))
    assert not first.complete and not (out / "README.md").exists()
    assert generate(RECIPE, out, shard_range=(1, 3)).complete
    assert tree(out) == tree(whole)
    assert (out / "README.md").exists()
    with pytest.raises(ValueError, match=r"the plan has shards 0:3"):
        generate(RECIPE, out, shard_range=(2, 9))


def test_a_damaged_shard_is_made_again(whole, tmp_path):
    out = tmp_path / "out"
    generate(RECIPE, out)
    tar = out / "data/train-00001.tar"
    damaged = bytearray(tar.read_bytes())
    damaged[700] ^= 1
    tar.write_bytes(damaged)
    generate(RECIPE, out)
    assert tree(out) == tree(whole)


def test_a_finished_set_is_not_made_again(whole):
    before = {path: path.stat().st_mtime_ns for path in (whole / "data").iterdir()}
    generate(RECIPE, whole)
    assert {path: path.stat().st_mtime_ns for path in (whole / "data").iterdir()} == before


def test_another_recipe_in_the_folder_is_refused_and_loses_nothing(whole):
    before = tree(whole)
    with pytest.raises(PlanConflict, match=r"count 22 there, 23 now; seed 0 there, 1 now"):
        generate(RECIPE.model_copy(update={"count": 23, "seed": 1}), whole)
    assert tree(whole) == before


def test_foreign_folders_are_left_alone(tmp_path):
    (tmp_path / "holiday.jpg").touch()
    with pytest.raises(PlanConflict, match="holds no dataset of Mien"):
        generate(RECIPE, tmp_path)
    with pytest.raises(ValueError, match="nothing is overwritten"):
        clear(tmp_path)
    assert (tmp_path / "holiday.jpg").exists()


def test_overwrite_replaces_the_set_and_nothing_else(tmp_path):
    out = tmp_path / "out"
    generate(ToyRecipe(count=4), out)
    (out / "notes.txt").write_text("mine")
    generate(ToyRecipe(count=9), out, overwrite=True)
    assert len(read(out)) == sum(row["kept"] for row in [run_summary(out)])
    assert (out / "notes.txt").read_text() == "mine"


def run_summary(out: Path) -> dict:
    return json.loads((out / "summary.json").read_text())


def test_a_row_alone_is_the_row_of_its_batch(whole):
    item = Plan.of(RECIPE, RECIPE.models()).items(whole)[1]
    entry = next(entry for entry in read(whole) if entry.key == item.batches[1][2].id)
    alone = remake(item, entry.key)
    assert np.abs(alone.image.astype(int) - decode(entry.png)).max() <= 2
    with pytest.raises(KeyError, match="no such sample"):
        remake(item, "s9999")


def test_failing_rows_are_recorded_and_the_rest_is_kept(tmp_path):
    recipe = ToyRecipe(count=12, broken_ids=(2, 5), rejected_share=0)
    run = generate(recipe, tmp_path / "out")
    assert run.kept == 10
    rows = rejected_rows(tmp_path / "out")
    assert {row["id"] for row in rows} == {"s0002", "s0005"}
    assert [row["attempt"] for row in rows if row["id"] == "s0002"] == [0, 1]
    assert all(row["reason"].startswith("RuntimeError: row") and "traceback" in row["reason"] for row in rows)


def test_many_failures_in_a_row_stop_the_run(tmp_path):
    recipe = ToyRecipe(count=12, broken_ids=tuple(range(4, 12)))
    with pytest.raises(
        GenerationAborted, match=r"4 samples in a row failed, the last \(s0007\) with: RuntimeError"
    ):
        generate(recipe, tmp_path / "out")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workers": 0}, "workers is 0"),
        ({"engine": "spark"}, "permitted: local, ray"),
        ({"overwrite": True, "shard_range": (0, 1)}, "exclude each other"),
    ],
)
def test_options_that_make_no_sense_are_refused(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        generate(RECIPE, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()
