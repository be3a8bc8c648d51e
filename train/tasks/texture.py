"""The denoiser that completes textures, trained on exact ones and on masks of what pictures show of a head.

It is a masked diffusion in texture space (AvatarTex, arXiv:2511.06721, its completion stage) that answers with what a
clean texture has beside the likeliest one of the manifold, and is sometimes shown nothing else, so that it serves
RePaint (arXiv:2201.09865) too.
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
from pipelines.texture.camera import as_array
from pipelines.texture.conditioning import (
    CONDITION_CHANNELS,
    FOLD,
    KNOWN,
    MIRRORED,
    TEXTURE_CHANNELS,
    condition,
)
from pipelines.texture.delighting import delight
from pipelines.texture.guesses import SEEN, fitted_mean, mirrored, region_psnr, regions
from pipelines.texture.manifold import TextureManifold
from pipelines.texture.pipeline import TexturePipeline
from pipelines.texture.styles import STYLES, stylise
from pipelines.texture.template import HeadTemplate
from pipelines.texture.unwrapping import texel_normals
from train.data.heads import CARD
from train.data.textures import Textures, Views, lit, misread
from train.draws import Draws
from train.grid import save_grid, to_uint8
from train.noise import noised, sample_scheduler
from train.overrides import ConfigError
from train.tasks import Task

_PINNED = 0.5
"""Weight from which on texels are set in every answer of the denoiser, as the pipeline does."""
_LEARNT_FROM = 2048
"""Textures at most that the manifold is made of."""
_VALIDATED = 48
_STEPS, _BATCH = 10, 16


@dataclass(frozen=True, kw_only=True, slots=True)
class TextureConfig:
    """Data, shape and losses of the texture model."""

    kind: ClassVar[str] = "texture"
    textures: Path = Path("data/skins")
    heldout: Path = Path("data/textures-dev")
    template: Path = Path("weights/texture/template")
    "Folder of the `HeadTemplate`."
    start: Path | None = None
    "Folder of a denoiser to continue from."
    size: int = 128
    "Texels of a side."
    channels: tuple[int, ...] = (40, 56, 56, 56)
    masks: int = 512
    "Masks of random heads that samples choose from."
    components: int = 80
    "Of the manifold."
    manifold_size: int = 64
    "Texels of a side of its components."
    styled: float = 0.15
    "Share of the samples in another style than photoreal."
    lit: float = 0.2
    "Share of the samples that are seen in some light, which is to be taken off."
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
        self._normals = texel_normals(as_array(self.template.mean), self.template, config.size)
        self.views: Views | None = None
        self._manifold: TextureManifold | None = None

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
        """Return the textures; masks are made where there are none yet."""
        config = self.config
        self.views = Views(config.textures, self.template, config.size, count=config.masks)
        return self._textures(config.textures)

    @property
    def manifold(self) -> TextureManifold:
        """Of the training set, on the device."""
        if self._manifold is None:
            data = self._textures(self.config.textures)
            chosen = range(0, len(data), max(1, len(data) // _LEARNT_FROM))
            drawn = np.stack([data.draw(index, np.random.default_rng([0, index])) for index in chosen])
            count = min(self.config.components, len(drawn) - 1)
            side = min(self.config.manifold_size, self.config.size)
            textures = network_input(torch.from_numpy(drawn))
            self._manifold = TextureManifold.from_textures(textures, count, size=side).to(self.device)
        return self._manifold

    def sample(self, dataset: Textures, index: int, rng: np.random.Generator) -> dict[str, Any]:
        """A texture, what is read of it, and how well it is known."""
        assert self.views is not None  # `dataset` comes first
        texture = dataset.draw(index, rng)
        if rng.random() < self.config.styled:
            texture = stylise(texture, str(rng.choice(STYLES[1:])), int(rng.integers(2**31)))
        read, is_lit = misread(texture, rng), bool(rng.random() < self.config.lit)
        if is_lit:
            read = lit(read, self._normals, rng)
        return {"texture": texture, "read": read, "lit": is_lit, "weight": self.views.draw(rng)[None]}

    def loss(self, model: Any, batch: dict[str, Any], draws: Draws):
        """Absolute error of the estimate of the texture, more where it is hidden; in units of the manifold's noise."""
        config, unit = self.config, self.manifold.unit
        mirror = draws.bernoulli(0.5).view(-1, 1, 1, 1)
        both = torch.cat(
            [network_input(batch["texture"]), network_input(batch["read"]), batch["weight"]], dim=1
        )
        both = torch.where(mirror, self.layout.mirrored(both), both)
        goal, known, weight = both.split([3, 3, 1], dim=1)
        known = self._delit(known, weight, batch["lit"])
        is_lit = batch["lit"].view(-1, 1, 1, 1)
        kept = ~draws.bernoulli(config.drop_all).view(-1, 1, 1, 1)
        goal = torch.where(kept & ~is_lit & (weight >= _PINNED), known, goal)
        base = self.manifold.decode(self.manifold.fit(known, weight), config.size)
        shown = condition(
            (known - base) / unit, weight, base - self.manifold.mean_texture(config.size), self.layout
        )
        shown[:, KNOWN] *= kept
        shown[:, MIRRORED] *= ~draws.bernoulli(config.drop_mirrored).view(-1, 1, 1, 1)
        clean = fold((goal - base) / unit, FOLD)
        noisy, timesteps = noised(clean, self.signal, draws, config.noise_power)
        estimate = model(torch.cat([noisy, shown], dim=1), timesteps, return_dict=False)[0].float()
        missed = unfold((estimate - clean).abs(), FOLD)
        valid = torch.from_numpy(self.layout.valid).to(goal)
        importance = (1 - (1 - config.seen_weight) * weight * kept) * valid
        error = (missed * importance).mean() / importance.mean()
        hidden = (weight < SEEN) * valid
        return error, {
            "error": error.detach(),
            "hidden": (missed.detach() * hidden).sum() / (3 * hidden.sum()).clamp(min=1),
        }

    def _delit(self, known: torch.Tensor, weight: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """What is known, without its light in some rows (n,) bool."""
        if not rows.any():
            return known
        normals = torch.from_numpy(self._normals).to(known).movedim(-1, 0).expand_as(known)
        known = known.clone()
        known[rows] = delight(known[rows], weight[rows], normals[rows], self.manifold).known
        return known

    @torch.no_grad()
    def validate(self, model: Any, step: int, folder: Path) -> dict[str, float]:
        """PSNR of hidden texels, those whose mirror image is seen and the rest, beside simple guesses; a sheet."""
        config = self.config
        data = self._textures(config.heldout)
        count = min(_VALIDATED, len(data))
        views = Views(config.heldout, self.template, config.size, count=count, seed=1)
        pictures = [data.draw(index, np.random.default_rng([1, index])) for index in range(count)]
        truth = network_input(torch.from_numpy(np.stack(pictures)))
        weight = torch.from_numpy(np.array(views.masks))[:, None].float() / 255
        known = torch.where(weight > 0, truth, 0)
        guesses = {"model": self._completed(model, known, weight), **self.baselines(known, weight)}
        blended = known * weight + guesses["model"] * (1 - weight)
        rows = [to_uint8(x[:12]) for x in (torch.where(weight > 0, known, 1.0), blended, truth)]
        save_grid(folder / f"step-{step:08d}.png", rows)
        return {
            f"psnr_{name}_{region}": float(region_psnr(guess, truth, inside).nanmean())
            for name, guess in guesses.items()
            for region, inside in regions(weight, self.layout).items()
        }

    def baselines(self, known: torch.Tensor, weight: torch.Tensor) -> dict[str, torch.Tensor]:
        """What a texture is guessed to be without a denoiser.

        Args:
            known: (n, 3, s, s) in [-1, 1].
            weight: (n, 1, s, s) in 0..1.

        Returns:
            (n, 3, s, s) each: "mean"; "fitted", the mean in the colours of what is seen; "mirror", the mirror image
            and else the fitted mean; "pca", the likeliest texture of the manifold.
        """
        manifold, size = self.manifold.cpu(), self.config.size
        mean = manifold.mean_texture(size)
        fitted = fitted_mean(mean, known, weight)
        pca = manifold.decode(manifold.fit(known, weight), size)
        self.manifold.to(self.device)
        return {
            "mean": mean.expand_as(known),
            "fitted": fitted,
            "mirror": mirrored(known, weight, fitted, self.layout),
            "pca": pca,
        }

    def assemble(self, model: Any) -> TexturePipeline:
        """The whole pipeline around the denoiser."""
        return TexturePipeline(
            unet=model, scheduler=self.scheduler, template=self.template, manifold=self.manifold
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

    def _textures(self, folder: Path) -> Textures:
        data = Textures(folder)
        if data.size != self.config.size:
            raise ConfigError(f"{folder}: textures of {data.size} texels; task.size is {self.config.size}")
        return data
