"""Draws the examination of textures: `python -m gen.evaluation.texture_heads FOLDER`.

Heads are the assets' own meshes with shapes, expressions and skins of people that nobody was trained on, so that the
template has to fit them; their textures are exact, in the layout of the template. The graphics shader cannot draw what
`faces.head.complexion` paints, so pictures are rasterised here, once without light and once in some.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from faces import vocabulary
from faces.head.chart import HeadChart
from faces.head.landmarks import landmark_vertices
from faces.head.spec import HeadSpec, State
from faces.head.study import study_state
from faces.head.template import head_chart
from faces.head.texture_set import TextureSet, TextureSetConfig
from gen.evaluation.testdata import LABELS
from pipelines.texture.camera import HeadCamera
from pipelines.texture.rasterizer import Rendering, rasterize, render

YAW, PITCH = 60.0, 20.0
"""Degrees to each side by which heads are turned."""
SIZE = 256
"""Pixels of a side of the pictures."""
_SEED = 73
_BELOW_CHIN = 0.2
"""dm of neck that pictures show."""


@dataclass(frozen=True, slots=True)
class _Drawn:
    """A head of the set."""

    texture: np.ndarray
    picture: np.ndarray
    lit: np.ndarray
    parsing: np.ndarray
    row: dict


class ExamPainter:
    """Draws heads of the set.

    Args:
        seed: of the people.
        count: of them; yaws are spread evenly over the set.
        makehuman: MakeHuman's data folder, or None for MIEN_MAKEHUMAN.
    """

    def __init__(self, seed: int, count: int, makehuman: Path | None = None) -> None:
        config = TextureSetConfig(count=count, seed=seed, materials="unseen", marks=0.75, complexion=0.9)
        self._set, self._seed, self._count = TextureSet(config, makehuman), seed, count
        self._model = self._set.renderer.model
        self._chart: HeadChart = head_chart(self._set.renderer.assets, self._model)
        self._landmarks = landmark_vertices(self._set.renderer.assets)

    def draw(self, index: int) -> _Drawn:
        """Head number `index`."""
        texture, labels = self._set.sample(index)
        rng = np.random.default_rng([self._seed, 20, index])
        spec = self._moved(self._set.spec(index), rng)
        base = self._model.shape(spec, spec.identity.brow_style, None).base
        vertices = self._chart.vertices(base)
        points = base[self._landmarks]
        origin = points.mean(axis=0)
        vertices, points = vertices - origin, points - origin
        # Evenly over the sides and angles, so that every bin of yaw has as many people.
        share = (index % self._count + rng.uniform(0, 1)) / self._count
        yaw, pitch = (2 * share - 1) * YAW, rng.uniform(-PITCH, PITCH)
        shown = vertices[np.unique(self._chart.triangles)]
        shown = shown[shown[:, 1] > points[:, 1].min() - _BELOW_CHIN]
        camera = HeadCamera.portrait(shown, SIZE, yaw=yaw, pitch=pitch, distance=rng.uniform(9, 20))
        light = rng.normal([0, 0.3, 0.9], [0.9, 0.4, 0.2]).tolist()
        plain, lit = (self._render(vertices, texture, camera, light=given) for given in (None, light))
        row = {
            "yaw": yaw, "pitch": pitch, "landmarks": camera.project(points)[0].astype(np.float32).ravel().tolist(),
            "identity_id": labels["identity_id"],
        }  # fmt: skip
        return _Drawn(
            texture=texture,
            picture=_bytes(plain.picture),
            lit=_bytes(_exposed(lit, plain)),
            parsing=self._parsing(vertices, camera),
            row=row,
        )

    def _moved(self, spec: HeadSpec, rng: np.random.Generator) -> HeadSpec:
        """The person with a weak expression: the textures are those of heads at rest."""
        units = study_state(spec.state, "units", rng).action_units
        state = State(action_units={name: 0.5 * value for name, value in units.items()})
        return spec.model_copy(update={"state": state})

    def _render(
        self, vertices: np.ndarray, texture: np.ndarray, camera: HeadCamera, light: Sequence[float] | None
    ) -> Rendering:
        chart = self._chart
        colours = texture.astype(np.float32) / 255
        grey = (0.5, 0.5, 0.5)
        return render(
            vertices, chart.triangles, chart.places, colours, camera, light=light, background=grey, samples=3
        )

    def _parsing(self, vertices: np.ndarray, camera: HeadCamera) -> np.ndarray:
        """(SIZE, SIZE) uint8 ids of `vocabulary.PARSING`: skin, eyes and background."""
        found = rasterize(vertices, self._chart.triangles, camera).triangles
        parsing = np.where(found >= 0, vocabulary.PARSING.index("skin"), 0).astype(np.uint8)
        eyes = (found >= 0) & self._chart.is_eye[found]
        parsing[eyes] = vocabulary.PARSING.index("l_eye")
        return parsing


def _exposed(lit: Rendering, plain: Rendering) -> np.ndarray:
    """A picture as a camera exposes it: the head as bright on the whole as it is without light."""
    share = lit.mask[..., None]
    bright, meant = ((one.picture * share).sum() for one in (lit, plain))
    return lit.picture * (1 - share) + lit.picture * share * (meant / bright)


def _bytes(picture: np.ndarray) -> np.ndarray:
    return np.rint(picture.clip(0, 1) * 255).astype(np.uint8)


def write(folder: Path, count: int, seed: int = _SEED, makehuman: Path | None = None) -> None:
    """Write the set: of every head its texture, a picture without light, one with, a label map; and labels.parquet."""
    folder.mkdir(parents=True, exist_ok=True)
    painter, rows = ExamPainter(seed, count, makehuman), []
    for index in range(count):
        drawn = painter.draw(index)
        name = f"{seed}-{index}"
        Image.fromarray(drawn.texture).save(folder / f"{name}.texture.webp", lossless=True, method=6)
        Image.fromarray(drawn.picture).save(folder / f"{name}.webp", lossless=True, method=6)
        Image.fromarray(drawn.lit).save(folder / f"{name}.lit.webp", lossless=True, method=6)
        cv2.imwrite(str(folder / f"{name}.parsing.png"), drawn.parsing)
        rows.append({"name": name} | drawn.row)
    pq.write_table(pa.Table.from_pylist(rows), folder / LABELS)


def main(arguments: list[str] | None = None) -> None:
    """Write a set, as the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the set is written")
    parser.add_argument("--count", type=int, default=48, help="heads, each of another person")
    parser.add_argument("--seed", type=int, default=_SEED, help="of the people")
    parser.add_argument("--makehuman", type=Path, help="MakeHuman's data folder; else MIEN_MAKEHUMAN")
    chosen = parser.parse_args(arguments)
    write(chosen.folder, chosen.count, chosen.seed, chosen.makehuman)


if __name__ == "__main__":
    main()
