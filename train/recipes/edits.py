"""Edits of faces: makeup and drags."""

from __future__ import annotations

from train.config import OptimizerConfig, TrainConfig
from train.recipes.registry import recipe


@recipe
def makeup_looks() -> TrainConfig:
    """What reads looks off faces, before the makeup model as a whole."""
    from train.tasks.makeup import MakeupConfig

    return TrainConfig(
        name="makeup-looks",
        task=MakeupConfig(looks_only=True, coarse_steps=600),
        optimizer=OptimizerConfig(
            kind="muon", lr=2e-3, weight_decay=0.02, warmup=50, schedule="constant", cooldown=400, final=0.03
        ),
        batch_size=96,
        steps=1500,
        ema_decay=0.99,
        validate_every=250,
        workers=0,
    )


@recipe
def makeup() -> TrainConfig:
    """The makeup model of `mini`, on rendered pairs."""
    from train.tasks.makeup import MakeupConfig

    return TrainConfig(
        name="makeup",
        task=MakeupConfig(),
        optimizer=OptimizerConfig(
            kind="muon",
            lr=1.5e-3,
            weight_decay=0.01,
            warmup=100,
            schedule="constant",
            cooldown=1500,
            final=0.03,
        ),
        batch_size=128,
        steps=8000,
        mixed_precision="bf16",
        ema_decay=0.998,
        validate_every=1000,
        workers=2,
    )


@recipe
def flow() -> TrainConfig:
    """The network of `mini` that completes drags to a flow, on rendered pairs."""
    from train.tasks.flow import FlowConfig

    return TrainConfig(
        name="flow",
        task=FlowConfig(),
        optimizer=OptimizerConfig(
            kind="muon", lr=2e-3, weight_decay=0.01, warmup=50, schedule="constant", cooldown=1500, final=0.02
        ),
        batch_size=64,
        steps=6000,
        ema_decay=0.995,
        validate_every=1000,
        workers=2,
    )


@recipe
def drag() -> TrainConfig:
    """The drag model of `mini`: what draws the picture that a flow asks for."""
    from train.tasks.drag import DragConfig

    return TrainConfig(
        name="drag",
        task=DragConfig(),
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
        steps=5000,
        mixed_precision="bf16",
        ema_decay=0.99,
        validate_every=1000,
        workers=2,
    )
