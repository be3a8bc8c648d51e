"""Makes the pictures of docs/makeup.md with the bundled model, on held-out renders.

python -m mien.makeup_pictures --out docs/images [--model runs/makeup/export]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from faces.makeup import BARE
from faces.provenance import COMPOSITE, Provenance, save_image
from gen.evaluation import makeup_exam
from gen.evaluation.makeup_exam import MakeupExam
from mien.makeup import EXAMPLES
from mien.tiles import tiled
from pipelines.makeup.modules import interpolate
from pipelines.makeup.pipeline import MakeupPipeline

_SEED = 7
_PEOPLE = (0, 9, 18, 27, 38)
"""People of the exam whose faces are made up."""
_WEARERS = ((1, 1), (6, 2), (14, 3), (22, 1), (33, 4))
"""Person and picture of the references, all from other groups."""
_STRENGTHS = (0.0, 0.5, 1.0, 1.5, 2.0)
_SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)


class Album:
    """Draws with one pipeline on pictures of one exam, every face from the same noise."""

    def __init__(self, pipe: MakeupPipeline, exam: MakeupExam) -> None:
        self.pipe, self.exam = pipe, exam

    def drawn(self, rows: Sequence[int], makeup: Sequence[Any], **options: Any) -> list[np.ndarray]:
        """Edit pictures of the exam, (s, s, 3) uint8 each."""
        output = self.pipe(
            [self.exam.images[row] for row in rows],
            list(makeup),
            aligned=True,
            output_type="np",
            generator=[torch.Generator().manual_seed(_SEED) for _ in rows],
            **options,
        )
        return [(picture * 255).round().astype(np.uint8) for picture in output.images]

    def grid(self) -> np.ndarray:
        """Faces down, looks across; the looks' wearers in the first row, the bare faces in the first column."""
        worn = [self.exam.images[self.exam.row(*wearer)] for wearer in _WEARERS]
        rows = [[np.full_like(worn[0], 255), *worn]]
        for person in _PEOPLE:
            source = self.exam.row(person)
            rows.append([self.exam.images[source], *self.drawn([source] * len(worn), worn)])
        return tiled(rows, ["face", *["look"] * len(worn)], None)

    def strengths(self) -> np.ndarray:
        """A look from nothing to twice as much."""
        rows = []
        for person, wearer in zip(_PEOPLE[:3], _WEARERS[:3], strict=True):
            worn, count = self.exam.images[self.exam.row(*wearer)], len(_STRENGTHS)
            drawn = self.drawn([self.exam.row(person)] * count, [worn] * count, strength=list(_STRENGTHS))
            rows.append([worn, *drawn])
        return tiled(rows, ["look", *(f"{value:g}" for value in _STRENGTHS)], None)

    def removal(self) -> np.ndarray:
        """Made-up faces, the same with makeup taken off, and how they truly look without."""
        worn = [self.exam.row(person, 1 + place % 5) for place, person in enumerate(_PEOPLE)]
        drawn = self.drawn(worn, [BARE] * len(worn))
        bare = [self.exam.images[self.exam.row(person)] for person in _PEOPLE]
        rows = [[self.exam.images[row] for row in worn], drawn, bare]
        return tiled(rows, [""] * len(worn), ["made up", "removed", "truth"])

    def interpolation(self) -> np.ndarray:
        """From one look to another along the codes of two references, which stand at the ends."""
        rows = []
        for person, one, other in ((_PEOPLE[0], 0, 1), (_PEOPLE[2], 2, 3)):
            ends = [self.exam.images[self.exam.row(*_WEARERS[place])] for place in (one, other)]
            codes = self.pipe.makeup_encoder(self.pipe.reference_states(np.stack(ends))).detach()
            looks = [interpolate(codes[0], codes[1], share) for share in _SHARES]
            drawn = self.drawn([self.exam.row(person)] * len(looks), looks)
            rows.append([ends[0], *drawn, ends[1]])
        return tiled(rows, ["look", *(f"{share:g}" for share in _SHARES), "look"], None)

    def colours(self) -> np.ndarray:
        """Looks given as colours, without any reference."""
        rows = []
        for person in _PEOPLE[:3]:
            source = self.exam.row(person)
            rows.append(
                [self.exam.images[source], *self.drawn([source] * len(EXAMPLES), list(EXAMPLES.values()))]
            )
        return tiled(rows, ["face", *EXAMPLES], None)


def main() -> None:
    """Command line of the module."""
    parser = argparse.ArgumentParser(description="Make the pictures of docs/makeup.md.")
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    parser.add_argument("--model", default="mini")
    parser.add_argument("--data", type=Path, help="folder of the exam")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    pipe = MakeupPipeline.from_pretrained(arguments.model)
    pipe.set_progress_bar_config(disable=True)
    album = Album(pipe, makeup_exam.load(arguments.data))
    origin = Provenance(
        pipeline="MakeupPipeline", model="mini", seed=_SEED,
        digital_source_type=COMPOSITE,
    )  # fmt: skip
    for name in ("grid", "strengths", "removal", "interpolation", "colours"):
        picture = Image.fromarray(getattr(album, name)())
        save_image(picture, arguments.out / f"makeup-{name}.webp", origin, quality=90)


if __name__ == "__main__":
    main()
