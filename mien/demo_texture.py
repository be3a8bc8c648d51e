"""The demo's textured heads: people whose photograph becomes a head with a complete texture."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien import progress

if TYPE_CHECKING:
    from mien.demo import Demo, Person

COUNT = 4
"""People who become heads: the user's own first, then those who are turned furthest."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TexturedHead:
    """What is shown of a head; its files lie below the demo's folder."""

    name: str
    picture: Path
    """Of `mien.texture_pictures.row`."""
    glb: Path
    yaw: float
    """Degrees by which the head is turned in the photograph."""
    shares: dict[str, float]
    """Of `mien.texture_pictures.texel_shares`."""
    seconds: float
    """From the photograph to the texture."""


def texture(settings: Demo, people: tuple[Person, ...]) -> tuple[TexturedHead, ...]:
    """Complete the textures of some people's heads, and write each as a GLB."""
    from faces.images import open_image
    from faces.provenance import COMPOSITE, Provenance
    from pipelines.device import best_device
    from pipelines.texture.pipeline import TexturePipeline

    pipe: Any = TexturePipeline.from_pretrained("mini").to(best_device())
    pipe.set_progress_bar_config(disable=True)
    folder = settings.out / "texture"
    folder.mkdir(parents=True, exist_ok=True)
    record = Provenance(
        digital_source_type=COMPOSITE, pipeline="TexturePipeline",
        model="mini", model_sha256=pipe.weights_sha256(), seed=settings.seed,
    )  # fmt: skip
    photos = {person.name: open_image(person.reference) for person in people}
    yaws = {name: float(pipe.fit(photo).fit.camera.angles[0]) for name, photo in photos.items()}
    own = people[: 1 if settings.photo else 0]
    turned = sorted(people[len(own) :], key=lambda person: -abs(yaws[person.name]))
    heads, chosen = [], [*own, *turned][:COUNT]
    with progress.counted("textured heads", len(chosen)) as done:
        for person in chosen:
            stem = folder / person.reference.stem
            heads.append(_head(pipe, person.name, photos[person.name], stem, record))
            done(1)
    return tuple(heads)


def _head(pipe: Any, name: str, photo: Any, stem: Path, record: Any) -> TexturedHead:
    """Complete one texture and write its files, whose names begin with `stem`."""
    import torch
    from PIL import Image

    from faces.provenance import save_image
    from mien.texture_pictures import row, texel_shares

    start = time.perf_counter()
    made = pipe(photo, generator=torch.Generator("cpu").manual_seed(record.seed))
    seconds = time.perf_counter() - start
    drawn = Image.fromarray(row(photo, made, 0, pipe.template))
    return TexturedHead(
        name=name,
        picture=save_image(drawn, stem.with_suffix(".webp"), record, quality=90),
        glb=pipe.export_glb(stem.with_suffix(".glb"), made, record=record),
        yaw=float(made.mesh[0].fit.camera.angles[0]),
        shares=texel_shares(made.provenance[0], pipe.layout.valid),
        seconds=seconds,
    )
