"""What reads faces, and what judges them."""

from __future__ import annotations

from train.config import OptimizerConfig, TrainConfig
from train.recipes.registry import recipe


@recipe
def perception() -> TrainConfig:
    """What is read off a face: landmarks, parsing, action units, expression and the rest."""
    from train.tasks.perception import PerceptionConfig

    return TrainConfig(
        name="perception",
        task=PerceptionConfig(),
        optimizer=OptimizerConfig(
            kind="muon",
            lr=1.5e-3,
            weight_decay=0.01,
            warmup=50,
            schedule="constant",
            cooldown=900,
            final=0.03,
        ),
        batch_size=48,
        steps=3600,
        mixed_precision="bf16",
        channels_last=True,
        ema_decay=0.998,
        validate_every=500,
        workers=1,
    )


@recipe
def perception_reader() -> TrainConfig:
    """The branch of face analysis for action units; needs its network."""
    from train.tasks.perception_reader import PerceptionReaderConfig

    return TrainConfig(
        name="perception-reader",
        task=PerceptionReaderConfig(),
        optimizer=OptimizerConfig(kind="muon", lr=1.5e-3, weight_decay=0.02, warmup=50),
        batch_size=64,
        steps=5000,
        mixed_precision="bf16",
        ema_decay=0.998,
        seed=6,
        validate_every=500,
    )


@recipe
def judge() -> TrainConfig:
    """The judge that evaluation uses, trained apart on other heads under another look."""
    from train.tasks.judge import JudgeConfig

    return TrainConfig(
        name="judge",
        task=JudgeConfig(),
        optimizer=OptimizerConfig(kind="muon", lr=1.5e-3, weight_decay=0.02, warmup=50),
        batch_size=48,
        steps=4000,
        mixed_precision="bf16",
        ema_decay=0.997,
        seed=33,
        validate_every=700,
    )


@recipe
def judge_reader() -> TrainConfig:
    """The judge's branch for sided action units and expressions in any pose."""
    from train.tasks.judge_reader import JudgeReaderConfig

    return TrainConfig(
        name="judge-reader",
        task=JudgeReaderConfig(),
        optimizer=OptimizerConfig(kind="muon", lr=1.5e-3, weight_decay=0.02, warmup=50),
        batch_size=64,
        steps=2500,
        mixed_precision="bf16",
        ema_decay=0.997,
        seed=34,
        validate_every=500,
    )


@recipe
def age() -> TrainConfig:
    """The age critic of portrait training; needs the autoencoder."""
    from train.tasks.age import AgeConfig

    return TrainConfig(
        name="age",
        task=AgeConfig(),
        optimizer=OptimizerConfig(kind="muon", lr=2e-3, weight_decay=0.02, warmup=50),
        batch_size=64,
        steps=2000,
        mixed_precision="bf16",
        ema_decay=0.99,
        seed=7,
        validate_every=250,
    )
