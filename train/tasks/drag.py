"""The denoiser that draws what a flow asks for, trained on rendered pairs (InstantDrag, arXiv:2409.08857, section 3.3).

Beside picture and flow it sees the picture moved by the flow and the holes, so that a face is carried over and not
invented again. It learns from exact flow first and from the flow generator's own at the end.
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
from pipelines.drag.denoising import shown_beside_noise
from pipelines.drag.flow_generator import FlowGenerator
from pipelines.drag.pipeline import DragPipeline
from pipelines.drag.sparse_map import VECTOR_SCALE
from pipelines.drag.warping import resize_flow
from pipelines.pixels import fold, unfold
from train.data.heads import CARD
from train.data.motion import MotionPairs
from train.draws import Draws
from train.grid import save_grid, to_uint8
from train.noise import noised, sample_scheduler
from train.tasks import Task
from train.tasks.flow import mirrored, predict


@dataclass(frozen=True, kw_only=True, slots=True)
class DragConfig:
    """Data, shape and losses of the drag model."""

    kind: ClassVar[str] = "drag"
    shards: Path = Path("data/motion")
    heldout: Path = Path("data/motion-dev")
    flow: Path = Path("runs/flow/export")
    "Folder of the flow generator."
    start: Path | None = None
    "Folder of a denoiser to continue from."
    size: int = 128
    fold: int = 2
    "Side of the patches of pixels that become channels."
    channels: tuple[int, ...] = (40, 64, 80)
    predicted_share: float = 0.0
    "Share of the samples whose flow is the flow generator's."
    drop_flow: float = 0.05
    "Share of the samples without a flow, whose target is the picture itself."
    drop_all: float = 0.05
    "Share of the samples that are shown nothing."
    moved_weight: float = 2.0
    "Added to the weight of a pixel that moves or is uncovered."
    noise_power: float = 2.0
    "Above 1, more samples are noisy."


class DragTask(Task):
    """Trains the denoiser of a `DragPipeline`."""

    Config = DragConfig
    card = CARD

    def __init__(self, config: DragConfig) -> None:
        super().__init__(config)
        self.scheduler = sample_scheduler()
        self.signal = self.scheduler.alphas_cumprod
        self.device = torch.device("cpu")
        self.generator = FlowGenerator.from_pretrained(config.flow).eval().requires_grad_(False)
        self.images = self.flows = self.heads = torch.empty(0)

    def build(self) -> nn.Module:
        """Return the denoiser."""
        config = self.config
        if config.start:
            return UNet2DModel.from_pretrained(config.start)
        patch, count = 3 * config.fold**2, len(config.channels)
        return UNet2DModel(
            sample_size=config.size // config.fold, in_channels=3 * patch + 3, out_channels=patch, layers_per_block=1,
            block_out_channels=config.channels, down_block_types=("DownBlock2D",) * count,
            up_block_types=("UpBlock2D",) * count, norm_num_groups=8, add_attention=False,
        )  # fmt: skip

    def place(self, device: torch.device) -> None:
        """Move the flow generator, and remember where pictures go."""
        self.device = device
        self.generator.to(device)

    def dataset(self) -> MotionPairs:
        """Return the pairs; pictures, flows and heads lie on the device."""
        pairs = MotionPairs(self.config.shards)
        self.images, self.flows, self.heads = (
            torch.from_numpy(np.array(x)).to(self.device) for x in (pairs.image, pairs.flow, pairs.head)
        )
        return pairs

    def sample(self, dataset: MotionPairs, index: int, rng: np.random.Generator) -> dict[str, Any]:
        """Numbers of a picture and its partner, and drags between them."""
        drags = dataset.drags(index, rng)
        return {
            "index": index, "target": dataset.partner(index), "sources": drags.sources, "vectors": drags.vectors,
            "known": drags.known,
        }  # fmt: skip

    def loss(self, model: Any, batch: dict[str, Any], draws: Draws):
        """Absolute error of the estimate of the target, more where something moves."""
        config = self.config
        source, goal = (network_input(self.images[batch[name]]) for name in ("index", "target"))
        flow = self.flows[batch["index"]].movedim(-1, 1).float()
        places, vectors = (batch[name] / config.size for name in ("sources", "vectors"))
        mirror = draws.bernoulli(0.5)
        pictures, flow, _, places, vectors = mirrored(
            mirror,
            torch.cat([source, goal], dim=1),
            flow,
            self.heads[batch["index"]][:, None],
            places,
            vectors,
        )
        source, goal = pictures[:, :3], pictures[:, 3:]
        told = self._told(source, places, vectors, batch["known"])
        flow = torch.where((draws.uniform() < config.predicted_share).view(-1, 1, 1, 1), told, flow)
        kind = draws.uniform().view(-1, 1, 1, 1)
        still = kind < config.drop_flow
        flow, goal = torch.where(still, torch.zeros_like(flow), flow), torch.where(still, source, goal)
        side = config.size // config.fold
        shown = shown_beside_noise(source, flow, side, lambda x: fold(x, config.fold), sees_moved=True)
        shown = shown * (kind < 1 - config.drop_all)
        error = self._error(model, goal, source, flow, shown, draws)
        return error, {"error": error.detach()}

    @torch.no_grad()
    def _told(self, frames, places, vectors, known) -> torch.Tensor:
        """Flow of the flow generator, (n, 2, S, S) pixels."""
        side = self.generator.config.sample_size
        told = predict(self.generator, frames, places, vectors, known, side) * (side / VECTOR_SCALE)
        return resize_flow(told, (self.config.size, self.config.size))

    def _error(self, model, goal, source, flow, shown, draws) -> torch.Tensor:
        config = self.config
        clean = fold(goal, config.fold)
        noisy, timesteps = noised(clean, self.signal, draws, config.noise_power)
        estimate = unfold(
            model(torch.cat([noisy, shown], dim=1), timesteps, return_dict=False)[0], config.fold
        )
        changed = ((goal - source).abs().mean(dim=1, keepdim=True) / 0.1).clamp(max=1)
        weight = 1 + config.moved_weight * changed
        missed = ((estimate.float() - goal).square() + 1e-4).sqrt() * weight
        return missed.mean() / weight.mean()

    @torch.no_grad()
    def validate(self, model: Any, step: int, folder: Path) -> dict[str, float]:
        """PSNR of edits against the true pictures, by exact and by predicted flow, and of doing nothing; a sheet."""
        pairs = MotionPairs(self.config.heldout)
        pipe = self.assemble(model).to(next(model.parameters()).device)
        pipe.set_progress_bar_config(disable=True)
        chosen = np.arange(0, len(pairs), max(1, len(pairs) // 48))[:48]
        source, goal = (
            np.stack([pairs.image[i] for i in rows])
            for rows in (chosen, [pairs.partner(int(i)) for i in chosen])
        )
        frames = network_input(torch.from_numpy(source)).to(pipe.device)
        exact = torch.from_numpy(np.stack([pairs.flow[i] for i in chosen])).movedim(-1, 1).float()
        drags = [pairs.drags(int(i), np.random.default_rng(int(i)), 10) for i in chosen]
        places, vectors, known = (
            torch.from_numpy(np.stack([getattr(one, name) for one in drags])).to(pipe.device)
            for name in ("sources", "vectors", "known")
        )
        told = self._told(frames, places / self.config.size, vectors / self.config.size, known)
        drawn = [
            to_uint8(pipe.edit_with_flow(frames, flow, generator=torch.Generator().manual_seed(5)))
            for flow in (exact, told)
        ]
        save_grid(folder / f"step-{step:08d}.png", [rows[:12] for rows in (source, *drawn, goal)])
        names = ("still", "exact", "told")
        return {f"psnr_{name}": _psnr(rows, goal) for name, rows in zip(names, (source, *drawn), strict=True)}

    def assemble(self, model: Any) -> DragPipeline:
        """The whole pipeline around the denoiser."""
        return DragPipeline(flow_generator=self.generator, unet=model, scheduler=self.scheduler)

    def export(self, model: Any, folder: Path) -> None:
        """Write the whole pipeline in fp16, as `from_pretrained` reads it."""
        pipe = self.assemble(model).to(torch.float16)
        pipe.save_pretrained(folder)
        pipe.to(torch.float32)


def _psnr(pictures: np.ndarray, truth: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.square(pictures.astype(np.float32) - truth).mean()))
