"""The presets of `python -m train`: functions that return a whole TrainConfig.

Add one by writing a function here with `@recipe`; its name is the name on the command line. Import the task's
config inside the function, so that listing recipes imports no model code. Derive variants by calling another
recipe and `dataclasses.replace`:

    @recipe
    def vae_64() -> TrainConfig:
        "VAE for 64 px portraits, 16x16 latents."
        from train.tasks.vae import VaeConfig

        return TrainConfig(name="vae-64", task=VaeConfig(size=64), optimizer=OptimizerConfig(lr=3e-4), steps=20_000)
"""

from __future__ import annotations

from collections.abc import Callable

from train.config import TrainConfig
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
