"""Heads for the study of expressions: states that no portrait needs, and materials kept apart for tests.

Portraits show one of eight expressions. To read and to steer single action units a network has to see them apart
from each other; to tell that a face shows none of the eight, it is tested with compounds that it never saw.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from faces import vocabulary
from faces.head.assets import BROWS
from faces.head.expression import PROTOTYPES
from faces.head.sampler import draw_second_lights
from faces.head.spec import HeadSpec, State

States = Literal["portraits", "units", "subtle", "exam"]
"""`portraits` as `HeadSampler` draws them; `units` adds free combinations of action units and wide poses; `subtle`
shows nothing but combinations around a unit that is small or that `units` rarely shows; `exam` adds compounds of two
expressions to `units`."""
Materials = Literal["all", "seen", "varied", "unseen"]
"""Skins, brows, hair and lights: `seen` for training, `varied` the same with every brow style but the unseen, those
that portraits do without included; `unseen` the ones that training was denied."""

COMPOUNDS = (
    ("happy", "surprise"), ("happy", "disgust"), ("sad", "fear"), ("sad", "anger"), ("sad", "surprise"),
    ("sad", "disgust"), ("fear", "anger"), ("anger", "surprise"), ("disgust", "surprise"), ("happy", "fear"),
)  # fmt: skip
"""Pairs of basic expressions shown at once, after Du, Tao and Martinez (2014), "Compound facial expressions of
emotion", table 1, as far as both show."""

_UNSEEN_SKIN = 1
"""The second picture of each light skin; the dark skins have a single picture, which both sides use."""
_UNSEEN_BROWS = ("eyebrow009", "eyebrow012")
_SEEN_BROWS = ("eyebrow001", "eyebrow006", "eyebrow008", "eyebrow011")
_VARIED_BROWS = tuple(name for name in BROWS if name not in _UNSEEN_BROWS)
_UNSEEN_HAIR = {"man": ("cropped", "afro"), "woman": ("ponytail", "afro")}
"""Styles that leave both eyes free: what hair hides nobody can read."""

_MOUTH = ("AU10", "AU12", "AU15", "AU16", "AU17", "AU18", "AU20", "AU22", "AU24", "AU25", "AU26")
_UPPER = ("AU1", "AU2", "AU4", "AU5", "AU7", "AU9", "AU38", "AU43")
_EXCLUSIVE = (
    {"AU5", "AU7", "AU43"},
    {"AU16", "AU18", "AU20", "AU22", "AU24", "AU26", "AU10"},
    {"AU12", "AU15", "AU17", "AU18", "AU22"},
    {"AU18", "AU22", "AU24", "AU25"},
)
"""Units of which a free combination shows one: the morphs of two would tear the mesh or undo each other."""
_SUBTLE = ("AU7", "AU10", "AU12", "AU17", "AU18", "AU18", "AU20", "AU22", "AU24", "AU25", "AU38", "AU43")
_COMPOUND_STRENGTH = 0.85
_MOST_FREE = 6
"""Most units that a basic expression (fear, anger) or a free combination shows."""


def study_state(plain: State, states: States, rng: np.random.Generator) -> State:
    """Replace what `HeadSampler.state` drew as `states` asks.

    Args:
        plain: expression and pose of a portrait.
        states: which states.
        rng: of this picture.
    """
    if states == "portraits":
        return plain
    chance = rng.random()
    changed: dict = {
        "yaw": float(np.clip(rng.normal(0, 18), -45, 45)),
        "pitch": float(np.clip(rng.normal(0, 8), -22, 22)),
        "roll": float(np.clip(rng.normal(0, 4), -12, 12)),
    }
    free, compound = {"units": (0.5, 0.0), "subtle": (1.0, 0.0), "exam": (0.25, 0.25)}[states]
    if chance < free:
        first = str(rng.choice(_SUBTLE)) if states == "subtle" else None
        changed |= {"expression": vocabulary.MIXED, "action_units": free_units(rng, first)}
    elif chance < free + compound:
        changed |= {"expression": vocabulary.MIXED, "action_units": compound_units(rng)}
    else:
        # Portraits are neutral or happy more often than the rest; a study is balanced.
        chosen = str(rng.choice(vocabulary.EXPRESSIONS))
        changed |= {"expression": chosen, "action_units": _varied(PROTOTYPES[chosen], rng)}
    return plain.model_copy(update=changed)


