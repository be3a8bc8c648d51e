"""Draws people, states and looks at random: `HeadSampler(seed)` -> `HeadSpec`.

An identity is a function of (seed, number); a state or look of (seed, number, variant). Nothing of a look or state
is drawn from the identity's own stream beyond what the identity declares, so identity does not leak into them.
"""

from __future__ import annotations

import numpy as np

from faces import vocabulary
from faces.head.expression import PROTOTYPES
from faces.head.spec import (
    Background,
    Camera,
    HeadSpec,
    Identity,
    Lights,
    Look,
    MakeupLayer,
    Mark,
    State,
)

_BROWS = (
    "eyebrow001",
    "eyebrow006",
    "eyebrow008",
    "eyebrow009",
    "eyebrow011",
    "eyebrow012",
)  # the others frown at rest
# Vertices of the base mesh over cheeks, forehead, chin and nose, one side each, that a mark may sit on.
_MARK_BOX = {"x": (0.08, 0.55), "y": (6.25, 7.75), "z": 1.0}
_CALM = (
    "mouth-angles",
    "laugh-lines",
    "mouth-dimples",
    "eyebrows-angle",
    "eye-corner",
    "nose-base",
    "eyefold-angle",
)
_SKIPPED = (
    "asym-eye",
    "eye-trans",
    "neck-scale-vert",
    "neck-double",
    "eyebrows-trans",
    "ear-shape-pointed",
    "nose-trans",
)
_ONE_SIDED_SHARE = 0.35


