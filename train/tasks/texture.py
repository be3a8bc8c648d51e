"""The denoiser that completes textures, trained on exact ones and on masks of what pictures show of a head.

It is a masked diffusion in texture space (AvatarTex, arXiv:2511.06721, its completion stage) that answers with the
clean texture less the mean of all, and is sometimes shown nothing, so that it serves RePaint (arXiv:2201.09865) too.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from diffusers import UNet2DModel
from torch import nn

from faces.networks import network_input
from pipelines.pixels import fold, unfold
from pipelines.texture.conditioning import CONDITION_CHANNELS, FOLD, TEXTURE_CHANNELS, condition
from pipelines.texture.manifold import TextureManifold
from pipelines.texture.pipeline import TexturePipeline
from pipelines.texture.template import HeadTemplate
from train.data.heads import CARD
from train.data.textures import Textures, Views
from train.draws import Draws
from train.grid import save_grid, to_uint8
from train.noise import noised, sample_scheduler
from train.overrides import ConfigError
from train.tasks import Task

_MAP = (3 + 1) * FOLD**2
_MIRRORED = slice(_MAP, 2 * _MAP)
"""Channels of a condition that hold the mirror image of what is known."""
_UNSEEN = 0.1
"""Weight below which a texel counts as unseen where results are measured."""
_FEWEST = 64
"""Texels of a region below which a texture has no PSNR there: it would be that of a few."""
_PINNED = 0.5
"""Weight from which on texels are set in every answer of the denoiser, as the pipeline does."""
_LINEAR = 1000
"""Textures that the linear model in comparisons learns from."""
_VALIDATED = 48
_STEPS, _BATCH = 10, 16


@dataclass(frozen=True, kw_only=True, slots=True)
class TextureConfig:
    """Data, shape and losses of the texture model."""

    kind: ClassVar[str] = "texture"
    textures: Path = Path("data/textures")
    heldout: Path = Path("data/textures-dev")
    template: Path = Path("weights/mini/head_template")
    "Folder of the `HeadTemplate`."
    start: Path | None = None
    "Folder of a denoiser to continue from."
    size: int = 128
    "Texels of a side."
    channels: tuple[int, ...] = (40, 64, 80)
    masks: int = 512
    "Masks of random heads that samples choose from."
    components: int = 50
    "Of the linear model that is exported, and of that which results are compared with."
    manifold_size: int = 64
    "Texels of a side of the components of the exported one; of the other they are as fine as the textures."
    drop_all: float = 0.1
    "Share of the samples that are shown nothing."
    drop_mirrored: float = 0.15
    "Share of the samples that are not shown the mirror image."
    seen_weight: float = 0.2
    "Weight of a fully known texel; of a hidden one it is 1."
    noise_power: float = 1.0
    "Above 1, more samples are noisy."


class TextureTask(Task):
    """Trains the denoiser of textures."""

    Config = TextureConfig
    card = CARD

    def __init__(self, config: TextureConfig) -> None:
        super().__init__(config)
        self.scheduler = sample_scheduler()
        self.signal = self.scheduler.alphas_cumprod
        self.template = HeadTemplate.from_pretrained(config.template)
        self.layout = self.template.layout(config.size)
        self.device = torch.device("cpu")
        self.images = torch.empty(0)
        self.views: Views | None = None
        self._mean: torch.Tensor | None = None
        self._exported: TextureManifold | None = None
        self._linear: TextureManifold | None = None

    def build(self) -> nn.Module:
        """Return the denoiser."""
        config = self.config
        if config.start:
            return UNet2DModel.from_pretrained(config.start)
        count = len(config.channels)
        return UNet2DModel(
            sample_size=config.size // FOLD, in_channels=TEXTURE_CHANNELS + CONDITION_CHANNELS,
            out_channels=TEXTURE_CHANNELS, layers_per_block=1, block_out_channels=config.channels,
            down_block_types=("DownBlock2D",) * count, up_block_types=("UpBlock2D",) * count, norm_num_groups=8,
        )  # fmt: skip

    def place(self, device: torch.device) -> None:
        """Remember where textures go."""
        self.device = device

    def dataset(self) -> Textures:
        """Return the textures, which lie on the device; masks are made where there are none yet."""
        config = self.config
        data = self._textures(config.textures)
        self.views = Views(config.textures, self.template, config.size, count=config.masks)
        self.images = torch.from_numpy(np.array(data.image)).to(self.device)
        return data

    @property
    def mean(self) -> torch.Tensor:
        """Mean texture of the training set, (3, s, s) in [-1, 1]."""
        if self._mean is None:
            self._mean = self._textures(self.config.textures).mean()
        return self._mean

    def sample(self, dataset: Textures, index: int, rng: np.random.Generator) -> dict[str, Any]:
        """Number of a texture, and how well it is known."""
        assert self.views is not None  # `dataset` comes first
        return {"index": index, "weight": self.views.draw(rng)[None]}

    def loss(self, model: Any, batch: dict[str, Any], draws: Draws):
        """Absolute error of the estimate of the texture, more where it is hidden."""
        config = self.config
        goal, weight = network_input(self.images[batch["index"]]), batch["weight"]
        mirror = draws.bernoulli(0.5).view(-1, 1, 1, 1)
        both = torch.cat([goal, weight], dim=1)
        goal, weight = torch.where(mirror, self.layout.mirrored(both), both).split([3, 1], dim=1)
        weight = weight * ~draws.bernoulli(config.drop_all).view(-1, 1, 1, 1)
        mean = self.mean.to(goal)
        shown = condition(goal, weight, mean, self.layout)
        shown[:, _MIRRORED] *= ~draws.bernoulli(config.drop_mirrored).view(-1, 1, 1, 1)
        clean = fold(goal - mean, FOLD)
        noisy, timesteps = noised(clean, self.signal, draws, config.noise_power)
        estimate = model(torch.cat([noisy, shown], dim=1), timesteps, return_dict=False)[0].float()
        missed = unfold((estimate - clean).abs(), FOLD)
        valid = torch.from_numpy(self.layout.valid).to(goal)
        importance = (1 - (1 - config.seen_weight) * weight) * valid
        error = (missed * importance).mean() / importance.mean()
        hidden = (weight < _UNSEEN) * valid
        return error, {
            "error": error.detach(),
            "hidden": (missed.detach() * hidden).sum() / (3 * hidden.sum()).clamp(min=1),
        }

    @torch.no_grad()
    def validate(self, model: Any, step: int, folder: Path) -> dict[str, float]:
        """PSNR of hidden texels, those whose mirror image is seen and the rest, beside simple guesses; a sheet."""
        config = self.config
        data = self._textures(config.heldout)
        count = min(_VALIDATED, len(data))
        views = Views(config.heldout, self.template, config.size, count=count, seed=1)
        truth = network_input(torch.from_numpy(np.array(data.image[:count])))
        weight = torch.from_numpy(np.array(views.masks))[:, None].float() / 255
        known = torch.where(weight > 0, truth, 0)
        guesses = {"model": self._completed(model, known, weight), **self.baselines(known, weight)}
        regions = self._regions(weight)
        blended = known * weight + guesses["model"] * (1 - weight)
        rows = [to_uint8(x[:12]) for x in (torch.where(weight > 0, known, 1.0), blended, truth)]
        save_grid(folder / f"step-{step:08d}.png", rows)
        return {
            f"psnr_{name}_{region}": psnr(guess, truth, inside)
            for name, guess in guesses.items()
            for region, inside in regions.items()
        }

    def baselines(self, known: torch.Tensor, weight: torch.Tensor) -> dict[str, torch.Tensor]:
        """What a texture is guessed to be without a denoiser.

        Args:
            known: (n, 3, s, s) in [-1, 1].
            weight: (n, 1, s, s) in 0..1.

        Returns:
            (n, 3, s, s) each: "mean"; "fitted", the mean in the colours of what is seen; "mirror", the mirror image
            and else the fitted mean; "pca", the likeliest texture of a linear model.
        """
        if self._linear is None:
            self._linear = self._manifold(self.config.size, most=_LINEAR)
        fitted = fitted_mean(self.mean, known, weight)
        other = self.layout.mirrored(torch.cat([known * weight, weight], dim=1))
        mirrored = other[:, :3] / other[:, 3:].clamp(min=1e-6)
        return {
            "mean": self.mean.expand_as(known),
            "fitted": fitted,
            "mirror": torch.where(other[:, 3:] >= _UNSEEN, mirrored, fitted),
            "pca": self._linear.decode(self._linear.fit(known, weight), self.config.size),
        }

    def assemble(self, model: Any) -> TexturePipeline:
        """The whole pipeline around the denoiser."""
        if self._exported is None:
            self._exported = self._manifold(self.config.manifold_size)
        return TexturePipeline(
            unet=model, scheduler=self.scheduler, template=self.template, manifold=self._exported
        )

    def export(self, model: Any, folder: Path) -> None:
        """Write the whole pipeline in fp16, as `from_pretrained` reads it; its manifold holds the mean texture."""
        pipe = self.assemble(model).to(torch.float16)
        pipe.save_pretrained(folder)
        pipe.to(torch.float32)

    def _completed(self, model: Any, known: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """One completion of each texture, (n, 3, s, s) in [-1, 1] on the CPU."""
        pipe = self.assemble(model).to(next(model.parameters()).device)
        pipe.set_progress_bar_config(disable=True)
        generator = torch.Generator().manual_seed(5)
        drawn = [
            pipe.complete(
                pipe.show(some, share, share >= _PINNED), num_inference_steps=_STEPS, generator=generator
            )
            for some, share in zip(known.split(_BATCH), weight.split(_BATCH), strict=True)
        ]
        return torch.cat(drawn).cpu()

    def _manifold(self, size: int, most: int | None = None) -> TextureManifold:
        """Linear model of the training set, with components of size x size texels, from at most so many textures."""
        image = self._textures(self.config.textures).image
        chosen = np.array(image[:: max(1, len(image) // most)] if most else image)
        count, side = min(self.config.components, len(chosen) - 1), min(size, self.config.size)
        return TextureManifold.from_textures(network_input(torch.from_numpy(chosen)), count, size=side)

    def _textures(self, folder: Path) -> Textures:
        data = Textures(folder)
        if data.size != self.config.size:
            raise ConfigError(f"{folder}: textures of {data.size} texels; task.size is {self.config.size}")
        return data

    def _regions(self, weight: torch.Tensor) -> dict[str, torch.Tensor]:
        """Hidden texels (n, 1, s, s) bool: all, those whose mirror image is seen, and the rest."""
        hidden = (weight < _UNSEEN) & torch.from_numpy(self.layout.valid)
        mirrored = self.layout.mirrored(weight) >= _UNSEEN
        return {"unseen": hidden, "mirrored": hidden & mirrored, "never": hidden & ~mirrored}


def fitted_mean(mean: torch.Tensor, known: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Stretch and shift each channel of the mean texture to what is seen of textures, (n, 3, s, s).

    Args:
        mean: (3, s, s).
        known: (n, 3, s, s).
        weight: (n, 1, s, s) in 0..1.
    """
    total = weight.sum(dim=(2, 3), keepdim=True).clamp(min=1e-6)
    x, y = ((weight * part).sum(dim=(2, 3), keepdim=True) / total for part in (mean, known))
    spread = (weight * (mean - x).square()).sum(dim=(2, 3), keepdim=True)
    slope = (weight * (mean - x) * (known - y)).sum(dim=(2, 3), keepdim=True) / spread.clamp(min=1e-6)
    return slope * (mean - x) + y


def psnr(guess: torch.Tensor, truth: torch.Tensor, inside: torch.Tensor) -> float:
    """Mean over textures of their PSNR in dB within a region; nan where no texture has enough of it.

    Args:
        guess: (n, 3, s, s) in [-1, 1], clipped to it.
        truth: likewise.
        inside: (n, 1, s, s) bool.
    """
    count = inside.sum(dim=(1, 2, 3))
    squared = (guess.clamp(-1, 1) - truth).square().mean(dim=1, keepdim=True) / 4
    error = (squared * inside).sum(dim=(1, 2, 3)) / count.clamp(min=1)
    chosen = error[count >= _FEWEST]
    return float(-10 * chosen.clamp(min=1e-10).log10().mean()) if len(chosen) else float("nan")
