"""`HeadSpec`: everything that decides a picture of a head, as data. The same spec gives the same bytes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from faces import vocabulary

Colour = tuple[float, float, float]
"""Linear RGB, each 0..1."""
Unit = Annotated[float, Field(ge=0, le=1)]
Vector = tuple[float, float, float]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Mark(_Frozen):
    """A mole or a scar on one side of the face; it belongs to one identity alone."""

    kind: Literal["mole", "scar"]
    vertex: int
    """Vertex of the base mesh that the mark sits on."""
    radius: float = Field(gt=0, le=0.2)
    """Half its length in decimetres on the neutral head."""
    angle: float = 0.0
    strength: Unit = 0.8


class Identity(_Frozen):
    """What stays when a person changes expression, hair, clothes, light or age."""

    id: str
    races: Vector
    """Weights of MakeHuman's african, asian and caucasian morphs, summing to 1: shapes, not a claim about people."""
    gender: Unit
    """0 renders the female morphs, 1 the male ones."""
    weight: Unit
    details: dict[str, float]
    """Signed slider name -> -1..1."""
    skin_tone: Unit
    """0 the light skins, 1 the dark ones."""
    skin_variant: int = Field(ge=0, le=2)
    skin_tint: Colour
    eye_colour: Literal[vocabulary.EYE_COLOURS]  # type: ignore[valid-type]
    iris_shade: float = Field(ge=0.5, le=1.5)
    brow_style: str
    brow_shade: Unit
    hair_colour: Literal[vocabulary.HAIR_COLOURS]  # type: ignore[valid-type]
    """The natural colour; brows and beard follow it, the look may dye the hair."""
    marks: tuple[Mark, ...] = ()


class State(_Frozen):
    """What a person does with the face: expression, gaze and head pose."""

    expression: Literal[(*vocabulary.EXPRESSIONS, vocabulary.MIXED)] = "neutral"  # type: ignore[valid-type]
    action_units: dict[str, float] = {}
    """Action unit -> 0..1.5; a sided one may end in L or R (the subject's side)."""
    gaze: tuple[float, float] = (0.0, 0.0)
    """Degrees to the right of the image, and up."""
    yaw: float = Field(default=0.0, ge=-90, le=90)
    pitch: float = Field(default=0.0, ge=-60, le=60)
    roll: float = Field(default=0.0, ge=-60, le=60)
    """Head pose in degrees: yaw turns the face to the image's right, pitch up, roll clockwise in the image."""


class MakeupLayer(_Frozen):
    """One layer of makeup, painted in texture space."""

    region: Literal["lips", "shadow", "liner", "blush"]
    colour: Colour
    alpha: Unit
    extent: float = Field(default=0.5, ge=0, le=1)
    """How far the layer spreads beyond its core, 0..1."""


class Look(_Frozen):
    """What a person wears, and the age the head is rendered at."""

    age_years: float = Field(ge=vocabulary.MINIMUM_AGE, le=90)
    hair_style: Literal[vocabulary.HAIR_STYLES]  # type: ignore[valid-type]
    hair_colour: Literal[vocabulary.HAIR_COLOURS]  # type: ignore[valid-type]
    hair_shade: float = Field(default=1.0, ge=0.5, le=1.6)
    beard: Unit = 0.0
    glasses: Unit = 0.0
    """0 for none, otherwise the darkness of the frame."""
    cloth_colour: Literal[vocabulary.CLOTH_COLOURS]  # type: ignore[valid-type]
    cloth_shade: float = Field(default=1.0, ge=0.3, le=1.6)
    makeup: tuple[MakeupLayer, ...] = ()


class Camera(_Frozen):
    """A perspective camera in front of the aligned portrait frame."""

    distance: float = Field(default=14.0, ge=6, le=60)
    """From the head, in decimetres."""
    shift: tuple[float, float] = (0.0, 0.0)
    """Of the face within the frame, as a share of its size (right, down)."""
    zoom: float = Field(default=1.0, ge=0.5, le=2)


