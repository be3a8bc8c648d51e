"""Sets of the recipe of textures, made end to end with the toy pipeline; planted faults are turned down."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import trimesh
from toy_textures import OPEN, FrontAnalyzer, ToyTextures

from faces import provenance
from gen import contact, layouts, textures
from gen.engine import clear, generate
from gen.overview import Overview, decode
from gen.plan import Plan
from gen.record import SCHEMA, TEXTURE, VERSION
from gen.shards import rejected_rows
from gen.texture_checks import TextureThresholds, asymmetry, clipped_share
from gen.worker import remake
from gen.writers import WRITERS, convert
from pipelines.texture.styles import stylise
from tests.pipelines.texture_components import SIZE, toy_template, toy_texture_pipeline

RECIPE = ToyTextures()
LAYOUT = toy_template().layout(SIZE)
FIRST = textures.person_id(0)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("textures") / "set"
    run = generate(RECIPE, out)
    assert run.complete and (run.planned, run.kept, run.rejected, run.shards) == (8, 8, 0, 2)
    return out


def entries(out: Path, format: str = "webdataset"):
    return {entry.key: entry for entry in WRITERS[format].read(out / "data", "train")}


def files(out: Path) -> dict[str, str]:
    found = sorted(file for folder in ("data", "rejected", "layout") for file in (out / folder).rglob("*"))
    return {
        file.relative_to(out).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in found
        if file.is_file()
    }


def maker(pipe=None, **limits) -> textures.TextureMaker:
    recipe = RECIPE.model_copy(update={"thresholds": OPEN.model_copy(update=limits)})
    made = recipe.maker(Path("unused"))
    if pipe is not None:
        pipe.analyzer = FrontAnalyzer()
        made.pipe = pipe
    return made


# What is made.


def test_two_workers_and_a_resumed_run_give_the_bytes_of_one(dataset, tmp_path):
    generate(RECIPE, tmp_path / "two", workers=2)
    assert files(tmp_path / "two") == files(dataset)
    assert not generate(RECIPE, tmp_path / "parts", shard_range=(1, 2)).complete
    assert generate(RECIPE, tmp_path / "parts").complete
    assert files(tmp_path / "parts") == files(dataset)
    for name in ("README.md", "summary.json", "report.html", "contact.jpg", "croissant.json"):
        assert (tmp_path / "parts" / name).read_bytes() == (dataset / name).read_bytes()


def test_a_row_alone_is_the_row_of_its_batch(dataset):
    stored = entries(dataset)
    for item in Plan.of(RECIPE, RECIPE.models()).items(dataset):
        row = item.batches[0][-1]
        alone = remake(item, row.id)
        away = np.abs(alone.image.astype(int) - decode(stored[row.id].png))
        assert away.max() <= 1  # a batch of another size may round otherwise
        np.testing.assert_array_equal(alone.visibility, stored[row.id].visibility)


def test_rows_are_complete(dataset):
    planned = {row.id: row for row in RECIPE.rows()}
    found = entries(dataset)
    assert set(found) == set(planned)
    for key, entry in found.items():
        record, row = entry.record, planned[key]
        assert list(record) == SCHEMA.names and record["schema_version"] == VERSION
        assert not [name for name in TEXTURE if record[name] is None]
        assert record["style_id"] == row.requested["style_id"] and record["mesh_id"] == "toy-ellipsoid"
        assert record["identity_id"] == row.identity_id == key.split("_")[0]
        assert decode(entry.png).shape == decode(entry.partial).shape == (SIZE, SIZE, 3)
        assert decode(entry.preview).shape == (128, 128, 3)
        assert entry.visibility.shape == (SIZE, SIZE) and entry.visibility.dtype == np.uint8
        assert abs(record["view_yaw_deg"]) <= 60 and abs(record["view_pitch_deg"]) <= 25
        assert record["measured_faces_found"] == 1 and record["measured_face_score"] == 0.9
        assert (record["measured_nearest_texture"] is None) == (record["identity_id"] == FIRST)
        assert record["generator"].endswith("TexturePipeline") and record["steps"] == 2
        assert record["digital_source_type"] == "trainedAlgorithmicMedia" and record["synthetic"] is True
        assert record["licence"] == "CC0-1.0" and len(record["model_sha256"]) == 64
        assert not [name for name in record if name.startswith("requested_") and record[name] is not None]


def test_a_seed_draws_its_texture_from_nothing(dataset):
    pipe, side = toy_texture_pipeline(), (SIZE, SIZE)
    seen = {}
    for entry in entries(dataset).values():
        record = entry.record
        if record["style_id"] == "photoreal":
            made = pipe(
                texture=np.zeros((*side, 3), np.float32), visibility=np.zeros(side), num_inference_steps=2,
                temperature=1.0, use_manifold=False,
                generator=textures.seeds.noise_generator(record["seed"]), output_type="np",
            )  # fmt: skip
            away = np.abs(made.texture[0] * 255 - decode(entry.png))
            assert away.max() <= 1.01
            seen[record["seed"]] = decode(entry.png)
    first, *others = seen.values()
    assert len(seen) == RECIPE.people and all(np.abs(first.astype(int) - one).mean() > 3 for one in others)


def test_styles_of_a_person_are_aligned(dataset):
    found = entries(dataset)
    views = set()
    for number in range(RECIPE.people):
        photo, drawn = (found[f"{textures.person_id(number)}_{style}"] for style in RECIPE.styles)
        assert photo.record["seed"] == drawn.record["seed"] and photo.record["split"] == drawn.record["split"]
        seed = textures.seeds.sample_seed(photo.record["seed"], "cartoon")
        np.testing.assert_array_equal(stylise(decode(photo.png), "cartoon", seed), decode(drawn.png))
        assert (decode(photo.png) != decode(drawn.png)).any()
        views |= {photo.record["view_yaw_deg"], drawn.record["view_yaw_deg"]}
    assert len(views) == 2 * RECIPE.people


def test_partial_is_the_texture_where_it_is_seen(dataset):
    for entry in entries(dataset).values():
        texture, partial, seen = decode(entry.png), decode(entry.partial), entry.visibility > 0
        np.testing.assert_array_equal(partial[seen], texture[seen])
        assert not partial[~seen].any() and not seen[~LAYOUT.valid].any()
        assert 0.1 < seen[LAYOUT.valid].mean() < 0.8 and entry.visibility.max() > 200
        share = entry.record["measured_visible_share"]
        assert share == pytest.approx(seen[LAYOUT.valid].mean(), abs=1e-6)


def test_a_view_shows_the_side_that_its_angles_say():
    """A face that turns to the right of the image shows the half of the texture that lies on the left."""
    template = toy_template()
    for number in range(12):
        seen, angles = textures.random_view(template, LAYOUT, np.random.default_rng(number))
        left, right = (half.mean() for half in np.split(seen.astype(float), 2, axis=1))
        if abs(angles["view_yaw_deg"]) > 10:
            assert (left > right) == (angles["view_yaw_deg"] > 0)


def test_every_picture_says_what_it_is(dataset):
    for entry in entries(dataset).values():
        for png in (entry.png, entry.partial, entry.preview):
            found = provenance.read(png)
            assert found.digital_source_type == "trainedAlgorithmicMedia" and found.synthetic
            assert found.seed == entry.record["seed"] and found.steps == 2
            assert found.extra["id"] == entry.key and found.extra["style_id"] == entry.record["style_id"]


# The layout.


def test_the_layout_beside_the_shards_is_the_template_s(dataset):
    folder = dataset / "layout"
    valid, charts = (
        cv2.imread(str(folder / name), cv2.IMREAD_UNCHANGED) for name in ("valid.png", "charts.png")
    )
    np.testing.assert_array_equal(valid, LAYOUT.valid * 255)
    np.testing.assert_array_equal(charts, LAYOUT.charts)
    mirror = np.load(folder / "mirror.npy")
    assert mirror.dtype == np.float32
    np.testing.assert_array_equal(mirror, LAYOUT.mirror)
    facts = json.loads((folder / "layout.json").read_text())
    assert (facts["mesh_id"], facts["size"], facts["v_down"]) == ("toy-ellipsoid", SIZE, True)
    assert set(facts["files"]) == set(facts["sha256"])
    assert {Path(name).name for name in facts["files"]} == {path.name for path in folder.iterdir()} - {
        "layout.json"
    }


def test_the_head_beside_the_shards_has_the_topology(dataset):
    template = toy_template()
    head = trimesh.load(dataset / "layout/head.glb", force="mesh", process=False)
    assert head.vertices.shape == tuple(template.mean.shape) and len(head.faces) == len(template.triangles)
    np.testing.assert_allclose(head.vertices, template.mean.numpy() * 0.1, atol=1e-6)
    lines = (dataset / "layout/head.obj").read_text().splitlines()
    assert sum(line.startswith("vt ") for line in lines) == len(template.uv)
    assert sum(line.startswith("f ") for line in lines) == len(template.triangles)
    assert provenance.read(dataset / "layout/head.png").extra["role"] == "mean head"


def test_a_damaged_layout_is_written_anew_and_overwriting_removes_it(dataset, tmp_path):
    out = tmp_path / "set"
    recipe = RECIPE.model_copy(update={"people": 2})
    generate(recipe, out)
    before = files(out)
    (out / "layout/mirror.npy").write_bytes(b"damaged")
    assert not layouts.is_written(out)
    generate(recipe, out)
    assert files(out) == before and layouts.is_written(out)
    clear(out)
    assert list(out.iterdir()) == []


# Faults.


def test_each_check_measures_what_it_names():
    flat = np.full((SIZE, SIZE, 3), 128, np.uint8)
    assert clipped_share(flat, LAYOUT) == asymmetry(flat, LAYOUT) == 0
    clipped, lit = flat.copy(), flat.copy()
    clipped[: SIZE // 2, :, 1] = 255
    upper = LAYOUT.valid[: SIZE // 2].sum() / LAYOUT.valid.sum()
    assert clipped_share(clipped, LAYOUT) == pytest.approx(upper) and asymmetry(clipped, LAYOUT) < 0.01
    lit[:, : SIZE // 2] = 178
    assert asymmetry(lit, LAYOUT) == pytest.approx(50 / 255, rel=0.1)
    both = flat.copy()
    both[LAYOUT.valid == 0] = 255
    assert clipped_share(both, LAYOUT) == 0, "texels outside of the layout do not count"


@pytest.mark.parametrize(
    ("limits", "stage", "reason"),
    [
        ({"asymmetry": 1e-4}, "symmetry", "brightness of both sides differs by 0."),
        ({"difference": 1}, "duplicate", "from an earlier person, at least 1 wanted"),
        ({"face_score": 0.95}, "face", "face of score 0.90, at least 0.95 wanted"),
    ],
)
def test_people_are_turned_down_with_all_their_styles(tmp_path, limits, stage, reason):
    recipe = RECIPE.model_copy(update={"people": 2, "thresholds": OPEN.model_copy(update=limits)})
    run = generate(recipe, tmp_path / "set")
    rows = rejected_rows(tmp_path / "set")
    lost = 1 if stage == "duplicate" else 2  # the first person repeats nobody
    assert run.kept == (2 - lost) * 2 and len(rows) == lost * 2 * recipe.attempts
    assert {row["rejected_by"] for row in rows} == {stage} and all(reason in row["reason"] for row in rows)
    assert all((tmp_path / "set/rejected" / row["picture"]).is_file() for row in rows)
    funnel = json.loads((tmp_path / "set/summary.json").read_text())["waterfall"]
    assert [row["check"] for row in funnel] == ["error", "gamut", "duplicate", "symmetry", "face"]
    assert {row["check"]: row["out"] for row in funnel if row["out"]} == {stage: len(rows)}


@pytest.mark.parametrize(("scores", "words"), [((), "no face found"), ((0.9, 0.8), "2 faces found")])
def test_other_than_one_face_is_turned_down(scores, words):
    made = maker()
    made.pipe.analyzer = FrontAnalyzer(scores)
    for sample in made.make(RECIPE.rows()[:2]):
        assert sample.rejected_by == "face" and words in sample.reason


def test_without_the_check_nobody_looks_for_faces():
    made = maker(face_score=None)
    made.pipe.analyzer = None
    sample = made.make(RECIPE.rows()[:1])[0]
    assert sample.kept and "faces_found" not in sample.measured


def test_clipped_textures_are_turned_down():
    made = maker(clipped_share=0.01)
    made.draw = lambda noise: [np.full((SIZE, SIZE, 3), 1, np.float32) for _ in noise]
    for sample in made.make(RECIPE.rows()[:2]):
        assert sample.rejected_by == "gamut" and "100.00% of the texels are clipped" in sample.reason
    made.draw = lambda noise: [np.full((SIZE, SIZE, 3), 0.5, np.float32) for _ in noise]
    assert all(sample.kept for sample in made.make(RECIPE.rows()[:2]))


def test_numbers_that_are_not_finite_are_failures():
    made = maker()
    made.draw = lambda noise: [np.full((SIZE, SIZE, 3), np.nan, np.float32) for _ in noise]
    for sample in made.make(RECIPE.rows()[:2]):
        assert sample.failed and sample.rejected_by == "error" and sample.image is None


def test_a_new_attempt_is_another_person_in_every_style():
    made, rows = maker(), RECIPE.rows()[:2]
    first, second = made.make(rows), made.make([row.again() for row in rows])
    assert (first[0].image != second[0].image).any()
    assert first[0].facts["seed"] != second[0].facts["seed"] == second[1].facts["seed"]


def test_who_is_near_is_read_off_what_the_pipeline_draws():
    """The base of a texture is the first thing that its generator draws; distances are those of bases in texels."""
    made = maker()
    manifold, size = made.pipe.manifold, made.pipe.manifold.config.size
    unit = 2 * np.sqrt(3 * size**2)
    drawn = torch.from_numpy(made.prior_draws[:, 0] * unit / manifold.stds.float().numpy())
    nothing = torch.zeros(1, 3, SIZE, SIZE)
    for number in range(RECIPE.people):
        seed = textures.seeds.sample_seed(RECIPE.seed, textures.person_id(number), 0)
        base = made.pipe.base(nothing, nothing[:, :1], [textures.seeds.noise_generator(seed)])
        torch.testing.assert_close(base, manifold.decode(drawn[number : number + 1], SIZE), atol=1e-4, rtol=0)
    one, other = (manifold.decode(drawn[number : number + 1], size) / 2 + 0.5 for number in (2, 0))
    apart = np.linalg.norm(made.prior_draws[2, 0] - made.prior_draws[0, 0])
    assert float((one - other).square().mean().sqrt()) == pytest.approx(apart, rel=0.02) and apart > 0
    away = made.prior_draws[:2].reshape(2 * RECIPE.attempts, -1) - made.prior_draws[2, 0]
    assert made.nearest(2, 0) == pytest.approx(np.linalg.norm(away, axis=1).min())
    assert made.nearest(0, 1) is None


def test_a_person_drawn_twice_is_a_duplicate(monkeypatch):
    made = maker(difference=0.001)
    same = textures.seeds.sample_seed(RECIPE.seed, FIRST, 1)  # what the first would be if tried again
    monkeypatch.setattr(made, "_seed", lambda person, attempt: same + (0 if person != FIRST else 1 - attempt))
    first, second = (made.make(RECIPE.rows()[2 * number :][:1])[0] for number in (0, 1))
    assert first.kept and second.rejected_by == "duplicate" and "differs by 0.0000" in second.reason


def test_what_was_not_measured_turns_nobody_down():
    assert textures.verdict({"clipped_share": 0.0, "asymmetry": 0.0}, TextureThresholds()) == (None, "")


# What is written.


@pytest.mark.parametrize("target", ["folder", "webdataset", "parquet"])
def test_every_format_keeps_masks_and_views(dataset, tmp_path, target):
    convert(dataset / "data", "webdataset", tmp_path / "data", target, "train", per_shard=3)
    found = entries(tmp_path, target)
    for key, entry in entries(dataset).items():
        assert found[key].record == entry.record
        assert (found[key].png, found[key].partial, found[key].preview) == (
            entry.png,
            entry.partial,
            entry.preview,
        )
        np.testing.assert_array_equal(found[key].visibility, entry.visibility)


@pytest.mark.parametrize("format", ["webdataset", "parquet"])
def test_datasets_opens_it(dataset, tmp_path, format):
    from datasets import load_dataset

    out = dataset
    if format != "webdataset":
        out = tmp_path / "set"
        generate(RECIPE.model_copy(update={"format": format}), out)
    rows = load_dataset(str(out), split="train", cache_dir=str(tmp_path / "cache"))
    stored, ending = entries(out, format), "" if format == "parquet" else ".png"
    assert len(rows) == 8
    for row in rows:
        entry = stored[(row if format == "parquet" else row["json"])["id"]]
        np.testing.assert_array_equal(np.asarray(row[f"visibility{ending}"]), entry.visibility)
        np.testing.assert_array_equal(np.asarray(row[f"partial{ending}"]), decode(entry.partial))
        assert row[f"preview{ending}"].size == (128, 128)


def test_the_readme_names_layout_styles_and_no_demographic_label(dataset):
    text = (dataset / "README.md").read_text()
    for words in ("8 synthetic facial textures of 4 synthetic identities", "## Layout", "`toy-ellipsoid`",
                  "`layout/head.glb`", "`layout/head.obj`", "## Styles", "No demographic label is claimed",
                  "trained on rendered heads", "| cartoon | 4 |", "- unconditional-image-generation",
                  "`photoreal`, `cartoon`"):  # fmt: skip
        assert words in text, words
    for words in ("Demographic axes", "prompts ask", "embedding", "landmarks68", "assets that were rendered"):
        assert words not in text.split("---\n", 2)[2], words
    for name in TEXTURE:
        assert f"`{name}`" in text


def test_the_layout_is_in_the_metadata(dataset):
    summary = json.loads((dataset / "summary.json").read_text())
    facts = {name: summary["layout"][name] for name in ("mesh_id", "size", "v_down")}
    assert facts == {"mesh_id": "toy-ellipsoid", "size": SIZE, "v_down": True}
    croissant = json.loads((dataset / "croissant.json").read_text())
    hashes = {row["name"]: row.get("sha256") for row in croissant["distribution"]}
    for name in ("layout/valid.png", "layout/mirror.npy", "layout/head.glb"):
        assert hashes[name] == hashlib.sha256((dataset / name).read_bytes()).hexdigest()
    assert "textures of rendered heads" in croissant["rai:dataCollection"]


def test_the_report_shows_textures_and_the_heads_that_wear_them(dataset):
    text = (dataset / "report.html").read_text()
    for words in (
        "One person a row",
        "the head that wears it",
        "<h2>Textures</h2>",
        "Mien's own face analysis",
    ):
        assert words in text, words
    entry = next(iter(entries(dataset).values()))
    texture, head = contact.tiles(entry)
    np.testing.assert_array_equal(texture, decode(entry.png))
    np.testing.assert_array_equal(head, decode(entry.preview))
    sheet = contact.of(Overview.of(Plan.of(RECIPE, RECIPE.models()), dataset))
    assert sheet.shape == (4 * (128 + 4) + 4, 4 * (128 + 4) + 4, 3)


def test_styles_of_one_person_do_not_count_as_repeated_pictures(dataset):
    overview = Overview.of(Plan.of(RECIPE, RECIPE.models()), dataset)
    assert overview.axes == {"style_id": {"cartoon": 4, "photoreal": 4}} and not overview.rendered
    assert not [row for row in overview.duplicates if "cartoon" in row.key + row.first]