def free_units(rng: np.random.Generator, first: str | None = None) -> dict[str, float]:
    """Draw one to five action units, sided ones on one side alone a third of the time.

    Args:
        rng: source of every choice.
        first: a unit that is shown in any case; what excludes it is not.
    """
    units: dict[str, float] = {}
    taken: set[str] = set()
    pool = [
        *rng.permutation(_UPPER)[: int(rng.integers(0, 4))],
        *rng.permutation(_MOUTH)[: int(rng.integers(0, 3))],
    ]
    pool = ([first] if first else []) + [unit for unit in pool if unit != first]
    for unit in pool or [str(rng.choice(_MOUTH + _UPPER))]:
        if unit in taken:
            continue
        for group in _EXCLUSIVE:
            if unit in group:
                taken |= group
        strength = float(rng.uniform(0.2, 1.1))
        if unit in vocabulary.SIDED_ACTION_UNITS and rng.random() < 1 / 3:
            units[str(unit) + str(rng.choice(("L", "R")))] = strength
        else:
            units[str(unit)] = strength
    return units


def compound_units(rng: np.random.Generator) -> dict[str, float]:
    """Draw two basic expressions at once: of every unit the stronger one."""
    first, second = COMPOUNDS[int(rng.integers(len(COMPOUNDS)))]
    units = dict(PROTOTYPES[first])
    for unit, value in PROTOTYPES[second].items():
        units[unit] = max(units.get(unit, 0.0), value)
    return _varied({unit: value * _COMPOUND_STRENGTH for unit, value in units.items()}, rng)


def is_compound(units: dict[str, float]) -> bool:
    """Whether spelt-out action units show two basic expressions: more at once than one, or a free draw, shows."""
    return sum(value > 0 for name, value in units.items() if name in vocabulary.ACTION_UNITS) > _MOST_FREE


def use_materials(spec: HeadSpec, materials: Materials, seed: int, number: int, variant: int) -> HeadSpec:
    """Restrict a drawn head to one side of the split of materials.

    Args:
        spec: as drawn from all materials.
        materials: which side.
        seed: of the collection.
        number: of the person; skin and brows are theirs.
        variant: of the picture; hair and lights are its own.
    """
    if materials == "all":
        return spec
    own = np.random.default_rng([seed, 11, number])
    picture = np.random.default_rng([seed, 12, number, variant])
    identity, look, lights = spec.identity, spec.look, spec.lights
    male = "man" if identity.gender > 0.5 else "woman"
    if materials == "unseen":
        skin, brows, hair = _UNSEEN_SKIN, _UNSEEN_BROWS, _UNSEEN_HAIR[male]
        lights = draw_second_lights(picture)
    else:
        skin = int(own.choice((0, 2)))
        brows = _VARIED_BROWS if materials == "varied" else _SEEN_BROWS
        hidden = [*_UNSEEN_HAIR["man"], *_UNSEEN_HAIR["woman"]]
        hair = (look.hair_style,) if look.hair_style not in hidden else ("short", "tousled", "long")
    identity = identity.model_copy(update={"skin_variant": skin, "brow_style": str(own.choice(brows))})
    look = look.model_copy(update={"hair_style": str(picture.choice(hair))})
    return spec.model_copy(update={"identity": identity, "look": look, "lights": lights})


def _varied(units: dict[str, float], rng: np.random.Generator) -> dict[str, float]:
    strength = rng.uniform(0.7, 1.1)
    return {
        unit: float(np.clip(value * strength * rng.uniform(0.85, 1.15), 0, 1.4))
        for unit, value in units.items()
    }
