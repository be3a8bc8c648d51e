"""What `mien makeup` does: makeup from a photograph or from colours, put on a face or taken off, as a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faces.makeup import LAYERS, MakeupLook, check_regions
from mien.portrait import check_files, model_name

EXAMPLES = {
    "red lips": MakeupLook.of(lips=("#a8102a", 0.85)),
    "violet lids": MakeupLook.of(shadow=("#6a3aa0", 0.7), liner=("#101010", 0.9)),
    "peach cheeks": MakeupLook.of(blush=("#d9805f", 0.5), lips=("#c77a66", 0.5)),
    "all of it": MakeupLook.of(
        lips=("#8a1c4a", 0.85), shadow=("#2f7f86", 0.6), liner=("#101010", 0.9), blush=("#c96a72", 0.4)
    ),
}
"""Looks that the demo and the documentation show."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MakeupRequest:
    """What is asked for: exactly one of a reference, colours, or removal."""

    face: Path
    """The photograph that is changed."""
    reference: Path | None = None
    """A photograph of anybody who wears the look."""
    lips: str = ""
    """As "#b0203a" or "#b0203a:0.6", the opacity behind the colon; likewise the other layers."""
    shadow: str = ""
    liner: str = ""
    blush: str = ""
    remove: bool = False
    region: tuple[str, ...] = ()
    """Out of lips, eyes, skin; none means all."""
    strength: float = 1.0
    out: Path = Path("makeup.png")
    steps: int = 8
    seed: int = 0
    model: str = "mini"
    device: str | None = None

    def __post_init__(self) -> None:
        """Check what the command line cannot."""
        check_files(self.out, [self.face, *([self.reference] if self.reference else [])])
        if self.region:
            check_regions(self.region)
        given = [self.reference is not None, bool(self.look().layers), self.remove]
        if sum(given) != 1:
            raise ValueError(
                "give one of: --reference PHOTO, colours (--lips, --shadow, --liner, --blush), or --remove"
            )

    def look(self) -> MakeupLook:
        """Return the look that the colours say; raises ValueError that names the layer."""
        layers = {name: _layer(name, getattr(self, name)) for name in LAYERS}
        return MakeupLook.of(**{name: layer for name, layer in layers.items() if layer is not None})


def _layer(name: str, text: str) -> tuple[str, float] | str | None:
    colour, colon, opacity = text.partition(":")
    if not colon:
        return colour or None
    try:
        return colour, float(opacity)
    except ValueError:
        raise ValueError(f"{name}: '{text}' is not COLOUR:OPACITY, such as #b0203a:0.6") from None


def make(request: MakeupRequest) -> dict[str, Any]:
    """Make and save the picture; return facts about it."""
    import torch

    from faces.provenance import COMPOSITE, Provenance, save_image
    from pipelines.device import best_device
    from pipelines.makeup.pipeline import MakeupPipeline

    pipe = MakeupPipeline.from_pretrained(request.model).to(request.device or best_device())
    output: Any = pipe(
        str(request.face),
        str(request.reference) if request.reference else request.look(),
        region=list(request.region) or None,
        strength=request.strength,
        num_inference_steps=request.steps,
        generator=torch.Generator("cpu").manual_seed(request.seed),
    )
    kind = "photograph" if request.reference else "none" if request.remove else "colours"
    asked = {"makeup": kind, "region": list(request.region), "strength": request.strength}
    origin = Provenance(
        digital_source_type=COMPOSITE,
        pipeline="MakeupPipeline",
        model=model_name(request.model),
        model_sha256=pipe.weights_sha256(),
        seed=request.seed,
        steps=request.steps,
        extra=asked,
    )
    request.out.parent.mkdir(parents=True, exist_ok=True)
    save_image(output.images[0], request.out, origin)
    return {"file": str(request.out), "seed": request.seed, **asked}
