"""Drags as maps: numbers of the published one, and what splats of our own promise."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from pipelines.drag.drags import Drags
from pipelines.drag.sparse_map import (
    VECTOR_SCALE,
    published_flow,
    published_latent_flow,
    published_map,
    splat_map,
)

PUBLISHED = (512, 512)


def drags_of(*pairs, pins=(), size=PUBLISHED):
    return Drags.of(pairs, pins, size=size)


def clicked(*pairs):
    """Pixels that are clicked at are meant by their centres."""
    return drags_of(*[tuple((x + 0.5, y + 0.5) for x, y in pair) for pair in pairs])


@pytest.mark.parametrize("column", [200, 201])
@pytest.mark.parametrize("row", [310, 311])
def test_a_drag_becomes_four_pixels_whatever_its_parity(column, row):
    maps, factors = published_map([clicked(((column, row), (column + 30, row - 50)))])
    assert maps.shape == (1, 2, 256, 256) and factors.tolist() == [[30, 50]]
    for channel, sign in zip(maps[0], (1, -1), strict=True):
        assert channel.count_nonzero() == 4
        assert channel[row // 2, column // 2].item() == pytest.approx(sign * 0.3525, abs=1e-4)
        assert channel.sum().item() == pytest.approx(sign * 0.25, abs=1e-6)


def test_each_axis_is_divided_by_its_own_largest_drag():
    maps, factors = published_map([clicked(((100, 100), (200, 101)), ((300, 300), (250, 300)))])
    assert factors.tolist() == [[100, 1]]
    assert maps[0, :, 50, 50].tolist() == pytest.approx([0.59375**2] * 2)  # a drag (100, 1) looks like (1, 1)
    assert maps[0, :, 150, 150].tolist() == pytest.approx([-0.5 * 0.59375**2, 0])


def test_an_axis_that_nothing_is_dragged_along_stays_zero():
    maps, factors = published_map([clicked(((100, 100), (150, 100)))])
    assert factors.tolist() == [[50, 0]] and not maps[0, 1].any() and maps.isfinite().all()
    flow = published_flow(torch.rand(1, 2, 256, 256), factors)
    assert flow[0, 0].max() == 25 and not flow[0, 1].any()


def test_of_two_drags_from_one_pixel_the_last_one_counts():
    first, last = ((10.2, 10.2), (20.2, 40.2)), ((10.8, 10.8), (16.8, 7.8))
    for pairs, expected in (((first, last), [6, 3]), ((last, first), [10, 30])):
        assert published_map([drags_of(*pairs)])[1][0].tolist() == pytest.approx(expected, abs=1e-4)


def test_frames_of_any_size_are_drawn_at_twice_the_map():
    small = Drags.of([((50.25, 20.25), (62.75, 20.75))], size=(256, 256))
    large = clicked(((100, 40), (125, 41)))
    for ours, theirs in zip(published_map([small]), published_map([large]), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6)
    maps, factors = published_map([large, small], size=64)
    assert maps.shape == (2, 2, 64, 64) and factors[0].tolist() == [6.25, 0.25]


def test_maps_are_of_square_frames():
    wide = Drags.of([((10, 20), (30, 20))], size=(100, 60))
    for draw in (published_map, splat_map):
        with pytest.raises(ValueError, match="drags of a picture of 100 x 60 px: expected a square frame"):
            draw([wide], 32)


def test_the_published_map_refuses_what_it_cannot_say():
    with pytest.raises(ValueError, match="pins: 1 given; to InstantDrag a point that stays is no point"):
        published_map([drags_of(((1, 1), (5, 5)), pins=[(9, 9)])])


def test_a_drag_of_50_px_is_a_tenth_of_the_width():
    output = torch.full((1, 2, 256, 256), 0.5)
    flow = published_flow(output, torch.tensor([[50.0, 100.0]]))
    assert flow[0, :, 7, 9].tolist() == [25, 50]
    latent = published_latent_flow(flow, 64)
    assert latent.shape == (1, 2, 64, 64)
    assert latent[0, :, 5, 5].tolist() == pytest.approx([0.098, 0.195], abs=1e-3)
    doubled = published_flow(output, torch.tensor([[50.0, 100.0]]), multiplier=2)
    assert torch.equal(doubled, flow)
    assert torch.equal(published_flow(output, torch.tensor([[50.0, 100.0]]), multiplier=1), flow / 2)


def test_channels_and_pictures_are_scaled_each_by_its_own_peak():
    output = torch.zeros(2, 2, 4, 4)
    output[0, 0, 1, 2], output[0, 1, 3, 3], output[1, 0, 0, 0] = -0.2, 0.4, 0.8
    flow = published_flow(output, torch.full((2, 2), 20.0))
    assert flow[0, 0, 1, 2] == -10 and flow[0, 1, 3, 3] == 10 and flow[1, 0, 0, 0] == 10
    assert flow.count_nonzero() == 3  # the channel of zeros is neither NaN nor anything


@pytest.mark.parametrize("multiplier", [-1, 0, float("nan"), float("inf")])
def test_multipliers_are_above_zero(multiplier):
    with pytest.raises(ValueError, match="expected a number above 0, or None for a largest value of 1"):
        published_flow(torch.zeros(1, 2, 4, 4), torch.ones(1, 2), multiplier=multiplier)


def test_latent_flow_is_a_share_of_width_and_of_height():
    flow = torch.ones(1, 2, 8, 16)
    assert published_latent_flow(flow, 4)[0, :, 1, 1].tolist() == [1 / 16, 1 / 8]


def test_a_splat_holds_its_vector_and_says_how_near_it_is():
    drawn = splat_map([Drags.of([((40.5, 60.5), (53.3, 54.1))], size=(128, 128))], 128)
    assert drawn.shape == (1, 3, 128, 128) and drawn.dtype == torch.float32
    inside = drawn[0, 2] > 0
    assert drawn[0, 2, 60, 40] == 1
    assert drawn[0, 2, 60, 42].item() == pytest.approx(math.exp(-((2 / 1.5) ** 2) / 2))
    assert drawn[0, 2, 63, 40].item() == pytest.approx(math.exp(-2))
    for channel, share in zip(drawn[0], (0.1, -0.05), strict=False):
        assert torch.allclose(channel[inside], torch.tensor(VECTOR_SCALE * share), atol=1e-5)
    rows, columns = np.nonzero(inside.numpy())
    reach = np.hypot(rows - 60, columns - 40).max()
    assert 4 <= reach <= 4.5 and not drawn[0][:, ~inside].any()


def test_one_drag_is_one_vector_at_all_sizes():
    drags = Drags.of([((40.5, 60.5), (53.3, 54.1))], size=(128, 128))
    areas = []
    for size in (64, 128, 256):
        drawn = splat_map([drags], size)[0]
        found = drawn[:, drawn[2] > 0]
        assert torch.allclose(found[0], torch.tensor(1.0), atol=1e-4)
        assert torch.allclose(found[1], torch.tensor(-0.5), atol=1e-4)
        areas.append(found[2].sum().item() / size**2)
    assert areas == pytest.approx([areas[1]] * 3, rel=0.05)


def test_a_pin_is_a_vector_of_zero_that_is_known():
    pinned = splat_map([Drags.of(pins=[(20.5, 30.5)], size=(64, 64))], 64)[0]
    assert pinned[2, 30, 20] == 1 and not pinned[:2].any()
    still = splat_map([Drags.of([((20.5, 30.5), (20.5, 30.5))], size=(64, 64))], 64)[0]
    assert torch.equal(pinned, still)


def test_where_splats_overlap_vectors_are_averaged_by_weight():
    pairs = [((60.5, 60.5), (73.3, 60.5)), ((64.5, 60.5), (64.5, 73.3))]
    drawn = splat_map([Drags.of(pairs, size=(128, 128))], 128)[0]
    assert drawn[:2, 60, 62].tolist() == pytest.approx([0.5, 0.5], abs=1e-5)  # half way
    near, far = math.exp(-((1 / 1.5) ** 2) / 2), math.exp(-((3 / 1.5) ** 2) / 2)
    expected = [near / (near + far), far / (near + far)]
    assert drawn[:2, 60, 61].tolist() == pytest.approx(expected, abs=1e-5)
    assert drawn[2, 60, 61].item() == pytest.approx(near)  # the nearer one's
    pin = splat_map([Drags.of(pairs[:1], [pairs[1][0]], size=(128, 128))], 128)[0]
    assert pin[:2, 60, 61].tolist() == pytest.approx([expected[0], 0], abs=1e-5)


def test_places_between_pixels_are_kept():
    centred, shifted = (
        splat_map([Drags.of(pins=[(x, 30.5)], size=(128, 128))], 128)[0, 2] for x in (20.5, 20.9)
    )
    place = (shifted.sum(dim=0) * (torch.arange(128) + 0.5)).sum() / shifted.sum()
    assert place.item() == pytest.approx(20.9, abs=0.05) and not torch.equal(centred, shifted)


@pytest.mark.parametrize("size", [8, 16, 32])
def test_no_drag_falls_between_the_pixels_of_a_small_map(size):
    step = 128 / size
    drags = Drags.of(
        [((3 * step, 5 * step), (3 * step + 12.8, 5 * step))], size=(128, 128)
    )  # a corner of four
    drawn = splat_map([drags], size)[0]
    assert drawn[2, 5, 3] > 0.3 and drawn[0, 5, 3].item() == pytest.approx(1, abs=1e-5)


def test_a_batch_is_its_drags_one_by_one():
    several = [
        Drags.of([((10, 20), (30, 25))], size=(64, 64)),
        Drags.of([((40, 50), (40, 45)), ((9, 9), (3, 3))], size=(64, 64)),
    ]
    both = splat_map(several, 32)
    assert torch.equal(both, torch.cat([splat_map([one], 32) for one in several]))
    assert not torch.equal(both[0], both[1])
    maps, factors = published_map(several, 32)
    for row, one in enumerate(several):
        alone = published_map([one], 32)
        assert torch.equal(maps[row], alone[0][0]) and torch.equal(factors[row], alone[1][0])


def test_nothing_left_in_a_crop_is_an_empty_map():
    nothing = Drags.of(pins=[(60, 60)], size=(64, 64)).cropped((0, 0, 32, 32), (64, 64))
    assert not splat_map([nothing], 16).any() and not published_map([nothing], 16)[0].any()
