"""The presets of `python -m train`: functions that return a whole TrainConfig.

Add one by writing a function here with `@recipe`; its name is the name on the command line. Import the task's
config inside the function, so that listing recipes imports no model code. Derive variants by calling another
recipe and `dataclasses.replace`:

    @recipe
    def vae_64() -> TrainConfig:
        "VAE for 64 px portraits, 16x16 latents."
        from train.tasks.vae import VaeConfig

        return TrainConfig(name="vae-64", task=VaeConfig(size=64), optimizer=OptimizerConfig(lr=3e-4))
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from train.config import OptimizerConfig, TrainConfig
from train.overrides import ConfigError

Recipe = Callable[[], TrainConfig]
RECIPES: dict[str, Recipe] = {}


def recipe(function: Recipe) -> Recipe:
    """Register a recipe under the name of its function; its docstring is the line that `--list` prints."""
    name = function.__name__
    if name in RECIPES:
        raise ConfigError(f"recipe {name!r} exists already; give the new one another name")
    RECIPES[name] = function
    return function


def make(name: str) -> TrainConfig:
    """Return the config of a recipe; hyphens may stand for underscores."""
    key = name.replace("-", "_")
    if key not in RECIPES:
        raise ConfigError(f"unknown recipe {name!r}; known: {', '.join(sorted(RECIPES)) or 'none'}")
    return RECIPES[key]()


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
        steps=5000,
        mixed_precision="bf16",
        ema_decay=0.998,
        validate_every=1000,
        workers=1,
    )
