"""Distances of dragged points in edits whose every pixel is known: sums of waves, drawn at moved places."""

from __future__ import annotations

import numpy as np
import pytest

from gen.evaluation.drag_distance import drag_distances, share_left

SIZE = 128
POINTS = np.array([[40.5, 44.5], [64.2, 60.9], [80.7, 51.3], [52.0, 85.0], [90.5, 90.5]])
SEEN = np.ones((SIZE, SIZE), bool)


def centres(size=SIZE):
    return np.stack(np.meshgrid(np.arange(size) + 0.5, np.arange(size) + 0.5), axis=-1)


def waves(places, seed=0):
    """A texture (..., 3) uint8 at places (..., 2), with wave lengths from 7 to 30 px."""
    rng = np.random.default_rng(seed)
    angle, length = rng.uniform(0, 2 * np.pi, 40), rng.uniform(7, 30, 40)
    across = 2 * np.pi / length * np.stack([np.cos(angle), np.sin(angle)])
    values = np.sin(places @ across + rng.uniform(0, 2 * np.pi, 40)) @ rng.normal(size=(40, 3))
    return np.clip(np.rint(127.5 + 10 * values), 0, 255).astype(np.uint8)


def uniform(vector, size=SIZE):
    return np.broadcast_to(np.asarray(vector, np.float32), (size, size, 2))


def measure(output, flow, drags, source=None, seen=SEEN, points=POINTS):
    source = waves(centres()) if source is None else source
    return drag_distances(output, source, flow, seen, points, points + drags)


@pytest.mark.parametrize("went", [(6.3, -4.2), (6.0, -4.0), (4.6, -1.5), (8.25, -6.75)])
def test_a_shift_is_measured_to_a_fraction_of_a_pixel(went):
    asked = np.array([6.3, -4.2])
    found = measure(waves(centres() - went), uniform(asked), asked)
    np.testing.assert_allclose(found, np.linalg.norm(went - asked), atol=0.1)


def test_the_unedited_picture_is_as_far_off_as_drags_are_long_and_the_true_one_is_not():
    source = waves(centres())
    for drag in ([9.4, 3.3], [0.0, -2.5]):
        np.testing.assert_allclose(measure(source, uniform(drag), drag), np.linalg.norm(drag), atol=0.1)
        assert measure(waves(centres() - drag), uniform(drag), drag).max() < 0.1


def test_light_and_contrast_of_an_edit_do_not_matter():
    drag = np.array([5.0, 2.0])
    dim = np.rint(0.6 * waves(centres() - drag) + 40).astype(np.uint8)
    assert measure(dim, uniform(drag), drag).max() < 0.15


def test_patches_turn_and_stretch_with_the_true_motion():
    turn = np.array([[0.9, -0.4], [0.4, 1.15]])
    middle = np.array([64.0, 64.0])
    flow = ((centres() - middle) @ turn.T + middle - centres()).astype(np.float32)
    drags = (POINTS - middle) @ turn.T + middle - POINTS
    output = waves((centres() - middle) @ np.linalg.inv(turn).T + middle)
    assert measure(output, flow, drags).max() < 0.15
    stiff = [
        float(measure(output, uniform(d), d, points=p[None])[0]) for p, d in zip(POINTS, drags, strict=True)
    ]
    assert max(stiff) > 0.5


def test_half_the_size_has_patches_of_half_the_size():
    drag, points = np.array([3.2, -1.6]), POINTS / 2
    source, edit = waves(2 * centres(64)), waves(2 * (centres(64) - drag))
    seen = np.ones((64, 64), bool)
    assert drag_distances(edit, source, uniform(drag, 64), seen, points, points + drag).max() < 0.15
    left = drag_distances(source, source, uniform(drag, 64), seen, points, points + drag)
    np.testing.assert_allclose(left, np.linalg.norm(drag), atol=0.15)