class Lights(_Frozen):
    """Key light with shadow, fill, rim, and an environment of sky and ground."""

    name: Literal[vocabulary.LIGHTS] = "soft"  # type: ignore[valid-type]
    key_direction: Vector = (0.4, 0.5, 0.8)
    key: Colour = (1.0, 1.0, 1.0)
    fill_direction: Vector = (-0.6, 0.1, 0.7)
    fill: Colour = (0.25, 0.25, 0.25)
    rim_direction: Vector = (0.0, 0.6, -0.8)
    rim: Colour = (0.2, 0.2, 0.2)
    sky: Colour = (0.35, 0.37, 0.4)
    ground: Colour = (0.18, 0.16, 0.14)
    exposure: float = Field(default=0.8, gt=0, le=4)


class Background(_Frozen):
    """A gradient between two colours with soft noise."""

    name: Literal[vocabulary.BACKGROUNDS] = "grey"  # type: ignore[valid-type]
    top: Colour = (0.35, 0.35, 0.37)
    bottom: Colour = (0.22, 0.22, 0.24)
    angle: float = 0.0
    noise: Unit = 0.0
    seed: int = 0


class HeadSpec(_Frozen):
    """One picture of one head."""

    identity: Identity
    state: State = State()
    look: Look
    camera: Camera = Camera()
    lights: Lights = Lights()
    background: Background = Background()

    def labels(self) -> dict:
        """Flat labels of the picture, JSON types only; captions, training and evaluation read these names."""
        identity, state, look = self.identity, self.state, self.look
        return {
            "identity_id": identity.id,
            "age_years": round(look.age_years, 1),
            "age_band": vocabulary.age_band(look.age_years),
            "rendered_gender": round(identity.gender, 3),
            "gender": "man" if identity.gender > 0.5 else "woman",
            "skin_tone": 1 + min(5, int(identity.skin_tone * 6)),
            "eye_colour": identity.eye_colour,
            "hair_style": look.hair_style,
            "hair_colour": look.hair_colour,
            "beard": round(look.beard, 3),
            "glasses": look.glasses > 0,
            "expression": state.expression,
            "au": {name: round(value, 3) for name, value in full_action_units(state.action_units).items()},
            "yaw": round(state.yaw, 2),
            "pitch": round(state.pitch, 2),
            "roll": round(state.roll, 2),
            "gaze": [round(angle, 2) for angle in state.gaze],
            "pose": vocabulary.pose_name(state.yaw),
            "light": self.lights.name,
            "background": self.background.name,
            "cloth_colour": look.cloth_colour,
            "makeup": [layer.model_dump(mode="json") for layer in look.makeup],
            "marks": [mark.model_dump(mode="json") for mark in identity.marks],
        }


def full_action_units(units: dict[str, float]) -> dict[str, float]:
    """Spell out sided action units: every unit once, and a sided one also as L and R; absent means 0.

    Raises:
        ValueError: a name is not in `vocabulary.ACTION_UNITS`.
    """
    full: dict[str, float] = {}
    for name in vocabulary.ACTION_UNITS:
        both = units.get(name, 0.0)
        if name in vocabulary.SIDED_ACTION_UNITS:
            left, right = max(both, units.get(name + "L", 0.0)), max(both, units.get(name + "R", 0.0))
            full[name], full[name + "L"], full[name + "R"] = (left + right) / 2, left, right
        else:
            full[name] = both
    unknown = set(units) - set(full)
    if unknown:
        raise ValueError(f"unknown action units {sorted(unknown)}; known are {', '.join(full)}")
    return full


def unit_columns(units: dict[str, float]) -> dict[str, float]:
    """Spell out action units as `vocabulary.UNIT_COLUMNS`, sides apart: what is not given rests at 0.

    Raises:
        ValueError: a name is not in `vocabulary.ACTION_UNITS`.
    """
    full = full_action_units(units)
    return {name: full[name] for name in vocabulary.UNIT_COLUMNS}
