"""The denoiser of `mini` with its text encoder and identity conditioner, trained together on cached latents.

The identity always comes from another picture of the person than the one that is drawn (cross pairs, CrossFaceID,
arXiv:2501.15407), so that pose and expression cannot be copied; `same_image` is the ablation that copies.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from diffusers import DPMSolverMultistepScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch import nn
from torch.nn import functional
from transformers import CLIPImageProcessorPil, CLIPTextModel

from faces import captions, vocabulary
from pipelines.autoencoder import PatchAutoencoderKL
from pipelines.portrait.attention import (
    IdentityContext,
    install_identity_attention,
    record_text_attention,
)
from pipelines.portrait.captioning import mark_parts
from pipelines.portrait.encoder import FaceEncoder
from pipelines.portrait.localization import mean_localization_loss
from pipelines.portrait.modules import IdentityConditioner
from pipelines.portrait.pipeline import PortraitPipeline
from train.data.heads import CARD, HeadArrays
from train.data.pairs import CrossPairs
from train.data.portraits import PortraitData, latent_cache, mirrored_labels, reference_cache
from train.draws import Draws
from train.grid import save_grid
from train.latent_age import LatentAge, wanted_years
from train.losses import target, weighted_mse
from train.tasks import Task
from train.tasks.vae import face_window
from train.tokenizer import train_tokenizer
from train.widths import make_text_encoder, make_unet

MAX_LENGTH = 48
_TIMESTEPS = 1000
_FACE = list(vocabulary.PARTS).index("face")
_DETAILS = [list(vocabulary.PARTS).index(name) for name in ("eyes", "mouth")]
_SEEN = 0.02
"Share of some cell that a part must cover to be there at all."
_PREVIEW = (
    {"expression": "happy", "pose": "frontal", "hair_style": "short", "hair_colour": "brown"},
    {"expression": "surprise", "pose": "left", "hair_style": "long", "hair_colour": "black"},
    {"expression": "anger", "pose": "slightly right", "hair_style": "ponytail", "hair_colour": "red"},
    {"expression": "neutral", "pose": "right", "hair_style": "bald", "age_band": "elderly"},
)


@dataclass(frozen=True, kw_only=True, slots=True)
class PortraitConfig:
    """Data, shapes and losses of the portrait model."""

    kind: ClassVar[str] = "portrait"
    shards: Path = Path("data/heads")
    heldout: Path = Path("data/heldout")
    vae: Path = Path("runs/vae/export")
    image_encoder: Path = Path("runs/encoder/export")
    start: Path | None = None
    "Folder of a whole pipeline to continue from."
    channels: tuple[int, ...] = (64, 128, 192)
    plain_levels: int = 1
    "Finest levels of the UNet that are without attention: at 16x16 it doubles the cost of a step."
    layers: int = 1
    text_width: int = 192
    text_layers: int = 3
    id_tokens: int = 8
    mirror: bool = True
    "Also draw every head mirrored."
    other_age: float = 0.7
    "Share of pairs with a reference of another age band, where there is one: else age is copied from the reference."
    same_image: bool = False
    "Condition on the very picture that is drawn: the ablation that copies pose and expression."
    adapter_only: bool = False
    "Train the identity conditioner alone; denoiser and text encoder stay as they are."
    text_drop: float = 0.05
    identity_drop: float = 0.05
    both_drop: float = 0.08
    "Share of samples without text and identity: what guidance starts from."
    part_drop: float = 0.1
    "Share of samples whose parts are missing, as when an identity is an embedding without a picture."
    localization_weight: float = 0.01
    localization_blocks: tuple[str, ...] = ("mid_block", "up_blocks.1")
    snr_gamma: float = 5.0
    face_weight: float = 1.0
    "Added to the weight of a latent cell that the face covers."
    detail_weight: float = 2.0
    "Added where eyes or mouth lie: small in area, and most of what a person is known by."
    likeness_weight: float = 0.0
    "Of the cosine distance between the reference and the decoded estimate of the clean picture, in a share of a batch."
    likeness_share: float = 0.125
    age_critic: Path | None = None
    "Folder of a `LatentAge`; wanted where `age_weight` is above 0."
    age_weight: float = 0.0
    "Of the decades between the age that the critic sees in an estimate and the inside of the band that the text names."


class PortraitTask(Task):
    """Trains text encoder, UNet and `IdentityConditioner` of a `PortraitPipeline`."""

    Config = PortraitConfig
    card = CARD

    def __init__(self, config: PortraitConfig) -> None:
        super().__init__(config)
        source = config.start
        self.vae = PatchAutoencoderKL.from_pretrained(source / "vae" if source else config.vae).float().eval()
        encoder = source / "image_encoder" if source else config.image_encoder
        self.image_encoder = FaceEncoder.from_pretrained(encoder, torch_dtype=torch.float32).eval()
        self.tokenizer = train_tokenizer(captions.words(), MAX_LENGTH)
        self.scheduler = DPMSolverMultistepScheduler(
            num_train_timesteps=_TIMESTEPS,
            beta_schedule="squaredcos_cap_v2",
            prediction_type="v_prediction",
            timestep_spacing="trailing",
        )
        self.signal = self.scheduler.alphas_cumprod
        self.pairs = CrossPairs(
            mirror=config.mirror, same_image=config.same_image, other_age=config.other_age
        )
        self.age_critic = LatentAge.load(config.age_critic) if config.age_critic else None
        for network in self._frozen():
            network.requires_grad_(False)
        zero = torch.zeros(1, 3, *(self.image_encoder.config.image_size,) * 2)
        with torch.no_grad():
            self.zero_states = self.image_encoder(zero, output_hidden_states=True).hidden_states[-2][0]

    def build(self) -> nn.Module:
        """Return the trained parts, the denoiser already reading identity tokens."""
        config = self.config
        if config.start:
            parts = {
                "text_encoder": CLIPTextModel.from_pretrained(
                    config.start / "text_encoder", dtype=torch.float32
                ),
                "unet": UNet2DConditionModel.from_pretrained(
                    config.start / "unet", torch_dtype=torch.float32
                ),
                "conditioner": IdentityConditioner.from_pretrained(
                    config.start / "conditioner", torch_dtype=torch.float32
                ),
            }
        else:
            unet = make_unet(config.channels, config.plain_levels, config.layers, config.text_width, self.vae)
            parts = {
                "text_encoder": make_text_encoder(self.tokenizer, config.text_width, config.text_layers),
                "unet": unet,
                "conditioner": self._conditioner(unet),
            }
        model = nn.ModuleDict(parts)
        if not torch.accelerator.is_available():
            # Plain products in the other layers too; see `pipelines.portrait.attention.attend`.
            model["unet"].set_attn_processor(AttnProcessor())
            model["text_encoder"].set_attn_implementation("eager")
        install_identity_attention(model["unet"], model["conditioner"].attention)
        if config.adapter_only:
            model["text_encoder"].requires_grad_(False)
            model["unet"].requires_grad_(False)
        return model

    def _conditioner(self, unet: UNet2DConditionModel) -> IdentityConditioner:
        vision = self.image_encoder.config
        return IdentityConditioner.for_unet(
            unet,
            variant="consistentid",
            id_dim=vision.projection_dim,
            state_dim=vision.hidden_size,
            num_tokens=self.config.id_tokens,
            id_hidden=256,
            resampler_depth=1,
            ff_mult=2,
            shortcut=True,
            part_width=vision.hidden_size,
            part_depth=1,
        )

    def dataset(self) -> PortraitData:
        """Return the heads with what is cached of them."""
        return self._data(self.config.shards)

    def _data(self, shards: Path) -> PortraitData:
        heads = HeadArrays(shards)
        encode = self.assemble(self.build()).encode_aligned
        mirror, folder = self.config.mirror, Path(shards)
        references = reference_cache(heads, folder / "references", self.image_encoder, encode, mirror)
        return PortraitData(heads, latent_cache(heads, folder / "latents", self.vae, mirror), references)

    def sample(self, dataset: PortraitData, index: int, rng: np.random.Generator) -> dict[str, Any]:
        """One target with its caption, and the identity features of another picture of the person."""
        side, partner = self.pairs.draw(dataset.heads, index, rng)
        labels = dataset.heads.labels[index]
        labels = mirrored_labels(labels) if side else labels
        text = captions.caption(self._told(labels, rng), rng)
        chance, config = rng.random(), self.config
        drops_both = chance < config.both_drop
        drops_text = chance < config.both_drop + config.text_drop
        drops_identity = (
            drops_both or 0 <= chance - config.both_drop - config.text_drop < config.identity_drop
        )
        marked = mark_parts(self.tokenizer, "" if drops_text else text)
        drawn, known = dataset.latents.arrays, dataset.references.arrays
        pictures = self.pairs.same_side(dataset.heads, index, side, partner)
        identity = {
            name: np.array(known[name][partner])
            for name in ("id_embeds", "clip_states", "part_states", "part_valid")
        }
        if drops_identity:  # nobody, as in the unconditional branch
            identity["id_embeds"][:] = 0
            identity["clip_states"][:] = self.zero_states
            identity["part_states"][:] = self.zero_states
        elif rng.random() < config.part_drop:  # an embedding without a picture
            identity["clip_states"][:] = self.zero_states
            identity["part_valid"][:] = False
        else:
            identity["part_valid"] &= rng.random(len(identity["part_valid"])) >= config.part_drop
        return {
            "latents": np.array(drawn["latents"][index, side]),
            "ids": np.array(marked.input_ids),
            "positions": np.array(marked.positions),
            "masks": np.array(drawn["part_masks"][index, side]),
            "person": known["id_embeds"][pictures].mean(axis=0, dtype=np.float32),
            "ages": np.array(wanted_years("" if drops_text else text), np.float32),
            **identity,
            **self._beside(labels, rng),
        }

    def _told(self, labels: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
        """Labels that the caption may tell of."""
        return labels

    def _beside(self, labels: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
        """What a sample brings beside text and identity."""
        return {}

    def loss(self, model: Any, batch: dict[str, Any], draws: Draws):
        """Velocity error weighted by noise level, and localisation of the part words."""
        masks = batch["masks"].float() / 255
        with record_text_attention(model["unet"], self.config.localization_blocks) as recorded:
            velocity, estimate, signal = self._velocity(model, batch, draws, masks)
        valid = batch["part_valid"] & (masks.amax(dim=(2, 3)) > _SEEN)
        localised = mean_localization_loss(recorded, batch["positions"], masks, valid, estimate.shape[-2:])
        total = velocity + self.config.localization_weight * localised
        metrics = {"velocity": velocity.detach(), "localised": localised.detach()}
        # An estimate is looked at while it is not settled yet: for likeness once it shows a face, for age before.
        unsettled = signal < 0.95
        if self.config.likeness_weight > 0:
            known = batch["id_embeds"].float().abs().amax(dim=1) > 0
            distance = self._distance(estimate, unsettled & (signal > 0.3) & known, batch["person"].float())
            total = total + self.config.likeness_weight * distance
            metrics["likeness"] = 1 - distance.detach()
        if self.age_critic is not None and self.config.age_weight > 0:
            outside = self.age_critic.decades_outside(estimate, batch["ages"])
            decades = (outside * (unsettled & (signal > 0.1))).mean()
            total = total + self.config.age_weight * decades
            metrics["age"] = decades.detach()
        return total, metrics

    def _velocity(
        self, model: Any, batch: dict[str, Any], draws: Draws, masks: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Weighted velocity error, estimates of the clean latents, and the share of signal (n,) at each level."""
        clean = batch["latents"].float()
        noise = draws.normal(*clean.shape[1:])
        timesteps = draws.integers(0, _TIMESTEPS)
        signal = self.signal.to(clean.device)[timesteps]
        level = signal.view(-1, 1, 1, 1)
        noisy = level.sqrt() * clean + (1 - level).sqrt() * noise
        text, context = self._condition(model, batch)
        predicted = self._denoise(model, noisy, timesteps, text, context)
        # Velocity weighs all levels alike; only nearly clean ones, whose error is noise, are damped.
        ratio = signal / (1 - signal)
        weight = (self.config.snr_gamma + 1) / (ratio + 1).clamp(min=self.config.snr_gamma + 1)
        wanted = target("v_prediction", clean, noise, signal)
        velocity = weighted_mse(predicted, wanted, weight, self._cell_weights(masks))
        return velocity, level.sqrt() * noisy - (1 - level).sqrt() * predicted.float(), signal

    def _distance(self, clean: torch.Tensor, usable: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        """Cosine distance of decoded estimates to the embeddings (n, e) of their people, as the encoder sees them.

        Only as many usable (n,) estimates are looked at as `likeness_share` pays for. The judge takes no part.
        """
        rows = usable.nonzero().flatten()[: max(1, round(len(clean) * self.config.likeness_share))]
        if not len(rows):
            return clean.new_zeros(())
        seen = self.image_encoder(face_window(self._decode(clean[rows]))).image_embeds
        return (1 - functional.cosine_similarity(seen.float(), wanted[rows], dim=1)).mean()

    def _decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Pictures (n, 3, h, w) in [-1, 1] of normalised latents."""
        mean, std = (
            torch.tensor(self.vae.config[f"latents_{name}"], device=latents.device).view(1, -1, 1, 1)
            for name in ("mean", "std")
        )
        return self.vae.decode(latents * std + mean).sample

    def place(self, device: torch.device) -> None:
        """Move the frozen networks."""
        for network in self._frozen():
            network.to(device)

    def _frozen(self) -> list[nn.Module]:
        networks = [self.vae, self.image_encoder, self.age_critic]
        return [network for network in networks if network is not None]

    def _cell_weights(self, masks: torch.Tensor) -> torch.Tensor:
        face, details = masks[:, _FACE], masks[:, _DETAILS].amax(dim=1)
        return (1 + self.config.face_weight * face + self.config.detail_weight * details)[:, None]

    def _condition(self, model: Any, batch: dict[str, Any]) -> tuple[torch.Tensor, IdentityContext]:
        text = model["text_encoder"](batch["ids"]).last_hidden_state
        tokens = model["conditioner"](
            batch["id_embeds"].float(),
            batch["clip_states"].float(),
            batch["part_states"].float(),
            batch["part_valid"],
        )
        fused = model["conditioner"].fuse(text, tokens.part_tokens, batch["positions"], batch["part_valid"])
        return fused, IdentityContext(tokens.id_tokens)

    @staticmethod
    def _denoise(model: Any, noisy, timesteps, text, context) -> torch.Tensor:
        kwargs = {"ip_hidden_states": context}
        return model["unet"](noisy, timesteps, text, cross_attention_kwargs=kwargs).sample

    def assemble(self, model: Any) -> PortraitPipeline:
        """The whole pipeline around the trained parts."""
        size = self.image_encoder.config.image_size
        return PortraitPipeline(
            vae=self.vae,
            text_encoder=model["text_encoder"],
            tokenizer=self.tokenizer,
            unet=model["unet"],
            scheduler=self.scheduler,
            conditioner=model["conditioner"],
            image_encoder=self.image_encoder,
            feature_extractor=CLIPImageProcessorPil(
                size={"shortest_edge": size}, crop_size=size, image_mean=[0.5] * 3, image_std=[0.5] * 3
            ),
        )

    def validate(self, model: Any, step: int, folder: Path) -> dict[str, float]:
        """Velocity error on held-out heads, and a sheet of held-out references with four prompts each."""
        data, device = self._data(self.config.heldout), next(model.parameters()).device
        rng = np.random.default_rng(0)
        picked = np.linspace(0, len(data) - 1, 192).astype(int)
        total = []
        for start in range(0, len(picked), 64):
            rows = [self.sample(data, int(index), rng) for index in picked[start : start + 64]]
            batch = {
                name: torch.from_numpy(np.stack([row[name] for row in rows])).to(device) for name in rows[0]
            }
            draws = Draws.fixed(start, len(rows), device)
            total.append(float(self.loss(model, batch, draws)[1]["velocity"]))
        self._save_sheet(model, data.heads, folder / f"step-{step:08d}.png")
        return {"velocity": float(np.mean(total))}

    def _save_sheet(self, model: Any, heads: HeadArrays, path: Path) -> None:
        pipe = self.assemble(model)
        pipe.set_progress_bar_config(disable=True)
        chosen = np.arange(0, 24, 3)
        identity = pipe.encode_aligned(heads.image[chosen], heads.parsing[chosen])
        rows = [np.asarray(heads.image[chosen])]
        for number, wanted in enumerate(_PREVIEW):
            prompts = [captions.prompt(gender=heads.labels[index]["gender"], **wanted) for index in chosen]
            generators = [torch.Generator().manual_seed(100 * number + k) for k in range(len(chosen))]
            images = pipe(
                prompt=prompts, conditioning=identity, generator=generators, output_type="np"
            ).images
            rows.append((images * 255).round().astype(np.uint8))
        save_grid(path, rows)

    def export(self, model: Any, folder: Path) -> None:
        """Write the whole pipeline in fp16, as `from_pretrained` reads it."""
        pipe = self.assemble(model).to(torch.float16)
        pipe.save_pretrained(folder)
        pipe.to(torch.float32)
