"""The list of recipes, and how one gets on it."""

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
