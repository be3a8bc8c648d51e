"""What `mien drag` does: points of a face are moved to other points, and the picture is a file."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mien.portrait import check_files, model_name

CENTRE = 0.5
"""A pixel is named by its column and row, counted from 0; what is meant is its middle, this far into it."""
_WHITE = 128
"""Value from which a mask lets a picture change."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DragRequest:
    """What is asked for."""

    face: Path
    """The photograph that is changed."""
    drags: tuple[str, ...] = ()
    """As "310,420 310,450": column and row of the pixel that is moved, and of the one where it shall be."""
    pins: tuple[str, ...] = ()
    """As "250,200": pixels that stay."""
    mask: Path | None = None
    """A picture of the photograph's size, white where that may change."""
    normalized: bool = False
    """Points are shares of width and height, 0..1, instead of pixels."""
    preview: bool = False
    """Only move pixels; nothing is drawn."""
    out: Path = Path("drag.png")
    steps: int = 8
    seed: int = 0
    model: str = "mini"
    device: str | None = None

    def __post_init__(self) -> None:
        """Check what the command line cannot."""
        check_files(self.out, [self.face, *([self.mask] if self.mask else [])])
        self.points()

    def points(self) -> tuple[np.ndarray, np.ndarray]:
        """Read drags (k, 2, 2) and pins (m, 2) as they were given; raises ValueError that names the one at fault."""
        if not self.drags:
            raise ValueError('drag: none given; give one at least, such as --drag "310,420 310,450"')
        drags = [_read_points("drag", text, 2) for text in self.drags]
        pins = [_read_points("pin", text, 1) for text in self.pins]
        return np.array(drags), np.array(pins).reshape(-1, 2)


def _read_points(name: str, text: str, count: int) -> list[tuple[float, ...]]:
    """Read points of two numbers each, "310,420 310,450"."""
    example = "310,420 310,450" if count == 2 else "310,420"
    pieces = re.sub(r"\s*,\s*", ",", text.strip()).split()
    points = []
    for piece in pieces:
        try:
            points.append(tuple(float(number) for number in piece.split(",")))
        except ValueError:
            points.append(())
        if len(points[-1]) != 2 or not all(map(math.isfinite, points[-1])):
            raise ValueError(f"{name} '{text}': '{piece}' is not X,Y, two numbers such as 310,420")
    if len(points) != count:
        expected = "a source and a target" if count == 2 else "one"
        found = f"{len(points)} point{'' if len(points) == 1 else 's'}"
        raise ValueError(f"{name} '{text}': {found}, expected {expected}, such as '{example}'")
    return points


def read_mask(path: Path, size: tuple[int, int]) -> np.ndarray:
    """Open a mask, (h, w) bool: white may change, black and transparent may not.

    Args:
        path: of a picture.
        size: width and height of the photograph in pixels.

    Raises:
        ImageError: it cannot be opened.
        ValueError: it has another size.
    """
    from faces.images import open_image

    mask = open_image(path, background=(0, 0, 0))
    if mask.shape[1::-1] != size:
        raise ValueError(
            f"{path}: {mask.shape[1]} x {mask.shape[0]} pixels, "
            f"expected {size[0]} x {size[1]}, as large as the photograph"
        )
    return mask.mean(axis=-1) >= _WHITE


