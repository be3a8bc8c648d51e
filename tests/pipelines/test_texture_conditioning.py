"""What the denoiser of textures is shown."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pipelines.pixels import fold, unfold
from pipelines.texture.conditioning import CONDITION_CHANNELS, FOLD, condition, unconditional
from pipelines.texture.layout import LayoutMismatch, UVLayout

SIZE = 8


@pytest.fixture
def layout():
    """One chart that lies symmetrically."""
    x, y = np.meshgrid(np.arange(SIZE) + 0.5, np.arange(SIZE) + 0.5)
    mirror = np.stack([SIZE - x, y], axis=-1).astype(np.float32)
    whole = np.ones((SIZE, SIZE), bool)
    return UVLayout(size=SIZE, valid=whole, mirror=mirror, charts=whole.astype(np.uint8), mesh_id="toy")


def drawn(seed=0):
    random = torch.Generator().manual_seed(seed)
    known = torch.rand(2, 3, SIZE, SIZE, generator=random) * 2 - 1
    weight = torch.rand(2, 1, SIZE, SIZE, generator=random)
    return known, weight, torch.rand(3, SIZE, SIZE, generator=random) - 0.5


def test_channels_are_known_weight_mirrored_and_places(layout):
    known, weight, mean = drawn()
    made = condition(known, weight, mean, layout)
    assert made.shape == (2, CONDITION_CHANNELS, SIZE // FOLD, SIZE // FOLD) and CONDITION_CHANNELS == 34
    shown, weights, mirrored, mirrored_weights, places = made.split([12, 4, 12, 4, 2], dim=1)
    assert torch.allclose(unfold(shown, FOLD), weight * (known - mean))
    assert torch.equal(weights, fold(weight, FOLD))
    assert torch.allclose(unfold(mirrored, FOLD), (weight * (known - mean)).flip(-1), atol=1e-6)
    assert torch.allclose(mirrored_weights, fold(weight.flip(-1), FOLD), atol=1e-6)
    assert torch.allclose(places[0, 0, 0], torch.tensor([-0.75, -0.25, 0.25, 0.75]))
    assert torch.equal(places[0, 0], places[0, 1].T) and torch.equal(places[0], places[1])


def test_what_is_unknown_does_not_matter(layout):
    known, weight, mean = drawn()
    weight[:, :, :, :3] = 0
    expected = condition(known, weight, mean, layout)
    known[:, :, :, :3] = float("nan")
    assert torch.equal(condition(known, weight, mean, layout), expected)


def test_nothing_known_is_the_unconditional_model(layout):
    known, weight, mean = drawn()
    nothing = unconditional(2, SIZE, known)
    assert torch.equal(condition(known, torch.zeros_like(weight), mean, layout), nothing)
    assert not nothing[:, :-2].any() and nothing[:, -2:].any()
    assert unconditional(1, SIZE, known.half()).dtype == torch.float16


def test_a_texture_of_another_size_is_refused(layout):
    known, weight, mean = drawn()
    with pytest.raises(LayoutMismatch, match="expected"):
        condition(known[..., :4, :4], weight[..., :4, :4], mean[:, :4, :4], layout)
