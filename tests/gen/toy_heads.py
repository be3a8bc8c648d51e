"""The recipe of drags with heads that need no assets: textured discs above shoulders, which slide when edited."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from faces import vocabulary
from faces.head.spec import HeadSpec, Identity, Look, State
from gen.heads import View
from gen.recipes.drags import DragsRecipe

SIDE = 128
HIDDEN = (0, 1, 2)
"""Landmarks that no picture shows."""
_RADIUS = 36
_FAR = 40
_SKIN, _CLOTH = vocabulary.PARSING.index("skin"), vocabulary.PARSING.index("cloth")


class ToyHeads:
    """Discs that slide by whole pixels: by few when they are turned, not at all by a gaze, out of sight when shaped."""

    def pair(self, wanted: Mapping[str, Any], edit: str, rng: np.random.Generator) -> tuple[View, View]:
        """Draw a pair."""
        texture = rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
        slide = np.array([int(rng.choice((-1, 1))) * int(rng.integers(4, 9)), int(rng.integers(-6, 3))])
        if edit == "gaze":
            slide = np.zeros(2, int)
        if edit == "shape":
            slide = np.array([_FAR, 0])
        hidden = range(60) if edit == "expression" else HIDDEN
        specs = (_spec(wanted, "neutral", 0.0), _spec(wanted, "happy", 25.0))
        return (
            _view(texture, np.zeros(2, int), slide, specs[0], hidden),
            _view(texture, slide, -slide, specs[1], hidden),
        )


class ToyDrags(DragsRecipe):
    """The recipe with discs for heads."""

    pairs: int = 6
    size: int = SIDE
    edits: dict[str, float] = {"pose": 1.0, "all": 1.0}
    attempts: int = 2
    batch_size: int = 4
    shard_size: int = 4

    def models(self) -> dict[str, str]:
        """There are no assets."""
        return {"toy": "0" * 64}

    def heads(self) -> ToyHeads:
        """Nothing to open."""
        return ToyHeads()


def _spec(wanted: Mapping[str, Any], expression: str, yaw: float) -> HeadSpec:
    identity = Identity(
        id="toy", races=(0, 0, 1), gender=float(wanted["gender"] == "man"), weight=0.5, details={},
        skin_tone=(wanted["skin_tone"] - 0.5) / 6, skin_variant=0, skin_tint=(1, 1, 1), eye_colour="blue",
        iris_shade=1, brow_style="eyebrow001", brow_shade=0.5, hair_colour="red",
    )  # fmt: skip
    age = float(vocabulary.AGE_BANDS[wanted["age_band"]][0])
    look = Look(age_years=age, hair_style="long", hair_colour="red", cloth_colour="white")
    units = {"AU12": 0.7} if expression == "happy" else {}
    return HeadSpec(
        identity=identity, look=look, state=State(expression=expression, action_units=units, yaw=yaw, gaze=(3, -2))
    )  # fmt: skip


def _view(texture: np.ndarray, at: np.ndarray, slide: np.ndarray, spec: HeadSpec, hidden: Any) -> View:
    rows, columns = np.mgrid[:SIDE, :SIDE]
    disc = np.hypot(columns + 0.5 - 64 - at[0], rows + 0.5 - 56 - at[1]) < _RADIUS
    shoulders = rows >= 110
    parsing = np.where(disc, _SKIN, np.where(shoulders, _CLOTH, 0)).astype(np.uint8)
    image = np.full((SIDE, SIDE, 3), 90, np.uint8)
    image[shoulders] = 200
    image[disc] = np.roll(texture, (at[1], at[0]), axis=(0, 1))[disc]
    angles = np.linspace(0, 2 * np.pi, 69)[:-1]
    ring = np.stack([np.cos(angles), np.sin(angles)], axis=1) * np.linspace(10, 34, 68)[:, None]
    landmarks = (ring + (64, 56) + at).astype(np.float32)
    shown = np.floor(landmarks).astype(int)
    shown[list(hidden)] = -1
    flow = np.where(disc[..., None], slide, 0).astype(np.float32)
    there = columns + flow[..., 0]
    return View(
        image=image, parsing=parsing, landmarks=landmarks, shown=shown, flow=flow,
        seen=(disc | shoulders) & (there >= 0) & (there < SIDE), labels=spec.labels(),
    )  # fmt: skip
