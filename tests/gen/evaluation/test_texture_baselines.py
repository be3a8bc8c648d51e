"""What is guessed without a denoiser, on textures where the right answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gen.evaluation.texture_guesses import GUESSES, guesses
from pipelines.texture.layout import UVLayout
from pipelines.texture.manifold import TextureManifold

SIZE = 96
SEEN = 80
"""Columns from the left that are seen: the mirror images of all others are."""


@pytest.fixture(scope="module")
def layout():
    x, y = np.meshgrid(np.arange(SIZE) + 0.5, np.arange(SIZE) + 0.5)
    mirror = np.stack([SIZE - x, y], axis=-1).astype(np.float32)
    whole = np.ones((SIZE, SIZE), bool)
    return UVLayout(size=SIZE, valid=whole, mirror=mirror, charts=whole.astype(np.uint8), mesh_id="toy")


@pytest.fixture(scope="module")
def waves():
    """(12, 3, SIZE, SIZE) of a few waves, the same ones in all, in -1..1."""
    rng = np.random.default_rng(0)
    y, x = (np.mgrid[:SIZE, :SIZE] + 0.5) / SIZE * 2 * np.pi
    shapes = np.stack([np.sin(x), np.cos(x + y), np.sin(2 * y), np.ones_like(x)])
    drawn = np.einsum("nck,kyx->ncyx", rng.normal(0, 0.15, (12, 3, 4)), shapes)
    return torch.from_numpy(drawn).float().clamp(-1, 1)


@pytest.fixture(scope="module")
def manifold(waves):
    return TextureManifold.from_textures(waves, 8, size=SIZE // 2)


@pytest.fixture(scope="module")
def left():
    weight = torch.zeros(1, 1, SIZE, SIZE)
    weight[..., :SEEN] = 1
    return weight


@pytest.fixture(scope="module")
def symmetric(waves):
    return (waves[:1] + waves[:1].flip(-1)) / 2


def guessed(truth, weight, manifold, layout):
    found = guesses(truth * (weight > 0), weight, manifold, layout)
    assert found.keys() == GUESSES.keys()
    assert all(guess.shape == truth.shape and guess.isfinite().all() for guess in found.values())
    return found


def error(guess, truth, columns=slice(SEEN, None)):
    return float((guess - truth)[..., columns].abs().mean())


def test_the_mirror_image_of_a_symmetric_face_is_the_answer(symmetric, left, manifold, layout):
    found = guessed(symmetric, left, manifold, layout)
    assert error(found["mirror"], symmetric) < 1e-5 < error(found["fitted"], symmetric)
    assert error(found["harmonised"], symmetric) < 0.01


def test_harmony_takes_a_step_off_that_the_mirror_image_leaves(symmetric, left, manifold, layout):
    """One side is brighter, as in light from there."""
    truth = symmetric.clone()
    truth[..., SIZE // 2 :] += 0.3
    found = guessed(truth, left, manifold, layout)
    near, far = slice(SEEN, SEEN + 2), slice(SIZE - 2, SIZE)
    assert error(found["mirror"], truth, near) == pytest.approx(0.3, abs=0.01)
    assert error(found["harmonised"], truth, near) < 0.08
    assert error(found["harmonised"], truth, far) == pytest.approx(0.3, abs=0.06), "it falls off"


def test_inpainting_goes_on_in_a_flat_colour(left, manifold, layout):
    flat = torch.tensor([0.5, -0.2, 0.1])[:, None, None].expand(1, 3, SIZE, SIZE)
    assert error(guessed(flat, left, manifold, layout)["telea"], flat, slice(None)) < 0.005


def test_the_mean_in_seen_colours_is_exact_where_only_colours_differ(left, manifold, layout):
    truth = manifold.mean_texture(SIZE)[None] * 0.7 + torch.tensor([0.2, 0.0, -0.1])[:, None, None]
    found = guessed(truth, left, manifold, layout)
    assert error(found["fitted"], truth) < 1e-3 < error(found["mean"], truth)


def test_the_pca_fit_finds_a_texture_of_the_manifold(left, manifold, layout):
    truth = manifold.decode(torch.linspace(-1, 1, 8)[None], SIZE)
    found = guessed(truth, left, manifold, layout)
    assert error(found["pca"], truth) < 0.01
    assert error(found["pca"], truth) < error(found["fitted"], truth) / 3


def test_the_mean_is_that_of_the_manifold_whatever_is_seen(waves, left, manifold, layout):
    found = guessed(waves[3:5], left.expand(2, -1, -1, -1), manifold, layout)
    assert torch.equal(found["mean"][0], found["mean"][1])
    assert torch.allclose(found["mean"][0], waves.mean(dim=0), atol=1e-5)


def test_each_texture_is_guessed_by_itself_and_nothing_known_at_all_works(waves, left, manifold, layout):
    weight = torch.cat([torch.zeros_like(left), left])
    both = guessed(waves[:2], weight, manifold, layout)
    alone = guessed(waves[1:2], left, manifold, layout)
    for name in GUESSES:
        assert torch.allclose(both[name][1], alone[name][0], atol=1e-4), name
    mean = manifold.mean_texture(SIZE)
    assert torch.allclose(both["pca"][0], mean, atol=1e-5)


def test_texels_that_are_hardly_seen_are_not_taken_at_their_word(symmetric, left, manifold, layout):
    """Weights below `guesses.SEEN` count as hidden; what lies there must not leak into inpainting or mirroring."""
    weight = left.clone()
    weight[..., SEEN:] = 0.05
    spoilt = symmetric.clone()
    spoilt[..., SEEN:] = 1
    found, clean = (guessed(*pair, manifold, layout) for pair in ((spoilt, weight), (symmetric, left)))
    assert torch.allclose(found["mirror"][..., SEEN:], clean["mirror"][..., SEEN:], atol=1e-5)
    difference = (found["telea"] - clean["telea"])[..., SEEN:].abs()
    assert difference.max() < 0.05, "OpenCV itself lets a few of 255 through at the picture's edge"