def test_points_without_texture_or_out_of_sight_are_not_measured():
    drag = np.array([4.0, 1.0])
    source = waves(centres())
    source[30:60, 30:60] = 90  # flat around the first point
    source[40:62, 70:92] = np.where(np.arange(70, 92) < 81, 40, 200)[
        None, :, None
    ]  # an edge through the third
    seen = SEEN.copy()
    seen[84:86, 51:53] = False  # the fourth itself
    seen[80:100, 70:89] = seen[80:100, 92:] = False  # all but three columns of the patch of the fifth
    for output in (source, waves(centres() - drag), np.zeros_like(source)):
        found = measure(output, uniform(drag), drag, source=source, seen=seen)
        assert np.isnan(found).tolist() == [True, False, True, True, True]
    slope = np.zeros((SIZE, SIZE, 3), np.uint8)
    slope[..., :2] = 2 * np.floor(centres())  # in one colour across, in another down
    assert np.isnan(measure(slope, uniform(drag), drag, source=slope)).all()
    squeeze = np.array([[0.2, 0], [0, 1.0]])
    assert np.isnan(
        measure(waves(centres()), (centres() @ (squeeze - np.eye(2)).T).astype(np.float32), drag)
    ).all()


def test_a_blank_edit_is_found_at_the_rim_of_the_search():
    drag = np.array([6.0, 0.0])
    blank = np.full((SIZE, SIZE, 3), 128, np.uint8)
    np.testing.assert_allclose(measure(blank, uniform(drag), drag), 10, atol=1)
    half = waves(centres() - 2 * drag)
    half[:, :69] = 128  # nearly up to the patch of the second point
    assert measure(half, uniform(2 * drag), 2 * drag, points=POINTS[1:2]).max() < 0.1


def test_what_stays_behind_a_silhouette_is_no_part_of_a_patch():
    """The head is to the right of its outline and moves right; the background has more contrast and stays."""
    drag, outline = np.array([5.0, 0.0]), 60
    behind = np.where(waves(centres(), seed=1) > 127, 255, 0).astype(np.uint8)
    right = centres()[..., :1] > outline
    source = np.where(right, waves(centres()), behind)
    target = np.where(centres()[..., :1] > outline + drag[0], waves(centres() - drag), behind)
    points = np.array([[outline + 1.5, 40.5], [outline + 2.5, 70.5], [outline + 3.5, 96.5]])
    flow = np.where(right, uniform(drag), 0)
    assert measure(target, flow, drag, source, right[..., 0], points).max() < 0.15
    left = measure(source, flow, drag, source, right[..., 0], points)
    np.testing.assert_allclose(left, 5, atol=0.15)


def test_lips_that_part_are_found_apart():
    mouth, drop = 64, np.array([0.0, 6.0])
    lower = centres()[..., 1:] > mouth
    source = waves(centres())
    target = np.where(lower, waves(centres() - drop), source)
    target[mouth : mouth + 6] = 20  # the open mouth
    flow = np.where(lower, uniform(drop), 0)
    points = np.array([[50.5, mouth + 2.5], [70.5, mouth + 3.5], [60.5, mouth - 2.5]])
    drags = np.array([drop, drop, [0, 0]])
    assert measure(target, flow, drags, source, SEEN, points).max() < 0.15


def test_share_left_by_hand():
    outputs, floors, ceilings = np.array([2.0, 5, 1]), np.array([1.0, 0, 0]), np.array([4.0, 8, 1])
    assert share_left(outputs, floors, ceilings) == pytest.approx(7 / 12)
    assert share_left(ceilings, floors, ceilings) == 1 and share_left(floors, floors, ceilings) == 0
    outputs[1] = np.nan
    assert share_left(outputs, floors, ceilings) == pytest.approx(2 / 4)
    assert np.isnan(share_left(outputs[:0], floors[:0], ceilings[:0]))
    assert np.isnan(share_left(outputs, floors, floors)) and np.isnan(share_left(outputs, ceilings, floors))


def test_pictures_of_another_kind_are_named():
    good, flow = waves(centres()), uniform([1, 0])
    with pytest.raises(ValueError, match=r"output: float64 of shape \(128, 128, 3\)"):
        measure(good / 255, flow, [1, 0])
    with pytest.raises(
        ValueError, match=r"source: uint8 of shape \(64, 64, 3\), not uint8 of \(128, 128, 3\)"
    ):
        measure(good, flow, [1, 0], source=good[:64, :64])
