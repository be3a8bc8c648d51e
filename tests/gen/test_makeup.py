"""Sets of the makeup recipe, made end to end with random pipelines; planted faults are turned down with reasons."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from toy_makeup import OPEN, DiscAnalyzer, ToyMakeup, save_makeup_pipeline
from toy_portraits import SIDE, save_pipeline

from faces import captions, provenance
from faces.makeup import BARE, LAYERS, REGIONS
from gen import anchors, captioning, looks
from gen.checks import MakeupThresholds
from gen.engine import generate
from gen.makeup import MakeupMaker
from gen.overview import Overview, decode
from gen.plan import Plan, PlanConflict
from gen.record import MAKEUP, SCHEMA, VERSION
from gen.shards import rejected_rows
from gen.worker import GenerationAborted, remake
from gen.writers import WRITERS, convert

STYLES = ("style-00", "style-01")


@pytest.fixture(scope="module")
def toy(tmp_path_factory) -> ToyMakeup:
    folder = tmp_path_factory.mktemp("models")
    return ToyMakeup(
        model=str(save_pipeline(folder / "toy")), makeup_model=str(save_makeup_pipeline(folder / "paint"))
    )


@pytest.fixture(scope="module")
def dataset(toy, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("makeup") / "set"
    run = generate(toy, out)
    assert run.complete and (run.planned, run.kept, run.shards) == (9, 9, 3)
    return out


def shards(out: Path) -> dict[str, str]:
    files = sorted(
        file for folder in ("data", "rejected", anchors.FOLDER) for file in (out / folder).rglob("*")
    )
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files if file.is_file()}


def entries(out: Path, format: str = "webdataset"):
    return {entry.key: entry for entry in WRITERS[format].read(out / "data", "train")}


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


def test_a_row_alone_is_the_row_of_its_batch(toy, dataset):
    stored = entries(dataset)
    for item in Plan.of(toy, toy.models()).items(dataset)[:2]:
        for row in item.batches[0]:
            alone = remake(item, row.id)
            assert np.abs(alone.image.astype(int) - decode(stored[row.id].png)).max() <= 2


def test_pairs_differ_in_their_masks_alone(dataset):
    stored = entries(dataset)
    for entry in stored.values():
        record = entry.record
        bare = stored[record["pair_id"]]
        assert bare.record["role"] == "bare" and bare.record["identity_id"] == record["identity_id"]
        if record["role"] == "bare":
            assert entry is bare and entry.masks is None and record["style_id"] == "bare"
            continue
        change = np.abs(decode(entry.png).astype(int) - decode(bare.png))
        assert entry.masks.shape == (SIDE, SIDE, 3) and entry.masks.dtype == np.uint8
        covered = entry.masks.any(axis=2)
        assert 0.1 < covered.mean() < 0.9
        assert change[~covered].max() == 0 and change[covered].mean() > 1
        assert record["measured_outside_difference"] == 0 and record["measured_landmark_drift"] == 0
        assert record["measured_inside_difference"] == pytest.approx(change[covered].mean() / 255, abs=1e-5)


def test_bare_pictures_are_the_portraits_of_their_identities(dataset):
    people, stored = anchors.load(dataset), entries(dataset)
    assert len(people) == 3
    for name, anchor in people.items():
        entry = stored[f"{name}_bare"]
        np.testing.assert_array_equal(decode(entry.png), anchor.image)
        assert entry.record["seed"] == entry.record["source_seed"] == anchor.facts["seed"]


def test_styles_are_shared_across_identities(toy, dataset):
    worn = {}
    for entry in entries(dataset).values():
        worn.setdefault(entry.record["style_id"], []).append(looks.read(entry.record))
    assert sorted(worn) == ["bare", *STYLES]
    for name, found in worn.items():
        assert len(found) == 3 and all(look == found[0] for look in found)
        assert found[0] == looks.styles(toy.seed, toy.styles)[name]
    assert worn["bare"][0] == BARE and worn[STYLES[0]] != worn[STYLES[1]]


def test_rows_are_complete(toy, dataset):
    planned = {row.id: row for row in toy.rows()}
    for key, entry in entries(dataset).items():
        record, row = entry.record, planned[key]
        assert list(record) == SCHEMA.names and record["schema_version"] == VERSION
        assert record["role"] == row.role and record["style_id"] == row.requested["style_id"]
        assert record["prompt"] == row.prompt and record["negative_prompt"].startswith("lipstick")
        assert record["requested_glasses"] is False and record["measured_makeup"] == 0.1
        assert -1 <= record["measured_id_sim_to_ref"] <= 1 and record["measured_faces_found"] == 1
        assert record["minimum_age"] == 18 and record["licence"] == "CC0-1.0" and record["synthetic"] is True
        assert len(record["source_model_sha256"]) == len(record["model_sha256"]) == 64
        assert record["landmarks68"] and record["phash"] and captioning.contradictions(record) == []
        origin = provenance.read(entry.png)
        assert origin.digital_source_type == record["digital_source_type"] and origin.seed == record["seed"]
        assert (origin.extra["pair_id"], origin.extra["style_id"]) == (record["pair_id"], record["style_id"])
        assert origin.pipeline == record["generator"] and origin.model_sha256 == record["model_sha256"]
        if row.role == "bare":
            assert record["digital_source_type"] == "trainedAlgorithmicMedia"
            assert record["generator"].endswith("PortraitPipeline") and record["model"] == "toy"
            assert record["model_sha256"] == record["source_model_sha256"] and record["steps"] == 2
            assert record["guidance_scale"] == 2.5 and record["makeup_strength"] is None
            assert record["caption"] == captions.prompt(**toy.portrait_looks(_traits(row)))
        else:
            assert record["digital_source_type"] == "compositeWithTrainedAlgorithmicMedia"
            assert record["generator"].endswith("MakeupPipeline") and record["model"] == "paint"
            assert record["model_sha256"] != record["source_model_sha256"] and record["seed"] == row.seed
            assert record["guidance_scale"] is None and record["makeup_strength"] == 1
            worn = [layer for layer in LAYERS if record[f"{layer}_colour"]]
            assert ", ".join(captions.wording("makeup", layer) for layer in worn) in record["caption"]


def _traits(row):
    return {name: value for name, value in row.requested.items() if name != "style_id"}


def test_other_makeup_weights_are_other_plans(toy, dataset, tmp_path):
    other = save_makeup_pipeline(tmp_path / "paint")
    moved = toy.model_copy(update={"makeup_model": str(other)})
    assert moved.digest(moved.models()) == toy.digest(toy.models())
    weights = other / "adapter/diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\1")
    with pytest.raises(PlanConflict, match="the files of the model"):
        generate(moved, dataset)


# Faults.


def maker(toy, dataset, analyzer=None, limits=OPEN, **settings) -> MakeupMaker:
    studio = toy.studio()
    studio.analyzer = analyzer or DiscAnalyzer()
    people, styles = anchors.load(dataset), looks.styles(toy.seed, toy.styles)
    given = {"seed": toy.seed, "steps": 2, "strength": 1.0, "removals": 2, **settings}
    return MakeupMaker(studio, toy.painter(studio), people, styles, limits, **given)


def spoil(made: MakeupMaker, change) -> MakeupMaker:
    """Let something happen to every picture after it was painted."""
    honest = made.paint
    made.paint = lambda frames, *rest: [change(image.copy()) for image in honest(frames, *rest)]
    return made


class Told(DiscAnalyzer):
    """Knows every face by its pixels: landmarks and makeup are what a function says of them."""

    def __init__(self, shift=lambda pixels: 0.0, makeup=lambda pixels: 0.1):
        self.shift, self.told = shift, makeup

    def __call__(self, pixels):
        (face,) = super().__call__(pixels)
        moved = face.landmarks + np.float32([0, self.shift(pixels)])
        return [dataclasses.replace(face, landmarks=moved, attributes={"makeup": self.told(pixels)})]


def bare_pixels(dataset) -> set[int]:
    return {int(anchor.image.sum()) for anchor in anchors.load(dataset).values()}


def test_a_moved_landmark_is_turned_down(toy, dataset):
    known = bare_pixels(dataset)
    eyes = np.linalg.norm(
        np.diff(DiscAnalyzer()(np.zeros((SIDE, SIDE, 3), np.uint8))[0].landmarks[[36, 45]], axis=0)
    )
    for share, stage in ((0.009, None), (0.02, "landmarks")):
        told = Told(shift=lambda pixels, share=share: 0.0 if int(pixels.sum()) in known else share * eyes)
        bare, made, _ = maker(toy, dataset, told).make(toy.rows()[:3])
        assert bare.kept and made.rejected_by == stage
        assert made.measured["landmark_drift"] == pytest.approx(share, rel=1e-3)
    assert made.reason == "landmarks moved by 0.0200 of the distance of the eyes, at most 0.01 permitted"


def test_another_person_is_turned_down(toy, dataset):
    strict = OPEN.model_copy(update={"similarity": 0.99, "margin": 0.0})
    other = anchors.load(dataset)["id000001"].image / 255
    bare, made, _ = spoil(maker(toy, dataset, limits=strict), lambda image: other).make(toy.rows()[:3])
    assert bare.kept and bare.measured["id_sim_to_ref"] == pytest.approx(1, abs=1e-5)
    assert made.rejected_by == "identity" and "to the reference, at least 0.99 wanted" in made.reason
    near = OPEN.model_copy(update={"margin": 0.0})
    _, made, _ = spoil(maker(toy, dataset, limits=near), lambda image: other).make(toy.rows()[:3])
    assert made.rejected_by == "other identity" and "another identity" in made.reason


def test_a_changed_background_is_turned_down(toy, dataset):
    def scribble(size):
        def change(image):
            image[1, 1, 2] += size / 255 if image[1, 1, 2] < 0.5 else -size / 255
            return image

        return change

    for size, stage in ((2, None), (3, "outside")):
        bare, made, _ = spoil(maker(toy, dataset), scribble(size)).make(toy.rows()[:3])
        assert bare.kept and made.rejected_by == stage
        assert made.measured["outside_difference"] == pytest.approx(size / 255, abs=1e-6)
    assert made.reason == "changed by 3/255 away from the face, at most 2/255 permitted"
    assert made.masks is not None and made.facts["pair_id"] == bare.row.id


def test_makeup_of_a_portrait_is_removed_first(toy, dataset):
    known = bare_pixels(dataset)
    wearing = Told(makeup=lambda pixels: 0.9 if int(pixels.sum()) in known else 0.2)
    bare, made, _ = maker(toy, dataset, wearing).make(toy.rows()[:3])
    anchor = anchors.load(dataset)["id000000"]
    assert bare.kept and bare.measured["makeup"] == 0.2 and not np.array_equal(bare.image, anchor.image)
    assert bare.facts["digital_source_type"] == "compositeWithTrainedAlgorithmicMedia"
    assert bare.facts["seed"] != bare.facts["source_seed"] == anchor.facts["seed"]
    covered = made.masks.any(axis=2)
    np.testing.assert_array_equal(made.image[~covered], bare.image[~covered])
    again, _, _ = maker(toy, dataset, wearing).make(toy.rows()[:3])
    np.testing.assert_array_equal(again.image, bare.image)


def test_makeup_that_stays_turns_the_whole_identity_down(toy, dataset):
    calls = []
    stubborn = maker(toy, dataset, Told(makeup=lambda pixels: 0.8))
    honest = stubborn.paint
    stubborn.paint = lambda frames, wanted, *rest: calls.append(len(frames)) or honest(frames, wanted, *rest)
    bare, *made = stubborn.make(toy.rows()[:3])
    assert bare.rejected_by == "bare" and bare.image is not None
    assert bare.reason == "wears makeup with probability 0.80, at most 0.5 permitted"
    for sample in made:
        assert sample.rejected_by == "pair" and sample.image is None and not sample.failed
        assert sample.reason == f"its bare picture was turned down by 'bare': {bare.reason}"
    assert calls == [1, 1, 0]


def test_rejections_stand_in_the_folder_with_reasons(toy, tmp_path):
    strict = toy.model_copy(update={"thresholds": OPEN.model_copy(update={"similarity": 1.1}), "faces": 1})
    run = generate(strict, tmp_path / "out")
    rows = rejected_rows(tmp_path / "out")
    assert run.kept == 0 and len(rows) == run.planned * strict.attempts
    by = {row["id"]: row["rejected_by"] for row in rows}
    assert by == {"id000000_bare": "identity", **{f"id000000_{style}": "pair" for style in STYLES}}
    summary = json.loads((tmp_path / "out/summary.json").read_text())
    funnel = {row["check"]: row["out"] for row in summary["waterfall"]}
    assert (funnel["pair"], funnel["identity"]) == (6, 3)


def test_broken_weights_fail_without_a_picture(toy, dataset, tmp_path):
    broken = maker(toy, dataset)
    with torch.no_grad():
        broken.painter.unet.conv_out.weight.fill_(float("nan"))
    bare, made, _ = broken.make(toy.rows()[:3])
    assert bare.kept and made.failed and made.image is None and "not finite" in made.reason
    broken.painter.save_pretrained(tmp_path / "paint")
    with pytest.raises(GenerationAborted, match="not finite"):
        generate(
            toy.model_copy(update={"makeup_model": str(tmp_path / "paint"), "max_failures": 2}),
            tmp_path / "x",
        )


def test_models_of_two_sizes_are_refused(toy, dataset):
    studio = toy.studio()
    painter = toy.painter(studio)
    painter.vae_scale_factor = 8
    with pytest.raises(
        ValueError, match="makeup_model paints frames of 64 px, model draws portraits of 32 px"
    ):
        MakeupMaker(studio, painter, anchors.load(dataset), {}, OPEN, seed=0, steps=1, strength=1, removals=0)


def test_the_limits_are_those_of_the_contract():
    limits = MakeupThresholds()
    assert (limits.drift, limits.outside) == (0.01, 2 / 255) and limits.similarity is None


# What is written.


@pytest.mark.parametrize("target", ["folder", "webdataset", "parquet"])
def test_every_format_keeps_every_column_and_mask(dataset, tmp_path, target):
    source = list(WRITERS["webdataset"].read(dataset / "data", "train"))
    convert(dataset / "data", "webdataset", tmp_path / target, target, "train", per_shard=3)
    found = list(WRITERS[target].read(tmp_path / target, "train"))
    assert [entry.record for entry in found] == [entry.record for entry in source]
    assert set(MAKEUP) <= set(found[0].record)
    for one, other in zip(found, source, strict=True):
        assert one.png == other.png and (one.masks is None) == (one.record["role"] == "bare")
        if one.masks is not None:
            np.testing.assert_array_equal(one.masks, other.masks)
            assert one.masks.dtype == np.uint8


def test_a_folder_is_made_as_such(toy, dataset, tmp_path):
    generate(toy.model_copy(update={"format": "folder"}), tmp_path / "set")
    files = {
        path.relative_to(tmp_path / "set/data").as_posix() for path in (tmp_path / "set/data").rglob("*.png")
    }
    own = {f"train-00000/id000000_{style}.png" for style in ("bare", *STYLES)}
    assert own <= files and {f"train-00000.masks/id000000_{style}.png" for style in STYLES} <= files
    assert "train-00000.masks/id000000_bare.png" not in files
    plain = entries(dataset)
    for key, entry in entries(tmp_path / "set", "folder").items():
        assert np.array_equal(decode(entry.png), decode(plain[key].png))


def test_datasets_opens_it(dataset, tmp_path):
    from datasets import load_dataset

    rows = load_dataset(str(dataset), split="train", cache_dir=str(tmp_path))
    made = [row for row in rows if row["json"]["role"] == "makeup"]
    assert len(rows) == 9 and len(made) == 6
    assert all(row["masks.png"].size == (SIDE, SIDE) for row in made)
    assert all(row["masks.png"] is None for row in rows if row["json"]["role"] == "bare")


def test_the_summary_counts_styles_and_no_pair_is_a_duplicate(toy, dataset):
    overview = Overview.of(Plan.of(toy, toy.models()), dataset)
    assert overview.duplicates == [] and overview.axes["style_id"] == {"bare": 3, **dict.fromkeys(STYLES, 3)}
    summary = overview.summary()
    assert [(row["style_id"], row["planned"], row["kept"]) for row in summary["cells"]["style_id"]] == [
        (style, 3, 3) for style in ("bare", *STYLES)
    ]
    assert summary["recipe"]["makeup_model"] == "paint"
    assert [row["check"] for row in summary["waterfall"]] == [
        "error", "pair", "contrast", "one face", "face size", "sharpness", "identity", "other identity", "bare",
        "landmarks", "outside",
    ]  # fmt: skip


def test_the_readme_explains_pairs_styles_and_masks(toy, dataset):
    text = (dataset / "README.md").read_text()
    for words in ("## Makeup", "`pair_id`", "red for lips (lips), green for eyes (shadow, liner)",
                  "`trainedAlgorithmicMedia` or `compositeWithTrainedAlgorithmicMedia`"):  # fmt: skip
        assert words in text
    for style, look in looks.styles(toy.seed, toy.styles).items():
        (line,) = (line for line in text.splitlines() if line.startswith(f"| `{style}` |"))
        assert all(looks.columns(look)[f"{layer}_colour"] in line for layer in look.layers)
    assert str(toy.makeup_model) not in text
    assert tuple(REGIONS) == ("lips", "eyes", "skin")
