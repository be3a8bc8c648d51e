"""An AutoencoderKL that folds patches of pixels into channels before its first convolution.

At 128 px on a CPU the full-size convolutions of a stock autoencoder cost most of its time; folding 4x4
patches first (space to depth, Shi et al. 2016, "Real-time single image ... sub-pixel CNN", section 2.2) keeps
the stock encoder and decoder and runs them on a quarter of the width and height.
"""

from __future__ import annotations

import torch
from diffusers import AutoencoderKL, ModelMixin  # noqa: F401 - diffusers looks for ModelMixin here when it loads
from diffusers.configuration_utils import register_to_config
from torch import nn
from torch.nn import functional


class FoldingConv2d(nn.Conv2d):
    """A convolution over patches: `fold` x `fold` pixels become channels first."""

    def __init__(self, channels: int, width: int, fold: int) -> None:
        super().__init__(channels * fold**2, width, 3, padding=1)
        self.fold = fold

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (n, channels, h, w) to (n, width, h / fold, w / fold)."""
        return super().forward(functional.pixel_unshuffle(x, self.fold))


class UnfoldingConv2d(nn.Conv2d):
    """A convolution whose channels are laid out again as patches of `fold` x `fold` pixels."""

    def __init__(self, width: int, channels: int, fold: int) -> None:
        super().__init__(width, channels * fold**2, 3, padding=1)
        self.fold = fold

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (n, width, h, w) to (n, channels, h * fold, w * fold)."""
        return functional.pixel_shuffle(super().forward(x), self.fold)


class PatchAutoencoderKL(AutoencoderKL):
    """AutoencoderKL over patches of `patch_size` x `patch_size` pixels; patch_size 1 is the stock model.

    The arguments are those of `AutoencoderKL`; `in_channels` and `out_channels` count those of the picture.
    Pictures are (n, 3, h, w) in [-1, 1] with h and w multiples of patch_size * 2 ** (blocks - 1). Slicing and
    tiling work as in the stock model, because the fold sits inside the first and the last convolution.
    """

    @register_to_config
    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 3,
        down_block_types: tuple[str, ...] = ("DownEncoderBlock2D",),
        up_block_types: tuple[str, ...] = ("UpDecoderBlock2D",),
        block_out_channels: tuple[int, ...] = (64,),
        layers_per_block: int = 1,
        act_fn: str = "silu",
        latent_channels: int = 4,
        norm_num_groups: int = 32,
        sample_size: int = 32,
        scaling_factor: float = 0.18215,
        shift_factor: float | None = None,
        latents_mean: tuple[float, ...] | None = None,
        latents_std: tuple[float, ...] | None = None,
        force_upcast: bool = True,
        use_quant_conv: bool = True,
        use_post_quant_conv: bool = True,
        mid_block_add_attention: bool = True,
        patch_size: int = 1,
    ) -> None:
        super().__init__(
            in_channels=in_channels,
            out_channels=out_channels,
            down_block_types=down_block_types,
            up_block_types=up_block_types,
            block_out_channels=block_out_channels,
            layers_per_block=layers_per_block,
            act_fn=act_fn,
            latent_channels=latent_channels,
            norm_num_groups=norm_num_groups,
            sample_size=sample_size,
            scaling_factor=scaling_factor,
            shift_factor=shift_factor,
            latents_mean=latents_mean,
            latents_std=latents_std,
            force_upcast=force_upcast,
            use_quant_conv=use_quant_conv,
            use_post_quant_conv=use_post_quant_conv,
            mid_block_add_attention=mid_block_add_attention,
        )
        if patch_size > 1:
            width = block_out_channels[0]
            self.encoder.conv_in = FoldingConv2d(in_channels, width, patch_size)
            self.decoder.conv_out = UnfoldingConv2d(width, out_channels, patch_size)
            # Tiles are counted in pixels and latents alike, so the fold multiplies the stock ratio of the
            # two.
            self.tile_latent_min_size = max(1, self.tile_latent_min_size // patch_size)

    @property
    def downscale(self) -> int:
        """Pixels of a picture's side for each latent of it."""
        return self.config.patch_size * 2 ** (len(self.config.block_out_channels) - 1)

    def _encode(self, x: torch.Tensor) -> torch.Tensor:
        height, width = x.shape[-2:]
        if height % self.downscale or width % self.downscale:
            raise ValueError(
                f"picture of {width}x{height} px: both sides must be multiples of {self.downscale}"
            )
        return super()._encode(x)
