"""The autoencoder of `mini`: rebuilds rendered heads, with the face weighted above the backdrop.

Stage one is L1 with gradient and structure terms and a small KL term; in stage two the encoder is frozen, so that
latents keep their meaning, and a patch adversary with matched features sharpens the decoder (Isola et al. 2017;
Esser et al. 2021, "Taming transformers", section 3.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import torch
from torch import nn
from torch.nn import functional

from faces import vocabulary
from faces.alignment import FACE_BOX, FACE_SIZE
from faces.networks import network_input
from pipelines.autoencoder import PatchAutoencoderKL
from pipelines.portrait.encoder import FaceEncoder
from train.data.heads import CARD, HeadArrays
from train.draws import Draws
from train.grid import save_grid, to_uint8
from train.tasks import Task, frozen

_DETAIL = [
    vocabulary.PARSING.index(name)
    for name in ("l_brow", "r_brow", "l_eye", "r_eye", "eye_g", "mouth", "u_lip", "l_lip")
]
_FACE = [vocabulary.PARSING.index(name) for name in ("skin", "nose", "l_ear", "r_ear")]
_RIM = np.ones((5, 5), np.uint8)
"Lids and the edges of lips count as detail too: two pixels around it."


@dataclass(frozen=True, kw_only=True, slots=True)
class VaeConfig:
    """Data, shape and loss of the autoencoder."""

    kind: ClassVar[str] = "vae"
    shards: Path = Path("data/heads")
    heldout: Path = Path("data/heldout")
    start: Path | None = None
    "Folder of an autoencoder to continue from."
    channels: tuple[int, ...] = (72, 144)
    latent_channels: int = 12
    patch: int = 4
    layers: int = 1
    face_weight: float = 2.0
    detail_weight: float = 10.0
    "Of eyes, brows, glasses and mouth, a thirtieth of the picture: at 3 they stayed soft while the PSNR rose."
    gradient_weight: float = 0.5
    structure_weight: float = 0.3
    kl_weight: float = 3e-8
    "Of the divergence summed over the latents; 1e-6 was so strong that its noise blurred faces."
    perceptual: Path | None = None
    "Folder of a trained image encoder: what it sees of the faces is compared as well."
    perceptual_weight: float = 0.3
    decoder_only: bool = False
    "Leave the encoder as it is: denoisers that know its latents stay good."
    adversarial_weight: float = 0.0
    "Above 0 the decoder meets an adversary; wants `decoder_only`."


class VaeTask(Task):
    """Trains `PatchAutoencoderKL` on portraits of one size."""

    Config = VaeConfig
    card = CARD

    def __init__(self, config: VaeConfig) -> None:
        super().__init__(config)
        self._looks = FaceLooks(config.perceptual) if config.perceptual else None

    def place(self, device: torch.device) -> None:
        """Move the encoder that compares faces."""
        if self._looks:
            self._looks.to(device)

    def build(self) -> nn.Module:
        """Return the autoencoder, with an adversary when one is asked for."""
        config = self.config
        if config.start:
            vae = PatchAutoencoderKL.from_pretrained(config.start)
        else:
            vae = PatchAutoencoderKL(
                in_channels=3,
                out_channels=3,
                patch_size=config.patch,
                down_block_types=("DownEncoderBlock2D",) * len(config.channels),
                up_block_types=("UpDecoderBlock2D",) * len(config.channels),
                block_out_channels=config.channels,
                layers_per_block=config.layers,
                latent_channels=config.latent_channels,
                norm_num_groups=8,
                sample_size=128,
                mid_block_add_attention=False,
            )
        parts = {"vae": vae}
        if config.decoder_only:
            vae.encoder.requires_grad_(False)
            vae.quant_conv.requires_grad_(False)
        if config.adversarial_weight > 0:
            parts["adversary"] = PatchAdversary()
        return nn.ModuleDict(parts)

    def dataset(self) -> HeadArrays:
        """Return the heads as arrays."""
        return HeadArrays(self.config.shards)

    def sample(self, dataset: HeadArrays, index: int, rng: np.random.Generator) -> dict[str, Any]:
        """One portrait and the weight of each pixel, mirrored half of the time."""
        image, parsing = dataset.image[index], dataset.parsing[index]
        if rng.random() < 0.5:
            image, parsing = image[:, ::-1], parsing[:, ::-1]
        weight = np.ones(parsing.shape, np.float32)
        weight[np.isin(parsing, _FACE)] = self.config.face_weight
        detail = cv2.dilate(np.isin(parsing, _DETAIL).astype(np.uint8), _RIM)
        weight[detail > 0] = self.config.detail_weight
        return {"image": np.ascontiguousarray(image), "weight": weight}

    def parameter_groups(self, model: Any):
        """The adversary learns at its own rate."""
        groups = [{"params": [p for p in model["vae"].parameters() if p.requires_grad]}]
        if "adversary" in model:
            groups.append({"params": model["adversary"].parameters(), "lr": 2e-4, "betas": (0.5, 0.9)})
        return groups

    def loss(self, model: Any, batch: dict[str, Any], draws: Draws):
        """Weighted L1, gradients at three scales, structure, KL, and the adversary in stage two."""
        config = self.config
        image = network_input(batch["image"])
        weight = (batch["weight"] / batch["weight"].mean(dim=(1, 2), keepdim=True))[:, None]
        posterior = model["vae"].encode(image).latent_dist
        latents = posterior.mean + posterior.std * draws.normal(*posterior.mean.shape[1:])
        rebuilt = model["vae"].decode(latents).sample.float()
        l1 = (weight * (rebuilt - image).abs()).mean()
        gradient = _gradient_loss(rebuilt, image, weight)
        structure = 1 - structural_similarity(rebuilt, image)
        kl = posterior.kl().float().mean()
        total = (
            l1
            + config.gradient_weight * gradient
            + config.structure_weight * structure
            + config.kl_weight * kl
        )
        metrics = {"l1": l1, "gradient": gradient, "ssim": 1 - structure, "kl": kl}
        if self._looks:
            metrics["perceptual"] = perceptual = self._looks(rebuilt, image)
            total = total + config.perceptual_weight * perceptual
        if "adversary" in model:
            fooled, adversary = self._adversarial(model, image, rebuilt)
            total = total + config.adversarial_weight * fooled + adversary
            metrics |= {"fooled": fooled, "adversary": adversary}
        return total, {name: value.detach() for name, value in metrics.items()}

    def _adversarial(self, model: Any, image: torch.Tensor, rebuilt: torch.Tensor):
        with frozen(model["adversary"]) as adversary:
            score, features = adversary(rebuilt)
            _, wanted = adversary(image)
        matching = sum((a - b.detach()).abs().mean() for a, b in zip(features, wanted, strict=True))
        fooled = -score.mean() + 2.0 * matching
        real, _ = model["adversary"](image)
        fake, _ = model["adversary"](rebuilt.detach())
        return fooled, (functional.relu(1 - real) + functional.relu(1 + fake)).mean()

    def validate(self, model: Any, step: int, folder: Path) -> dict[str, float]:
        """PSNR and SSIM on 192 held-out heads, and a sheet of pairs."""
        heads = HeadArrays(self.config.heldout)
        picked = np.linspace(0, len(heads) - 1, 192).astype(int)
        device = next(model.parameters()).device
        image = torch.from_numpy(heads.image[picked]).permute(0, 3, 1, 2).float().div(127.5).sub(1).to(device)
        parts = [rebuild(model["vae"], chunk) for chunk in image.split(32)]
        rebuilt = torch.cat(parts).clamp(-1, 1)
        error = (rebuilt - image).square().mean(dim=(1, 2, 3))
        psnr = 10 * torch.log10(4 / error)
        latents = torch.cat([model["vae"].encode(chunk).latent_dist.mean for chunk in image.split(32)])
        self._save_sheet(image[:8], rebuilt[:8], folder / f"step-{step:08d}.png")
        return {
            "psnr": float(psnr.mean()),
            "ssim": float(structural_similarity(rebuilt, image)),
            "latent_std_min": float(latents.std(dim=(0, 2, 3)).min()),
            "latent_std_max": float(latents.std(dim=(0, 2, 3)).max()),
        }

    @staticmethod
    def _save_sheet(image: torch.Tensor, rebuilt: torch.Tensor, path: Path) -> None:
        save_grid(path, [to_uint8(image), to_uint8(rebuilt)])

    def export(self, model: Any, folder: Path) -> None:
        """Write the autoencoder in fp16, with the mean and deviation of each latent channel in its config."""
        vae = model["vae"]
        heads = HeadArrays(self.config.shards)
        picked = np.linspace(0, len(heads) - 1, 1024).astype(int)
        image = torch.from_numpy(heads.image[picked]).permute(0, 3, 1, 2).float().div(127.5).sub(1)
        device = next(vae.parameters()).device
        with torch.no_grad():
            latents = torch.cat(
                [vae.encode(chunk.to(device)).latent_dist.mean for chunk in image.split(32)]
            ).float()
        vae.register_to_config(
            latents_mean=[round(float(value), 5) for value in latents.mean(dim=(0, 2, 3))],
            latents_std=[round(float(value), 5) for value in latents.std(dim=(0, 2, 3))],
        )
        vae.half().save_pretrained(folder)
        vae.float()


def rebuild(vae: PatchAutoencoderKL, image: torch.Tensor) -> torch.Tensor:
    """Encode (its mean) and decode pictures (n, 3, s, s) in [-1, 1]."""
    return vae.decode(vae.encode(image).latent_dist.mean).sample


def _gradient_loss(rebuilt: torch.Tensor, image: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """L1 between horizontal and vertical differences at full, half and quarter size."""
    total = rebuilt.new_zeros(())
    for _ in range(3):
        difference = rebuilt - image
        across = (difference[..., :, 1:] - difference[..., :, :-1]).abs() * weight[..., :, 1:]
        down = (difference[..., 1:, :] - difference[..., :-1, :]).abs() * weight[..., 1:, :]
        total = total + across.mean() + down.mean()
        rebuilt, image, weight = (functional.avg_pool2d(x, 2) for x in (rebuilt, image, weight))
    return total / 3


def structural_similarity(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Mean SSIM (Wang et al. 2004) of pictures in [-1, 1] with a box window of 7, differentiable."""
    # The luminance term compares means, which must not be near zero: pictures count from black, not from grey.
    first, second = (x.float() / 2 + 0.5 for x in (first, second))

    def mean(x: torch.Tensor) -> torch.Tensor:
        return functional.avg_pool2d(functional.avg_pool2d(x, (7, 1), 1), (1, 7), 1)  # 14 reads instead of 49

    mu1, mu2 = mean(first), mean(second)
    var1, var2 = mean(first * first) - mu1**2, mean(second * second) - mu2**2
    covariance = mean(first * second) - mu1 * mu2
    c1, c2 = 0.01**2, 0.03**2
    similarity = (2 * mu1 * mu2 + c1) * (2 * covariance + c2) / ((mu1**2 + mu2**2 + c1) * (var1 + var2 + c2))
    return similarity.mean()


