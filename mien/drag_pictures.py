"""Makes the pictures of docs/drag.md with the bundled model, on held-out renders and on a photograph.

python -m mien.drag_pictures --out docs/images [--model runs/drag/export] [--photograph astronaut.png]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from faces import alignment
from faces.analysis import FaceAnalysis
from faces.images import open_image
from faces.provenance import COMPOSITE, Provenance, save_image
from mien.demo import REFERENCES
from mien.portrait import model_name
from mien.tiles import tiled
from pipelines.drag.drawing import draw_drags, draw_flow
from pipelines.drag.gestures import EXAMPLES
from pipelines.drag.pipeline import DragOutput, DragPipeline

_SEED = 7
_SIDE = 224
"""Pixels of a tile."""
_AROUND = 1.5
"""Side of what a tile shows, in sides of the landmarks' box."""
_SITTERS = {
    "turn the head": "head-26", "open the mouth": "head-12", "raise the brows": "head-25", "smile": "head-28",
    "look aside": "head-39", "widen the jaw": "head-34",
}  # fmt: skip
"""Who is shown with each gesture of `pipelines.drag.gestures.EXAMPLES`."""
_SHORT = {
    "turn the head": "turn", "open the mouth": "mouth", "raise the brows": "brows", "smile": "smile",
    "look aside": "gaze", "widen the jaw": "jaw",
}  # fmt: skip
_LENGTHS = (0.0, 0.5, 1.0, 1.5, 2.0)
_ROUNDS = ("smile", "raise the brows", "turn the head", "open the mouth")
PHOTOGRAPHED: dict[
    str, tuple[list[tuple[tuple[float, float], tuple[float, float]]], list[tuple[float, float]]]
] = {
    "turn": ([((225.0, 125.0), (237.0, 125.0))], []),
    "brows": (
        [((199.0, 90.0), (199.0, 84.0)), ((250.0, 92.5), (250.0, 86.5))],
        [(203.0, 101.0), (246.5, 103.0), (225.0, 133.0), (225.0, 152.0)],
    ),
    "mouth": (
        [((224.0, 152.0), (224.0, 161.0)), ((226.0, 176.0), (226.0, 183.0))],
        [(203.0, 101.0), (246.5, 103.0), (225.0, 133.0), (224.0, 141.0)],
    ),
    "jaw": (
        [((187.0, 155.0), (194.0, 155.0)), ((258.0, 158.0), (251.0, 158.0))],
        [(203.0, 101.0), (246.5, 103.0), (225.0, 133.0), (225.0, 152.0)],
    ),
}
"""Drags and pins marked by hand on scikit-image's `astronaut.png` (Eileen Collins, NASA, public domain), 512 x 512 px,
(x, y) with the centre of the first pixel at 0.5."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Edit:
    """What was asked of a photograph, and what was made."""

    photo: np.ndarray
    """(h, w, 3) uint8."""
    face: FaceAnalysis
    drags: np.ndarray
    """(k, 2, 2) pixels."""
    pins: np.ndarray
    """(m, 2) pixels."""
    output: DragOutput
    view: np.ndarray
    """From pixels of the photograph to those of a tile around the face, (2, 3)."""

    @property
    def result(self) -> np.ndarray:
        """The edited photograph, (h, w, 3) uint8."""
        return np.asarray(self.output.images[0])

    def shown(self, picture: np.ndarray) -> np.ndarray:
        """The face's surroundings in a picture of the photograph's size."""
        return alignment.warp(picture, self.view, (_SIDE, _SIDE))

    def asked(self, shade: np.ndarray | None = None) -> np.ndarray:
        """The photograph with drags and pins; `shade` (h, w) bool is what is left bright of it."""
        photo = self.photo if shade is None else np.where(shade[..., None], self.photo, self.photo // 3)
        drags, pins = (alignment.transform_points(points, self.view) for points in (self.drags, self.pins))
        return draw_drags(self.shown(photo), drags, pins)

    def flow(self) -> np.ndarray:
        """The flow in colours, the longest drag in full strength."""
        longest = float(np.linalg.norm(self.drags[:, 1] - self.drags[:, 0], axis=1).max())
        return self.shown(draw_flow(self.output.flow[0].cpu().numpy(), self.photo, self.face.matrix, longest))

    def tiles(self) -> list[np.ndarray]:
        """What was asked, the flow, and the result."""
        return [self.asked(), self.flow(), self.shown(self.result)]

    def change(self) -> np.ndarray:
        """How far each pixel changed, four times as strong; white where it did not."""
        difference = np.abs(self.result.astype(int) - self.photo).max(axis=-1, keepdims=True)
        return self.shown(np.repeat(255 - np.minimum(4 * difference, 255), 3, axis=-1).astype(np.uint8))


class Album:
    """Drags faces with one pipeline, every edit from the same noise."""

    def __init__(self, pipe: DragPipeline) -> None:
        self.pipe = pipe

    def edit(
        self,
        photo: np.ndarray,
        drags: Any,
        pins: Any,
        mask: np.ndarray | None = None,
        view: np.ndarray | None = None,
    ) -> Edit:
        """Edit a photograph (h, w, 3); a tile shows the surroundings of its face unless `view` says what."""
        drags, pins = np.asarray(drags, np.float64), np.asarray(pins, np.float64).reshape(-1, 2)
        output: Any = self.pipe(photo, drags, pins, mask, generator=torch.Generator().manual_seed(_SEED))
        face = self.pipe.analyzer.require_face(photo)
        view = surroundings(face.landmarks) if view is None else view
        return Edit(photo=photo, face=face, drags=drags, pins=pins, output=output, view=view)

    def gesture(
        self, photo: np.ndarray, name: str, length: float = 1.0, view: np.ndarray | None = None
    ) -> Edit:
        """Make a gesture of `pipelines.drag.gestures.EXAMPLES`."""
        face, size = self.pipe.analyzer.require_face(photo), (photo.shape[1], photo.shape[0])
        return self.edit(photo, *EXAMPLES[name].on(face.landmarks, size, length), view=view)

    def row(self, edit: Edit) -> list[np.ndarray]:
        """Photograph, what was asked, flow, preview and edit."""
        moved = np.asarray(self.pipe.preview(edit.photo, edit.drags.tolist(), edit.pins.tolist()).images[0])
        asked, flow, made = edit.tiles()
        return [edit.shown(edit.photo), asked, flow, edit.shown(moved), made]

    def grid(self) -> np.ndarray:
        """A row a gesture, each on another person."""
        rows = [self.row(self.gesture(sitter(head), name)) for name, head in _SITTERS.items()]
        return tiled(rows, ["face", "drags", "flow", "preview", "edit"], list(_SHORT.values()))

    def pins(self) -> np.ndarray:
        """The same drags without and with their pins."""
        rows = []
        for name in ("raise the brows", "open the mouth", "smile"):
            held = self.gesture(sitter(_SITTERS[name]), name)
            free = self.edit(held.photo, held.drags, ())
            rows.append([*free.tiles(), *held.tiles()])
        return tiled(rows, ["drags", "flow", "edit", "with pins", "flow", "edit"], None)

    def mask(self) -> np.ndarray:
        """One corner of a mouth is dragged; then the same within a mask, a disc around it."""
        rows = []
        for head in ("head-28", "head-12"):
            photo = sitter(head)
            landmarks = self.pipe.analyzer.require_face(photo).landmarks
            drags, pins = EXAMPLES["smile"].on(landmarks, (photo.shape[1], photo.shape[0]))
            mask = disc(photo.shape[:2], drags[1].mean(axis=0), 0.45 * np.ptp(landmarks[36:48, 0]))
            whole = self.edit(photo, drags[1:], [*pins, drags[0, 0]])
            within = self.edit(photo, whole.drags, whole.pins, mask)
            tiles = [[edit.shown(edit.result), edit.change()] for edit in (whole, within)]
            rows.append([whole.asked(), *tiles[0], within.asked(mask), *tiles[1]])
        return tiled(rows, ["drag", "edit", "what changed", "mask", "edit", "what changed"], None)

    def lengths(self) -> np.ndarray:
        """Drags from nothing to twice as long."""
        rows = []
        for name in ("turn the head", "open the mouth", "raise the brows"):
            edits = [self.gesture(sitter(_SITTERS[name]), name, length) for length in _LENGTHS]
            rows.append([edits[2].asked(), *(edit.shown(edit.result) for edit in edits)])
        return tiled(rows, ["drags of length 1", *(f"{length:g}" for length in _LENGTHS)], None)

    def rounds(self) -> np.ndarray:
        """Edits of edits; landmarks are read anew in each."""
        edits = [self.gesture(sitter("head-12"), _ROUNDS[0])]
        for name in _ROUNDS[1:]:
            edits.append(self.gesture(edits[-1].result, name, view=edits[0].view))
        rows = [[edit.asked() for edit in edits], [edit.shown(edit.result) for edit in edits]]
        return tiled(rows, [f"round {number}" for number in range(1, len(edits) + 1)], ["drags", "edit"])

    def photograph(self, photo: np.ndarray) -> np.ndarray:
        """A photograph with the drags of `PHOTOGRAPHED`."""
        rows = [self.row(self.edit(photo, *marked)) for marked in PHOTOGRAPHED.values()]
        return tiled(rows, ["photograph", "drags", "flow", "preview", "edit"], list(PHOTOGRAPHED))


def sitter(name: str) -> np.ndarray:
    """A held-out render of the demo, (h, w, 3) uint8."""
    return open_image(REFERENCES / f"{name}.webp")


def surroundings(landmarks: np.ndarray) -> np.ndarray:
    """From pixels of a photograph to those of a tile around 68 landmarks (68, 2), (2, 3)."""
    low, high = landmarks.min(axis=0), landmarks.max(axis=0)
    scale = _SIDE / (_AROUND * float((high - low).max()))
    shift = _SIDE / 2 - scale * (low + high) / 2
    return np.array([[scale, 0, shift[0]], [0, scale, shift[1]]], np.float64)


def disc(size: tuple[int, int], centre: np.ndarray, radius: float) -> np.ndarray:
    """A mask (h, w) bool of (height, width) `size`, true around a point (x, y)."""
    rows, columns = np.ogrid[: size[0], : size[1]]
    return np.hypot(columns + 0.5 - centre[0], rows + 0.5 - centre[1]) <= radius


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line of the module."""
    parser = argparse.ArgumentParser(description="Make the pictures of docs/drag.md.")
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    parser.add_argument("--model", default="mini")
    parser.add_argument(
        "--photograph", type=Path, help="scikit-image's astronaut.png, on which drags were marked"
    )
    given = parser.parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    pipe = DragPipeline.from_pretrained(given.model)
    pipe.set_progress_bar_config(disable=True)
    album = Album(pipe)
    origin = Provenance(
        pipeline="DragPipeline", model=model_name(given.model), model_sha256=pipe.weights_sha256(), seed=_SEED,
        digital_source_type=COMPOSITE,
    )  # fmt: skip
    for name in ("grid", "pins", "mask", "lengths", "rounds"):
        save_image(
            Image.fromarray(getattr(album, name)()), given.out / f"drag-{name}.webp", origin, quality=90
        )
    if given.photograph:
        drawn = album.photograph(open_image(given.photograph))
        save_image(Image.fromarray(drawn), given.out / "drag-photograph.webp", origin, quality=90)


if __name__ == "__main__":
    main()
