"""Styles of makeup that all identities of a dataset share, and how records say what a face wears."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping
from typing import Any

import numpy as np

from faces.makeup import BARE, LAYERS, REGIONS, Layer, MakeupLook
from gen import seeds

BARE_STYLE = "bare"
"""Style of pictures without makeup."""
_LIPS = (
    (0.66, 0.17, 0.26), (0.70, 0.35, 0.41), (0.50, 0.17, 0.35), (0.67, 0.38, 0.28), (0.41, 0.20, 0.17),
    (0.73, 0.23, 0.50),
)  # fmt: skip
"""Red, rose, plum, coral, brown, fuchsia, in sRGB."""
_BLUSH = ((0.73, 0.41, 0.40), (0.74, 0.48, 0.35), (0.64, 0.28, 0.41))
"""Rose, peach, plum."""
_CHANCES = {"lips": 0.9, "shadow": 0.85, "liner": 0.8, "blush": 0.75}
_LEAST_LAYERS = 2
_GOLDEN = 0.6180339887
"""Steps of this share of the circle keep any number of hues apart."""

_EXPLAINED = """## Makeup

Each identity has one picture of role `bare` and one of role `makeup` in every style below that the checks let pass. A
made-up picture was painted on the bare one of its `pair_id`, which is the `id` of that picture; where all masks are 0
they differ by no more than `thresholds.outside`. A style is the same colours, opacities and spreads on everybody.

{table}

Colours are sRGB. Opacity runs from 0, none, to 1, covering; spread from 0 to 1 says how far a layer reaches beyond its
core. `lips_colour`, `lips_opacity`, `lips_spread` and so on are what was asked for, null for layers that a style lacks;
`makeup_strength` is how strongly.

Masks are weights of the regions of a made-up picture that may differ from the bare one: red for {regions}, as 0 to 255.
They lie in `KEY.masks.png` in a WebDataset, in `NAME-00000.masks/` beside a folder, in the column `masks` in Parquet.

| column | what it says |
| --- | --- |
| `measured_landmark_drift` | mean distance of the landmarks of both pictures of a pair, as shares of the distance of \
the outer eye corners. The reader is no ruler: on renders with nothing but makeup between them it reads 0.007 in the \
median, so a limit of 0.01 turns some true pairs down, and more of strong styles than of faint ones |
| `measured_id_sim_to_ref` | cosine of identity between both pictures of a pair; of a bare one, to the portrait of its \
identity |
| `measured_outside_difference` | largest difference of a pair where all masks are 0, of 1 |
| `measured_inside_difference` | mean difference of a pair elsewhere, of 1: how much the makeup changes |
| `measured_makeup` | probability that the picture shows makeup, to the face analysis |
| `source_seed`, `source_model_sha256` | of the portrait that everything was painted on. Where it wore makeup, this \
was removed first, and the bare picture is an edit too: see its `digital_source_type` |"""


def style_id(number: int) -> str:
    """Name of a style, numbers from 0."""
    return f"style-{number:02d}"


def picture_id(identity_id: str, style: str) -> str:
    """Id of the picture of an identity in a style."""
    return f"{identity_id}_{style}"


def styles(seed: int, count: int) -> dict[str, MakeupLook]:
    """All styles of a dataset by their names; `BARE_STYLE` comes first."""
    return {BARE_STYLE: BARE, **{style_id(number): draw(seed, number) for number in range(count)}}


def draw(seed: int, number: int) -> MakeupLook:
    """Draw a style, a function of the dataset's seed and of its number alone, of at least two layers.

    Lip colours take turns and hues of eye shadow keep apart, so that a few styles differ already.
    """
    rng, shared = seeds.stream(seed, "style", number), seeds.stream(seed, "styles")
    family = _LIPS[int(shared.permutation(len(_LIPS))[number % len(_LIPS)])]
    hue = (float(shared.random()) + number * _GOLDEN) % 1
    while True:
        drawn = {
            "lips": _layer(np.array(family) * rng.uniform(0.8, 1.12), rng.uniform(0.4, 0.95), 0.4),
            "shadow": _layer(_colour(rng, hue, 0.2, 0.7), rng.uniform(0.35, 0.85), rng.uniform(0.3, 0.95)),
            "liner": _layer(
                np.full(3, 0.11) if rng.random() < 0.75 else _colour(rng, rng.random(), 0.17, 0.48),
                rng.uniform(0.55, 0.98), rng.uniform(0.2, 0.8),
            ),
            "blush": _layer(
                np.array(_BLUSH[int(rng.integers(len(_BLUSH)))]) * rng.uniform(0.8, 1.06),
                rng.uniform(0.2, 0.55), rng.uniform(0.5, 1.0),
            ),
        }  # fmt: skip
        layers = {name: layer for name, layer in drawn.items() if rng.random() < _CHANCES[name]}
        if len(layers) >= _LEAST_LAYERS:
            return MakeupLook(layers)


def columns(look: MakeupLook) -> dict[str, Any]:
    """What the record stores of a look."""
    found = {}
    for name, layer in look.layers.items():
        found |= {f"{name}_colour": _hexadecimal(layer.colour), f"{name}_opacity": layer.opacity}
        found |= {f"{name}_spread": layer.spread}
    return found


def read(record: Mapping[str, Any]) -> MakeupLook:
    """Read back what `columns` stored in a record."""
    return MakeupLook(
        {
            name: Layer(
                _channels(record[f"{name}_colour"]), record[f"{name}_opacity"], record[f"{name}_spread"]
            )
            for name in LAYERS
            if record[f"{name}_colour"] is not None
        }
    )


def explained(looks: Mapping[str, MakeupLook]) -> str:
    """What a datasheet says of styles and pairs, in Markdown."""
    lines = ["| style | " + " | ".join(LAYERS) + " |", "| --- " * (1 + len(LAYERS)) + "|"]
    for style, look in looks.items():
        cells = [_words(look.layers[name]) if name in look.layers else "-" for name in LAYERS]
        lines.append(f"| `{style}` | {' | '.join(cells)} |")
    first, second, third = (f"{name} ({', '.join(layers)})" for name, layers in REGIONS.items())
    regions = f"{first}, green for {second}, blue for {third}"
    return _EXPLAINED.format(table="\n".join(lines), regions=regions)


def _layer(colour: np.ndarray, opacity: float, spread: float) -> Layer:
    """Rounded to what the columns hold."""
    red, green, blue = (round(float(np.clip(value, 0, 1)) * 255) / 255 for value in colour)
    return Layer((red, green, blue), round(opacity, 3), round(spread, 3))


def _colour(rng: np.random.Generator, hue: float, low: float, high: float) -> np.ndarray:
    value = float(np.exp(rng.uniform(np.log(low), np.log(high))))
    return np.array(colorsys.hsv_to_rgb(hue, rng.uniform(0.2, 0.85), value))


def _hexadecimal(colour: tuple[float, float, float]) -> str:
    return "#" + "".join(f"{round(value * 255):02x}" for value in colour)


def _channels(colour: str) -> tuple[float, float, float]:
    red, green, blue = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    return red, green, blue


def _words(layer: Layer) -> str:
    return f"`{_hexadecimal(layer.colour)}`, opacity {layer.opacity:g}, spread {layer.spread:g}"
