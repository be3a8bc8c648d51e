"""Pairs of one head before and after an edit: what differs, exact flow, and shards that hold it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from faces.head import motion
from faces.head.dataset import HeadsConfig, write_heads
from faces.head.scene import Shading
from faces.head.spec import Lights
from train.data.shards import ShardDataset

FLAT = Lights(key=(0, 0, 0), fill=(0, 0, 0), rim=(0, 0, 0), sky=(0.9, 0.9, 0.9), ground=(0.9, 0.9, 0.9))


def edited(collection, number, kind):
    before = collection.sampler.spec(number, 0)
    return before, motion.moved(before, kind, np.random.default_rng([number, 7]))


@pytest.mark.parametrize(
    ("kind", "changed"),
    [
        ("expression", {"action_units", "expression"}),
        ("pose", {"yaw", "pitch", "roll"}),
        ("gaze", {"gaze"}),
        ("shape", {"details"}),
        ("all", {"action_units", "expression", "yaw", "pitch", "roll", "gaze", "details"}),
    ],
)
def test_an_edit_changes_what_its_kind_says_and_nothing_else(collection, kind, changed):
    found = set()
    for number in range(12):
        before, after = edited(collection, number, kind)
        assert (before.look, before.camera, before.lights, before.background) == (
            after.look, after.camera, after.lights, after.background
        )  # fmt: skip
        for one, other in ((before.state, after.state), (before.identity, after.identity)):
            mine, theirs = one.model_dump(), other.model_dump()
            found |= {name for name in mine if mine[name] != theirs[name]}
    assert found == changed


def test_unknown_edits_are_refused(collection):
    with pytest.raises(ValueError, match="expected one of expression, pose"):
        motion.moved(collection.sampler.spec(0), "haircut", np.random.default_rng(0))


def test_edited_sliders_exist(collection):
    known = set(collection.renderer.model.sliders)
    rng = np.random.default_rng(0)
    for part in motion.SHAPES:
        for slider in part:
            assert set(motion._sided(slider, rng)) <= known


def test_the_camera_stands_still(collection):
    """What does not move stays where it is: shoulders, and the picture's background."""
    shoulders, faces = [], []
    for number in range(6):
        before, after = edited(collection, number, "pose")
        first, second = collection.renderer.render_pair(before, after, 128)
        empty = (first.parsing == 0) & (second.parsing == 0)
        assert np.array_equal(first.rgb[empty & (first.alpha == 0) & (second.alpha == 0)],
                              second.rgb[empty & (first.alpha == 0) & (second.alpha == 0)])  # fmt: skip
        assert not first.flow[first.parsing == 0].any()
        low = (first.parsing > 0) & (np.arange(128)[:, None] > 120)
        shoulders.append(np.linalg.norm(first.flow[low], axis=-1).mean())
        faces.append(np.linalg.norm(second.landmarks - first.landmarks, axis=1).mean())
    assert min(faces) > 0.5 and sum(shoulders) < 0.25 * sum(faces)


def test_flow_there_and_back_agrees_and_reproduces_the_other_state(collection):
    errors, squared = [], []
    for number in range(8):
        before, after = edited(collection, number, "all")
        flat = [one.model_copy(update={"lights": FLAT}) for one in (before, after)]
        first, second = collection.renderer.render_pair(*flat, 128, Shading(diffuse_only=True, shadows=False))
        rows, columns = np.mgrid[:128, :128].astype(np.float32)
        place = columns + first.flow[..., 0], rows + first.flow[..., 1]
        back = cv2.remap(second.flow, *place, cv2.INTER_LINEAR)
        errors.append(np.linalg.norm(first.flow + back, axis=-1)[first.co_visible])
        seen = cv2.remap(second.rgb, *place, cv2.INTER_LINEAR).astype(float) - first.rgb
        squared.append((seen**2)[first.co_visible].ravel())
    assert (np.concatenate(errors) <= 0.5).mean() >= 0.99
    assert 10 * np.log10(255**2 / np.concatenate(squared).mean()) >= 30


def test_what_stays_is_seen_in_both_pictures(collection):
    """Where only eyes move, the rest of the head is co-visible, up to the edges of its parts."""
    for number in range(3):
        first, _ = collection.renderer.render_pair(*edited(collection, number, "gaze"), 128)
        assert first.co_visible[first.parsing > 0].mean() > 0.98


def test_shards_hold_the_flow_of_both_directions(makehuman, tmp_path):
    folder = write_heads(
        count=8,
        size=64,
        seed=9,
        makehuman=makehuman,
        pictures_per_identity=4,
        motion=True,
        workers=1,
        out=tmp_path,
    )
    data = ShardDataset(folder, ("image", "flow", "labels", "landmarks"))
    assert len(data) == 8
    moving = 0
    for index in range(0, 8, 2):
        first, second = data[index], data[index + 1]
        assert first["labels"]["edit"] == second["labels"]["edit"]
        assert first["labels"]["identity_id"] == second["labels"]["identity_id"]
        assert first["flow"].shape == (64, 64, 3) and set(np.unique(first["flow"][..., 2])) == {0, 1}
        valid = first["flow"][..., 2] > 0
        moving += np.abs(first["flow"][valid, :2]).max() > 0.5
    assert moving >= 2


def test_pairs_need_even_numbers():
    with pytest.raises(ValueError, match="even"):
        HeadsConfig(count=9, motion=True)
    with pytest.raises(ValueError, match="even"):
        HeadsConfig(count=8, pictures_per_identity=3, motion=True)
    assert HeadsConfig(count=8, motion=True).hash() != HeadsConfig(count=8).hash()
