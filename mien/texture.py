"""What `mien texture` does: a photograph to a head with a complete texture, as files for other programs."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mien.portrait import model_name

if TYPE_CHECKING:
    from faces.provenance import Provenance

FORMATS = {
    "out": (".glb", ".obj", ".png"),
    "turntable": (".png", ".webp", ".gif"),
    "provenance": (".png", ".jpg", ".jpeg", ".webp"),
    "partial": (".png", ".webp"),
}
"""Option -> suffixes of its file."""
INSIDES = ("eyes", "mouth")
REACH, VIEWS = 60.0, 25
"""Degrees to each side that an animation turns the head, and the views on the way."""
FRAME_SECONDS = 0.06


@dataclass(frozen=True, kw_only=True, slots=True)
class TextureRequest:
    """What is asked for."""

    face: Path
    """The photograph that is read."""
    out: Path | None = None
    """The suffix tells the format; by default the photograph's name with .glb, in the current folder."""
    mode: Literal["keep", "blend"] = "keep"
    strength: float = 0.3
    insides: tuple[str, ...] = ("eyes",)
    """Out of `INSIDES`: read from the photograph too."""
    repaint: bool = False
    style: str = "photoreal"
    """Out of `pipelines.texture.styles.STYLES`."""
    delight: bool = False
    """Take the light of the photograph off."""
    lit: bool = False
    """Lights shine on the head of a GLB."""
    turntable: Path | None = None
    provenance: Path | None = None
    partial: Path | None = None
    overwrite: bool = False
    steps: int = 8
    seed: int = 0
    model: str = "mini"
    device: str | None = None

    def __post_init__(self) -> None:
        """Check what the command line cannot."""
        if not self.face.is_file():
            raise FileNotFoundError(f"{self.face}: no such picture")
        for option, suffixes in FORMATS.items():
            if (path := self.asked()[option]) is not None and path.suffix.lower() not in suffixes:
                raise ValueError(
                    f"{option} {path}: the suffix tells the format, permitted: {' '.join(suffixes)}"
                )
        if unknown := sorted(set(self.insides) - set(INSIDES)):
            raise ValueError(f"insides {', '.join(unknown)}: choose any of {', '.join(INSIDES)}")
        self._check_style()
        if self.lit and self.target.suffix.lower() != ".glb":
            raise ValueError(f"lit: of .glb alone, {self.target} has no such material")
        self._check_files()

    @property
    def target(self) -> Path:
        """The file of the head."""
        return Path(f"{self.face.stem}.glb") if self.out is None else self.out

    def asked(self) -> dict[str, Path | None]:
        """Return the file of each option of `FORMATS`."""
        return {name: self.target if name == "out" else getattr(self, name) for name in FORMATS}

    def files(self) -> list[Path]:
        """Return all files that are written; an OBJ brings a material and a picture along."""
        beside = (".mtl", ".png") if self.target.suffix.lower() == ".obj" else ()
        asked = [path for path in self.asked().values() if path is not None]
        return [asked[0], *(self.target.with_suffix(suffix) for suffix in beside), *asked[1:]]

    def _check_style(self) -> None:
        from pipelines.texture.styles import STYLES

        if self.style not in STYLES:
            raise ValueError(f"style {self.style}: choose one of {', '.join(STYLES)}")

    def _check_files(self) -> None:
        files = self.files()
        twice = [path for path, count in Counter(path.resolve() for path in files).items() if count > 1]
        if twice:
            raise ValueError(f"{twice[0].name}: two results would go to this file; name another")
        there = [path for path in files if path.exists()]
        for path in there:
            if path.samefile(self.face):
                raise ValueError(f"{path}: is the photograph, which is never overwritten; name another file")
        if there and not self.overwrite:
            raise FileExistsError(f"{', '.join(map(str, there))}: there already; --overwrite replaces it")


