"""What the denoiser of textures is shown."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pipelines.pixels import fold, unfold
from pipelines.texture.conditioning import (
    CONDITION_CHANNELS,
    FOLD,
    KNOWN,
    MIRRORED,
    condition,
    unconditional,
)
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
    rest = torch.rand(2, 3, SIZE, SIZE, generator=random) * 2 - 1
    weight = torch.rand(2, 1, SIZE, SIZE, generator=random)
    return rest, weight, torch.rand(2, 3, SIZE, SIZE, generator=random) - 0.5


def test_channels_are_known_weight_mirrored_offset_and_places(layout):
    rest, weight, offset = drawn()
    made = condition(rest, weight, offset, layout)
    assert made.shape == (2, CONDITION_CHANNELS, SIZE // FOLD, SIZE // FOLD) and CONDITION_CHANNELS == 46
    shown, weights, mirrored, mirrored_weights, offsets, places = made.split([12, 4, 12, 4, 12, 2], dim=1)
    assert torch.allclose(unfold(shown, FOLD), weight * rest)
    assert torch.equal(weights, fold(weight, FOLD))
    assert torch.allclose(unfold(mirrored, FOLD), (weight * rest).flip(-1), atol=1e-6)
    assert torch.allclose(mirrored_weights, fold(weight.flip(-1), FOLD), atol=1e-6)
    assert torch.equal(offsets, fold(offset, FOLD))
    assert torch.allclose(places[0, 0, 0], torch.tensor([-0.75, -0.25, 0.25, 0.75]))
    assert torch.equal(places[0, 0], places[0, 1].T) and torch.equal(places[0], places[1])


def test_what_is_unknown_does_not_matter(layout):
    rest, weight, offset = drawn()
    weight[:, :, :, :3] = 0
    expected = condition(rest, weight, offset, layout)
    rest[:, :, :, :3] = float("nan")
    assert torch.equal(condition(rest, weight, offset, layout), expected)


def test_nothing_known_is_the_unconditional_model(layout):
    rest, weight, offset = drawn()
    given = condition(rest, weight, offset, layout)
    nothing = unconditional(given)
    assert torch.equal(condition(rest, torch.zeros_like(weight), offset, layout), nothing)
    assert given[:, KNOWN].any() and not nothing[:, KNOWN].any()
    assert torch.equal(nothing[:, KNOWN.stop :], given[:, KNOWN.stop :])
    assert (MIRRORED.start, MIRRORED.stop) == (16, KNOWN.stop)


def test_a_texture_of_another_size_is_refused(layout):
    rest, weight, offset = drawn()
    with pytest.raises(LayoutMismatch, match="expected"):
        condition(rest[..., :4, :4], weight[..., :4, :4], offset[..., :4, :4], layout)
