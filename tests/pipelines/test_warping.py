"""Pixels carried forward by a flow: where they land, what wins, and where nothing does."""

from __future__ import annotations

import pytest
import torch

from pipelines.drag.warping import resize_flow, splat


def constant_flow(dx, dy, size=8):
    return torch.tensor([dx, dy]).view(1, 2, 1, 1).expand(1, 2, size, size).clone()


def test_nothing_moves_without_flow():
    picture = torch.rand(2, 3, 8, 8)
    moved, holes = splat(picture, torch.zeros(2, 2, 8, 8))
    assert torch.allclose(moved, picture, atol=1e-6) and not holes.any()


def test_whole_pixels_land_where_the_flow_says_and_leave_holes():
    picture = torch.rand(1, 3, 8, 8)
    moved, holes = splat(picture, constant_flow(2.0, -1.0))
    assert torch.allclose(moved[..., :7, 2:], picture[..., 1:, :6], atol=1e-6)
    assert (holes[..., :7, 2:] == 0).all()
    assert (holes[..., 7, :] == 1).all() and (holes[..., :2] == 1).all()
    assert not moved[..., :2].any()


def test_half_pixels_are_shared_out():
    picture = torch.zeros(1, 1, 8, 8)
    picture[..., 4, 3] = 1.0
    moved, _ = splat(picture, constant_flow(0.5, 0.0))
    assert moved[0, 0, 4, 3:5].tolist() == pytest.approx([0.5, 0.5], abs=1e-6)


def test_what_moves_covers_what_stays():
    picture, flow = torch.zeros(1, 1, 8, 8), torch.zeros(1, 2, 8, 8)
    picture[..., 1] = 1.0
    flow[:, 0, :, 1] = 4.0
    moved, holes = splat(picture, flow)
    assert (moved[..., 5] > 0.95).all(), "the column that moved lies over the one that was there"
    assert (holes[..., 1] == 1).all() and holes.sum() == 8


def test_what_leaves_the_picture_is_lost():
    moved, holes = splat(torch.ones(1, 1, 8, 8), constant_flow(100.0, 0.0))
    assert not moved.any() and (holes == 1).all()


def test_gradients_reach_pictures():
    picture = torch.rand(1, 2, 6, 6, dtype=torch.float64, requires_grad=True)
    flow = torch.rand(1, 2, 6, 6, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: splat(x, flow)[0], (picture,))


def test_flow_scales_with_its_grid():
    flow = constant_flow(2.0, -3.0)
    larger = resize_flow(flow, (16, 24))
    assert larger.shape == (1, 2, 16, 24)
    assert larger[0, :, 5, 5].tolist() == pytest.approx([6.0, -6.0])
    assert resize_flow(flow, (8, 8)) is flow
