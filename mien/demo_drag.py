"""The demo's drag editing: people whose faces are dragged, each in another way."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mien import progress
from pipelines.drag.drawing import draw_drags, draw_flow
from pipelines.drag.gestures import EXAMPLES

if TYPE_CHECKING:
    from mien.demo import Demo, Person

GESTURES = ("turn the head", "open the mouth", "raise the brows", "smile")
"""Of `pipelines.drag.gestures.EXAMPLES`, one a person."""
SHOWN = ("what is dragged and pinned", "the flow predicted from it", "the edit")
"""Pictures of a person beside the reference."""


def drag(settings: Demo, people: tuple[Person, ...]) -> tuple[Person, ...]:
    """Drag the faces of the first people; each with the pictures of `SHOWN`."""
    from faces.images import open_image
    from faces.provenance import COMPOSITE, Provenance, save_image
    from pipelines.device import best_device
    from pipelines.drag.pipeline import DragPipeline

    pipe = DragPipeline.from_pretrained("mini").to(best_device())
    pipe.set_progress_bar_config(disable=True)
    folder = settings.out / "drag"
    folder.mkdir(parents=True, exist_ok=True)
    digest, shown = pipe.weights_sha256(), []
    chosen = list(zip(people, GESTURES, strict=False))
    with progress.counted("drag edits", len(chosen)) as done:
        for person, name in chosen:
            pictures = _pictures(pipe, open_image(person.reference), name, settings.seed)
            stems = (f"{person.reference.stem}-{part}" for part in ("drags", "flow", "edit"))
            origin = Provenance(
                digital_source_type=COMPOSITE, pipeline="DragPipeline",
                model="mini", model_sha256=digest, seed=settings.seed, extra={"gesture": name},
            )  # fmt: skip
            files = [
                save_image(picture, folder / f"{stem}.png", origin)
                for picture, stem in zip(pictures, stems, strict=True)
            ]
            shown.append(replace(person, portraits=tuple(files)))
            done(1)
    return tuple(shown)


def _pictures(pipe: Any, photo: np.ndarray, name: str, seed: int) -> list[Any]:
    """A photograph with its drags, their flow, and the edit."""
    import torch

    face = pipe.analyzer.require_face(photo)
    drags, pins = EXAMPLES[name].on(face.landmarks, (photo.shape[1], photo.shape[0]))
    noise = torch.Generator("cpu").manual_seed(seed)
    output = pipe(photo, drags, pins, generator=noise)
    longest = float(np.linalg.norm(drags[:, 1] - drags[:, 0], axis=1).max())
    flow = draw_flow(output.flow[0].cpu().numpy(), photo, face.matrix, longest)
    return [draw_drags(photo, drags, pins), flow, output.images[0]]
