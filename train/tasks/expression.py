"""The action unit adapter of `mini`: everything but the adapter is the frozen portrait model.

Heads with free combinations of action units teach it single ones, since the eight expressions never show them apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from faces import captions, vocabulary
from faces.head.expression import PROTOTYPES
from faces.perception import PerceptionNet
from faces.tower import FaceTower
from pipelines.expression.modules import BRANCH, ActionUnitAdapter
from pipelines.portrait.attention import AdapterContext, IdentityContext, install_adapter
from pipelines.portrait.pipeline import PortraitPipeline
from train.data.heads import unit_table, unit_weights
from train.data.portraits import PortraitData
from train.draws import Draws
from train.grid import save_grid, to_uint8
from train.moved import moved
from train.tasks.portrait import PortraitConfig, PortraitTask
from train.tasks.vae import face_window

_SWEEP: tuple[dict[str, float], ...] = (
    {}, *(units for name, units in PROTOTYPES.items() if name != "neutral"), {"AU12L": 1.0}, {"AU43R": 1.0},
)  # fmt: skip
"""What the sheet of a validation shows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExpressionConfig(PortraitConfig):
    """Data, shape and losses of the adapter; what it inherits concerns the frozen model and its conditions."""

    kind: ClassVar[str] = "expression"
    shards: Path = Path("data/expressions")
    heldout: Path = Path("data/dev-units")
    start: Path | None = Path("weights/mini")
    adapter: Path | None = None
    "Folder of an adapter to continue from."
    tokens: int = 6
    hidden: int = 192
    told_share: float = 0.3
    "Share of captions that name the expression: in the others action units alone tell it."
    all_share: float = 0.6
    "Share of samples whose action units are all specified; of half of the rest some are, of the other half none."
    teacher: Path | None = None
    "Folder of a `PerceptionNet` that reads action units off decoded estimates; wanted where `unit_weight` is above 0."
    unit_weight: float = 0.0
    unit_share: float = 0.125
    "Share of a batch whose estimates are decoded for the teacher, and for likeness."
    recognizer: Path = Path("weights/mini/recognizer")
    "What compares estimates with the target that they should come to, where `likeness_weight` is above 0."