def make(request: TextureRequest) -> dict[str, Any]:
    """Make and save the head and what else was asked for; return facts about it.

    Raises:
        ImageError: the photograph cannot be used; `NoFaceFound` where it shows no face.
    """
    import torch

    from mien.texture_pictures import texel_shares
    from pipelines.device import best_device
    from pipelines.texture.pipeline import TexturePipeline

    pipe: Any = TexturePipeline.from_pretrained(request.model).to(request.device or best_device())
    start = time.perf_counter()
    made: Any = pipe(
        str(request.face),
        insides=request.insides,
        mode=request.mode,
        strength=request.strength,
        repaint=request.repaint,
        style=request.style,
        delight=request.delight,
        num_inference_steps=request.steps,
        generator=torch.Generator("cpu").manual_seed(request.seed),
    )
    seconds = time.perf_counter() - start
    for path in request.files():
        path.parent.mkdir(parents=True, exist_ok=True)
    record = _origin(request, pipe)
    _write_head(request, pipe, made, record)
    _write_pictures(request, pipe, made, record)
    return {
        "file": str(request.target),
        "files": [str(path) for path in request.files()],
        "seed": request.seed,
        "texels": texel_shares(made.provenance[0], pipe.layout.valid),
        "residual": made.mesh[0].fit.residual,
        "seconds": seconds,
    }


def _origin(request: TextureRequest, pipe: Any) -> Provenance:
    from faces.provenance import COMPOSITE, Provenance

    asked = {
        "mode": request.mode,
        "strength": request.strength,
        "insides": list(request.insides),
        "repaint": request.repaint,
        "style": request.style,
        "delight": request.delight,
    }
    return Provenance(
        digital_source_type=COMPOSITE,
        pipeline="TexturePipeline",
        model=model_name(request.model),
        model_sha256=pipe.weights_sha256(),
        seed=request.seed,
        steps=request.steps,
        extra=asked,
    )


def _write_head(request: TextureRequest, pipe: Any, made: Any, record: Provenance) -> None:
    record, out = _of(record, "texture"), request.target
    if out.suffix.lower() == ".glb":
        pipe.export_glb(out, made, record=record, unlit=not request.lit)
    elif out.suffix.lower() == ".obj":
        pipe.export_obj(out, made, record=record)
    else:
        pipe.export_png(out, made, record=record)


def _write_pictures(request: TextureRequest, pipe: Any, made: Any, record: Provenance) -> None:
    import numpy as np

    from faces.provenance import RENDERED, save_image
    from mien.texture_pictures import partial_picture, provenance_picture
    from pipelines.texture.turntable import save_animation, save_strip

    if (path := request.turntable) is not None:
        record = _of(record, "turntable")
        if path.suffix.lower() == ".png":
            save_strip(pipe.turntable(made), path, record)
        else:
            views = pipe.turntable(made, yaws=np.linspace(-REACH, REACH, VIEWS).tolist())
            save_animation(views, path, record, seconds=FRAME_SECONDS)
    if request.provenance is not None:
        drawn = provenance_picture(made.provenance[0], pipe.layout.valid)
        save_image(drawn, request.provenance, _of(record, "provenance", RENDERED))
    if request.partial is not None:
        save_image(partial_picture(made), request.partial, _of(record, "partial"), quality=100)


def _of(record: Provenance, shows: str, source_type: str | None = None) -> Provenance:
    """The record of one of the files, which tells what that shows."""
    changed = {"digital_source_type": source_type} if source_type else {}
    return record.model_copy(update={"extra": record.extra | {"shows": shows}, **changed})


def described(facts: dict[str, Any]) -> list[str]:
    """Word what `make` returns beside its files."""
    shares = facts["texels"]
    return [
        f"of the texels {shares['seen']:.0%} are seen, {shares['mirrored']:.0%} generated after their mirror image, "
        f"{shares['generated']:.0%} generated",
        f"the head's landmarks miss those of the photograph by {facts['residual']:.1%} of the distance of the eyes' "
        "outer corners",
        f"{facts['seconds']:.1f} s",
    ]
