"""What a makeup look is: four layers of colour, and the regions of the face that they lie in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

LAYERS = ("lips", "shadow", "liner", "blush")
"""Layers of a look, in the order of vectors and of alpha maps."""
REGIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"lips": ("lips",), "eyes": ("shadow", "liner"), "skin": ("blush",)}
)
"""Region of the face -> the layers that lie in it."""
VECTOR_SIZE = 5 * len(LAYERS)
_GAMMA = 2.2  # of the renderer
_HEX = re.compile(r"#[0-9a-fA-F]{6}")

Colour = str | Sequence[float]
"""An sRGB colour: "#b0203a", or three numbers 0..1."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of makeup."""

    colour: tuple[float, float, float]
    """sRGB, each 0..1."""
    opacity: float = 0.7
    """0 none, 1 covering."""
    spread: float = 0.5
    """How far it reaches beyond its core, 0..1."""

    def __post_init__(self) -> None:
        """Refuse numbers outside 0..1."""
        for name, value in (("colour", self.colour), ("opacity", self.opacity), ("spread", self.spread)):
            numbers = np.asarray(value, np.float64)
            if not ((numbers >= 0) & (numbers <= 1)).all():
                raise ValueError(f"{name} {value}: expected numbers from 0 to 1")


@dataclass(frozen=True, slots=True)
class MakeupLook:
    """A look as colours and opacities; without layers it is a bare face."""

    layers: Mapping[str, Layer] = field(default_factory=dict)
    """Name out of `LAYERS` -> the layer."""

    def __post_init__(self) -> None:
        """Refuse layers that do not exist."""
        unknown = sorted(set(self.layers) - set(LAYERS))
        if unknown:
            raise ValueError(f"unknown makeup layers {', '.join(unknown)}; known are {', '.join(LAYERS)}")

    @classmethod
    def of(cls, **layers: Colour | tuple[Colour, float] | Layer) -> MakeupLook:
        """Make a look from colours, each alone or with an opacity.

        Raises:
            ValueError: an unknown layer, an unreadable colour, an opacity outside 0..1.

        Examples:
            >>> MakeupLook.of(lips="#b0203a", shadow=("#503070", 0.5))
        """
        return cls({name: _layer(name, value) for name, value in layers.items()})

    @classmethod
    def from_labels(cls, layers: Iterable[Mapping[str, Any]]) -> MakeupLook:
        """Read the `makeup` of rendered labels: region, linear colour, alpha, extent."""
        return cls(
            {
                row["region"]: Layer(
                    tuple(float(min(value, 1.0)) ** (1 / _GAMMA) for value in row["colour"]),  # type: ignore[arg-type]
                    float(row["alpha"]),
                    float(row["extent"]),
                )
                for row in layers
            }
        )

    @classmethod
    def from_vector(cls, vector: np.ndarray, least: float = 0.08) -> MakeupLook:
        """Read what `vector` wrote, or a network's estimate of it; layers below the opacity `least` are none."""
        layers = {}
        for name, row in zip(LAYERS, np.asarray(vector, np.float64).reshape(len(LAYERS), 5), strict=True):
            opacity = float(np.clip(row[3], 0, 1))
            if opacity >= least:
                red, green, blue, spread = np.clip(row[[0, 1, 2, 4]] / opacity, 0, 1)
                layers[name] = Layer((float(red), float(green), float(blue)), opacity, float(spread))
        return cls(layers)

    def vector(self) -> np.ndarray:
        """The look as numbers, (20,) float32: of each layer red, green, blue, 1 and spread, times its opacity."""
        table = np.zeros((len(LAYERS), 5), np.float32)
        for name, layer in self.layers.items():
            row = np.array([*layer.colour, 1.0, layer.spread], np.float32)
            table[LAYERS.index(name)] = row * layer.opacity
        return table.ravel()

    def only(self, regions: Iterable[str]) -> MakeupLook:
        """Keep the layers of some regions."""
        kept = {name for region in regions for name in REGIONS[region]}
        return MakeupLook({name: layer for name, layer in self.layers.items() if name in kept})


BARE = MakeupLook()


def check_regions(regions: str | Iterable[str] | None) -> tuple[str, ...]:
    """Regions as a tuple; None means all.

    Raises:
        ValueError: one that is unknown, or none at all.
    """
    if regions is None:
        return tuple(REGIONS)
    chosen = (regions,) if isinstance(regions, str) else tuple(regions)
    unknown = [name for name in chosen if name not in REGIONS]
    if unknown or not chosen:
        raise ValueError(f"region {regions!r}: choose any of {', '.join(REGIONS)}")
    return chosen


def _layer(name: str, value: Any) -> Layer:
    if isinstance(value, Layer):
        return value
    if isinstance(value, tuple) and len(value) == 2 and not isinstance(value[0], int | float):
        return Layer(_colour(name, value[0]), float(value[1]))
    return Layer(_colour(name, value))


def _colour(name: str, value: Colour) -> tuple[float, float, float]:
    if isinstance(value, str):
        if not _HEX.fullmatch(value):
            raise ValueError(f"colour of {name} {value!r}: expected six hexadecimal digits as in '#b0203a'")
        red, green, blue = (int(value[place : place + 2], 16) / 255 for place in (1, 3, 5))
        return red, green, blue
    numbers = tuple(float(part) for part in value)
    if len(numbers) != 3:
        raise ValueError(f"colour of {name} {value!r}: expected red, green and blue from 0 to 1")
    return numbers  # type: ignore[return-value]
