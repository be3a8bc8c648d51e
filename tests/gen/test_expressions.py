"""Sets of the expressions recipe, made end to end with a random pipeline."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from toy_expressions import (
    OPEN,
    Told,
    ToldAnalyzer,
    ToyExpressions,
    save_calibrator,
    save_expression_pipeline,
)
from toy_portraits import FrameAnalyzer

from faces import captions, vocabulary
from gen import captioning, contact, preview, seeds
from gen.engine import generate
from gen.expressions import ExpressionMaker
from gen.labels import Labeller
from gen.overview import Overview, decode
from gen.plan import Plan
from gen.prior import IdentityPrior
from gen.recipes.expressions import ExpressionsRecipe
from gen.record import LABELS, SCHEMA, VERSION
from gen.shards import rejected_rows
from gen.worker import make_batch, remake
from gen.writers import WRITERS, convert


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return save_expression_pipeline(tmp_path_factory.mktemp("model") / "toy")


@pytest.fixture(scope="module")
def toy(model) -> ToyExpressions:
    return ToyExpressions(model=str(model))


@pytest.fixture(scope="module")
def dataset(toy, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("expressions") / "set"
    run = generate(toy, out)
    assert run.complete and run.planned == 24 and run.shards == 3
    return out


@pytest.fixture(scope="module")
def overview(toy, dataset) -> Overview:
    return Overview.of(Plan.of(toy, toy.models()), dataset)


def shards(out: Path) -> dict[str, str]:
    files = sorted(file for folder in ("data", "rejected") for file in (out / folder).rglob("*"))
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files if file.is_file()}


def maker(toy, analyzer, labeller, **changed) -> ExpressionMaker:
    studio = toy.studio()
    studio.analyzer = analyzer
    limits = changed.pop("limits", OPEN)
    drawing = {"unit_scale": 1.0, "semantic_scale": 0.0, "semantic_start": 0.3} | changed
    return ExpressionMaker(
        studio, IdentityPrior.load(Path(toy.model)), limits, labeller, seed=toy.seed, **drawing
    )


# The plan.


def test_a_dry_run_loads_nothing():
    text = preview.dry_run(ToyExpressions(model="nowhere"))
    assert "3 synthetic pictures of each of 8 expressions: 24 pictures in 3 shards" in text
    assert "joint balance of pictures" in text and "id000000_00000: portrait of" in text


# What is made.


def test_two_workers_give_the_bytes_of_one(toy, dataset, tmp_path):
    generate(toy, tmp_path / "two", workers=2)
    assert shards(tmp_path / "two") == shards(dataset)


def test_resumed_gives_the_same_bytes(toy, dataset, tmp_path):
    out = tmp_path / "resumed"
    assert not generate(toy, out, shard_range=(1, 2)).complete
    part = shards(out)
    assert generate(toy, out, shard_range=(0, 1)).shards_done == 2 and part.items() <= shards(out).items()
    (out / "data/train-00001.tar").write_bytes(b"cut off")
    assert generate(toy, out).complete
    assert shards(out) == shards(dataset)
    for name in ("README.md", "summary.json", "report.html", "contact.jpg", "croissant.json"):
        assert (out / name).read_bytes() == (dataset / name).read_bytes()


def test_a_row_alone_is_the_row_of_its_batch(toy, dataset, overview):
    item = Plan.of(toy, toy.models()).items(dataset)[0]
    record = next(record for record in overview.records if record["attempt"] == 0)
    alone = remake(item, record["id"])
    kept = overview.pictures([record["id"]])[record["id"]]
    assert np.abs(alone.image.astype(int) - kept).max() <= 2


def test_records_hold_request_reading_and_label_apart(toy, overview):
    planned = {row.id: row for row in toy.rows()}
    assert {record["label_decision"] for record in overview.records} == {"keep", "relabel"}
    for record in overview.records:
        row = planned[record["id"]]
        assert record["au_requested"] == list(row.action_units.values()) and record["prompt"] == row.prompt
        assert len(record["au_measured"]) == 26 and record["au_measured"] != record["au_requested"]
        assert len(record["label_soft"]) == 8 and sum(record["label_soft"]) == pytest.approx(1, abs=1e-4)
        assert record["label_intended"] == record["requested_expression"] == row.requested["expression"]
        kept = record["label_decision"] == "keep"
        assert record["label"] == record["label_pseudo"] == record["label_analyzer"]
        assert (record["label"] == record["label_intended"]) is kept
        assert record["measured_quality"] == 0.8 and record["measured_valence"] == 0.2
        assert 18 <= record["measured_age_years"] <= 90 and record["measured_open_set"] == 0.1
        assert (record["unit_scale"], record["semantic_scale"], record["steps"]) == (0.5, 0.0, 2)
        assert record["generator"].endswith("ExpressionPipeline") and record["schema_version"] == VERSION
        assert captioning.contradictions(record) == []
        assert (". " in record["caption"]) is kept and captioning.read(record["caption"])


def test_identities_are_functions_of_seed_and_name(toy, model):
    one, other = (maker(toy, FrameAnalyzer(), None) for _ in range(2))
    drawn = []
    for made in (one, other):
        made.studio.condition_on_embedding = drawn.append
    row = toy.rows()[0]
    looks = (("gender", row.requested["gender"]),)
    one.condition(row.identity_id, looks)
    other.condition("id000099", looks)
    other.condition(row.identity_id, looks)
    prior = IdentityPrior.load(model)
    wanted = prior.sample(seeds.stream(toy.seed, row.identity_id), {"gender": row.requested["gender"]})
    np.testing.assert_array_equal(drawn[0], wanted)
    np.testing.assert_array_equal(drawn[0], drawn[2])
    assert not np.array_equal(drawn[0], drawn[1])


def test_action_units_reach_the_picture(toy):
    row = toy.rows()[0]
    free = maker(toy, FrameAnalyzer(), None, unit_scale=0.0).make([row])[0].image
    units = {name: 0.5 * value for name, value in row.action_units.items()}
    weaker = dataclasses.replace(row, action_units=units)
    drawn, weak = (maker(toy, FrameAnalyzer(), None).make([each])[0].image for each in (row, weaker))
    assert not np.array_equal(drawn, free) and not np.array_equal(drawn, weak)


def told(toy, analyzer: list[str], calibrator: list[str] | None, expression: str = "happy"):
    """Samples of rows of one expression, with readers that are told what to find."""
    rows = [row for row in toy.rows() if row.requested["expression"] == expression][: len(analyzer)]
    second = Told(*calibrator) if calibrator else None
    return maker(toy, ToldAnalyzer(analyzer), Labeller(second, 0.6)).make(rows)


def test_readers_that_agree_relabel_and_divided_ones_drop(toy):
    confirmed, relabelled, dropped = told(toy, ["happy", "sad", "fear"], ["happy", "sad", "anger"])
    assert confirmed.kept and confirmed.labels["label"] == "happy"
    assert relabelled.kept and relabelled.labels["label"] == "sad"
    assert relabelled.labels["label_intended"] == "happy" and relabelled.labels["label_decision"] == "relabel"
    assert relabelled.caption == captions.prompt(**{**relabelled.row.requested, "expression": "sad"})
    assert confirmed.caption.startswith(captions.prompt(**confirmed.row.requested) + ". AU")
    assert dropped.rejected_by == "label" and "asked for happy, read as" in dropped.reason
    assert dropped.labels["label"] is None and dropped.labels["label_analyzer"] == "fear"
    assert [sample.row.requested["expression"] for sample in (confirmed, relabelled, dropped)] == [
        "happy"
    ] * 3


def test_without_a_calibrator_the_analyzer_confirms_or_drops(toy):
    confirmed, dropped = told(toy, ["happy", "sad"], None)
    assert confirmed.kept and confirmed.labels["label_agreement"] == 1
    assert dropped.rejected_by == "label" and dropped.labels["label_decision"] == "drop"
    assert dropped.labels["label_agreement"] == 0.5 and dropped.labels["label_pseudo"] == "sad"
    for sample in (confirmed, dropped):
        assert sample.labels["label_calibrator"] is None
        assert max(sample.labels["label_soft"]) == pytest.approx(0.9)


def test_dropped_rows_are_tried_again(toy):
    class Patience:
        def note(self, sample):
            assert not sample.failed

    made = maker(toy, ToldAnalyzer(["sad", "happy"]), Labeller(None, 0.6))
    row = next(row for row in toy.rows() if row.requested["expression"] == "happy")
    first, second = make_batch(made, [row], 3, Patience())
    assert first.rejected_by == "label" and second.kept and first.row.seed != second.row.seed
    assert first.row.action_units == second.row.action_units


def test_unchecked_pictures_are_taken_for_what_was_intended(toy, tmp_path):
    out = tmp_path / "unchecked"
    run = generate(toy.model_copy(update={"per_class": 1, "annotate": False}), out)
    assert run.kept == 8
    for entry in WRITERS["webdataset"].read(out / "data", "train"):
        record = entry.record
        assert record["label"] == record["label_intended"] == record["requested_expression"]
        assert record["label_decision"] is record["label_soft"] is None


def test_poor_and_empty_pictures_are_turned_down(toy):
    rows = toy.rows()[:1]
    limits = OPEN.model_copy(update={"quality": 0.3})
    (poor,) = maker(toy, ToldAnalyzer(["sad"], quality=0.2), None, limits=limits).make(rows)
    assert poor.rejected_by == "quality" and poor.reason == "quality 0.20, at least 0.3 wanted"

    class Blind(FrameAnalyzer):
        def __call__(self, pixels):
            return []

        def analyze_aligned(self, frames):
            return []

    (empty,) = maker(toy, Blind(), Labeller(None, 0.6)).make(rows)
    assert empty.rejected_by == "one face" and empty.labels == {} and "quality" not in empty.measured


def test_broken_weights_fail_without_a_picture(toy):
    broken = maker(toy, FrameAnalyzer(), Labeller(None, 0.6))
    with torch.no_grad():
        broken.studio.pipe.unet.conv_out.weight.fill_(float("nan"))
    (sample,) = broken.make(toy.rows()[:1])
    assert sample.failed and sample.image is None and "not finite" in sample.reason


def test_the_calibrator_of_a_folder_is_a_reader(model, toy, tmp_path):
    shutil.copytree(model, tmp_path / "toy")
    plain = ExpressionsRecipe.labeller(toy, toy.studio())
    assert plain.annotator is None
    own = toy.model_copy(update={"model": str(save_calibrator(tmp_path / "toy"))})
    labeller = ExpressionsRecipe.labeller(own, own.studio())
    samples = maker(own, FrameAnalyzer(), labeller).make(own.rows()[:2])
    assert all(sample.labels["label_calibrator"] in vocabulary.EXPRESSIONS for sample in samples)
    assert any(name.startswith("label_calibrator/") for name in set(own.models()) - set(toy.models()))


def test_the_readers_files_are_part_of_the_plan(toy, monkeypatch):
    monkeypatch.setattr("weights.bundled", lambda name: Path(toy.model) / "unet")
    files = ExpressionsRecipe(model=toy.model).models()
    assert toy.models().items() < files.items()
    assert any(name.startswith("perception/") for name in files)


# What is written.


@pytest.mark.parametrize("target", ["folder", "webdataset", "parquet"])
def test_every_format_keeps_every_column(dataset, tmp_path, target):
    source = list(WRITERS["webdataset"].read(dataset / "data", "train"))
    convert(dataset / "data", "webdataset", tmp_path / target, target, "train", per_shard=5)
    found = list(WRITERS[target].read(tmp_path / target, "train"))
    assert [entry.record for entry in found] == [entry.record for entry in source]
    assert list(found[0].record) == SCHEMA.names and {*LABELS, "au_requested", "au_measured"} <= set(
        SCHEMA.names
    )


def test_summary_counts_every_attempt_in_its_cell(dataset, toy):
    summary = json.loads((dataset / "summary.json").read_text())
    rejected = rejected_rows(dataset)
    assert set(summary["cells"]) == {
        f"expression x {name}" for name in ("age_band", "skin_tone", "pose", "gender", "hair_colour", "light")
    }
    for rows in summary["cells"].values():
        assert sum(row["planned"] for row in rows) == summary["planned"] == 24
        assert sum(row["kept"] for row in rows) == summary["kept"]
        assert sum(row["out"].get("label", 0) for row in rows) == len(rejected) > 0
        assert all(row["attempts"] == row["kept"] + sum(row["out"].values()) for row in rows)
    row = rejected[0]
    cell = next(
        cell for cell in summary["cells"]["expression x pose"]
        if all(cell[name] == row["requested"][name] for name in ("expression", "pose"))
    )  # fmt: skip
    assert cell["out"]["label"] > 0
    stages = [row["check"] for row in summary["waterfall"]]
    assert stages == ["error", "contrast", "one face", "face size", "sharpness", "quality", "label"]
    labels = summary["labels"]
    assert sum(count for row in labels.values() for count in row.values()) == summary["kept"]


def test_the_readme_says_what_labels_are_and_the_report_shows_where_pictures_were_lost(dataset):
    text = (dataset / "README.md").read_text()
    for words in ("## Labels", "**displayed**", "Nobody felt anything", "`label_pseudo`", "AU1L, AU1R"):
        assert words in text
    page = (dataset / "report.html").read_text()
    for words in (
        "Waterfall by cell",
        "expression x age band",
        "<h2>Labels</h2>",
        "One label (",
        "Accept waterfall",
    ):
        assert words in page


def test_the_contact_sheet_has_one_label_a_row(overview, dataset):
    labels = [record["label"] for record in overview.records]
    rows = len(set(labels))
    assert contact.of(overview).shape[0] == rows * (32 + 4) + 4
    with Image.open(dataset / "contact.jpg") as sheet:
        assert sheet.size[1] == rows * (32 + 4) + 4
    first = next(name for name in vocabulary.EXPRESSIONS if name in labels)
    key = next(record["id"] for record in overview.records if record["label"] == first)
    np.testing.assert_array_equal(contact.of(overview)[4:36, 4:36], overview.pictures([key])[key])


def test_rejected_rows_keep_their_labels(dataset):
    for row in rejected_rows(dataset):
        assert row["rejected_by"] == "label" and row["labels"]["label_decision"] == "drop"
        assert len(row["measured"]["action_units"]) == 26
        assert decode((dataset / "rejected" / row["picture"]).read_bytes()).shape == (32, 32, 3)
