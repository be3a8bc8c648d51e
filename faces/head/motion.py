"""A head in two states, as drag editing sees it: what moves, and by how much, drawn at random.

Video shows one head in two expressions and poses; the shape edits are what it cannot show: another nose or jaw on the
same head.
"""

from __future__ import annotations

import numpy as np

from faces import vocabulary
from faces.head.spec import HeadSpec, Identity, State
from faces.head.study import free_units

KINDS = {"expression": 0.3, "pose": 0.2, "gaze": 0.05, "shape": 0.2, "all": 0.25}
"""What differs between the two states -> share of the pairs."""
SHAPES = (
    ("nose/nose-scale-horiz-decr|incr", "nose/nose-scale-vert-decr|incr", "nose/nose-point-down|up"),
    ("chin/chin-width-decr|incr", "chin/chin-height-decr|incr", "chin/chin-jaw-drop-decr|incr"),
    ("mouth/mouth-scale-horiz-decr|incr", "mouth/mouth-scale-vert-decr|incr", "mouth/mouth-trans-down|up"),
    ("eyes/-eye-scale-decr|incr", "eyes/-eye-height2-decr|incr", "eyes/-eye-trans-in|out"),
    ("cheek/-cheek-volume-decr|incr", "cheek/-cheek-bones-decr|incr", "head/head-fat-decr|incr"),
    (
        "head/head-scale-horiz-decr|incr",
        "head/head-scale-vert-decr|incr",
        "forehead/forehead-scale-vert-decr|incr",
    ),
)
"""Sliders that are edited together; those of paired parts lack their side."""
_YAW, _PITCH, _ROLL, _GAZE = 10.0, 6.0, 5.0, 9.0
"""Standard deviations of what is added, in degrees."""
_MOST = {"yaw": 20.0, "pitch": 13.0, "roll": 12.0}


def draw_kind(rng: np.random.Generator) -> str:
    """One of `KINDS`."""
    return str(rng.choice(list(KINDS), p=list(KINDS.values())))


def moved(spec: HeadSpec, kind: str, rng: np.random.Generator) -> HeadSpec:
    """The same head after an edit: the same look, camera, lights and background.

    Args:
        spec: before it.
        kind: of `KINDS`.
        rng: source of every choice.
    """
    if kind not in KINDS:
        raise ValueError(f"kind {kind!r}: expected one of {', '.join(KINDS)}")
    state, identity = spec.state, spec.identity
    if kind in ("expression", "all"):
        state = state.model_copy(
            update={"expression": vocabulary.MIXED, "action_units": _units(state.action_units, rng)}
        )
    if kind in ("gaze", "all"):
        shift = rng.normal(0, _GAZE, 2) * (1, 0.6)
        state = state.model_copy(update={"gaze": tuple(float(x) for x in shift.clip(-18, 18))})
    if kind in ("pose", "all"):
        state = _turned(state, rng)
    if kind in ("shape", "all"):
        identity = _reshaped(identity, rng)
    return spec.model_copy(update={"state": state, "identity": identity})


def _units(before: dict[str, float], rng: np.random.Generator) -> dict[str, float]:
    """Free action units in place of those before, or the same ones stronger or weaker."""
    if before and rng.random() < 0.3:
        factor = float(rng.uniform(0.0, 1.6))
        return {name: float(np.clip(value * factor, 0, 1.3)) for name, value in before.items()}
    return free_units(rng)


def _turned(state: State, rng: np.random.Generator) -> State:
    spread = {"yaw": _YAW, "pitch": _PITCH, "roll": _ROLL}
    added = {
        name: float(np.clip(rng.normal(0, by), -_MOST[name], _MOST[name])) for name, by in spread.items()
    }
    limits = {"yaw": 40.0, "pitch": 20.0, "roll": 15.0}
    return state.model_copy(
        update={
            name: float(np.clip(getattr(state, name) + value, -limits[name], limits[name]))
            for name, value in added.items()
        }
    )


def _reshaped(identity: Identity, rng: np.random.Generator) -> Identity:
    """Move a few sliders of one or two parts, those of paired parts on both sides or, sometimes, on one."""
    details = dict(identity.details)
    for part in rng.permutation(len(SHAPES))[: int(rng.integers(1, 3))]:
        sliders = SHAPES[part]
        for slider in rng.permutation(sliders)[: int(rng.integers(1, len(sliders) + 1))]:
            by = float(rng.choice((-1, 1)) * rng.uniform(0.3, 0.9))
            for name in _sided(str(slider), rng):
                details[name] = float(np.clip(details.get(name, 0.0) + by, -1, 1))
    return identity.model_copy(update={"details": details})


def _sided(slider: str, rng: np.random.Generator) -> list[str]:
    if "/-" not in slider:
        return [slider]
    sides = [slider.replace("/-", f"/{side}-") for side in "lr"]
    return [str(rng.choice(sides))] if rng.random() < 0.2 else sides
