"""Morphs the base mesh: identity, age, expression, gaze and pose -> vertices of every mesh of a head."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from faces.head.assets import RACES, HeadAssets
from faces.head.expression import morph_weights
from faces.head.spec import HeadSpec, Identity, State

_SIGNED_SUFFIXES = (
    ("decr", "incr"), ("down", "up"), ("in", "out"), ("backward", "forward"), ("compress", "uncompress"),
    ("concave", "convex"),
)  # fmt: skip
_SKIPPED = ("asymm-", "head-age", "head-trans", "head-angle", "neck-trans", "head-back", "neck-back")


def slider_targets(targets: list[str]) -> dict[str, tuple[str | None, str]]:
    """Pair the detail targets into sliders: slider -> (target of negative values, target of positive values).

    A slider is named as in MakeHuman, "nose/nose-trans-down|up"; a target without an opposite is its own slider.
    """
    names = [name for name in targets if not name.startswith(("macrodetails/", "expression/"))]
    names = [name for name in names if not name.split("/")[1].startswith(_SKIPPED)]
    known, sliders, used = set(names), {}, set()
    for name in names:
        if name in used:
            continue
        for negative, positive in _SIGNED_SUFFIXES:
            twin = name.removesuffix(negative) + positive
            if name.endswith("-" + negative) and twin in known:
                sliders[f"{name}|{positive}"] = (name, twin)
                used |= {name, twin}
        if name.startswith("asym/") and name.endswith("-l") and name[:-1] + "r" in known:
            sliders[f"{name}|r"] = (name, name[:-1] + "r")
            used |= {name, name[:-1] + "r"}
    sliders |= {name: (None, name) for name in names if name not in used}
    return sliders


def macro_weights(identity: Identity, age_years: float) -> dict[str, float]:
    """Weights of MakeHuman's macro targets: race x gender x age, and body weight.

    MakeHuman's age 0..1 maps 1, 10, 25 and 90 years to 0, 0.1875, 0.5 and 1 (linear between them).
    """
    age = float(np.interp(age_years, [1, 10, 25, 90], [0, 0.1875, 0.5, 1]))
    old = max(0.0, 2 * age - 1)
    young = 1 - old if age >= 0.5 else max(0.0, (age - 0.1875) * 3.2)
    stages = {"young": young, "old": old, "child": max(0.0, 1 - young) if age < 0.5 else 0.0}
    genders = {"female": 1 - identity.gender, "male": identity.gender}
    bodies = {"maxweight": max(0.0, 2 * identity.weight - 1), "minweight": max(0.0, 1 - 2 * identity.weight)}
    weights = {}
    for gender, of_gender in genders.items():
        for stage, of_stage in stages.items():
            for race, of_race in zip(RACES, identity.races, strict=True):
                weights[f"macrodetails/{race}-{gender}-{stage}"] = of_gender * of_stage * of_race
            for body, of_body in bodies.items():
                name = f"macrodetails/universal-{gender}-{stage}-averagemuscle-{body}"
                weights[name] = of_gender * of_stage * of_body
    return {name: weight for name, weight in weights.items() if weight > 0}


@dataclass(frozen=True, slots=True)
class HeadShape:
    """A posed head in decimetres: base vertices kept by the assets, proxies, and the rotation of the head."""

    base: np.ndarray  # (k, 3)
    proxies: dict[str, np.ndarray]
    rotation: np.ndarray  # (3, 3)


class MorphModel:
    """Blends the targets of the assets; holds no state but precomputed matrices."""

    def __init__(self, assets: HeadAssets) -> None:
        self.assets = assets
        self.sliders = slider_targets(list(assets.targets))
        self._columns = {name: column for column, name in enumerate(assets.targets)}
        self._matrix = _stack(assets)
        x = assets.base[:, 0]
        self._left = _smoothstep(-0.05, 0.15, x)[:, None]
        self._head_weight = _smoothstep(5.55, 6.35, assets.base[:, 1] + 0.35 * assets.base[:, 2])[:, None]
        self._pivot = assets.base[assets.joints["neck"]].mean(axis=0) + np.array([0, 0.5, 0.2], np.float32)

    def shape(self, spec: HeadSpec, brow: str, hair: str | None) -> HeadShape:
        """Morph, fit the proxies, turn the eyes and pose the head."""
        base = self.neutral(spec.identity, spec.look.age_years)
        base = base + self._expression(spec.identity, spec.state)
        names = ["eyes", "teeth", "tongue", "lashes", brow] + ([hair] if hair else [])
        fitted = {name: self.assets.proxies[name].fit(base) for name in names}
        fitted["eyes"] = self._turn_eyes(base, fitted["eyes"], spec.state.gaze)
        rotation = euler_rotation(spec.state.yaw, spec.state.pitch, spec.state.roll)
        posed = self._pose(base, self._head_weight, rotation)
        proxies = {}
        for name, vertices in fitted.items():
            weight = np.clip(self.assets.proxies[name].weights @ self._head_weight, 0, 1)
            proxies[name] = self._pose(vertices, weight, rotation)
        return HeadShape(base=posed, proxies=proxies, rotation=rotation)

    def neutral(self, identity: Identity, age_years: float) -> np.ndarray:
        """Base vertices (k, 3) of a person at rest at an age: no expression, no pose."""
        return self.assets.base + self._identity(identity, age_years)

    def _blend(self, weights: dict[str, float]) -> np.ndarray:
        vector = np.zeros(len(self._columns), np.float32)
        for name, weight in weights.items():
            vector[self._columns[name]] += weight
        used = np.flatnonzero(vector)
        return (vector[used] @ self._matrix[used]).reshape(-1, 3)

    def _identity(self, identity: Identity, age_years: float) -> np.ndarray:
        weights = macro_weights(identity, age_years)
        for slider, value in identity.details.items():
            if slider not in self.sliders:
                raise ValueError(
                    f"unknown detail slider {slider!r}; known are {', '.join(sorted(self.sliders)[:5])}, ..."
                )
            negative, positive = self.sliders[slider]
            target = positive if value >= 0 else negative
            if target:
                weights[target] = weights.get(target, 0.0) + abs(value)
        return self._blend(weights)

    def _expression(self, identity: Identity, state: State) -> np.ndarray:
        halves = morph_weights(state.action_units)
        if not halves:
            return np.zeros_like(self.assets.base)
        right, left = {}, {}
        for morph, (of_right, of_left) in halves.items():
            for race, share in zip(RACES, identity.races, strict=True):
                name = f"expression/units/{race}/{morph}"
                right[name], left[name] = of_right * share, of_left * share
        if right == left:
            return self._blend(right)
        return self._blend(right) * (1 - self._left) + self._blend(left) * self._left

    def _turn_eyes(self, base: np.ndarray, eyes: np.ndarray, gaze: tuple[float, float]) -> np.ndarray:
        turned = eyes.copy()
        rotation = euler_rotation(gaze[0], gaze[1], 0.0)
        on_left = self.assets.proxies["eyes"].mesh.vertices[:, 0] > 0
        for joint, side in (("l-eye", on_left), ("r-eye", ~on_left)):
            centre = base[self.assets.joints[joint]].mean(axis=0)
            turned[side] = (eyes[side] - centre) @ rotation.T + centre
        return turned

    def _pose(self, vertices: np.ndarray, weight: np.ndarray, rotation: np.ndarray) -> np.ndarray:
        offset = vertices - self._pivot
        return self._pivot + weight * (offset @ rotation.T) + (1 - weight) * offset


def euler_rotation(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """Rotation matrix (3, 3) for degrees: yaw turns +Z towards +X, pitch +Z towards +Y, roll +Y towards +X."""
    yaw, pitch, roll = np.radians([yaw, pitch, roll])
    about_y = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(pitch), np.sin(pitch)], [0, -np.sin(pitch), np.cos(pitch)]])
    about_z = np.array([[np.cos(roll), np.sin(roll), 0], [-np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
    return (about_z @ about_y @ about_x).astype(np.float32)


def _smoothstep(low: float, high: float, value: np.ndarray) -> np.ndarray:
    t = np.clip((value - low) / (high - low), 0, 1)
    return (t * t * (3 - 2 * t)).astype(np.float32)


def _stack(assets: HeadAssets) -> sparse.csr_matrix:
    rows, columns, values = [], [], []
    for row, (index, offset) in enumerate(assets.targets.values()):
        columns.append((index[:, None] * 3 + np.arange(3)).ravel())
        values.append(offset.ravel())
        rows.append(np.full(offset.size, row))
    shape = (len(assets.targets), len(assets.base) * 3)
    cells = (np.concatenate(rows), np.concatenate(columns))
    return sparse.csr_matrix((np.concatenate(values), cells), shape=shape, dtype=np.float32)
