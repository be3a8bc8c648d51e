"""Makes the pictures of docs/texture.md with the bundled model, on held-out renders.

python -m mien.texture_album --out docs/images [--model runs/texture/export]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image

from faces.images import open_image
from faces.provenance import COMPOSITE, GENERATED, Provenance, save_image
from gen.evaluation import testdata, texture_exam
from gen.evaluation.texture_exam import TextureExam
from mien.portrait import model_name
from mien.texture import FRAME_SECONDS, REACH, VIEWS
from mien.texture_pictures import completed, sheet, tiles
from mien.tiles import tiled
from pipelines.texture.pipeline import TextureOutput, TexturePipeline
from pipelines.texture.styles import STYLES
from pipelines.texture.turntable import save_animation

PEOPLE = ("exam/12-57-2", "heads/2-187-1", "exam/12-58-2", "heads/2-65-2", "exam/12-8-3")
"""Pictures below tests/data of people whom no network of Mien was trained on, turned by 26 to 37 degrees."""
STYLED, TURNED = "heads/2-187-1", "exam/12-58-2"
"""Who is shown in every style, and who turns."""
LIT = (8, 34, 38, 40)
"""Heads of the texture exam, in the order of yaw."""
_SEED = 7
_DRAWN = 6
"""Textures drawn from nothing."""
_SIDE = 224
"""Pixels of a tile."""
_YAW = 35.0
"""Degrees by which a head beside its texture is turned."""
_SHEETS = ("grid", "styles", "random", "light")


class Album:
    """Completes textures with one pipeline, every one from the same noise."""

    def __init__(self, pipe: TexturePipeline) -> None:
        self.pipe = pipe

    def complete(self, photo: np.ndarray, **options: Any) -> TextureOutput:
        """Complete the texture that a photograph (h, w, 3) uint8 shows."""
        made: Any = self.pipe(photo, generator=torch.Generator().manual_seed(_SEED), **options)
        return made

    def grid(self) -> np.ndarray:
        """A row a person, from the photograph to the turned head."""
        photos = [sitter(name) for name in PEOPLE]
        return sheet([tiles(photo, self.complete(photo), 0, self.pipe.template) for photo in photos])

    def styles(self) -> np.ndarray:
        """One person in every style: the texture above, the head below."""
        made = [self.complete(sitter(STYLED), style=style) for style in STYLES]
        rows = [[tile(completed(one)) for one in made], [self._head(one, 0, _YAW) for one in made]]
        return tiled(rows, list(STYLES), None)

    def random(self) -> np.ndarray:
        """Textures of nobody, with nothing known of them, on the mean head from two sides."""
        side = self.pipe.layout.size
        made: Any = self.pipe(
            texture=[np.zeros((side, side, 3), np.float32)] * _DRAWN,
            visibility=[np.zeros((side, side), np.float32)] * _DRAWN,
            temperature=1.0,
            generator=[torch.Generator().manual_seed(_SEED + number) for number in range(_DRAWN)],
        )
        rows = [[tile(completed(made, number)) for number in range(_DRAWN)]]
        rows += [[self._head(made, number, yaw) for number in range(_DRAWN)] for yaw in (0.0, _YAW)]
        return tiled(rows, [f"seed {_SEED + number}" for number in range(_DRAWN)], None)

    def light(self, exam: TextureExam | None = None) -> np.ndarray:
        """Heads in some light, their textures with the light left and taken off, and the true ones."""
        exam = texture_exam.load() if exam is None else exam
        rows = []
        for number in LIT:
            photo = exam.lit[number]
            left, off = self.complete(photo), self.complete(photo, delight=True)
            shown = tiles(photo, left, 0, self.pipe.template)[:2]
            textures = (completed(left), completed(off), exam.textures[number])
            rows.append([*shown, *map(tile, textures)])
        return tiled(rows, ["photo", "partial", "light left", "light taken off", "true texture"], None)

    def turning(self) -> np.ndarray:
        """Views (n, h, w, 3) uint8 of a head from one side to the other."""
        return self.pipe.turntable(
            self.complete(sitter(TURNED)), yaws=np.linspace(-REACH, REACH, VIEWS).tolist()
        )

    def _head(self, made: TextureOutput, index: int, yaw: float) -> np.ndarray:
        return self.pipe.turntable(made, index, yaws=[yaw], size=_SIDE)[0]


def sitter(name: str) -> np.ndarray:
    """A held-out render below tests/data, (h, w, 3) uint8."""
    folder, _, stem = name.partition("/")
    place = testdata.find(
        "held-out renders", folder, file=f"{stem}.webp", how="run this in a clone of the repository"
    )
    return open_image(place / f"{stem}.webp")


def tile(texture: np.ndarray) -> np.ndarray:
    """A texture (s, s, 3) uint8 in the size of a tile."""
    method = cv2.INTER_AREA if len(texture) > _SIDE else cv2.INTER_LINEAR
    return cv2.resize(texture, (_SIDE, _SIDE), interpolation=method)


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line of the module."""
    parser = argparse.ArgumentParser(description="Make the pictures of docs/texture.md.")
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    parser.add_argument("--model", default="mini")
    given = parser.parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    pipe = TexturePipeline.from_pretrained(given.model)
    pipe.set_progress_bar_config(disable=True)
    album = Album(pipe)
    origin = Provenance(
        pipeline="TexturePipeline", model=model_name(given.model), model_sha256=pipe.weights_sha256(), seed=_SEED,
        digital_source_type=COMPOSITE,
    )  # fmt: skip
    drawn = origin.model_copy(update={"digital_source_type": GENERATED})
    for name in _SHEETS:
        record = drawn if name == "random" else origin
        picture = Image.fromarray(getattr(album, name)())
        save_image(picture, given.out / f"texture-{name}.webp", record, quality=90)
    save_animation(album.turning(), given.out / "texture-turntable.webp", origin, seconds=FRAME_SECONDS)


if __name__ == "__main__":
    main()
