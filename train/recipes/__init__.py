"""The presets of `python -m train`: functions that return a whole TrainConfig.

Add one by writing a function with `@recipe` in a module of this folder; its name is the name on the command line.
Import the task's config inside the function, so that listing recipes imports no model code. Derive variants by calling
another recipe and `dataclasses.replace`:

    @recipe
    def vae_64() -> TrainConfig:
        "VAE for 64 px portraits, 16x16 latents."
        from train.tasks.vae import VaeConfig

        return TrainConfig(name="vae-64", task=VaeConfig(size=64), optimizer=OptimizerConfig(lr=3e-4))
"""

from __future__ import annotations

from train.recipes import edits, perception, portraits, textures  # they register themselves
from train.recipes.registry import RECIPES, Recipe, make, recipe

__all__ = ["RECIPES", "Recipe", "edits", "make", "perception", "portraits", "recipe", "textures"]
