"""Rendered pairs: heads of the wanted looks, exact flow, and pixels that show the landmarks they are said to show."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from faces import vocabulary
from faces.head.assets import ENVIRONMENT, AssetError
from faces.head.motion import KINDS
from gen import heads
from gen.engine import generate
from gen.recipes.drags import DragsRecipe
from gen.writers import WRITERS

SIDE = 128
LOOKS = {"gender": "woman", "age_band": "elderly", "skin_tone": 5}


@pytest.fixture(scope="module")
def rendered() -> heads.RenderedHeads:
    folder = os.environ.get(ENVIRONMENT)
    if not folder:
        pytest.skip(f"head assets: set {ENVIRONMENT} to MakeHuman's data folder")
    pytest.importorskip("moderngl", reason="rendering needs the extra: pip install 'mien[render]'")
    try:
        return heads.RenderedHeads(folder, seed=3, size=SIDE)
    except RuntimeError as error:
        pytest.skip(f"no EGL context: {error}")


@pytest.fixture(scope="module")
def pairs(rendered) -> list[tuple[heads.View, heads.View]]:
    kinds = ["all", "pose", "expression", "shape", "all", "pose"]
    return [rendered.pair({}, kind, np.random.default_rng(number)) for number, kind in enumerate(kinds)]


def test_heads_have_the_wanted_looks_and_one_identity(rendered):
    for number, kind in enumerate(KINDS):
        views = rendered.pair(LOOKS, kind, np.random.default_rng(number))
        for view in views:
            assert {name: view.labels[name] for name in LOOKS} == LOOKS
            assert view.labels["age_years"] >= vocabulary.MINIMUM_AGE
            assert view.image.shape == (SIDE, SIDE, 3) and view.flow.shape == (SIDE, SIDE, 2)
        assert views[0].labels["identity_id"] == views[1].labels["identity_id"]
        assert views[0].labels["hair_style"] == views[1].labels["hair_style"]


def test_a_pair_is_a_function_of_its_source(rendered):
    first, again, other = (rendered.pair(LOOKS, "all", np.random.default_rng(number)) for number in (7, 7, 8))
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.image, two.image)
        np.testing.assert_array_equal(one.flow, two.flow)
    assert first[0].labels["identity_id"] != other[0].labels["identity_id"]


def test_a_target_warped_back_meets_its_source(pairs):
    grid = np.mgrid[:SIDE, :SIDE][::-1].astype(np.float32)
    warped, plain = [], []
    for before, after in pairs:
        for one, other in ((before, after), (after, before)):
            moving = one.seen & (np.linalg.norm(one.flow, axis=-1) > 1)
            back = cv2.remap(other.image, *(grid + np.moveaxis(one.flow, -1, 0)), cv2.INTER_LINEAR)
            warped.append(np.abs(back.astype(float) - one.image)[moving].mean())
            plain.append(np.abs(other.image.astype(float) - one.image)[moving].mean())
    assert np.mean(warped) < 0.4 * np.mean(plain)


def test_shown_landmarks_are_seen_near_their_place_and_move_as_their_pixels_do(pairs):
    shares = []
    for before, after in pairs:
        for one, other in ((before, after), (after, before)):
            kept = (one.shown >= 0).all(axis=1)
            columns, rows = one.shown[kept].T
            assert one.seen[rows, columns].all()
            assert np.abs(one.shown[kept] + 0.5 - one.landmarks[kept]).max() <= 1.5
            moved = (other.landmarks - one.landmarks)[kept]
            assert np.linalg.norm(one.flow[rows, columns] - moved, axis=1).max() <= 1
            assert np.isin(one.parsing[rows, columns], [1, 2, 3, 7, 8, 10, 11, 12, 13, 14]).all()
            shares.append(kept.mean())
    assert 0.5 < np.mean(shares) < 1


def test_the_far_side_of_a_turned_jaw_is_not_shown(rendered):
    turned = 0
    for number in range(12):
        for view in rendered.pair({}, "pose", np.random.default_rng(100 + number)):
            if abs(view.labels["yaw"]) < 22:
                continue
            left, right = range(1, 6), range(11, 16)
            far, near = (left, right) if view.labels["yaw"] < 0 else (right, left)
            shown = (view.shown >= 0).all(axis=1)
            turned += 1
            assert shown[list(far)].sum() <= 2
            assert shown[list(far)].sum() <= shown[list(near)].sum()
    assert turned >= 2


def test_the_recipe_renders_a_set(rendered, tmp_path):
    run = generate(DragsRecipe(pairs=2, size=SIDE, edits=["pose"]), tmp_path / "set")
    assert run.complete and run.kept == 4
    for entry in WRITERS["webdataset"].read(tmp_path / "set/data", "train"):
        assert entry.record["width"] == SIDE and entry.record["generator"] == "faces.head"
        assert entry.flow.shape == (SIDE, SIDE, 3) and entry.target is not None


def fake_assets(root: Path) -> Path:
    for name in ("3dobjs/base.obj", "hair/a/a.obj", "rigs/default.json"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return root


def test_the_fingerprint_follows_names_and_contents_of_what_is_rendered(tmp_path):
    root = fake_assets(tmp_path / "data")
    first = heads.fingerprint(str(root))
    assert first == heads.fingerprint(str(fake_assets(tmp_path / "elsewhere"))) and len(first) == 9
    (root / "rigs/default.json").write_text("another rig, of no picture")
    assert heads.fingerprint(str(root)) == first
    (root / "hair/a/a.obj").write_text("another style")
    changed = heads.fingerprint(str(root))
    assert {name for name in first if first[name] != changed[name]} == {"makehuman/hair"}
    (root / "hair/a/a.obj").rename(root / "hair/a/b.obj")
    assert heads.fingerprint(str(root))["makehuman/hair"] not in (
        first["makehuman/hair"],
        changed["makehuman/hair"],
    )


def test_missing_assets_are_named(tmp_path, monkeypatch):
    monkeypatch.delenv(ENVIRONMENT, raising=False)
    with pytest.raises(AssetError, match="--makehuman DIR or set MIEN_MAKEHUMAN"):
        heads.fingerprint("")
    with pytest.raises(AssetError, match=r"base\.obj: missing"):
        heads.fingerprint(str(tmp_path))
