"""Bars of the renderer; each measured on real renders."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from faces import vocabulary
from faces.alignment import ANCHORS, anchor_points
from faces.head.dataset import write_heads
from faces.head.morph import macro_weights
from faces.head.scene import Shading
from faces.head.spec import Lights, State
from faces.head.uv import unwrap

FLAT = Lights(key=(0, 0, 0), fill=(0, 0, 0), rim=(0, 0, 0), sky=(0.9, 0.9, 0.9), ground=(0.9, 0.9, 0.9))
DIFFUSE = Shading(diffuse_only=True, shadows=False)


def pair(collection, number):
    first = collection.sampler.spec(number, 0).model_copy(update={"lights": FLAT})
    second = first.model_copy(update={"state": collection.sampler.state(number, 1)})
    return first, second


def test_same_spec_gives_the_same_bytes(collection):
    spec = collection.spec(3)
    first, second = (collection.renderer.render(spec, 128) for _ in range(2))
    assert first.rgb.tobytes() == second.rgb.tobytes()
    assert first.parsing.tobytes() == second.parsing.tobytes()


def test_labels_lie_on_the_picture(collection):
    names = vocabulary.PARSING
    for index in range(0, 24, 3):
        image = collection.renderer.render(collection.spec(index), 128)
        seen = {names[label] for label in np.unique(image.parsing)}
        assert {"background", "skin", "nose", "u_lip", "l_lip", "neck", "cloth"} <= seen
        assert image.landmarks.min() > 0
        assert image.landmarks.max() < 128
        nose = image.parsing[int(image.landmarks[30, 1]), int(image.landmarks[30, 0])]
        assert names[nose] in {"nose", "skin", "hair"}
        assert (image.parsing > 0).mean() > 0.25
        assert np.isfinite(image.depth[image.parsing > 0]).all()


def test_eyes_fall_on_the_portrait_frame(collection):
    anchors = np.mean(
        [
            anchor_points(collection.renderer.render(collection.spec(index), 128).landmarks) / 128
            for index in range(0, 60, 4)
        ],
        axis=0,
    )
    np.testing.assert_allclose(anchors, ANCHORS, atol=0.04)


def test_flow_there_and_back_agrees(collection):
    """Bar: at most 0.5 px on at least 99 % of co-visible pixels."""
    errors = []
    for number in range(10):
        first, second = pair(collection, number)
        forward = collection.renderer.render(first, 128, DIFFUSE, other=second)
        backward = collection.renderer.render(second, 128, DIFFUSE, other=first)
        place = _place(forward.flow)
        back = cv2.remap(backward.flow, place[..., 0], place[..., 1], cv2.INTER_LINEAR)
        errors.append(np.linalg.norm(forward.flow + back, axis=-1)[forward.co_visible])
    assert (np.concatenate(errors) <= 0.5).mean() >= 0.99


def test_warping_by_flow_reproduces_the_other_state(collection):
    """Bar: at least 30 dB on co-visible pixels under diffuse light."""
    squared = []
    for number in range(10):
        first, second = pair(collection, number)
        forward = collection.renderer.render(first, 128, DIFFUSE, other=second)
        target = collection.renderer.render(second, 128, DIFFUSE)
        place = _place(forward.flow)
        warped = cv2.remap(target.rgb, place[..., 0], place[..., 1], cv2.INTER_LINEAR)
        difference = warped.astype(np.float32) - forward.rgb
        squared.append((difference**2)[forward.co_visible].ravel())
    assert 10 * np.log10(255**2 / np.concatenate(squared).mean()) >= 30


def test_unwrapping_returns_the_texture(collection):
    """Bar: at least 28 dB between the unwrapped picture and the skin it was rendered with."""
    renderer = collection.renderer
    spec = collection.sampler.spec(0, 0)
    tint = {"skin_tint": (1.0, 1.0, 1.0), "skin_tone": 0.0, "marks": (), "skin_variant": 0, "gender": 0.1}
    spec = spec.model_copy(
        update={
            "identity": spec.identity.model_copy(update=tint),
            "look": spec.look.model_copy(
                update={"makeup": (), "beard": 0.0, "age_years": 20.0, "hair_style": "bald", "glasses": 0.0}
            ),
            "state": State(),
        }
    )
    image = renderer.render(spec, 512, Shading(albedo_only=True))
    texture, weight = unwrap(image, 256)
    layer = renderer.textures.skin_layers["young_light_female_0"]
    truth = cv2.resize(renderer.textures.skins[layer][..., :3], (256, 256), interpolation=cv2.INTER_AREA)
    parsing = cv2.resize(renderer.regions.parsing, (256, 256), interpolation=cv2.INTER_NEAREST)
    face = (weight > 0.5) & np.isin(parsing, (1, 10, 12, 13))
    face[:, :160] = False  # the head's island alone: clothes cover the other one
    assert face.sum() > 2000
    error = (texture[face] - truth[face]) ** 2
    assert 10 * np.log10(255**2 / error.mean()) >= 28


def test_flow_refuses_two_people(collection):
    with pytest.raises(ValueError, match="one head"):
        collection.renderer.render(_haired(collection, 0, "bald"), 64, other=_haired(collection, 0, "long"))


def test_macro_weights_are_a_partition(collection):
    identity = collection.sampler.identity(1)
    for age in (18.0, 30.0, 80.0):
        weights = macro_weights(identity, age)
        shapes = [value for name, value in weights.items() if "universal" not in name]
        assert sum(shapes) == pytest.approx(1, abs=0.02)


def test_sliders_cover_the_face(collection):
    assert len(collection.renderer.model.sliders) >= 150


def test_shards_are_resumed_and_equal_for_any_worker_count(makehuman, collection, tmp_path):
    options = {"count": 10, "size": 64, "seed": 9, "makehuman": makehuman, "pictures_per_identity": 2}
    one, two = (
        write_heads(out=tmp_path / name, workers=workers, **options) for name, workers in (("a", 1), ("b", 2))
    )
    names = sorted(path.name for path in one.iterdir())
    assert names == ["heads-00000.json", "heads-00000.parquet", "heads-00000.tar"]
    for name in names:
        assert (one / name).read_bytes() == (two / name).read_bytes()
    before = (one / "heads-00000.tar").stat().st_mtime_ns
    write_heads(out=one, workers=1, **options)
    assert (one / "heads-00000.tar").stat().st_mtime_ns == before
    with pytest.raises(ValueError, match="made with other settings"):
        write_heads(out=one, workers=1, **(options | {"size": 32}))


def _place(flow):
    size = flow.shape[0]
    grid = np.stack(np.meshgrid(np.arange(size), np.arange(size)), axis=-1)
    return (grid + flow).astype(np.float32)


def _haired(collection, number, style):
    spec = collection.sampler.spec(number, 0)
    return spec.model_copy(update={"look": spec.look.model_copy(update={"hair_style": style})})
