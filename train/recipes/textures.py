"""Textures of heads."""

from __future__ import annotations

from train.config import OptimizerConfig, TrainConfig
from train.recipes.registry import recipe


@recipe
def texture() -> TrainConfig:
    """The texture model of `mini`: completes the texture of a head of which a picture shows a part."""
    from train.tasks.texture import TextureConfig

    return TrainConfig(
        name="texture",
        task=TextureConfig(),
        optimizer=OptimizerConfig(
            kind="muon",
            lr=1.5e-3,
            weight_decay=0.01,
            warmup=50,
            schedule="constant",
            cooldown=1200,
            final=0.03,
        ),
        batch_size=32,
        steps=4400,
        mixed_precision="bf16",
        ema_decay=0.998,
        validate_every=1000,
        workers=1,
    )
