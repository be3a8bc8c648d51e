"""What users ask a drag edit for: ways to say it, and what is said of what cannot be meant."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pipelines.drag.drags import Drags

SIZE = (100, 60)
PAIRS = [((10, 20), (30.5, 25)), ((40, 50), (40, 45))]


def test_pairs_points_in_turn_and_arrays_say_the_same():
    flat = [point for pair in PAIRS for point in pair]
    for given in (
        PAIRS,
        flat,
        np.array(PAIRS),
        torch.tensor(flat),
        [[list(p) for p in pair] for pair in PAIRS],
    ):
        made = Drags.of(given, [(5, 6)], size=SIZE)
        assert made.sources.tolist() == [[10, 20], [40, 50]]
        assert made.targets.tolist() == [[30.5, 25], [40, 45]]
        assert made.pins.tolist() == [[5, 6]]
        assert {x.dtype for x in (made.sources, made.targets, made.pins)} == {np.dtype(np.float32)}
        assert made.vectors.tolist() == [[20.5, 5], [0, -5]]


def test_normalized_coordinates_are_shares_of_width_and_height():
    made = Drags.of([((0, 0.5), (1, 1))], [(0.25, 0.1)], size=SIZE, coordinates="normalized")
    assert made.sources.tolist() == [[0, 30]] and made.targets.tolist() == [[100, 60]]
    assert np.allclose(made.pins, [[25, 6]])


def test_drags_or_pins_alone_are_enough():
    assert Drags.of(PAIRS, size=SIZE).pins.shape == (0, 2)
    only = Drags.of(pins=[(1, 1)], size=SIZE)
    assert only.sources.shape == only.targets.shape == only.vectors.shape == (0, 2)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "drags: none given; give at least one drag or pin"),
        ({"drags": [], "pins": []}, "drags: none given"),
        ({"drags": [(1, 1), (2, 2), (3, 3)]}, "drags: 3 points, an odd number; every source needs a target"),
        ({"drags": [((1, 1), (2, 2)), ((3, 3),)]}, "drags: not points of two numbers each; expected pairs"),
        ({"drags": [((1, 1),)]}, r"drags: numbers of shape \(1, 1, 2\); expected pairs"),
        ({"drags": [(1, 1, 2, 2)]}, r"drags: numbers of shape \(1, 4\); expected pairs"),
        ({"drags": None}, r"drags: numbers of shape \(\); expected pairs"),
        ({"drags": [("a", "b"), (1, 2)]}, "drags: not points of two numbers each"),
        ({"drags": [(1, 1), (None, 2)]}, "drags: a coordinate is not a finite number"),
        ({"drags": [(1, 1), (float("inf"), 2)]}, "drags: a coordinate is not a finite number"),
        ({"pins": [(1, 1, 1)]}, r"pins: numbers of shape \(1, 3\); expected points \(x, y\)"),
        ({"pins": [(1, float("nan"))]}, "pins: a coordinate is not a finite number"),
        ({"drags": PAIRS, "coordinates": "percent"}, "coordinates 'percent': expected pixel or normalized"),
    ],
)
def test_what_is_no_list_of_drags_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        Drags.of(**given, size=SIZE)


@pytest.mark.parametrize("wrong", [(100.1, 5), (-0.1, 5), (5, 60.1), (5, -0.1)])
def test_points_outside_the_picture_are_refused(wrong):
    where = r"lies outside the picture; expected pixel coordinates, x 0..100 and y 0..60"
    for drags in ([(wrong, (1, 1))], [((1, 1), wrong)]):
        with pytest.raises(ValueError, match=rf"drags: point \({wrong[0]}, {wrong[1]}\) {where}"):
            Drags.of(drags, size=SIZE)
    with pytest.raises(ValueError, match=rf"pins: point \({wrong[0]}, {wrong[1]}\) {where}"):
        Drags.of(pins=[wrong], size=SIZE)


def test_points_on_the_edge_belong_to_the_last_pixel():
    made = Drags.of([((100, 60), (0, 0)), ((0, 0), (1, 1)), ((41.9, 3), (1, 1))], size=SIZE)
    assert made.source_pixels.tolist() == [[99, 59], [0, 0], [41, 3]]


def test_pixels_given_as_normalized_are_refused():
    with pytest.raises(ValueError, match=r"expected normalized coordinates, x 0..1 and y 0..1"):
        Drags.of(PAIRS, size=SIZE, coordinates="normalized")


def test_one_point_has_one_target():
    with pytest.raises(
        ValueError, match=r"what is at \(1.0, 1.0\) shall be at \(2.0, 2.0\) and at \(3.0, 3.0\)"
    ):
        Drags.of([((1, 1), (2, 2)), ((1, 1), (3, 3))], size=SIZE)
    with pytest.raises(ValueError, match=r"shall be at \(2.0, 2.0\) and at \(1.0, 1.0\)"):
        Drags.of([((1, 1), (2, 2))], pins=[(1, 1)], size=SIZE)
    twice = Drags.of([((1, 1), (2, 2)), ((1, 1), (2, 2)), ((5, 5), (2, 2))], pins=[(9, 9), (9, 9)], size=SIZE)
    assert len(twice.sources) == 3


def test_drags_start_where_the_picture_may_change():
    mask = np.zeros((60, 100), bool)
    mask[20, 10] = True
    made = Drags.of([((10.9, 20.9), (90, 50))], [(50, 50)], size=SIZE, mask=mask)
    assert len(made.sources) == 1
    with pytest.raises(ValueError, match=r"drags: source \(11, 20.5\) lies outside the mask; start where"):
        Drags.of([((11, 20.5), (10, 20))], size=SIZE, mask=mask)
    for wrong in (mask.T, mask.astype(np.uint8)):
        with pytest.raises(ValueError, match=r"mask: .* expected bool \(60, 100\)"):
            Drags.of(PAIRS, size=SIZE, mask=wrong)


def test_a_crop_takes_its_points_along():
    made = Drags.of([((10, 20), (90, 25))], [(12, 22), (95, 5)], size=SIZE).cropped((8, 16, 28, 26), (40, 10))
    assert made.size == (40, 10)
    assert made.sources.tolist() == [[4, 4]]
    assert made.targets.tolist() == [[164, 9]]  # outside is where it may go
    assert made.pins.tolist() == [[8, 6]]
    assert made.sources.dtype == np.float32


def test_a_crop_has_to_hold_the_sources():
    drags = Drags.of(PAIRS, size=SIZE)
    with pytest.raises(ValueError, match=r"drags: source \(40, 50\) lies outside the part of the picture"):
        drags.cropped((0, 0, 39, 60), (10, 10))
    with pytest.raises(ValueError, match="expected left < right and top < bottom"):
        drags.cropped((10, 0, 10, 60), (10, 10))


def test_scaling_follows_each_axis_and_goes_back():
    drags = Drags.of(PAIRS, [(5, 6)], size=SIZE)
    twice = drags.scaled((200, 30))
    assert twice.sources.tolist() == [[20, 10], [80, 25]] and twice.vectors.tolist() == [[41, 2.5], [0, -2.5]]
    back = twice.scaled(SIZE)
    assert (
        back.size == SIZE and np.allclose(back.targets, drags.targets) and np.allclose(back.pins, drags.pins)
    )


def test_arrays_of_other_kinds_are_refused():
    points, none = np.ones((1, 2), np.float32), np.zeros((0, 2), np.float32)
    with pytest.raises(ValueError, match=r"sources: float64 \(1, 2\), expected float32 \(k, 2\)"):
        Drags(sources=points.astype(float), targets=points, pins=none, size=SIZE)
    with pytest.raises(ValueError, match=r"pins: float32 \(0, 3\)"):
        Drags(sources=points, targets=points, pins=np.zeros((0, 3), np.float32), size=SIZE)
    with pytest.raises(ValueError, match="1 sources and 0 targets"):
        Drags(sources=points, targets=none, pins=none, size=SIZE)
    with pytest.raises(ValueError, match=r"size \(0, 5\): expected width and height"):
        Drags(sources=points, targets=points, pins=none, size=(0, 5))
