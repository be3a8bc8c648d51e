from __future__ import annotations

import pytest
import torch
from diffusers import AutoencoderKL

from tests.pipelines.components import toy_vae


def _like_stock(**config):
    torch.manual_seed(0)
    return AutoencoderKL(
        block_out_channels=(8, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        norm_num_groups=4,
        latent_channels=4,
        sample_size=32,
        **config,
    ).eval()


@torch.no_grad()
def test_patch_size_one_is_the_stock_model_bit_for_bit():
    ours, stock = toy_vae(patch_size=1), _like_stock()
    picture = torch.rand(2, 3, 32, 32) * 2 - 1
    assert ours.state_dict().keys() == stock.state_dict().keys()
    assert torch.equal(ours(picture).sample, stock(picture).sample)


@torch.no_grad()
def test_folding_patches_divides_the_latents():
    vae = toy_vae(patch_size=4)
    picture = torch.rand(2, 3, 64, 32) * 2 - 1
    latents = vae.encode(picture).latent_dist.mode()
    assert vae.downscale == 8
    assert latents.shape == (2, 4, 8, 4)
    assert vae.decode(latents).sample.shape == picture.shape


@torch.no_grad()
def test_a_patch_only_shows_in_its_own_place():
    vae = toy_vae(patch_size=2, mid_block_add_attention=False)
    latents = torch.randn(1, 4, 16, 16)
    changed = latents.clone()
    changed[..., 0, 0] += 1
    # Group norms see the whole picture, so compare where the change is largest.
    difference = (vae.decode(changed).sample - vae.decode(latents).sample).abs().sum(1)[0]
    row, column = divmod(int(difference.argmax()), difference.shape[1])
    assert row < 32 and column < 32


@torch.no_grad()
def test_slicing_changes_nothing_and_tiling_keeps_the_size():
    vae = toy_vae(patch_size=2)
    pictures = torch.rand(2, 3, 64, 96) * 2 - 1
    latents = vae.encode(pictures).latent_dist.mode()
    whole = vae.decode(latents).sample
    vae.enable_slicing()
    assert torch.allclose(vae.decode(latents).sample, whole, atol=1e-5)
    vae.enable_tiling()
    tiled = vae.encode(pictures).latent_dist.mode()
    assert tiled.shape == latents.shape
    assert vae.decode(latents).sample.shape == pictures.shape
    vae.disable_tiling()
    assert torch.allclose(vae.decode(latents).sample, whole, atol=1e-5)


def test_sides_that_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="30x32 px: both sides must be multiples of 4"):
        toy_vae(patch_size=2).encode(torch.zeros(1, 3, 32, 30))


def test_save_and_load_keep_every_bit(tmp_path):
    vae = toy_vae(patch_size=2, latents_mean=(0.0, 1.0, 2.0, 3.0), latents_std=(1.0, 2.0, 3.0, 4.0))
    vae.save_pretrained(tmp_path)
    loaded = type(vae).from_pretrained(tmp_path)
    assert loaded.config.patch_size == 2
    assert tuple(loaded.config.latents_std) == (1.0, 2.0, 3.0, 4.0)
    for name, value in vae.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value)