def make(request: DragRequest) -> dict[str, Any]:
    """Make and save the picture; return facts about it, lengths in pixels of the photograph.

    Raises:
        ImageError: photograph or mask cannot be opened.
        ValueError: points outside the picture or the mask, or a mask of another size.
    """
    import torch

    from faces.images import open_image
    from faces.provenance import save_image
    from pipelines.device import best_device
    from pipelines.drag.pipeline import DragPipeline

    photo = open_image(request.face)
    size = (photo.shape[1], photo.shape[0])
    mask = read_mask(request.mask, size) if request.mask else None
    drags, pins = _placed(request, size)
    pipe = DragPipeline.from_pretrained(request.model).to(request.device or best_device())
    given: dict[str, Any] = {"drags": drags, "pins": pins, "mask": mask}
    if request.preview:
        output: Any = pipe.preview(photo, **given)
    else:
        noise = torch.Generator("cpu").manual_seed(request.seed)
        output = pipe(photo, **given, num_inference_steps=request.steps, generator=noise)
    request.out.parent.mkdir(parents=True, exist_ok=True)
    save_image(output.images[0], request.out, _origin(request, pipe, drags, pins))
    return _facts(request, output, photo, pipe.frame_size, np.linalg.norm(drags[:, 1] - drags[:, 0], axis=1))


def _placed(request: DragRequest, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Drags and pins in pixels of a picture, the centre of its first one at 0.5; refuses points outside of it."""
    drags, pins = request.points()
    scale, shift = (size, 0.0) if request.normalized else ((1, 1), CENTRE)
    texts = [text for text in request.drags for _ in range(2)] + list(request.pins)
    named = [*[("drag", point) for point in drags.reshape(-1, 2)], *[("pin", point) for point in pins]]
    for text, (name, point) in zip(texts, named, strict=True):
        place = point * scale + shift
        if (place < 0).any() or (place > size).any():
            limits = (
                "from 0,0 to 1,1"
                if request.normalized
                else f"from 0,0 to {size[0] - 1},{size[1] - 1}, its {size[0]} x {size[1]} pixels"
            )
            raise ValueError(
                f"{name} '{text}': {_told(point)} lies outside {request.face.name}, which reaches {limits}"
            )
    return drags * scale + shift, pins * scale + shift


def _origin(request: DragRequest, pipe: Any, drags: np.ndarray, pins: np.ndarray) -> Any:
    from faces.provenance import COMPOSITE, Provenance

    asked = {
        "drags": drags.reshape(-1, 4).tolist(),
        "pins": pins.tolist(),
        "mask": request.mask is not None,
        "preview": request.preview,
    }
    return Provenance(
        digital_source_type=COMPOSITE,
        pipeline="DragPipeline",
        model=model_name(request.model),
        model_sha256=pipe.weights_sha256(),
        seed=None if request.preview else request.seed,
        steps=None if request.preview else request.steps,
        extra=asked,
    )


def _facts(
    request: DragRequest, output: Any, photo: np.ndarray, frame_size: int, lengths: np.ndarray
) -> dict[str, Any]:
    from pipelines.drag.canvas import square_matrix
    from pipelines.drag.measures import measure

    height, width = photo.shape[:2]
    matrix = output.matrices[0]
    residual = measure(output, photo).missed
    moved = [
        {
            "source": source.tolist(),
            "target": target.tolist(),
            "length": float(length),
            "residual": float(left),
        }
        for (source, target), length, left in zip(request.points()[0], lengths, residual, strict=True)
    ]
    square = square_matrix(width, height, frame_size)
    return {
        "file": str(request.out),
        "seed": None if request.preview else request.seed,
        "drags": moved,
        "pins": len(request.pins),
        "changed": float((np.asarray(output.images[0]) != photo).any(axis=-1).mean()),
        "face": not np.array_equal(matrix, square),
    }


def described(facts: dict[str, Any]) -> list[str]:
    """Word what `make` returns, a line of text for each drag and one for the picture."""
    lines = [
        f"what was at {_told(drag['source'])} moves {drag['length']:.1f} px to {_told(drag['target'])}; "
        f"the predicted flow misses that point by {drag['residual']:.1f} px"
        for drag in facts["drags"]
    ]
    held = f"{facts['pins']} pinned, " if facts["pins"] else ""
    lines.append(f"{held}{facts['changed']:.0%} of the picture changed")
    if not facts["face"]:
        lines.append("no face found: what was edited is the square in the middle of the picture")
    return lines


def _told(point: Any) -> str:
    return f"{point[0]:g},{point[1]:g}"
