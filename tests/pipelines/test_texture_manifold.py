"""The mean and components of textures, and what they say about textures that are known in part."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pipelines.texture.manifold import TextureManifold

SIZE, COUNT = 16, 40


def family(rank=3, noise=0.0, seed=0):
    """Textures (COUNT, 3, SIZE, SIZE) of so many directions, and those."""
    random = np.random.default_rng(seed)
    mean = random.uniform(-0.3, 0.3, (3, SIZE, SIZE))
    directions = random.normal(0, 0.1, (rank, 3, SIZE, SIZE))
    amounts = random.normal(0, 1, (COUNT, rank)) * np.arange(rank, 0, -1)
    textures = mean + np.einsum("nk,kcyx->ncyx", amounts, directions)
    return (textures + noise * random.normal(0, 1, textures.shape)).astype(np.float32)


def test_textures_of_few_directions_are_told_apart_exactly():
    textures = family()
    manifold = TextureManifold.from_textures(textures, 3, size=SIZE)
    flat = manifold.components.flatten(1)
    assert torch.allclose(flat @ flat.T, torch.eye(3), atol=5e-3), "but for the rounding of codes"
    assert manifold.codes.dtype == torch.int8 and manifold.codes.abs().amax() == 127
    assert manifold.stds[0] > manifold.stds[1] > manifold.stds[2] and manifold.noise < 1e-3
    latents = manifold.encode(torch.from_numpy(textures))
    assert torch.allclose(latents.std(dim=0), torch.ones(3), atol=1e-3)
    assert np.abs(manifold.decode(latents, SIZE).numpy() - textures).max() < 0.02 * np.abs(textures).max()


def test_noise_is_what_components_leave():
    manifold = TextureManifold.from_textures(family(noise=0.05), 3, size=SIZE)
    assert float(manifold.noise) == pytest.approx(0.05, rel=0.1)


def test_the_known_half_tells_the_other():
    manifold = TextureManifold.from_textures(family(noise=0.01), 3, size=SIZE)
    texture = torch.from_numpy(family()[:4]).clone()
    truth = texture.clone()
    weight = torch.zeros(4, 1, SIZE, SIZE)
    weight[..., : SIZE // 2] = 1
    texture[..., SIZE // 2 :] = float("nan")
    found = manifold.decode(manifold.fit(texture, weight, prior=1.0), SIZE)
    error = (found - truth)[..., SIZE // 2 :].abs().mean()
    deviation = (manifold.mean_texture(SIZE) - truth)[..., SIZE // 2 :].abs().mean()
    assert error < 0.05 * deviation


def test_the_prior_pulls_to_the_mean_and_nothing_known_is_the_mean():
    manifold = TextureManifold.from_textures(family(noise=0.05), 3, size=SIZE)
    texture = torch.from_numpy(family()[:2])
    weight = torch.ones(2, 1, SIZE, SIZE)
    loose, tight = (manifold.fit(texture, weight, prior=prior) for prior in (1.0, 1000.0))
    assert tight.norm() < 0.9 * loose.norm()
    assert not manifold.fit(texture, weight * 0).any()
    with pytest.raises(ValueError, match="prior 0"):
        manifold.fit(texture, weight, prior=0)


def test_other_sizes_and_a_finer_mean():
    textures = family()
    manifold = TextureManifold.from_textures(textures, 3, size=SIZE // 2)
    assert manifold.components.shape[-1] == SIZE // 2
    assert np.allclose(manifold.mean_texture(SIZE).numpy(), textures.mean(axis=0), atol=1e-5)
    assert manifold.mean_texture(2 * SIZE).shape == (3, 2 * SIZE, 2 * SIZE)
    coarse = textures.reshape(COUNT, 3, SIZE // 2, 2, SIZE // 2, 2).mean(axis=(3, 5))
    decoded = manifold.decode(manifold.encode(torch.from_numpy(textures)), SIZE // 2)
    assert np.abs(decoded.numpy() - coarse).max() < 0.02 * np.abs(coarse).max()


def test_a_folder_keeps_it(tmp_path):
    manifold = TextureManifold.from_textures(family(noise=0.05), 3, size=SIZE)
    manifold.half().save_pretrained(tmp_path)
    loaded = TextureManifold.from_pretrained(tmp_path, torch_dtype=torch.float32)
    texture = torch.from_numpy(family()[:2])
    weight = torch.ones(2, 1, SIZE, SIZE)
    assert torch.allclose(loaded.fit(texture, weight), manifold.fit(texture, weight), atol=1e-3)
    assert manifold.decode(torch.zeros(1, 3), SIZE).dtype == torch.float32


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((5, 3, 8), {}, "expected"),
        ((5, 3, 8, 6), {}, "expected"),
        ((5, 3, 8, 8), {"components": 5}, "fewer than the 5"),
        ((5, 3, 8, 8), {"size": 16}, "at most their 8"),
    ],
)
def test_textures_that_make_no_manifold_are_refused(shape, options, message):
    with pytest.raises(ValueError, match=message):
        TextureManifold.from_textures(np.zeros(shape), **{"components": 2, "size": 4} | options)
