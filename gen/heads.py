"""Renders heads before and after an edit, with the flow between both pictures (see `faces.head.motion`)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from faces import vocabulary
from faces.head import motion
from faces.head.assets import find_folder
from faces.head.spec import HeadSpec

MODEL = "makehuman-cc0"
"""What records call the assets."""
_ASSETS = ("3dobjs", "eyebrows", "eyelashes", "eyes", "hair", "skins", "targets", "teeth", "tongue")
"""Folders of MakeHuman's data that a head is made of."""
_BROWS = range(17, 27)
"""Landmarks that hairs cover, which lie on the skin."""
_BROW_IDS = (vocabulary.PARSING.index("l_brow"), vocabulary.PARSING.index("r_brow"))
_NEAR = 1 / 128
"""Share of the width around a landmark in which a pixel may show it: its own may show an eye behind a lid."""
_TEXTURE = 1.0
"""Distance in the skin's texture, times the pixels of a side, within which a pixel shows a landmark: three pixels of a
frontal cheek, one and a half where the skin turns away."""
_ALONG = 1 / 128
"""Share of the width by which the flow of such a pixel may differ from where the landmark goes."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class View:
    """One picture of a pair, (s, s) pixels."""

    image: np.ndarray
    """(s, s, 3) uint8."""
    parsing: np.ndarray
    """(s, s) uint8 ids of `vocabulary.PARSING`."""
    landmarks: np.ndarray
    """(68, 2) float32 pixels, those that are hidden too."""
    shown: np.ndarray
    """(68, 2) int, column and row of a pixel that shows each landmark and that the other picture shows as well, -1
    where there is none."""
    flow: np.ndarray
    """(s, s, 2) float32 pixels to where each point of the head is in the other picture."""
    seen: np.ndarray
    """(s, s) bool, whether the other picture shows that point."""
    labels: dict[str, Any]
    """Of `HeadSpec.labels`."""


class Heads(Protocol):
    """Makes pairs of pictures."""

    def pair(self, wanted: Mapping[str, Any], edit: str, rng: np.random.Generator) -> tuple[View, View]:
        """Show a head of wanted labels before and after an edit, a function of the arguments."""
        ...


class RenderedHeads:
    """Heads of MakeHuman's assets. One a process: it holds a GL context.

    Args:
        makehuman: data folder, "" for MIEN_MAKEHUMAN.
        seed: of all heads.
        size: pixels of a side.

    Raises:
        AssetError: the assets are missing or damaged.
        ImportError: moderngl is not installed.
        RuntimeError: no EGL context can be made.
    """

    def __init__(self, makehuman: str, seed: int, size: int) -> None:
        from faces.head.renderer import HeadRenderer
        from faces.head.sampler import HeadSampler, mark_vertices

        self.size = size
        self._renderer = HeadRenderer(makehuman or None)
        assets, body = self._renderer.assets, self._renderer.parts["body"]
        vertices = mark_vertices(assets.base, assets.kept, assets.body.faces)
        self._sampler = HeadSampler(seed, list(self._renderer.model.sliders), vertices)
        # Meshes measure v from below, pictures from above; a vertex on a seam has two places.
        self._texture = [
            body.uv[body.vertex == vertex] * (1, -1) + (0, 1) for vertex in self._renderer.landmark_vertices
        ]

    def pair(self, wanted: Mapping[str, Any], edit: str, rng: np.random.Generator) -> tuple[View, View]:
        """Render a head of wanted labels before and after an edit.

        Args:
            wanted: labels as `HeadSpec.labels` names them.
            edit: of `motion.KINDS`.
            rng: source of every choice.
        """
        before = self._draw(wanted, rng)
        specs = before, motion.moved(before, edit, rng)
        first, second = self._renderer.render_pair(*specs, self.size)
        return self._view(specs[0], first, second), self._view(specs[1], second, first)

    def _draw(self, wanted: Mapping[str, Any], rng: np.random.Generator) -> HeadSpec:
        """Draw heads until one has the labels: so it has all else as heads with these labels have it."""
        band = vocabulary.AGE_BANDS.get(wanted.get("age_band", ""))
        while True:
            age = None if band is None else float(rng.uniform(*band))
            spec = self._sampler.spec(int(rng.integers(2**31)), age_years=age)
            labels = spec.labels()
            if all(labels[name] == value for name, value in wanted.items()):
                return spec

    def _view(self, spec: HeadSpec, image: Any, other: Any) -> View:
        return View(
            image=image.rgb,
            parsing=image.parsing,
            landmarks=image.landmarks,
            shown=np.array([self._pixel(image, other, landmark) for landmark in range(68)]),
            flow=image.flow,
            seen=image.co_visible,
            labels=spec.labels(),
        )

    def _pixel(self, image: Any, other: Any, landmark: int) -> tuple[int, int]:
        """Find a pixel that shows a landmark in both pictures, (-1, -1) where there is none.

        A landmark is a point of the skin, which the head itself, hair or glasses may hide. The texture tells: a pixel
        shows the landmark when it shows that place of the texture. Hairs of a brow stand for the skin below them.
        """
        reach = max(1, round(_NEAR * self.size))
        x, y = np.floor(image.landmarks[landmark]).astype(int)
        rows, columns = np.mgrid[y - reach : y + reach + 1, x - reach : x + reach + 1].reshape(2, -1)
        inside = (np.minimum(rows, columns) >= 0) & (np.maximum(rows, columns) < self.size)
        rows, columns = rows[inside], columns[inside]
        places = image.uv[rows, columns, None] - self._texture[landmark]
        away = np.linalg.norm(places, axis=-1).min(axis=1, initial=np.inf) / (_TEXTURE / self.size)
        away[~image.body[rows, columns]] = np.inf
        if landmark in _BROWS:
            beside = np.hypot(columns - x, rows - y) / (2 * reach + 1)
            away = np.where(np.isin(image.parsing[rows, columns], _BROW_IDS), beside, away)
        moved = other.landmarks[landmark] - image.landmarks[landmark]
        apart = np.linalg.norm(image.flow[rows, columns] - moved, axis=-1)
        away[~image.co_visible[rows, columns] | (apart > _ALONG * self.size)] = np.inf
        if away.min(initial=np.inf) > 1:
            return -1, -1
        return int(columns[away.argmin()]), int(rows[away.argmin()])


def fingerprint(makehuman: str) -> dict[str, str]:
    """Hash the assets, "" for MIEN_MAKEHUMAN: makehuman/folder -> SHA-256 over names and contents.

    Raises:
        AssetError: there is no such folder.
    """
    root = find_folder(makehuman or None)
    found = {}
    for folder in _ASSETS:
        digest = hashlib.sha256()
        for file in sorted(path for path in (root / folder).rglob("*") if path.is_file()):
            digest.update(f"{file.relative_to(root).as_posix()}\n".encode())
            digest.update(hashlib.sha256(file.read_bytes()).digest())
        found[f"makehuman/{folder}"] = digest.hexdigest()
    return found
