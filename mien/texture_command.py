"""The command `mien texture`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from mien.terminal import AsJson, Device, Model, Seed, console, print_json


def texture(
    face: Annotated[Path, typer.Argument(help="The photograph that is read.")],
    out: Annotated[
        Path | None,
        typer.Option(help=".glb, .obj (.mtl and .png come with it), or .png, the texture alone.  [FACE.glb]"),
    ] = None,
    mode: Annotated[
        Literal["keep", "blend"],
        typer.Option(help="keep: seen texels stay as they are; blend: mix them at their border."),
    ] = "keep",
    strength: Annotated[float, typer.Option(min=0.0, max=1.0, help="Of the refinement; 0 for none.")] = 0.3,
    insides: Annotated[
        list[str], typer.Option(help="Read eyes, mouth or none from FACE too; may be repeated.")
    ] = ["eyes"],  # noqa: B006 - typer copies it
    repaint: Annotated[
        bool, typer.Option("--repaint", help="Complete with the unconditional model, 3 times as long.")
    ] = False,
    style: Annotated[
        str, typer.Option(help="photoreal, cartoon, painting, sculpture or fantasy.")
    ] = "photoreal",
    delight: Annotated[
        bool,
        typer.Option("--delight/--no-delight", help="Take the light of FACE off, which redraws all texels."),
    ] = False,
    lit: Annotated[
        bool, typer.Option("--lit/--unlit", help="Let lights shine on the head of a .glb.")
    ] = False,
    turntable: Annotated[
        Path | None, typer.Option(help="The head turned: .png, or moving as .webp or .gif.")
    ] = None,
    provenance: Annotated[Path | None, typer.Option(help="Picture of where each texel comes from.")] = None,
    partial: Annotated[
        Path | None, typer.Option(help="What FACE shows of the texture, .png or .webp.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are there.")] = False,
    steps: Annotated[int, typer.Option(min=1, max=1000, help="Denoising steps.")] = 8,
    seed: Seed = 0,
    model: Model = "mini",
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    """Fit a head to the face in FACE, complete the texture that it shows in part, and write both."""
    from mien.texture import TextureRequest, described, make

    read = () if insides == ["none"] else tuple(insides)
    request = TextureRequest(
        face=face, out=out, mode=mode, strength=strength, insides=read, repaint=repaint, style=style,
        delight=delight, lit=lit, turntable=turntable, provenance=provenance, partial=partial, overwrite=overwrite,
        steps=steps, seed=seed, model=model, device=device,
    )  # fmt: skip
    made = make(request)
    if as_json:
        print_json(made)
    else:
        for line in [*made["files"], *described(made)]:
            console.print(line, soft_wrap=True, markup=False)
