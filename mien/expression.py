"""What `mien expression` does: a face, of a person or of nobody, with an expression, as files with provenance."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faces import captions
from mien.portrait import check_files, numbered, record

if TYPE_CHECKING:
    from faces.analysis import FaceAnalyzer


@dataclass(frozen=True, kw_only=True, slots=True)
class ExpressionRequest:
    """What is asked for."""

    prompt: str | None = None
    """None names what can be seen on the first reference; see `captions.prompt_of`."""
    references: tuple[Path, ...] = ()
    """Pictures of one person; none draws nobody in particular."""
    expression: str | None = None
    units: str = ""
    """As "AU12=0.8,AU4L=0.3"; units that are not named stay free."""
    intensity: float = 1.0
    semantic: float = 0.0
    """Length of a step of semantic guidance; 0 for none."""
    out: Path = Path("expression.png")
    count: int = 1
    steps: int = 20
    seed: int = 0
    """Of the first picture; the next ones use the numbers that follow."""
    model: str = "mini"
    device: str | None = None

    def __post_init__(self) -> None:
        """Check what the command line cannot."""
        check_files(self.out, self.references)
        parse_units(self.units)

    def files(self) -> list[Path]:
        """Return the file of each picture."""
        return numbered(self.out, self.count)


def parse_units(text: str) -> dict[str, float]:
    """Read "AU12=0.8,AU4L=0.3"; raises ValueError that names the piece that is none."""
    units = {}
    for piece in filter(None, (piece.strip() for piece in text.split(","))):
        name, _, value = piece.partition("=")
        try:
            units[name.strip().upper()] = float(value)
        except ValueError:
            raise ValueError(f"units: '{piece}' is not NAME=NUMBER, such as AU12=0.8") from None
    return units


def seen_prompt(picture: Path, **more: Any) -> str:
    """`captions.prompt_of` the largest face of a picture; raises NoFaceFound."""
    return captions.prompt_of(_analyzer().require_face(picture), **more)


@functools.cache
def _analyzer() -> FaceAnalyzer:
    from faces.analysis import FaceAnalyzer

    return FaceAnalyzer.from_pretrained("mini", embed=False)


def make(request: ExpressionRequest) -> list[dict[str, Any]]:
    """Make and save the pictures; return a row of facts for each."""
    import torch

    from faces.provenance import save_image
    from pipelines.device import best_device
    from pipelines.expression.pipeline import ExpressionPipeline

    pipe = ExpressionPipeline.from_pretrained(request.model).to(request.device or best_device())
    seeds = [request.seed + number for number in range(request.count)]
    units = parse_units(request.units)
    prompt = request.prompt
    if prompt is None:
        prompt = seen_prompt(request.references[0]) if request.references else captions.prompt()
    output: Any = pipe(
        image=[str(path) for path in request.references] or None,
        prompt=prompt,
        action_units=units or None,
        expression=request.expression,
        intensity=request.intensity,
        semantic_scale=request.semantic,
        num_images_per_prompt=request.count,
        num_inference_steps=request.steps,
        generator=[torch.Generator("cpu").manual_seed(seed) for seed in seeds],
    )
    request.out.parent.mkdir(parents=True, exist_ok=True)
    rows = []
    for path, image, seed in zip(request.files(), output.images, seeds, strict=True):
        asked = {"expression": request.expression, "action_units": units}
        origin = record(request.model, prompt, seed, request.steps, "ExpressionPipeline", **asked)
        save_image(image, path, origin)
        rows.append({"file": str(path), "seed": seed, "prompt": prompt, **asked})
    return rows
