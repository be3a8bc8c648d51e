"""What `mien portrait` does: one person's pictures and a prompt to portrait files with provenance."""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class PortraitRequest:
    """What is asked for."""

    references: tuple[Path, ...]
    """Pictures of one person."""
    prompt: str
    negative_prompt: str = ""
    out: Path = Path("portrait.png")
    count: int = 1
    steps: int = 20
    guidance: float = 2.5
    identity: float = 1.0
    seed: int = 0
    """Of the first portrait; the next ones use the numbers that follow, so each can be made again alone."""
    model: str = "mini"
    device: str | None = None

    def __post_init__(self) -> None:
        """Check what the command line cannot."""
        check_files(self.out, self.references)

    def files(self) -> list[Path]:
        """Return the file of each portrait."""
        return numbered(self.out, self.count)


def check_files(out: Path, references: Iterable[Path]) -> None:
    """Refuse an output of an unknown format, and pictures that are not there."""
    if out.suffix.lower() not in (".png", ".jpg", ".jpeg", ".webp"):
        raise ValueError(f"{out}: the suffix tells the format, permitted: .png .jpg .jpeg .webp")
    missing = [str(path) for path in references if not path.is_file()]
    if missing:
        raise FileNotFoundError(f"{', '.join(missing)}: no such picture")


def numbered(out: Path, count: int) -> list[Path]:
    """The file itself for one picture; for several, files with a number at the end of the name."""
    if count == 1:
        return [out]
    return [out.with_stem(f"{out.stem}-{number}") for number in range(1, count + 1)]


def make(request: PortraitRequest) -> list[dict[str, Any]]:
    """Make and save the portraits; return a row of facts for each."""
    import torch

    from faces.provenance import save_image
    from pipelines.device import best_device
    from pipelines.portrait.pipeline import PortraitPipeline

    pipe = PortraitPipeline.from_pretrained(request.model).to(request.device or best_device())
    seeds = [request.seed + number for number in range(request.count)]
    output: Any = pipe(
        image=[str(path) for path in request.references],
        prompt=request.prompt,
        negative_prompt=request.negative_prompt,
        num_images_per_prompt=request.count,
        num_inference_steps=request.steps,
        guidance_scale=request.guidance,
        identity_scale=request.identity,
        generator=[torch.Generator("cpu").manual_seed(seed) for seed in seeds],
    )
    request.out.parent.mkdir(parents=True, exist_ok=True)
    rows = []
    for path, image, seed in zip(request.files(), output.images, seeds, strict=True):
        save_image(image, path, record(request.model, request.prompt, seed, request.steps))
        rows.append({"file": str(path), "seed": seed, "prompt": request.prompt, "model": request.model})
    return rows


def record(
    model: str, prompt: str, seed: int, steps: int, pipeline: str = "PortraitPipeline", **extra: Any
) -> Any:
    """Return the provenance of a picture; `extra` are further facts of JSON types."""
    from faces.provenance import GENERATED, Provenance, prompt_hash

    return Provenance(
        digital_source_type=GENERATED,
        pipeline=pipeline,
        model=model_name(model),
        model_sha256=model_digest(model),
        seed=seed,
        steps=steps,
        prompt_sha256=prompt_hash(prompt),
        extra=extra,
    )


@functools.lru_cache(maxsize=4)
def model_digest(model: str) -> str:
    """Hash "mini", a folder or a hub id: the SHA-256 of its files' names and their own SHA-256."""
    from gen.models import fingerprint

    return hashlib.sha256(json.dumps(fingerprint(model), sort_keys=True).encode()).hexdigest()


def model_name(model: str) -> str:
    """Name a model without the folders it lies in: a path tells about the machine and its user."""
    if model == "mini" or re.fullmatch(r"[\w.-]+/[\w.-]+", model):
        return model
    return Path(model).name
