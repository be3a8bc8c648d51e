"""Sets of the recipe of drags, made end to end with discs for heads; planted faults are turned down with reasons."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from toy_heads import HIDDEN, SIDE, ToyDrags

from faces import provenance
from faces.flow import decode_flow
from gen import contact, drags
from gen.drags import DragThresholds
from gen.engine import generate
from gen.overview import Overview, decode
from gen.plan import Plan
from gen.record import MOTION, SCHEMA
from gen.shards import rejected_rows
from gen.worker import remake
from gen.writers import WRITERS, convert, maps
from pipelines.drag.drags import Drags

RECIPE = ToyDrags()


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("drags") / "set"
    run = generate(RECIPE, out)
    assert run.complete and (run.planned, run.kept, run.rejected, run.shards) == (12, 12, 0, 3)
    return out


def entries(out: Path, format: str = "webdataset"):
    return {entry.key: entry for entry in WRITERS[format].read(out / "data", "train")}


def shards(out: Path) -> dict[str, str]:
    files = sorted(file for folder in ("data", "rejected") for file in (out / folder).rglob("*"))
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files if file.is_file()}


# What is made.


def test_two_workers_and_a_resumed_run_give_the_bytes_of_one(dataset, tmp_path):
    generate(RECIPE, tmp_path / "two", workers=2)
    assert shards(tmp_path / "two") == shards(dataset)
    assert not generate(RECIPE, tmp_path / "parts", shard_range=(1, 2)).complete
    assert generate(RECIPE, tmp_path / "parts").complete
    assert shards(tmp_path / "parts") == shards(dataset)
    for name in ("README.md", "summary.json", "report.html", "contact.jpg", "croissant.json"):
        assert (tmp_path / "parts" / name).read_bytes() == (dataset / name).read_bytes()


def test_a_row_alone_is_the_row_of_its_pair(dataset):
    stored = entries(dataset)
    for item in Plan.of(RECIPE, RECIPE.models()).items(dataset):
        for row in item.batches[0]:
            alone = remake(item, row.id)
            np.testing.assert_array_equal(alone.image, decode(stored[row.id].png))
            np.testing.assert_array_equal(alone.flow, stored[row.id].flow)
            assert alone.labels["drags_10"] == stored[row.id].record["drags_10"]


def test_each_direction_holds_the_other_picture(dataset):
    stored = entries(dataset)
    for entry in stored.values():
        other = stored[entry.record["target_id"]]
        assert other.record["target_id"] == entry.key
        assert {entry.record["role"], other.record["role"]} == {"before", "after"}
        assert other.record["pair_id"] == entry.record["pair_id"] == entry.record["identity_id"]
        assert entry.target == other.png and entry.record["edit"] == other.record["edit"]
        np.testing.assert_array_equal(entry.target_parsing, other.parsing)
        np.testing.assert_array_equal(np.float32(entry.record["target_landmarks68"]), other.landmarks.ravel())


def test_the_flow_takes_each_picture_to_the_other(dataset):
    grid = np.mgrid[:SIDE, :SIDE][::-1].astype(np.float32)
    for entry in entries(dataset).values():
        place = grid + np.moveaxis(entry.flow[..., :2], -1, 0)
        warped = cv2.remap(decode(entry.target), *place, cv2.INTER_LINEAR)
        seen = entry.flow[..., 2] > 0
        np.testing.assert_array_equal(warped[seen], decode(entry.png)[seen])
        np.testing.assert_array_equal(seen, entry.masks[..., 0] > 0)
        np.testing.assert_array_equal(entry.masks[..., 1] > 0, entry.parsing == 1)
        stays = entry.masks[..., 2] > 0
        np.testing.assert_array_equal(decode(entry.target)[stays], decode(entry.png)[stays])
        assert stays.mean() > 0.4


def test_rows_are_complete(dataset):
    planned = {row.id: row for row in RECIPE.rows()}
    for key, entry in entries(dataset).items():
        record, row = entry.record, planned[key]
        assert list(record) == SCHEMA.names
        assert not [name for name in MOTION if record[name] is None]
        for name in ("gender", "age_band", "skin_tone"):
            assert record[f"requested_{name}"] == row.requested[name]
        before = row.role == "before"
        assert record["requested_expression"] == ("neutral" if before else "happy")
        assert record["requested_pose"] == ("frontal" if before else "right")
        assert record["head_pose_deg"] == [0 if before else 25, 0, 0] and record["gaze_deg"] == [3, -2]
        assert max(record["au_requested"]) == (0 if before else 0.7)
        assert record["measured_landmarks_seen"] == 68 - len(HIDDEN)
        farthest = np.linalg.norm(entry.flow[..., :2], axis=-1).max()
        assert record["measured_longest_motion"] == pytest.approx(farthest, abs=1e-5)
        assert record["measured_landmarks_outside"] == 0 and record["measured_co_visible_share"] == 1
        assert record["measured_moving_share"] == pytest.approx((entry.parsing == 1).mean(), abs=1e-6)
        assert record["landmarks68"] and record["caption"] and record["prompt"] == ""
        assert record["minimum_age"] == 18 and record["licence"] == "CC0-1.0" and record["synthetic"] is True


def test_drags_are_what_the_pipeline_takes_and_agree_with_the_flow(dataset):
    for entry in entries(dataset).values():
        record = entry.record
        assert not set(HIDDEN) & set(record["drag_landmarks"])
        for count in (1, 3, 5, 10, 68):
            given = record[f"drags_{count}"]
            assert len(given) == (len(record["drag_landmarks"]) if count == 68 else count)
            taken = Drags.of(given, record["pins"], size=(SIDE, SIDE))
            columns, rows = taken.source_pixels.T
            np.testing.assert_array_equal(taken.vectors, entry.flow[rows, columns, :2])
        near = entry.landmarks[record["drag_landmarks"]] - np.array(record["drags_68"])[:, 0]
        assert np.abs(near).max() <= 0.5


def test_both_pictures_say_what_they_are(dataset):
    for entry in entries(dataset).values():
        for png, key in ((entry.png, entry.key), (entry.target, entry.record["target_id"])):
            found = provenance.read(png)
            assert found.digital_source_type == "algorithmicMedia" and found.pipeline == "faces.head"
            assert found.model == "makehuman-cc0" and len(found.model_sha256) == 64
            assert found.seed == entry.record["seed"] and found.prompt_sha256 is None
            assert found.extra["id"] == key and found.extra["licence"] == "CC0-1.0"
            assert (found.extra["edit"], found.extra["pair_id"]) == (
                entry.record["edit"],
                entry.record["pair_id"],
            )


# Faults.


@pytest.mark.parametrize(
    ("edit", "limits", "stage", "reason"),
    [
        ("gaze", {}, "motion", "before: 0.000% of the picture move, at least 0.0007 of 1 wanted"),
        ("pose", {"moving_share": 0.5}, "motion", "of the picture move, at least 0.5 of 1 wanted"),
        ("shape", {}, "frame", "of the 68 landmarks outside the picture, none permitted"),
        ("expression", {}, "co-visible", "before: 8 landmarks seen in both pictures, at least 10 wanted"),
    ],
)
def test_pairs_that_cannot_be_scored_are_turned_down_whole(tmp_path, edit, limits, stage, reason):
    recipe = ToyDrags(pairs=2, edits=[edit], thresholds=DragThresholds(**limits))
    run = generate(recipe, tmp_path / "set")
    rows = rejected_rows(tmp_path / "set")
    assert run.kept == 0 and len(rows) == run.planned * recipe.attempts
    assert {row["rejected_by"] for row in rows} == {stage} and all(reason in row["reason"] for row in rows)
    assert {row["id"] for row in rows} == {row.id for row in recipe.rows()}
    assert all((tmp_path / "set/rejected" / row["picture"]).is_file() for row in rows)
    funnel = json.loads((tmp_path / "set/summary.json").read_text())["waterfall"]
    assert {row["check"]: row["out"] for row in funnel if row["out"]} == {stage: 8}


def test_a_new_attempt_is_another_pair_for_both_directions():
    maker = RECIPE.maker(Path("unused"))
    rows = RECIPE.rows()[:2]
    first, second = maker.make(rows), maker.make([row.again() for row in rows])
    assert not np.array_equal(first[0].image, second[0].image)
    np.testing.assert_array_equal(second[0].target, second[1].image)
    np.testing.assert_array_equal(second[1].target, second[0].image)


# What is written.


@pytest.mark.parametrize("target", ["folder", "webdataset", "parquet"])
def test_every_format_keeps_flow_target_and_drags(dataset, tmp_path, target):
    convert(dataset / "data", "webdataset", tmp_path / "data", target, "train", per_shard=5)
    found = entries(tmp_path, target)
    for key, entry in entries(dataset).items():
        assert found[key].record == entry.record
        assert (found[key].png, found[key].target) == (entry.png, entry.target)
        for name in ("flow", "masks", "parsing", "target_parsing", "landmarks"):
            one, other = getattr(found[key], name), getattr(entry, name)
            np.testing.assert_array_equal(one, other)
            assert one.dtype == other.dtype


@pytest.mark.parametrize("format", ["webdataset", "parquet"])
def test_datasets_opens_it_with_the_bytes_of_the_flow(dataset, tmp_path, format):
    from datasets import load_dataset

    out = dataset
    if format != "webdataset":
        out = tmp_path / "set"
        generate(RECIPE.model_copy(update={"format": format}), out)
    rows = load_dataset(str(out), split="train", cache_dir=str(tmp_path / "cache"))
    stored = entries(out, format)
    ending, image = ("", "image") if format == "parquet" else (".png", "png")
    assert len(rows) == 12
    for row in rows:
        record = row if format == "parquet" else row["json"]
        entry = stored[record["id"]]
        flow, seen = decode_flow(row[f"flow{ending}"])
        np.testing.assert_array_equal(np.dstack([flow, seen]), entry.flow)
        np.testing.assert_array_equal(np.asarray(row[f"target{ending}"]), decode(entry.target))
        assert row[image].size == row[f"target_parsing{ending}"].size == (SIDE, SIDE)
        assert record["drags_5"] == entry.record["drags_5"] and record["pins"] == entry.record["pins"]


def test_files_of_a_folder_are_kitti_flow(tmp_path):
    generate(RECIPE.model_copy(update={"format": "folder", "pairs": 2}), tmp_path / "set")
    (file, *_) = sorted((tmp_path / "set/data/train-00000.flow").iterdir())
    u, v, valid = np.moveaxis(cv2.imread(str(file), cv2.IMREAD_UNCHANGED)[..., ::-1], -1, 0)
    assert u.dtype == np.uint16 and set(np.unique(valid)) == {0, 1}
    entry = entries(tmp_path / "set", "folder")[file.stem]
    np.testing.assert_array_equal((np.stack([u, v], -1) - 32768.0) / 64, entry.flow[..., :2])
    assert (tmp_path / "set/data/train-00000.target" / file.name).read_bytes() == entry.target


def test_no_picture_after_an_edit_counts_as_a_repeated_one(dataset):
    overview = Overview.of(Plan.of(RECIPE, RECIPE.models()), dataset)
    assert overview.duplicates == [] and overview.rendered
    assert overview.axes["edit"] == {"all": 6, "pose": 6}
    cells = overview.summary()["cells"]
    assert [(row["edit"], row["planned"], row["kept"]) for row in cells["edit"]] == [
        ("all", 6, 6),
        ("pose", 6, 6),
    ]
    assert set(cells) == {"edit", "edit x gender", "edit x age_band", "edit x skin_tone"}


def test_the_sheet_shows_drags_flow_and_target(dataset):
    entry = next(entry for entry in entries(dataset).values() if entry.record["role"] == "before")
    drawn, colours, target = contact.tiles(entry)
    np.testing.assert_array_equal(target, decode(entry.target))
    changed = np.abs(drawn.astype(int) - decode(entry.png)).sum(axis=-1) > 60
    for source, goal in entry.record["drags_5"]:
        for x, y in (source, goal):
            assert changed[int(y), int(x)]
    assert changed.mean() < 0.1
    assert (colours[entry.parsing == 0] == 255).all() and (colours[64, 64] != 255).any()
    plan = Plan.of(RECIPE, RECIPE.models())
    sheet = contact.of(Overview.of(plan, dataset))
    assert sheet.shape == (2 * (SIDE + 4) + 4, 9 * (SIDE + 4) + 4, 3)


def test_arrows_lead_from_sources_to_targets():
    plain = np.full((SIDE, SIDE, 3), 255, np.uint8)
    drawn = contact.with_drags(plain, np.array([[[20.5, 64.5], [100.5, 64.5]]]), np.array([[64.5, 20.5]]))
    assert (plain == 255).all()
    red = (drawn[..., 0].astype(int) - drawn[..., 1]) > 150
    rows, columns = np.nonzero(red)
    assert abs(rows.mean() - 64) < 0.5 and (columns.min(), columns.max()) == (19, 100)
    heights = red.sum(axis=0)
    assert heights[93:101].max() > heights[30:90].max(), "the tip is at the target"
    assert (drawn[18:23, 62:67] != 255).any() and (drawn[20, 64] == 255).all(), "a ring around the pin"


def test_the_report_explains_motion(dataset):
    text = (dataset / "report.html").read_text()
    for words in (
        "One kind of edit (all, pose) a row",
        "<h2>Motion</h2>",
        "numbers here come from the renderer",
    ):
        assert words in text


def test_the_readme_explains_renders_and_scoring(dataset):
    text = (dataset / "README.md").read_text()
    for words in ("## Pairs, flow and drags", "- image-to-image", "heads are rendered from a morphable mesh",
                  "only adults of 18 or more are rendered", "`algorithmicMedia`",
                  "assets that were rendered are CC0"):  # fmt: skip
        assert words in text
    assert "embedding" not in text.split("## Demographic axes")[0] and "prompts ask" not in text
    assert "Rendered from CC0 assets" in (dataset / "croissant.json").read_text()
    for name in MOTION:
        assert f"`{name}`" in text or name in ("edit", "target_id")


def test_the_readme_s_scoring_runs_and_knows_right_from_wrong(dataset):
    (snippet,) = re.findall(r"```python\n(from faces.*?)```", (dataset / "README.md").read_text(), re.DOTALL)
    assert snippet == drags.SNIPPET
    entry = next(iter(entries(dataset).values()))
    source, target = decode(entry.png), decode(entry.target)
    row = {**entry.record, "flow": maps.encoded(entry)["flow"]}
    right = {"np": np, "row": row, "source": source, "target": target, "edit": target}
    right["predicted_flow"] = entry.flow[..., :2]
    wrong = {**right, "edit": source, "predicted_flow": np.zeros((SIDE, SIDE, 2))}
    exec(snippet, right)
    exec(snippet, wrong)
    assert right["error"] == 0 and right["left"] == pytest.approx(0, abs=1e-6)
    assert wrong["error"] > 3 and wrong["left"] == pytest.approx(1)
