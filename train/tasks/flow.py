"""The network that completes drags to a flow, trained on rendered pairs (InstantDrag, arXiv:2409.08857, section 3.2).

Without an adversary: on rendered flow the absolute error alone is sharp enough, and deterministic.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from faces.flow import flow_colours
from faces.networks import network_input
from pipelines.drag.flow_generator import FlowGenerator
from pipelines.drag.sparse_map import VECTOR_SCALE, draw_splats
from train.data.heads import CARD
from train.data.motion import MotionPairs
from train.draws import Draws
from train.grid import save_grid
from train.tasks import Task

COUNTS = (1, 3, 5, 10, 68)
"""Numbers of drags at which flows are measured."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FlowConfig:
    """Data, shape and losses of the flow generator."""

    kind: ClassVar[str] = "flow"
    shards: Path = Path("data/motion")
    heldout: Path = Path("data/motion-dev")
    start: Path | None = None
    "Folder of a flow generator to continue from."
    size: int = 64
    "Side of the grid that flow is predicted on."
    channels: tuple[int, ...] = (32, 48, 48, 48, 48, 48)
    layers: int = 1
    "Residual layers of a block."
    background_weight: float = 0.3
    "Of the error where no head is, relative to the head."
    drag_weight: float = 0.2
    "Of the error at the points that are dragged."


