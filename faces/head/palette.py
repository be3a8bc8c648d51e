"""Colours of a head: textures, hair and eye colours, backgrounds, and the shader's uniforms made from a spec."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from faces.head.assets import BROWS, EYE_MATERIALS, HAIR, LASHES, SKIN_AGES, HeadAssets
from faces.head.regions import SIZE, Regions
from faces.head.spec import Background, HeadSpec, Lights

HAIR_MESH: dict[str, str | None] = {
    "bald": None, "short": "short01", "cropped": "short04", "side-parted": "short03", "tousled": "short02",
    "afro": "afro01", "bob": "bob01", "straight bob": "bob02", "braided": "braid01", "long": "long01",
    "ponytail": "ponytail01",
}  # fmt: skip
HAIR_LINEAR: dict[str, tuple[float, float, float]] = {
    "black": (0.012, 0.010, 0.009), "brown": (0.075, 0.036, 0.017), "blond": (0.36, 0.235, 0.10),
    "red": (0.21, 0.055, 0.016), "grey": (0.30, 0.29, 0.28),
}  # fmt: skip
EYE_MATERIAL = {
    "brown": "brown", "light brown": "brownlight", "green": "green", "blue-green": "bluegreen", "blue": "blue",
    "light blue": "lightblue", "grey": "grey",
}  # fmt: skip
CLOTH_LINEAR: dict[str, tuple[float, float, float]] = {
    "white": (0.62, 0.62, 0.60), "black": (0.015, 0.015, 0.017), "grey": (0.17, 0.17, 0.18), "red": (0.33, 0.025, 0.03),
    "blue": (0.03, 0.07, 0.27), "green": (0.03, 0.17, 0.06), "yellow": (0.55, 0.36, 0.04),
}  # fmt: skip
_MAKEUP_ORDER = ("lips", "shadow", "liner", "blush")
_MAX_MARKS = 8


@dataclass(frozen=True, slots=True)
class Textures:
    """All pictures the renderer samples."""

    skins: np.ndarray  # (layers, h, w, 4) uint8
    skin_layers: dict[str, int]  # "young_light_female_0" -> layer
    pictures: dict[str, np.ndarray]


def load_textures(assets: HeadAssets) -> Textures:
    """Read skins, hair, brows, lashes, eyes, teeth and tongue."""
    layers, stack = {}, []
    for age in SKIN_AGES:
        for tone in ("light", "dark"):
            for sex in ("female", "male"):
                for variant in range(3):
                    suffix = "" if variant == 0 else str(variant + 1)
                    name = f"{age}_{tone}skinned_{sex}_diffuse{suffix}.png"
                    if variant and not (assets.folder / "skins" / "textures" / name).is_file():
                        layers[f"{age}_{tone}_{sex}_{variant}"] = layers[f"{age}_{tone}_{sex}_0"]
                        continue
                    layers[f"{age}_{tone}_{sex}_{variant}"] = len(stack)
                    stack.append(assets.texture("skins", "textures", name))
    pictures = {"teeth": assets.texture("teeth", "teeth_base", "teeth.png")}
    pictures["tongue"] = assets.texture("tongue", "tongue01", "tongue01_diffuse.png")
    pictures["lashes"] = assets.texture("eyelashes", LASHES, f"{LASHES}.png")
    for name in BROWS:
        pictures[name] = assets.texture("eyebrows", name, f"{name}.png")
    for name in HAIR:
        file = "afro_diffuse.png" if name == "afro01" else f"{name}_diffuse.png"
        pictures[name] = _level(assets.texture("hair", name, file))
    for name in EYE_MATERIALS:
        picture = assets.texture("eyes", "materials", f"{name}_eye.png")
        pictures[f"eye-{name}"] = cv2.resize(picture, (512, 512), interpolation=cv2.INTER_AREA)
    return Textures(skins=np.stack(stack), skin_layers=layers, pictures=pictures)


def _level(picture: np.ndarray) -> np.ndarray:
    """Bring hair textures, some nearly black and some blond, to one mean lightness so that a tint means the same."""
    rgb = (picture[..., :3].astype(np.float32) / 255) ** 2.2
    weight = picture[..., 3:].astype(np.float32) / 255
    light = rgb @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    mean = (light * weight[..., 0]).sum() / max(weight.sum(), 1)
    levelled = np.clip(light * 0.12 / max(mean, 1e-3), 0, 1) ** (1 / 2.2) * 255
    return np.dstack([levelled] * 3 + [picture[..., 3]]).astype(np.uint8)


def picture_name(material: str, part: str, spec: HeadSpec) -> str | None:
    """Which texture a material samples; None for skin and glasses."""
    if material in {"body", "glasses"}:
        return None
    return f"eye-{EYE_MATERIAL[spec.identity.eye_colour]}" if material == "eyes" else part


def material_uniforms(material: str, spec: HeadSpec) -> dict:
    """Tint of one material in linear colour."""
    if material == "eyes":
        return {"tint": (spec.identity.iris_shade,) * 3, "tint_share": 1.0}
    if material == "hair":
        colour = np.array(HAIR_LINEAR[spec.look.hair_colour]) * spec.look.hair_shade
        return {"tint": tuple(np.minimum(colour, 0.45)), "tint_share": 1.0}
    if material == "brow":
        return {"tint": tuple(_own_hair(spec) * (0.35 + 0.5 * spec.identity.brow_shade)), "tint_share": 1.0}
    if material == "glasses":
        return {"tint": ((1 - spec.look.glasses) * 0.25 + 0.01,) * 3, "tint_share": 1.0}
    return {"tint": (1.0, 1.0, 1.0), "tint_share": 0.0}


def _own_hair(spec: HeadSpec) -> np.ndarray:
    return np.array(HAIR_LINEAR[spec.identity.hair_colour])


def skin_uniforms(spec: HeadSpec, layers: dict[str, int], regions: Regions, assets: HeadAssets) -> dict:
    """Skin layers with their weights, beard, cloth, makeup and marks."""
    identity, look = spec.identity, spec.look
    sex = "male" if identity.gender > 0.5 else "female"
    stage = float(np.interp(look.age_years, [18, 26, 45, 70], [0, 0, 1, 2]))
    first = min(int(stage), 1)
    share = stage - first
    chosen, weights = [], []
    for tone, of_tone in (("light", 1 - identity.skin_tone), ("dark", identity.skin_tone)):
        for age, of_age in ((SKIN_AGES[first], 1 - share), (SKIN_AGES[first + 1], share)):
            chosen.append(layers[f"{age}_{tone}_{sex}_{identity.skin_variant}"])
            weights.append(of_tone * of_age)
    cloth = np.array(CLOTH_LINEAR[look.cloth_colour]) * look.cloth_shade
    uniforms = {
        "skin_layers": tuple(chosen),
        "skin_weights": tuple(weights),
        "skin_tint": identity.skin_tint,
        "beard": look.beard,
        "beard_colour": tuple(_own_hair(spec) * 0.5),
        "cloth": tuple(np.clip(cloth, 0, 0.9)),
    }
    return uniforms | _makeup_uniforms(spec) | _mark_uniforms(spec, regions, assets)


def _makeup_uniforms(spec: HeadSpec) -> dict:
    colour, extent = np.zeros((4, 4)), np.full(4, 0.5)
    for layer in spec.look.makeup:
        slot = _MAKEUP_ORDER.index(layer.region)
        colour[slot] = (*layer.colour, layer.alpha)
        extent[slot] = 0.15 + 0.85 * layer.extent
    return {"makeup_colour": colour, "makeup_extent": extent}


def _mark_uniforms(spec: HeadSpec, regions: Regions, assets: HeadAssets) -> dict:
    place, kind = np.zeros((_MAX_MARKS, 4)), np.zeros((_MAX_MARKS, 4))
    marks = spec.identity.marks[:_MAX_MARKS]
    for row, mark in enumerate(marks):
        vertex = int(assets.index(mark.vertex))
        texels_a_dm = 125 / 1024 / 1.0  # a decimetre of cheek spans about an eighth of the texture
        place[row] = (*regions.vertex_uv[vertex], mark.radius * texels_a_dm * SIZE / 1024, mark.angle)
        kind[row, :2] = (mark.strength, float(mark.kind == "scar"))
    return {"marks": len(marks), "mark_place": place, "mark_kind": kind}


def light_uniforms(lights: Lights) -> dict:
    """Directions as unit vectors, colours as they are."""

    def unit(vector) -> tuple:
        array = np.array(vector, np.float64)
        return tuple(array / np.linalg.norm(array))

    return {
        "key_direction": unit(lights.key_direction),
        "key_light": lights.key,
        "fill_direction": unit(lights.fill_direction),
        "fill_light": lights.fill,
        "rim_direction": unit(lights.rim_direction),
        "rim_light": lights.rim,
        "sky": lights.sky,
        "ground": lights.ground,
        "exposure": lights.exposure,
    }


def background(spec: Background, size: int) -> np.ndarray:
    """The backdrop as (size, size, 3) float32, 0..255."""
    line = (np.arange(size, dtype=np.float32) + 0.5) / size - 0.5
    x, y = np.meshgrid(line, line)
    share = np.clip(0.5 + y * np.cos(spec.angle) + x * np.sin(spec.angle), 0, 1)[..., None]
    linear = (1 - share) * np.array(spec.top, np.float32) + share * np.array(spec.bottom, np.float32)
    if spec.noise:
        rng = np.random.default_rng(spec.seed)
        coarse = rng.normal(size=(6, 6)).astype(np.float32)
        linear = (
            linear
            * np.exp(0.5 * spec.noise * cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC))[
                ..., None
            ]
        )
    return np.clip(linear, 0, 1) ** (1 / 2.2) * 255