class HeadSampler:
    """Samples specs; the same seed and numbers give the same specs.

    Args:
        seed: of the whole collection.
        sliders: slider names of `MorphModel.sliders`.
        mark_vertices: base vertices that marks may sit on, from `mark_vertices(assets)`.
        calm: 1 for the shipped model's data; larger spreads the faces wider.
    """

    def __init__(self, seed: int, sliders: list[str], mark_vertices: np.ndarray, calm: float = 1.0) -> None:
        self.seed = seed
        self._sliders = sorted(sliders)
        self._marks = mark_vertices
        self._calm = calm

    def identity(self, number: int) -> Identity:
        """Draw person `number`."""
        rng = self._rng(1, number)
        races = rng.dirichlet((0.55, 0.55, 0.55))
        male = rng.random() < 0.5
        gender = float(np.clip(rng.beta(6, 1.2) if male else rng.beta(1.2, 6), 0, 1))
        african, asian, _ = races
        tone = float(np.clip(0.05 + 0.95 * african + 0.18 * asian + rng.normal(0, 0.12), 0, 1))
        dark = tone > 0.45
        hair = rng.choice(vocabulary.HAIR_COLOURS[:4], p=_hair_odds(tone))
        eye_odds = (
            np.array([0.9, 0.1, 0, 0, 0, 0, 0]) if dark else np.array([0.25, 0.18, 0.13, 0.1, 0.14, 0.1, 0.1])
        )
        warmth = rng.normal(0, 0.05)
        light = float(np.exp(rng.normal(0, 0.10)))
        tint = np.clip(np.array([1 + 0.4 * warmth, 1 - 0.2 * warmth, 1 - warmth]) * light, 0.7, 1.3)
        return Identity(
            id=f"{self.seed}-{number}",
            races=_triple(races),
            gender=gender,
            weight=float(np.clip(rng.normal(0.5, 0.2), 0, 1)),
            details=self._details(rng),
            skin_tone=tone,
            skin_variant=int(rng.integers(3)),
            skin_tint=_triple(np.minimum(tint, 1.0 / tint.max() * 1.15)),
            eye_colour=str(rng.choice(vocabulary.EYE_COLOURS, p=eye_odds)),
            iris_shade=float(rng.uniform(0.75, 1.25)),
            brow_style=str(rng.choice(_BROWS)),
            brow_shade=float(rng.uniform(0.1, 1.0)),
            hair_colour=str(hair),
            marks=self._draw_marks(rng),
        )

    def look(self, identity: Identity, number: int, variant: int, age_years: float | None = None) -> Look:
        """Draw what the person wears in picture `variant`, and the age it is rendered at."""
        rng = self._rng(2, number, variant)
        if age_years is None:
            # Most pictures show a person at one age; the rest at another, so that age is not the identity.
            own = _draw_age(self._rng(5, number))
            age_years = (
                float(np.clip(own + rng.normal(0, 2), 18, 85)) if rng.random() < 0.6 else _draw_age(rng)
            )
        male = identity.gender > 0.5
        colour = self._worn_colour(rng, identity, age_years)
        makeup = () if male or rng.random() < 0.45 else _makeup(rng, identity.skin_tone)
        return Look(
            age_years=age_years,
            hair_style=str(rng.choice(vocabulary.HAIR_STYLES, p=_style_odds(male))),
            hair_colour=colour,
            hair_shade=float(np.exp(rng.normal(0, 0.15)).clip(0.6, 1.5)),
            beard=float(rng.uniform(0.35, 0.85)) if male and rng.random() < 0.35 else 0.0,
            glasses=float(rng.uniform(0.4, 1.0)) if rng.random() < 0.08 else 0.0,
            cloth_colour=str(rng.choice(vocabulary.CLOTH_COLOURS)),
            cloth_shade=float(np.exp(rng.normal(0, 0.2)).clip(0.5, 1.5)),
            makeup=makeup,
        )

    def state(
        self, number: int, variant: int, expression: str | None = None, yaw: float | None = None
    ) -> State:
        """Draw an expression with its intensity, a gaze and a head pose."""
        rng = self._rng(3, number, variant)
        chosen = expression or str(
            rng.choice(vocabulary.EXPRESSIONS, p=(0.2, 0.2, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1))
        )
        strength = rng.uniform(0.75, 1.1)
        units = {
            unit: float(np.clip(value * strength * rng.uniform(0.85, 1.15), 0, 1.4))
            for unit, value in PROTOTYPES[chosen].items()
        }
        if rng.random() < 0.3:
            extra = str(rng.choice(("AU1", "AU2", "AU7", "AU17", "AU25")))
            units[extra] = max(units.get(extra, 0.0), float(rng.uniform(0.05, 0.25)))
        turn = float(np.clip(rng.normal(0, 13), -32, 32)) if yaw is None else yaw
        return State(
            expression=chosen,
            action_units=units,
            gaze=(float(rng.normal(0, 5)), float(rng.normal(0, 3))),
            yaw=turn,
            pitch=float(np.clip(rng.normal(0, 5), -13, 13)),
            roll=float(np.clip(rng.normal(0, 3), -8, 8)),
        )

    def scene(self, number: int, variant: int) -> tuple[Camera, Lights, Background]:
        """Draw camera, lights and background."""
        rng = self._rng(4, number, variant)
        camera = Camera(
            distance=float(rng.uniform(12, 18)),
            shift=(float(rng.normal(0, 0.008)), float(rng.normal(0, 0.008))),
            zoom=float(np.exp(rng.normal(0, 0.02))),
        )
        return camera, draw_lights(rng), draw_background(rng)

    def spec(self, number: int, variant: int = 0, **fixed) -> HeadSpec:
        """Draw picture `variant` of person `number`.

        Args:
            number: of the person.
            variant: of the picture.
            **fixed: `age_years`, `expression` or `yaw` to hold instead of drawing.
        """
        identity = self.identity(number)
        camera, lights, background = self.scene(number, variant)
        return HeadSpec(
            identity=identity,
            state=self.state(number, variant, fixed.get("expression"), fixed.get("yaw")),
            look=self.look(identity, number, variant, fixed.get("age_years")),
            camera=camera,
            lights=lights,
            background=background,
        )

    def _rng(self, *key: int) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence([self.seed, *key]))

    def _details(self, rng: np.random.Generator) -> dict[str, float]:
        values: dict[str, float] = {}
        for slider in self._sliders:
            if any(skipped in slider for skipped in _SKIPPED):
                rng.random()
                continue
            spread = 0.22 * self._calm
            if "asym/" in slider:
                spread = 0.12 * self._calm
            elif any(calm in slider for calm in _CALM):
                spread = 0.10 * self._calm
            elif slider.startswith("mouth/") or slider.startswith("chin/"):
                spread = 0.20 * self._calm
            twin = slider.replace("/r-", "/l-")
            if "/r-" in slider and twin in values:  # both sides of a face differ only a little
                values[slider] = float(np.clip(values[twin] + rng.normal(0, 0.03), -0.8, 0.8))
                continue
            value = float(np.clip(rng.normal(0, spread), -0.7 * self._calm, 0.7 * self._calm))
            if "|" not in slider:  # one-directional shapes: most people have none of them
                value = abs(value) * 1.6 if rng.random() < _ONE_SIDED_SHARE else 0.0
            values[slider] = value
        return {slider: round(value, 4) for slider, value in values.items() if abs(value) > 0.005}

    def _draw_marks(self, rng: np.random.Generator) -> tuple[Mark, ...]:
        marks = []
        for _ in range(int(rng.choice(4, p=(0.45, 0.3, 0.15, 0.1)))):
            scar = rng.random() < 0.2
            marks.append(
                Mark(
                    kind="scar" if scar else "mole",
                    vertex=int(rng.choice(self._marks)),
                    radius=float(rng.uniform(0.08, 0.14) if scar else rng.uniform(0.022, 0.045)),
                    angle=float(rng.uniform(0, np.pi)),
                    strength=float(rng.uniform(0.5, 0.95)),
                )
            )
        return tuple(marks)

    @staticmethod
    def _worn_colour(rng: np.random.Generator, identity: Identity, age_years: float) -> str:
        grey = np.interp(age_years, [40, 75], [0.0, 0.75])
        if rng.random() < grey:
            return "grey"
        if rng.random() < 0.35:
            return str(rng.choice(vocabulary.HAIR_COLOURS[:4]))
        return identity.hair_colour


