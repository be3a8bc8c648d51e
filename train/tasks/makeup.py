"""The makeup model of `mini`: denoiser, two ControlNets, image encoder, adapter and encoder of looks, in pixel space.

Trained on rendered pairs, after Stable-Makeup (arXiv:2403.07764), with two changes. The condition is dropped, and a
dropped one means "leave the face as it is": guidance then is the strength of makeup, and 0 gives the face back. And the
look comes as a photograph, as a code or as colours, so that one denoiser takes them all.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from diffusers.models.attention_processor import AttnProcessor
from torch import nn
from torch.nn import functional
from transformers import CLIPImageProcessorPil

from faces import vocabulary
from faces.alignment import crop_face_tensor
from faces.networks import network_input
from pipelines.makeup.attention import install_makeup_attention
from pipelines.makeup.modules import cut
from pipelines.makeup.pipeline import MakeupPipeline
from pipelines.makeup.structure import draw_structure
from pipelines.makeup.window import cut_out, face_corner, put_back
from pipelines.pixels import fold, unfold
from train.data.heads import CARD
from train.data.makeup import MakeupPairs
from train.draws import Draws
from train.grid import save_grid, to_uint8
from train.losses import contrastive_loss, covariance_penalty
from train.moved import moved
from train.noise import noised, sample_scheduler
from train.tasks import Task
from train.tasks.makeup_parts import PARTS, load_parts, make_parts, predicts_change
from train.tasks.makeup_scores import found_share, left_share, told_share

_CHANGED = 0.05
"Difference of a pixel, of 2, from which it counts as wholly made up."
_JITTER = 0.05
"How far windows lie from where a pipeline puts them at most, as a share of the frame."
_AWAY = 0.1
"Weight of a pixel away from the face."


@dataclass(frozen=True, kw_only=True, slots=True)
class MakeupConfig:
    """Data, shapes and losses of the makeup model."""

    kind: ClassVar[str] = "makeup"
    shards: Path = Path("data/makeup")
    heldout: Path = Path("data/makeup-dev")
    start: Path | None = None
    "Folder of an exported model to continue from."
    looks_only: bool = False
    "Train image encoder and makeup encoder alone, to read looks: some hundred times cheaper, so it comes first."
    attention_only: bool = False
    "Train what takes in looks alone, in half the time: encoders, adapter, and the denoiser's attention."
    looks: Path | None = None
    "Folder of an exported model from which these two are taken."
    size: int = 128
    window: int = 72
    "Side of the window around a face that is denoised in training: a third of the cost of a frame of 128."
    fold: int = 2
    "Side of the patches of pixels that become channels."
    channels: tuple[int, ...] = (48, 48, 64)
    token_dim: int = 64
    encoder_layers: int = 4
    encoder_stem: tuple[int, ...] = (24, 48)
    encoder_size: int = 96
    code_dim: int = 64
    lengths: tuple[int, ...] = (16, 64)
    bare_share: float = 0.5
    "Share of sources that are bare; the others wear another look."
    keep_share: float = 0.1
    "Share of samples without a look, whose target is the source."
    code_share: float = 0.15
    "Share of samples whose look is a code read off the reference."
    colours_share: float = 0.15
    "Share of samples whose look is given as colours."
    coarse_steps: int = 1500
    "Steps in which codes open from their shortest length to their whole."
    makeup_weight: float = 6.0
    "Added to the weight of a pixel that makeup changes."
    eye_weight: float = 6.0
    "Added to the weight of eyes and what lies around them, where a liner is two pixels wide."
    contrast_weight: float = 0.05
    vector_weight: float = 0.5
    leak_weight: float = 1.0
    "Of what codes have in common with what their wearers look like bare."
    noise_power: float = 2.0
    "Above 1, more samples are noisy: only there the look has to be taken from the reference."
    temperature: float = 0.1


class MakeupTask(Task):
    """Trains all parts of a `MakeupPipeline`."""

    Config = MakeupConfig
    card = CARD

    def __init__(self, config: MakeupConfig) -> None:
        super().__init__(config)
        self.scheduler = sample_scheduler()
        self.signal = self.scheduler.alphas_cumprod
        self.device = torch.device("cpu")
        self.images = self.faces = self.eyes = torch.empty(0)

    def build(self) -> nn.Module:
        """Return everything that a pipeline holds."""
        config = self.config
        if config.start:
            parts = load_parts(config.start) | self._taken()
            if not predicts_change(config.start):  # from a model that answered with whole pictures
                nn.init.zeros_(parts["unet"].conv_out.weight)  # type: ignore[arg-type]
                nn.init.zeros_(parts["unet"].conv_out.bias)  # type: ignore[arg-type]
            return self._installed(nn.ModuleDict(parts))
        return self._installed(nn.ModuleDict(make_parts(config) | self._taken()))

    def _taken(self) -> dict[str, nn.Module]:
        looks = self.config.looks
        return {} if looks is None else load_parts(looks, ("image_encoder", "makeup_encoder"))

    def _installed(self, model: nn.ModuleDict) -> nn.ModuleDict:
        if self.config.looks_only:
            for name in PARTS:
                model[name].requires_grad_(name in ("image_encoder", "makeup_encoder"))
            model["makeup_encoder"].to_tokens.requires_grad_(False)
            model["makeup_encoder"].token_norm.requires_grad_(False)
        if self.config.attention_only:
            for name in ("content_controlnet", "structure_controlnet"):
                model[name].requires_grad_(False)
            for name, parameter in model["unet"].named_parameters():
                # With frozen group norms torch 2.13 crashes in the backward pass.
                parameter.requires_grad_("conv" not in name or ".attentions." in name)
        if not torch.accelerator.is_available():
            # Plain products in the other layers too; see `pipelines.portrait.attention.attend`.
            model["unet"].set_attn_processor(AttnProcessor())  # type: ignore[operator]
        install_makeup_attention(model["unet"], model["adapter"].attention)  # type: ignore[arg-type]
        return model

    def place(self, device: torch.device) -> None:
        """Remember where pictures go."""
        self.device = device

    def dataset(self) -> MakeupPairs:
        """Return the pairs; all pictures lie on the device, which then cuts and mixes them itself."""
        pairs = MakeupPairs(self.config.shards)
        self.images = torch.from_numpy(np.array(pairs.heads.image)).to(self.device)
        self.faces, self.eyes = (
            torch.from_numpy(np.isin(pairs.heads.parsing, vocabulary.PARTS[name])).to(self.device)
            for name in ("face", "eyes")
        )
        return pairs

    def sample(self, dataset: MakeupPairs, index: int, rng: np.random.Generator) -> dict[str, Any]:
        """A target, the same face in other makeup, two other people who wear the target's look."""
        references = np.array([dataset.reference(index, rng) for _ in range(2)])
        looks = {
            "references": references,
            "wearers": dataset.bare[references],
            "vector": dataset.vectors[index],
            "style": int(dataset.style[index]),
        }
        if self.config.looks_only:
            return looks
        landmarks, size = np.array(dataset.heads.landmarks[index]), self.config.size
        landmarks = landmarks + rng.normal(0, 0.6, landmarks.shape) * rng.random()
        return looks | {
            "target": index,
            "source": dataset.source(index, rng, self.config.bare_share),
            "structure": draw_structure(landmarks, size),
            "corner": face_corner(
                landmarks, size, self.config.window, rng.uniform(-_JITTER, _JITTER, 2) * size
            ),
        }

    def loss(self, model: Any, batch: dict[str, Any], draws: Draws):
        """What makes codes of looks, and the error of the estimate of the target."""
        config, encoder = self.config, model["makeup_encoder"]
        kind = draws.uniform()
        keep = kind < (0 if config.looks_only else config.keep_share)
        # Colours want all bits; and on a CPU this small transformer is faster with them.
        with torch.autocast(kind.device.type, enabled=False):
            first, second = (self._seen(self.images[batch["references"][:, k]]) for k in range(2))
            first = torch.where(keep.view(-1, 1, 1, 1), torch.zeros_like(first), first)
            states = model["image_encoder"](
                torch.cat([first, second]), output_hidden_states=True
            ).hidden_states
            codes, told = encoder(states), encoder.encode_vectors(batch["vector"].float())
        opened, count = self._opened(draws.step), len(first)
        total, parts = self._look_losses(model, codes, told, batch, ~keep, opened)
        if not config.looks_only:
            photo = model["adapter"]([x[:count] for x in states])
            of_code, of_colours = (encoder.tokens(cut(x, opened)) for x in (codes[:count], told))
            tokens, mask = self._chosen(photo, of_code, of_colours, kind)
            error = self._error(model, self._pictures(batch, keep, draws), tokens, mask, draws)
            total, parts["error"] = total + error, error
        return total, {name: value.detach() for name, value in parts.items()}

    def _look_losses(
        self, model, codes, told, batch, known, opened
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Codes of both references and of the colours tell the colours, find each other, and tell nothing else."""
        config, count = self.config, len(told)
        everything = torch.cat([codes, told])
        known = torch.cat([known, torch.ones(2 * count, dtype=torch.bool, device=known.device)])
        read = model["makeup_encoder"].to_vector(everything).float()
        vector = (read - batch["vector"].float().repeat(3, 1)).square().mean(dim=1)[known].mean()
        contrast = contrastive_loss(
            cut(everything[known].float(), opened), batch["style"].repeat(3)[known], config.temperature
        )
        wearers = functional.adaptive_avg_pool2d(
            network_input(self.images[batch["wearers"][:, 1]]), 4
        ).flatten(1)
        leak = covariance_penalty(codes[count:] - told.detach(), wearers)
        total = config.vector_weight * vector + config.contrast_weight * contrast + config.leak_weight * leak
        return total, {"vector": vector, "contrast": contrast, "leak": leak}

    def _pictures(self, batch, keep, draws) -> tuple[torch.Tensor, ...]:
        """Targets, sources, drawings, masks of faces and of eyes, (n, c, w, w) of windows, half of them mirrored."""
        goal, source = (network_input(self.images[batch[name]]) for name in ("target", "source"))
        structure = batch["structure"].movedim(-1, 1).float() / 255
        face, eyes = (x[batch["target"]][:, None].float() for x in (self.faces, self.eyes))
        goal = torch.where(keep.view(-1, 1, 1, 1), source, goal)
        mirror = draws.bernoulli(0.5).view(-1, 1, 1, 1)
        windows = [
            cut_out(x, batch["corner"], self.config.window) for x in (goal, source, structure, face, eyes)
        ]
        return tuple(torch.where(mirror, x.flip(-1), x) for x in windows)

    def _opened(self, step: int) -> int:
        """How many numbers of a code are used: from the shortest length to all, then any of the lengths."""
        short, whole = self.config.lengths[0], self.config.code_dim
        if step < self.config.coarse_steps:
            return short + round((whole - short) * step / self.config.coarse_steps)
        return self.config.lengths[step % len(self.config.lengths)] if step % 4 == 0 else whole

    def _chosen(self, photo, code, colours, kind) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens of a photograph, a code or colours, by `kind`; the shorter ones padded, with a mask."""
        config = self.config
        by_code = (kind >= config.keep_share) & (kind < config.keep_share + config.code_share)
        by_colours = (kind >= config.keep_share + config.code_share) & (
            kind < config.keep_share + config.code_share + config.colours_share
        )
        short = torch.where(by_code.view(-1, 1, 1), code, colours)
        few = by_code | by_colours
        padded = functional.pad(short, (0, 0, 0, photo.shape[1] - short.shape[1]))
        tokens = torch.where(few.view(-1, 1, 1), padded.to(photo.dtype), photo)
        places = torch.arange(photo.shape[1], device=photo.device)[None]
        return tokens, (places < short.shape[1]) | ~few[:, None]

    def _error(self, model, pictures, tokens, mask, draws) -> torch.Tensor:
        """Absolute error of the estimate of the target, in pixels, more where makeup differs and where face is."""
        goal, source, structure, face, eyes = pictures
        clean = fold(goal, self.config.fold)
        noisy, timesteps = noised(clean, self.signal, draws, self.config.noise_power)
        answer = self._denoise(model, noisy, timesteps, source / 2 + 0.5, structure, tokens, mask)
        estimate = unfold(answer, self.config.fold)
        changed = ((goal - source).abs().mean(dim=1, keepdim=True) / _CHANGED).clamp(max=1)
        # What lies away from the face is put back from the photograph anyway.
        weight = _AWAY + functional.max_pool2d(face, 7, 1, 3) + self.config.makeup_weight * changed
        # A liner is a few faint pixels; without more weight the median of what it could be is none.
        weight = weight + self.config.eye_weight * functional.max_pool2d(eyes, 7, 1, 3) * (0.5 + 3 * changed)
        missed = ((estimate.float() - goal).square() + 1e-4).sqrt() * weight
        return missed.mean() / weight.mean()

    def _denoise(self, model, noisy, timesteps, face, structure, tokens, mask) -> torch.Tensor:
        text = noisy.new_zeros(len(noisy), 1, model["unet"].config.cross_attention_dim)
        first, first_mid = model["content_controlnet"](noisy, timesteps, text, face, return_dict=False)
        second, second_mid = model["structure_controlnet"](
            noisy, timesteps, text, structure, return_dict=False
        )
        change = model["unet"](
            noisy,
            timesteps,
            tokens,
            encoder_attention_mask=mask,
            down_block_additional_residuals=[a + b for a, b in zip(first, second, strict=True)],
            mid_block_additional_residual=first_mid + second_mid,
        ).sample
        return change + fold(face * 2 - 1, self.config.fold)

    def validate(self, model: Any, step: int, folder: Path) -> dict[str, float]:
        """What is left of the difference to the true picture, and how often codes find their look; a sheet."""
        pairs = MakeupPairs(self.config.heldout)
        device = next(model.parameters()).device
        codes = self._codes(model, pairs, device)
        read = model["makeup_encoder"].to_vector(codes.to(device)).float().cpu()
        found = {"found": found_share(codes, pairs), "told": told_share(read, pairs)}
        if self.config.looks_only:
            return found
        rng = np.random.default_rng(0)
        targets = np.flatnonzero(~pairs.is_bare)
        targets = targets[:: max(1, len(targets) // 48)][:48]
        bare = np.array([int(pairs.bare[index]) for index in targets])
        references = np.array([pairs.reference(int(index), rng) for index in targets])
        image, landmarks = pairs.heads.image, pairs.heads.landmarks
        taken = np.array([pairs.reference(int(index), rng) for index in bare])

        def edited(sources: np.ndarray, worn: np.ndarray) -> np.ndarray:
            return self._edited(model, image[sources], landmarks[sources], image[worn], device)

        put, off = edited(bare, references), edited(targets, taken)
        rows = [image[bare], image[references], put, image[targets], off]
        save_grid(folder / f"step-{step:08d}.png", [row[:12] for row in rows])
        return {
            "left": left_share(image[bare], image[targets], put),
            "left_removal": left_share(image[targets], image[bare], off),
        } | found

    @torch.no_grad()
    def _edited(self, model, sources, landmarks, references, device, steps: int = 8) -> np.ndarray:
        """Draw (n, s, s, 3) uint8 with the looks of references."""
        size, window = self.config.size, self.config.window
        corners = np.stack([face_corner(points, size, window) for points in landmarks])
        drawings = torch.from_numpy(np.stack([draw_structure(points, size) for points in landmarks])).to(
            device
        )
        frames = torch.from_numpy(np.asarray(sources)).to(device)
        structure, face = (
            cut_out(x.movedim(-1, 1).float() / 255, torch.from_numpy(corners).to(device), window)
            for x in (drawings, frames)
        )
        seen = self._crop(network_input(torch.from_numpy(np.asarray(references)).to(device)))
        tokens = model["adapter"](model["image_encoder"](seen, output_hidden_states=True).hidden_states)
        scheduler = type(self.scheduler).from_config(self.scheduler.config)
        scheduler.set_timesteps(steps)
        channels, side = 3 * self.config.fold**2, window // self.config.fold
        latents = torch.randn(len(face), channels, side, side, generator=torch.Generator().manual_seed(5)).to(
            device
        )
        for t in scheduler.timesteps:
            answer = self._denoise(model, latents, t.to(device), face, structure, tokens, None)
            latents = scheduler.step(answer, t, latents).prev_sample
        drawn = to_uint8(unfold(latents, self.config.fold))
        return np.stack([put_back(*one) for one in zip(np.asarray(sources), drawn, corners, strict=True)])

    @torch.no_grad()
    def _codes(self, model: Any, pairs: MakeupPairs, device: torch.device) -> torch.Tensor:
        """Codes (n, C) of all pictures."""
        parts = []
        for images in torch.from_numpy(np.array(pairs.heads.image)).split(128):
            seen = self._crop(network_input(images.to(device)))
            states = model["image_encoder"](seen, output_hidden_states=True).hidden_states
            parts.append(model["makeup_encoder"](states).float().cpu())
        return torch.cat(parts)

    def _seen(self, images: torch.Tensor) -> torch.Tensor:
        """References as the image encoder sees them: a little moved, mirrored or not, with noise."""
        pictures = network_input(images)
        count, device = len(pictures), pictures.device
        mirror = torch.rand(count, device=device) < 0.5
        view = moved(pictures, mirror, shift=0.02, scale=0.04, rotation=0.08)
        noise = 0.03 * torch.rand(count, 1, 1, 1, device=device) * torch.randn_like(view)
        return self._crop(view + noise)

    def _crop(self, pictures: torch.Tensor) -> torch.Tensor:
        return crop_face_tensor(pictures, self.config.encoder_size)

    def assemble(self, model: Any) -> MakeupPipeline:
        """The whole pipeline around the trained parts."""
        size = self.config.encoder_size
        processor = CLIPImageProcessorPil(
            size={"shortest_edge": size}, crop_size=size, image_mean=[0.5] * 3, image_std=[0.5] * 3
        )
        parts = {name: model[name] for name in PARTS}
        parts["unet"].register_to_config(sample_size=self.config.window // self.config.fold)
        return MakeupPipeline(
            vae=None,
            scheduler=self.scheduler,
            feature_extractor=processor,
            frame_size=self.config.size,
            predicts_change=True,
            **parts,
        )

    def export(self, model: Any, folder: Path) -> None:
        """Write the whole pipeline in fp16, as `from_pretrained` reads it."""
        pipe = self.assemble(model).to(torch.float16)
        pipe.save_pretrained(folder)
        pipe.to(torch.float32)
