"""Baselines of textures, and how textures are compared."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pipelines.texture.guesses import fitted_mean, mirrored, region_psnr, regions
from pipelines.texture.layout import UVLayout

SIZE = 16


@pytest.fixture
def layout():
    x, y = np.meshgrid(np.arange(SIZE) + 0.5, np.arange(SIZE) + 0.5)
    mirror = np.stack([SIZE - x, y], axis=-1).astype(np.float32)
    whole = np.ones((SIZE, SIZE), bool)
    return UVLayout(size=SIZE, valid=whole, mirror=mirror, charts=whole.astype(np.uint8), mesh_id="toy")


def test_a_texture_that_is_its_own_mirror_image_is_guessed_where_its_other_side_is_seen(layout):
    half = torch.rand(1, 3, SIZE, SIZE // 2)
    truth = torch.cat([half, half.flip(-1)], dim=-1)
    weight = torch.zeros(1, 1, SIZE, SIZE)
    weight[..., : SIZE // 2 - 2] = 0.7
    guess = mirrored(truth * (weight > 0), weight, torch.full_like(truth, 9.0), layout)
    assert torch.allclose(guess[..., SIZE // 2 + 3 :], truth[..., SIZE // 2 + 3 :], atol=1e-5)
    assert (guess[..., SIZE // 2 - 1] == 9).all(), "neither side is seen"


def test_regions_are_told_by_what_is_seen_on_both_sides(layout):
    weight = torch.zeros(1, 1, SIZE, SIZE)
    weight[..., :4] = 1
    weight[..., 4] = 0.05
    found = regions(weight, layout)
    columns = {name: inside[0, 0, 0].nonzero().flatten().tolist() for name, inside in found.items()}
    assert columns == {
        "unseen": list(range(4, SIZE)), "mirrored": list(range(SIZE - 4, SIZE)), "never": list(range(4, SIZE - 4))
    }  # fmt: skip


def test_colours_are_fitted_exactly_where_they_can_be():
    mean, weight = torch.rand(3, 8, 8), torch.rand(2, 1, 8, 8)
    slope, shift = torch.rand(2, 3, 1, 1), torch.rand(2, 3, 1, 1)
    truth = mean * slope + shift
    assert torch.allclose(fitted_mean(mean, truth, weight), truth, atol=1e-4)
    assert torch.allclose(fitted_mean(mean, truth, torch.zeros_like(weight)), torch.zeros(()), atol=1e-4)


def test_psnr_is_that_of_regions_that_are_large_enough():
    guess, truth = torch.zeros(2, 3, 8, 8), torch.zeros(2, 3, 8, 8)
    guess[0] = 0.2
    guess[1] = 0.02
    inside = torch.ones(2, 1, 8, 8, dtype=torch.bool)
    assert region_psnr(guess, truth, inside).tolist() == pytest.approx([20, 40], abs=1e-3)
    inside[1, 0, 0, 0] = False
    assert region_psnr(guess, truth, inside).isnan().tolist() == [False, True]