class FlowTask(Task):
    """Trains a `FlowGenerator` that draws drags as splats."""

    Config = FlowConfig
    card = CARD

    def __init__(self, config: FlowConfig) -> None:
        super().__init__(config)
        self.device = torch.device("cpu")
        self.images = self.flows = self.heads = torch.empty(0)

    def build(self) -> nn.Module:
        """Return the network."""
        config = self.config
        if config.start:
            return FlowGenerator.from_pretrained(config.start)
        return FlowGenerator(
            in_channels=6, block_out_channels=config.channels, layers_per_block=config.layers, norm_num_groups=8,
            dropout=0.0, sample_size=config.size, output="linear",
        )  # fmt: skip

    def place(self, device: torch.device) -> None:
        """Remember where pictures go."""
        self.device = device

    def dataset(self) -> MotionPairs:
        """Return the pairs; pictures, flows and heads lie on the device."""
        pairs = MotionPairs(self.config.shards)
        self.images, self.flows, self.heads = (
            torch.from_numpy(np.array(x)).to(self.device) for x in (pairs.image, pairs.flow, pairs.head)
        )
        return pairs

    def sample(self, dataset: MotionPairs, index: int, rng: np.random.Generator) -> dict[str, Any]:
        """A picture's number, and drags that take it to its partner."""
        drags = dataset.drags(index, rng)
        return {"index": index, "sources": drags.sources, "vectors": drags.vectors, "known": drags.known}

    def loss(self, model: Any, batch: dict[str, Any], draws: Draws):
        """Absolute error of the flow on the head, beside it, and at the drags."""
        frames, flow, head = self.pictures(batch["index"])
        places, vectors = (batch[name] / frames.shape[-1] for name in ("sources", "vectors"))
        mirror = draws.bernoulli(0.5)
        frames, flow, head, places, vectors = mirrored(mirror, frames, flow, head, places, vectors)
        told = predict(model, frames, places, vectors, batch["known"], self.config.size)
        error = (told - flow).abs().sum(dim=1, keepdim=True)
        on_head = (error * head).sum() / head.sum().clamp(min=1)
        beside = (error * (1 - head)).sum() / (1 - head).sum().clamp(min=1)
        at_drags = self._missed(told, places, vectors * VECTOR_SCALE, batch["known"])
        total = on_head + self.config.background_weight * beside + self.config.drag_weight * at_drags
        return total, {
            "head": on_head.detach(), "background": beside.detach(), "drags": at_drags.detach(),
        }  # fmt: skip

    def pictures(self, index: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Frames (n, 3, S, S) in [-1, 1], flow (n, 2, g, g) in the generator's unit, and heads (n, 1, g, g)."""
        size = self.config.size
        frames = network_input(self.images[index])
        head = self.heads[index][:, None].float()
        flow = self.flows[index].movedim(-1, 1).float() * (VECTOR_SCALE / frames.shape[-1])
        part = functional.interpolate(head, size=(size, size), mode="area")
        # The mean of the head's own motion: a silhouette moves wholly or not at all.
        flow = functional.interpolate(flow * head, size=(size, size), mode="area") / part.clamp(min=1e-3)
        head = (part > 0.5).float()
        return frames, flow * head, head

    @staticmethod
    def _missed(told, places, vectors, known) -> torch.Tensor:
        at = functional.grid_sample(told, places[:, None] * 2 - 1, padding_mode="border", align_corners=False)
        missed = (at[:, :, 0].movedim(1, 2) - vectors).abs().sum(dim=2) * known
        return missed.sum() / known.sum().clamp(min=1)

    @torch.no_grad()
    def validate(self, model: Any, step: int, folder: Path) -> dict[str, float]:
        """End-point error on heads in pixels of the frame, by number of drags, and of no flow at all; a sheet."""
        pairs = MotionPairs(self.config.heldout)
        device = next(model.parameters()).device
        chosen = np.arange(0, len(pairs), max(1, len(pairs) // 128))[:128]
        frames = network_input(torch.from_numpy(np.stack([pairs.image[i] for i in chosen])))
        truth = np.stack([pairs.flow[i] for i in chosen]).astype(np.float32)
        heads = np.stack([pairs.head[i] for i in chosen])
        numbers = {"still": float(np.linalg.norm(truth, axis=-1)[heads].mean())}
        drawn = []
        for count in COUNTS:
            drags = [pairs.drags(int(i), np.random.default_rng(int(i)), count) for i in chosen]
            side = frames.shape[-1]
            places, vectors, known = (
                torch.from_numpy(np.stack([getattr(one, name) for one in drags]))
                for name in ("sources", "vectors", "known")
            )
            told = predict(
                model,
                *(x.to(device) for x in (frames, places / side, vectors / side, known)),
                self.config.size,
            )
            flow = functional.interpolate(told.float().cpu(), size=(side, side), mode="bilinear")
            flow = flow.movedim(1, -1).numpy() * (side / VECTOR_SCALE)
            numbers[f"error_{count}"] = float(np.linalg.norm(flow - truth, axis=-1)[heads].mean())
            drawn.append(flow)
        longest = float(np.quantile(np.linalg.norm(truth, axis=-1), 0.999))
        rows = [np.stack([flow_colours(one, longest) for one in flows[:12]]) for flows in (truth, *drawn)]
        save_grid(folder / f"step-{step:08d}.png", [np.stack([pairs.image[i] for i in chosen[:12]]), *rows])
        return numbers

    def export(self, model: Any, folder: Path) -> None:
        """Write the network in fp16, as `from_pretrained` reads it."""
        model.to(torch.float16).save_pretrained(folder)
        model.to(torch.float32)


def predict(
    model: Any,
    frames: torch.Tensor,
    places: torch.Tensor,
    vectors: torch.Tensor,
    known: torch.Tensor,
    size: int,
) -> torch.Tensor:
    """Answer of a flow generator, (n, 2, g, g), as `DragPipeline.predict_flow` asks it.

    Args:
        model: the generator.
        frames: (n, 3, S, S) in [-1, 1].
        places: (n, k, 2) shares of the frame's width.
        vectors: (n, k, 2) likewise.
        known: (n, k) bool.
        size: side of its grid.
    """
    pictures = functional.interpolate(frames, size=(size, size), mode="area")
    return model(torch.cat([pictures, draw_splats(places, vectors, known, size)], dim=1))


def mirrored(
    mirror: torch.Tensor,
    frames: torch.Tensor,
    flow: torch.Tensor,
    head: torch.Tensor,
    places: torch.Tensor,
    vectors: torch.Tensor,
) -> tuple[torch.Tensor, ...]:
    """Mirror the samples that `mirror` (n,) names: pictures, flow, head, places in shares of the width, vectors."""
    turn = torch.tensor([-1.0, 1.0], device=frames.device)
    rows, maps = mirror.view(-1, 1, 1), mirror.view(-1, 1, 1, 1)
    flipped = torch.stack([1 - places[..., 0], places[..., 1]], dim=-1)
    return (
        torch.where(maps, frames.flip(-1), frames),
        torch.where(maps, flow.flip(-1) * turn.view(1, 2, 1, 1), flow),
        torch.where(maps, head.flip(-1), head),
        torch.where(rows, flipped, places),
        torch.where(rows, vectors * turn, vectors),
    )