class ExpressionTask(PortraitTask):
    """Trains an `ActionUnitAdapter`."""

    Config = ExpressionConfig

    def __init__(self, config: ExpressionConfig) -> None:
        self._unit_weights = torch.ones(len(vocabulary.UNIT_COLUMNS))
        self.teacher = PerceptionNet.load(config.teacher) if config.teacher else None
        self.recognizer = FaceTower.load(config.recognizer) if config.likeness_weight > 0 else None
        super().__init__(config)

    def build(self) -> nn.Module:
        """Return the frozen model with the adapter on it."""
        model = super().build()
        model.requires_grad_(False)
        if self.config.adapter:
            adapter = ActionUnitAdapter.from_pretrained(self.config.adapter, torch_dtype=torch.float32)
        else:
            adapter = ActionUnitAdapter.for_unet(
                model["unet"], num_tokens=self.config.tokens, hidden=self.config.hidden
            )
        install_adapter(model["unet"], BRANCH, adapter.attention)
        model["adapter"] = adapter
        return model

    def dataset(self) -> PortraitData:
        """Return the heads with what is cached of them; what the teacher misses counts alike for every unit."""
        data = super().dataset()
        self._unit_weights = torch.from_numpy(unit_weights(unit_table(data.heads.labels)))
        return data

    def _told(self, labels: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
        if rng.random() < self.config.told_share:
            return labels
        return {name: value for name, value in labels.items() if name != "expression"}

    def _beside(self, labels: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
        units = np.array([labels["au"][name] for name in vocabulary.UNIT_COLUMNS], np.float32)
        chance = rng.random()
        specified = np.full(len(units), chance < self.config.all_share)
        if self.config.all_share <= chance < (1 + self.config.all_share) / 2:
            specified = rng.random(len(units)) < rng.random()
        return {"units": units, "specified": specified}

    def _condition(self, model: Any, batch: dict[str, Any]) -> tuple[torch.Tensor, IdentityContext]:
        text, context = super()._condition(model, batch)
        tokens = model["adapter"](batch["units"], batch["specified"])
        return text, context._replace(adapters={BRANCH: AdapterContext(tokens)})

    def loss(self, model: Any, batch: dict[str, Any], draws: Draws):
        """Velocity error, what a teacher misses of the units in estimates, and how unlike the target they are.

        A teacher of units alone is pleased by other people's faces: likeness has to be asked for beside it.
        """
        masks = batch["masks"].float() / 255
        velocity, estimate, signal = self._velocity(model, batch, draws, masks)
        total, metrics = velocity, {"velocity": velocity.detach()}
        rows = ((signal > 0.15) & (signal < 0.95)).nonzero().flatten()
        rows = rows[: max(1, round(len(estimate) * self.config.unit_share))]
        if not len(rows) or (self.teacher is None and self.recognizer is None):
            return total, metrics
        pictures = self._decode(estimate[rows])
        if self.teacher is not None and self.config.unit_weight > 0:
            missed = self._missed(pictures, batch["units"][rows], batch["specified"][rows])
            total, metrics["missed"] = total + self.config.unit_weight * missed, missed.detach()
        if self.recognizer is not None:
            unlike = self._unlike(pictures, batch["latents"][rows].float())
            total, metrics["unlike"] = total + self.config.likeness_weight * unlike, unlike.detach()
        return total, metrics

    def _missed(self, pictures: torch.Tensor, units: torch.Tensor, specified: torch.Tensor) -> torch.Tensor:
        """Squared error of the specified units, as the teacher reads them off pictures."""
        assert self.teacher is not None  # asked for only where there is one
        mirror = torch.rand(len(pictures), device=pictures.device) < 0.5
        read = self.teacher(_shaken(pictures, mirror), ("action_units",))["action_units"].float()
        units, specified = (
            torch.where(mirror[:, None], vocabulary.flip_units(x), x) for x in (units, specified)
        )
        known = specified.float() * self._unit_weights.to(read.device)
        return ((read - units).square() * known).sum() / known.sum().clamp(min=1)

    def _unlike(self, pictures: torch.Tensor, clean: torch.Tensor) -> torch.Tensor:
        """Mean cosine distance of pictures to those that their latents should come to."""
        assert self.recognizer is not None  # asked for only where there is one
        with torch.no_grad():
            wanted = self.recognizer(face_window(self._decode(clean)))
        seen = self.recognizer(face_window(pictures))
        return (1 - functional.cosine_similarity(seen.float(), wanted.float(), dim=1)).mean()

    def assemble(self, model: Any) -> PortraitPipeline:
        """The portrait pipeline around the model, with the adapter in place."""
        pipe = super().assemble(model)  # it takes the attention of the denoiser for itself
        install_adapter(model["unet"], BRANCH, model["adapter"].attention)
        return pipe

    def _frozen(self) -> list[nn.Module]:
        return [*super()._frozen(), *(x for x in (self.teacher, self.recognizer) if x is not None)]

    def _save_sheet(self, model: Any, heads: Any, path: Path) -> None:
        """A row a person: nothing specified, seven expressions, a smile on the left, the right eye shut."""
        chosen = np.arange(0, 36, 6)
        pipe = self.assemble(model)
        people = pipe.encode_aligned(heads.image[chosen], heads.parsing[chosen])
        size = self.vae.config.sample_size if "sample_size" in self.vae.config else 128
        columns, device = [np.asarray(heads.image[chosen])], next(model.parameters()).device
        values, specified = model["adapter"].table(list(_SWEEP), len(_SWEEP))
        for units in values:
            everything = torch.ones_like(specified[0])
            told = (x[None].to(device) for x in (units, everything))
            tokens = model["adapter"](*told).expand(len(chosen), -1, -1)
            prompts = [captions.prompt(gender=heads.labels[k]["gender"], pose="frontal") for k in chosen]
            columns.append(self._drawn(pipe, model, prompts, people, tokens, size))
        save_grid(path, columns)

    def _drawn(self, pipe, model, prompts, people, tokens, size: int) -> np.ndarray:
        """Draw with 12 steps and no guidance but that of the adapter's condition; (n, s, s, 3) uint8."""
        _, text, ids, _ = pipe.encode_conditions(prompts, [""] * len(prompts), people)
        nothing = torch.zeros(1, len(vocabulary.UNIT_COLUMNS), device=tokens.device)
        free = model["adapter"](nothing, nothing)
        units = torch.cat([free.expand_as(tokens), tokens])
        scheduler = type(self.scheduler).from_config(self.scheduler.config)
        scheduler.set_timesteps(12)
        side = size // 8
        latents = torch.randn(
            len(prompts),
            self.vae.config.latent_channels,
            side,
            side,
            generator=torch.Generator().manual_seed(5),
        ).to(tokens.device)
        context = IdentityContext(ids, adapters={BRANCH: AdapterContext(units)})
        for t in scheduler.timesteps:
            both = self._denoise(model, torch.cat([latents] * 2), t, text, context)
            without, with_ = both.chunk(2)
            latents = scheduler.step(without + 2.5 * (with_ - without), t, latents).prev_sample
        return to_uint8(functional.interpolate(self._decode(latents), size=(size, size)))

    def export(self, model: Any, folder: Path) -> None:
        """Write the adapter in fp16."""
        model["adapter"].half().save_pretrained(folder)
        model["adapter"].float()


def _shaken(pictures: torch.Tensor, mirror: torch.Tensor) -> torch.Tensor:
    """Pictures (n, 3, s, s) mirrored where told (n,), a little moved and with noise on them, differentiable.

    What pleases a teacher on one grid of pixels alone is a pattern, and no expression.
    """
    seen = moved(pictures, mirror, shift=0.025, scale=0.03, rotation=0.04)
    return seen + 0.04 * torch.randn_like(seen)