def mark_vertices(base: np.ndarray, kept: np.ndarray, body: np.ndarray) -> np.ndarray:
    """Base vertices of the front of the face that marks may sit on; lips and eyes are left out."""
    used = np.unique(body)
    x, y, z = base[used].T
    inside = (np.abs(x) > _MARK_BOX["x"][0]) & (np.abs(x) < _MARK_BOX["x"][1]) & (y > _MARK_BOX["y"][0])
    inside &= (y < _MARK_BOX["y"][1]) & (z > _MARK_BOX["z"])
    inside &= ~((np.abs(y - 6.6) < 0.12) & (np.abs(x) < 0.28)) & ~(np.abs(y - 7.3) < 0.18)
    return kept[used[inside]]


def draw_lights(rng: np.random.Generator) -> Lights:
    """Draw one of the named light set-ups with jitter."""
    name = str(rng.choice(vocabulary.LIGHTS))
    side = float(rng.choice((-1, 1)))
    key, fill, sky, azimuth = 1.15, 0.42, 0.55, rng.uniform(10, 40)
    colour = np.ones(3)
    if name == "side":
        key, fill, sky, azimuth = 1.7, 0.14, 0.34, rng.uniform(50, 70)
    elif name == "bright":
        key, fill, sky = 1.6, 0.65, 0.75
    elif name == "dim":
        key, fill, sky = 0.5, 0.16, 0.26
    elif name == "warm":
        colour = np.array([1.16, 0.98, 0.76])
    elif name == "cool":
        colour = np.array([0.86, 0.98, 1.16])
    elevation = rng.uniform(15, 50)
    a, e = np.radians([azimuth, elevation])
    environment = sky * rng.uniform(0.8, 1.2) * (0.5 + 0.5 * colour)
    return Lights(
        name=name,
        key_direction=(float(side * np.sin(a) * np.cos(e)), float(np.sin(e)), float(np.cos(a) * np.cos(e))),
        key=_triple(key * rng.uniform(0.85, 1.15) * colour),
        fill_direction=(float(-side * 0.8), float(rng.uniform(-0.1, 0.3)), 0.6),
        fill=_triple(fill * rng.uniform(0.7, 1.3) * (0.5 + 0.5 * colour)),
        rim_direction=(float(-side * rng.uniform(0.2, 0.9)), 0.5, -0.8),
        rim=_triple(rng.uniform(0.1, 0.6) * np.ones(3)),
        sky=_triple(environment * np.array([0.96, 1.0, 1.06])),
        ground=_triple(environment * 0.5 * np.array([1.05, 0.98, 0.9])),
        exposure=float(0.85 * rng.uniform(0.92, 1.08)),
    )


def draw_background(rng: np.random.Generator) -> Background:
    """Draw a calm gradient of a named colour."""
    base = {
        "grey": (0.26, 0.26, 0.27), "white": (0.72, 0.72, 0.72), "dark": (0.03, 0.03, 0.035),
        "blue": (0.12, 0.22, 0.42), "green": (0.12, 0.25, 0.15), "beige": (0.50, 0.40, 0.29),
    }  # fmt: skip
    name = str(rng.choice(vocabulary.BACKGROUNDS))
    colour = np.array(base[name]) * np.exp(rng.normal(0, 0.06, 3)) * np.exp(rng.normal(0, 0.12))
    return Background(
        name=name,
        top=_triple(np.clip(colour * rng.uniform(0.95, 1.25), 0, 1)),
        bottom=_triple(np.clip(colour * rng.uniform(0.65, 0.95), 0, 1)),
        angle=float(rng.uniform(-0.6, 0.6)),
        noise=float(rng.uniform(0, 0.15)),
        seed=int(rng.integers(2**31)),
    )