class FaceLooks(nn.Module):
    """How differently an image encoder sees the faces of two pictures.

    Squared distances of unit-length features of every level of its stem (Zhang et al. 2018, "The unreasonable
    effectiveness of deep features as a perceptual metric", equation 1, unweighted) and of its tokens. It is the encoder
    that portraits are conditioned on; the judge never takes part.

    Args:
        folder: of a `FaceEncoder`.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.encoder = (
            FaceEncoder.from_pretrained(folder, torch_dtype=torch.float32).eval().requires_grad_(False)
        )

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """Mean distance of pictures (n, 3, s, s) in [-1, 1] in the canonical frame; gradients reach the first."""
        with torch.no_grad():
            wanted = self._features(second)
        distances = [_unit_distance(a, b) for a, b in zip(self._features(first), wanted, strict=True)]
        return torch.stack(distances).sum()

    def _features(self, pictures: torch.Tensor) -> list[torch.Tensor]:
        x = face_window(pictures)
        features = []
        for level in self.encoder.stem:
            x = level(x)
            features.append(x)
        return [*features, self.encoder.read(x)[-1].transpose(1, 2)[..., None]]


def face_window(pictures: torch.Tensor) -> torch.Tensor:
    """What the image encoder sees of canonical frames (n, 3, s, s): (n, 3, 112, 112), differentiable."""
    side = pictures.shape[-1]
    left, top, right, bottom = (round(edge * side) for edge in FACE_BOX)
    return functional.interpolate(pictures[..., top:bottom, left:right], FACE_SIZE, mode="bilinear")


def _unit_distance(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    first, second = (functional.normalize(x.float(), dim=1) for x in (first, second))
    return (first - second).square().sum(dim=1).mean()


class PatchAdversary(nn.Module):
    """Scores patches of a picture, and gives its features for matching."""

    def __init__(self, width: int = 48) -> None:
        super().__init__()
        widths = (3, width, width * 2, width * 2)
        self.levels = nn.ModuleList(
            nn.Sequential(
                nn.utils.parametrizations.spectral_norm(nn.Conv2d(a, b, 4, 2, 1)), nn.LeakyReLU(0.2)
            )
            for a, b in zip(widths, widths[1:], strict=False)
        )
        self.score = nn.Conv2d(widths[-1], 1, 3, padding=1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """(n, 3, h, w) -> patch scores (n, 1, h/8, w/8) and the features of each level."""
        features = []
        for level in self.levels:
            x = level(x)
            features.append(x)
        return self.score(x), features
