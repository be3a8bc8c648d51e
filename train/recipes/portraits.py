"""The portrait model, what it stands on, and expressions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from train.config import OptimizerConfig, TrainConfig
from train.recipes.registry import recipe


@recipe
def vae() -> TrainConfig:
    """The autoencoder of `mini`: 128 px to 16x16 latents of 12 channels."""
    from train.tasks.vae import VaeConfig

    return TrainConfig(
        name="vae",
        task=VaeConfig(),
        optimizer=OptimizerConfig(lr=1.2e-3, betas=(0.9, 0.99), weight_decay=0.0, warmup=200, final=0.02),
        batch_size=16,
        steps=5000,
        mixed_precision="bf16",
        ema_decay=0.998,
        validate_every=1000,
    )


@recipe
def encoder() -> TrainConfig:
    """The image encoder of `mini`: identity embedding and the tokens that adapters read."""
    from train.tasks.encoder import EncoderConfig

    return TrainConfig(
        name="encoder",
        task=EncoderConfig(),
        optimizer=OptimizerConfig(lr=1e-3, weight_decay=0.05, warmup=50),
        batch_size=32,
        steps=6000,
        mixed_precision="bf16",
        ema_decay=0.997,
        validate_every=700,
    )


@recipe
def recognizer() -> TrainConfig:
    """What compares generated faces: the image encoder, continued until it tells people apart at low error rates."""
    base = encoder()
    task = replace(
        base.task,
        start=Path("weights/mini/image_encoder"),
        margin_steps=600,
        pair_steps=60,
        part_share=0.0,
    )
    return replace(
        base,
        name="recognizer",
        task=task,
        optimizer=OptimizerConfig(kind="muon", lr=1.5e-3, weight_decay=0.02, warmup=30),
        batch_size=48,
        steps=1700,
        ema_decay=0.99,
        validate_every=300,
        seed=77,
    )


@recipe
def portrait() -> TrainConfig:
    """The denoiser of `mini` with its text encoder and identity conditioner, on cross pairs."""
    from train.tasks.portrait import PortraitConfig

    return TrainConfig(
        name="portrait",
        task=PortraitConfig(),
        optimizer=OptimizerConfig(
            kind="muon",
            lr=8e-4,
            betas=(0.9, 0.98),
            weight_decay=0.01,
            warmup=100,
            schedule="constant",
            cooldown=1000,
            final=0.05,
        ),
        batch_size=64,
        steps=15_000,
        mixed_precision="bf16",
        ema_decay=0.999,
        validate_every=2000,
        workers=1,
    )


@recipe
def portrait_same_image() -> TrainConfig:
    """The ablation: the identity conditioner alone, taught on the very picture that it draws."""
    base = portrait()
    task = replace(base.task, same_image=True, adapter_only=True)
    return replace(base, name="portrait-same-image", task=task, steps=2000)


@recipe
def portrait_cross_pairs() -> TrainConfig:
    """What the ablation is compared with: the same training of the conditioner alone, on cross pairs."""
    base = portrait()
    return replace(base, name="portrait-cross-pairs", task=replace(base.task, adapter_only=True), steps=2000)


@recipe
def expression() -> TrainConfig:
    """The action unit adapter of `mini`, beside the frozen portrait model."""
    from train.tasks.expression import ExpressionConfig

    return TrainConfig(
        name="expression",
        task=ExpressionConfig(),
        optimizer=OptimizerConfig(
            kind="muon",
            lr=1.5e-3,
            weight_decay=0.01,
            warmup=50,
            schedule="constant",
            cooldown=600,
            final=0.05,
        ),
        batch_size=64,
        steps=4000,
        mixed_precision="bf16",
        ema_decay=0.998,
        validate_every=500,
        workers=1,
    )


@recipe
def calibrator() -> TrainConfig:
    """The label calibrator of `mini`, on views of its frozen denoiser."""
    from train.tasks.calibrator import CalibratorConfig

    return TrainConfig(
        name="calibrator",
        task=CalibratorConfig(),
        optimizer=OptimizerConfig(lr=1e-3, weight_decay=0.05, warmup=50),
        batch_size=128,
        steps=2000,
        ema_decay=0.99,
        validate_every=250,
    )