def _makeup(rng: np.random.Generator, tone: float) -> tuple[MakeupLayer, ...]:
    layers = []
    if rng.random() < 0.8:
        hue = rng.choice(4)
        colour = ((0.40, 0.02, 0.05), (0.45, 0.10, 0.14), (0.22, 0.02, 0.10), (0.42, 0.12, 0.06))[hue]
        layers.append(
            MakeupLayer(
                region="lips",
                colour=_triple(np.array(colour) * rng.uniform(0.7, 1.2)),
                alpha=float(rng.uniform(0.4, 0.85)),
                extent=0.4,
            )
        )
    if rng.random() < 0.6:
        colour = rng.choice(
            np.array(
                [
                    (0.10, 0.05, 0.16),
                    (0.05, 0.10, 0.20),
                    (0.12, 0.06, 0.03),
                    (0.04, 0.14, 0.09),
                    (0.25, 0.08, 0.14),
                ]
            )
        )
        layers.append(
            MakeupLayer(
                region="shadow",
                colour=_triple(colour),
                alpha=float(rng.uniform(0.3, 0.75)),
                extent=float(rng.uniform(0.3, 0.9)),
            )
        )
    if rng.random() < 0.6:
        layers.append(
            MakeupLayer(
                region="liner",
                colour=(0.008, 0.007, 0.008),
                alpha=float(rng.uniform(0.5, 0.95)),
                extent=float(rng.uniform(0.2, 0.8)),
            )
        )
    if rng.random() < 0.5:
        colour = np.array([0.50, 0.14, 0.13]) * (1 - 0.45 * tone)
        layers.append(
            MakeupLayer(
                region="blush",
                colour=_triple(colour),
                alpha=float(rng.uniform(0.15, 0.4)),
                extent=float(rng.uniform(0.5, 1.0)),
            )
        )
    return tuple(layers)


def _draw_age(rng: np.random.Generator) -> float:
    band = str(rng.choice(list(vocabulary.AGE_BANDS), p=(0.4, 0.3, 0.3)))
    low, high = vocabulary.AGE_BANDS[band]
    return float(rng.uniform(low, high + 0.9 if high < 85 else high))


def _hair_odds(tone: float) -> tuple[float, ...]:
    return (0.8, 0.2, 0.0, 0.0) if tone > 0.45 else (0.28, 0.34, 0.25, 0.13)


def _style_odds(male: bool) -> np.ndarray:
    # bald short cropped side-parted tousled afro bob "straight bob" braided long ponytail
    odds = np.array(
        [10, 18, 17, 8, 16, 8, 1, 1, 1, 3, 3] if male else [1, 5, 5, 6, 8, 8, 3, 6, 10, 24, 24], np.float64
    )
    return odds / odds.sum()


def _triple(values) -> tuple[float, float, float]:
    first, second, third = np.clip(values, 0, 4)
    return float(first), float(second), float(third)


def draw_second_lights(rng: np.random.Generator) -> Lights:
    """Draw lights from another distribution than `draw_lights`: any direction, any hue, other exposure."""
    azimuth, elevation = rng.uniform(-80, 80), rng.uniform(-10, 70)
    a, e = np.radians([azimuth, elevation])
    hue = np.exp(rng.normal(0, 0.12, 3))
    return Lights(
        name="soft",
        key_direction=(float(np.sin(a) * np.cos(e)), float(np.sin(e)), float(np.cos(a) * np.cos(e))),
        key=_triple(rng.uniform(0.3, 1.8) * hue),
        fill_direction=(float(-np.sin(a)), 0.1, 0.5),
        fill=_triple(rng.uniform(0.0, 0.6) * hue),
        rim=_triple(rng.uniform(0, 0.5) * hue),
        sky=_triple(rng.uniform(0.25, 0.8) * np.exp(rng.normal(0, 0.08, 3))),
        ground=_triple(rng.uniform(0.1, 0.5) * np.exp(rng.normal(0, 0.08, 3))),
        exposure=float(rng.uniform(0.65, 1.05)),
    )
