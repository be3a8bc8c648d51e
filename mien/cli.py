"""The command `mien`. Every command imports what it needs when it runs, so that `mien --help` is instant.

Exit status: 0 when all went well, 1 when a bar failed or the input or machine is at fault, 2 for wrong usage.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Annotated, Literal

import typer

import mien
from mien import progress
from mien.errors import OneLineErrors
from mien.generate_commands import generate
from mien.page_command import web_page
from mien.terminal import AsJson, Device, Model, Seed, Workers, console, print_json
from mien.texture_command import texture

app = typer.Typer(
    cls=OneLineErrors,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
    help="Faces by diffusion: portraits that keep an identity, labelled datasets, and their training.",
)
app.add_typer(generate, name="generate")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(mien.__version__)
        raise typer.Exit


@app.callback()
def _common(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    if not debug:  # transformers advises to install torchvision, which Mien does without
        os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Show what is installed, which device and weights there are, and how to get what is missing."""
    from mien.doctor import as_table, examine

    findings = examine()
    if as_json:
        print_json([finding.to_json() for finding in findings])
    else:
        console.print(as_table(findings))
    if any(finding.status == "broken" for finding in findings):
        raise typer.Exit(1)


@app.command()
def demo(
    reference: Annotated[Path | None, typer.Option(help="A photograph of your own to start from.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of the page and the pictures.")] = Path("out/demo"),
    identities: Annotated[int, typer.Option(min=2, help="Identities of the dataset.")] = 50,
    images_per_id: Annotated[int, typer.Option(min=1)] = 4,
    seed: Seed = 0,
    model: Model = "mini",
    workers: Workers = None,
) -> None:
    """Make portraits, a small dataset and one page that shows them."""
    from mien.demo import Demo, run

    settings = Demo(
        out=out,
        photo=reference,
        identities=identities,
        images_per_id=images_per_id,
        seed=seed,
        model=model,
        workers=workers,
    )
    page = run(settings)
    console.print(f"Open {page}", soft_wrap=True)


@app.command()
def heads(
    count: Annotated[int, typer.Option(min=1, help="Pictures in all.")],
    out: Annotated[Path, typer.Option(help="Folder of the shards; finished ones are kept.")],
    size: Annotated[int, typer.Option(min=16, help="Pixels of a side.")] = 128,
    seed: Seed = 0,
    pictures_per_identity: Annotated[int, typer.Option(min=1, help="States and looks of one head.")] = 4,
    look: Annotated[
        Literal["first", "second"], typer.Option(help="second: other lights, no cast shadows; for a judge.")
    ] = "first",
    calm: Annotated[float, typer.Option(min=0.1, max=2.0, help="Spread of the faces' shapes.")] = 1.0,
    states: Annotated[
        Literal["portraits", "units", "subtle", "exam"],
        typer.Option(help="units: free action units, wide poses; subtle: small ones; exam: compounds too."),
    ] = "portraits",
    materials: Annotated[
        Literal["all", "seen", "varied", "unseen"],
        typer.Option(help="Skins, brows, hair, lights: those for training, or those kept for tests."),
    ] = "all",
    makeup: Annotated[
        Literal["own", "shared"],
        typer.Option(help="shared: a person's pictures differ in makeup alone, and groups share looks."),
    ] = "own",
    motion: Annotated[
        bool, typer.Option("--motion", help="Pairs of one head before and after an edit, with the flow.")
    ] = False,
    makehuman: Annotated[
        Path | None, typer.Option(envvar="MIEN_MAKEHUMAN", help="MakeHuman's data folder.")
    ] = None,
    workers: Workers = None,
) -> None:
    """Render labelled heads with exact ground truth, as WebDataset shards. Resumable."""
    from faces.head.dataset import write_heads

    with progress.counted("heads", count) as done:
        folder = write_heads(
            count=count,
            out=out,
            size=size,
            seed=seed,
            makehuman=makehuman,
            workers=workers,
            pictures_per_identity=pictures_per_identity,
            look=look,
            calm=calm,
            states=states,
            materials=materials,
            makeup=makeup,
            motion=motion,
            progress=done,
        )
    console.print(f"{count} heads in {folder}", soft_wrap=True)


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True}, add_help_option=False
)
def train(context: typer.Context) -> None:
    """Train a recipe: `mien train RECIPE key=value ... --resume`; all of them: `mien train --list`."""
    from train.__main__ import main as run_training

    raise typer.Exit(run_training(context.args))


@app.command()
def portrait(
    reference: Annotated[list[Path], typer.Argument(help="One or more photographs of one person.")],
    prompt: Annotated[str, typer.Option(help="What the portrait shows.")] = "portrait of a person",
    negative_prompt: Annotated[str, typer.Option(help="What it shall not show.")] = "",
    out: Annotated[Path, typer.Option(help="PNG file; -1, -2, ... is added for several.")] = Path(
        "portrait.png"
    ),
    count: Annotated[int, typer.Option(min=1, max=64, help="Portraits.")] = 1,
    steps: Annotated[int, typer.Option(min=1, max=1000, help="Denoising steps.")] = 20,
    guidance: Annotated[float, typer.Option(min=1.0, help="Guidance scale.")] = 2.5,
    identity: Annotated[float, typer.Option(min=0.0, max=2.0, help="Strength of the identity.")] = 1.0,
    seed: Seed = 0,
    model: Model = "mini",
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    """Make portraits of the person in REFERENCE."""
    from mien.portrait import PortraitRequest, make

    request = PortraitRequest(
        references=tuple(reference),
        prompt=prompt,
        negative_prompt=negative_prompt,
        out=out,
        count=count,
        steps=steps,
        guidance=guidance,
        identity=identity,
        seed=seed,
        model=model,
        device=device,
    )
    made = make(request)
    if as_json:
        print_json(made)
    else:
        for row in made:
            console.print(row["file"], soft_wrap=True)


@app.command()
def expression(
    reference: Annotated[
        list[Path] | None, typer.Argument(help="Photographs of one person; nobody in particular without.")
    ] = None,
    expression: Annotated[
        str | None, typer.Option(help="For example happy: its typical action units.")
    ] = None,
    units: Annotated[str, typer.Option(help="Action units, 0 to 1.5: AU12=0.8,AU4L=0.3")] = "",
    intensity: Annotated[float, typer.Option(min=0.0, max=1.5, help="Of the expression.")] = 1.0,
    semantic: Annotated[
        float, typer.Option(min=0.0, help="Length of a step of semantic guidance; bars are measured at 3.")
    ] = 0.0,
    prompt: Annotated[
        str | None,
        typer.Option(help="What else the picture shows; by default hair, glasses and beard of REFERENCE."),
    ] = None,
    out: Annotated[Path, typer.Option(help="PNG file; -1, -2, ... is added for several.")] = Path(
        "expression.png"
    ),
    count: Annotated[int, typer.Option(min=1, max=64, help="Pictures.")] = 1,
    steps: Annotated[int, typer.Option(min=1, max=1000, help="Denoising steps.")] = 20,
    seed: Seed = 0,
    model: Model = "mini",
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    """Draw a face with an expression, of the person in REFERENCE or of nobody in particular."""
    from mien.expression import ExpressionRequest, make

    request = ExpressionRequest(
        references=tuple(reference or ()),
        expression=expression,
        units=units,
        intensity=intensity,
        semantic=semantic,
        prompt=prompt,
        out=out,
        count=count,
        steps=steps,
        seed=seed,
        model=model,
        device=device,
    )
    made = make(request)
    if as_json:
        print_json(made)
    else:
        for row in made:
            console.print(row["file"], soft_wrap=True)


@app.command()
def makeup(
    face: Annotated[Path, typer.Argument(help="The photograph that is changed.")],
    reference: Annotated[
        Path | None, typer.Option(help="A photograph of anybody who wears the look.")
    ] = None,
    lips: Annotated[str, typer.Option(help="Colour, perhaps with an opacity: #b0203a:0.6")] = "",
    shadow: Annotated[str, typer.Option(help="The same for the lids.")] = "",
    liner: Annotated[str, typer.Option(help="The same along the lashes.")] = "",
    blush: Annotated[str, typer.Option(help="The same for the cheeks.")] = "",
    remove: Annotated[bool, typer.Option("--remove", help="Take all makeup off.")] = False,
    region: Annotated[
        list[str] | None, typer.Option(help="Change lips, eyes or skin alone; may be repeated.")
    ] = None,
    strength: Annotated[float, typer.Option(min=0.0, max=2.0, help="0 as it is, 1 the look, 2 more.")] = 1.0,
    out: Annotated[Path, typer.Option(help="File of the result.")] = Path("makeup.png"),
    steps: Annotated[int, typer.Option(min=1, max=1000, help="Denoising steps.")] = 8,
    seed: Seed = 0,
    model: Model = "mini",
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    """Put makeup on the face in FACE, as in a photograph or in colours, or take it off."""
    from mien.makeup import MakeupRequest, make

    request = MakeupRequest(
        face=face, reference=reference, lips=lips, shadow=shadow, liner=liner, blush=blush, remove=remove,
        region=tuple(region or ()), strength=strength, out=out, steps=steps, seed=seed, model=model, device=device,
    )  # fmt: skip
    made = make(request)
    if as_json:
        print_json(made)
    else:
        console.print(made["file"], soft_wrap=True)


@app.command()
def drag(
    face: Annotated[Path, typer.Argument(help="The photograph that is changed.")],
    drag: Annotated[
        list[str] | None,
        typer.Option(
            help='Column and row of a pixel, and of where it shall be: "310,420 310,450"; repeat it.'
        ),
    ] = None,
    pin: Annotated[list[str] | None, typer.Option(help='A pixel that stays: "250,200"; repeat it.')] = None,
    mask: Annotated[Path | None, typer.Option(help="A picture, white where FACE may change.")] = None,
    normalized: Annotated[
        bool, typer.Option("--normalized", help="Points are shares of width and height, 0 to 1.")
    ] = False,
    preview: Annotated[bool, typer.Option("--preview", help="Only move pixels; nothing is drawn.")] = False,
    out: Annotated[Path, typer.Option(help="File of the result.")] = Path("drag.png"),
    steps: Annotated[int, typer.Option(min=1, max=1000, help="Denoising steps.")] = 8,
    seed: Seed = 0,
    model: Model = "mini",
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    """Move points of the face in FACE to other points. Pixels count from 0,0 at the top left; middles are meant."""
    from mien.drag import DragRequest, described, make

    request = DragRequest(
        face=face, drags=tuple(drag or ()), pins=tuple(pin or ()), mask=mask, normalized=normalized,
        preview=preview, out=out, steps=steps, seed=seed, model=model, device=device,
    )  # fmt: skip
    made = make(request)
    if as_json:
        print_json(made)
    else:
        for line in [made["file"], *described(made)]:
            console.print(line, soft_wrap=True, markup=False)


app.command()(texture)
app.command(name="app")(web_page)


@app.command()
def analyze(
    picture: Annotated[Path, typer.Argument(help="A photograph.")],
    backend: Annotated[
        str, typer.Option(help="What finds faces: bundled, insightface, mediapipe.")
    ] = "bundled",
    as_json: AsJson = False,
) -> None:
    """Read the faces of a picture: landmarks, pose, expression, action units and more."""
    from faces.analysis import NoFaceFound
    from mien.analyze import analyze as read
    from mien.analyze import as_table

    faces = read(picture, backend)
    if as_json:
        print_json(faces)
        return
    if not faces:
        raise NoFaceFound(f"{picture.name}: no face found")
    console.print(as_table(faces, picture.name))


@app.command()
def evaluate(
    task: Annotated[
        str,
        typer.Argument(help="perception, portrait, identities, expressions, makeup, drag, texture, page."),
    ],
    quick: Annotated[bool, typer.Option("--quick", help="Fewer heads, within 50 s on two cores.")] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the lines there.")
    ] = None,
    model: Model = "mini",
    device: Device = None,
    data: Annotated[Path | None, typer.Option(help="Folder of the held-out heads.")] = None,
    dataset: Annotated[
        Path | None, typer.Option(help="Dataset that is judged, for identities and expressions.")
    ] = None,
    plots: Annotated[
        Path | None, typer.Option(help="Folder for plots and sheets, with a page that shows them all.")
    ] = None,
) -> None:
    """Measure every bar of a task; exit status 0 only when all pass."""
    from gen.evaluation import bars

    with progress.shared(f"evaluate {task}") as report:
        lines = bars.evaluate(
            task, quick, json_file, model, device, data=data, dataset=dataset, plots=plots, progress=report
        )
    console.print(bars.as_table(lines, f"{task}{', quick' if quick else ''}"))
    if plots is not None:
        from mien import page

        named = {"--model": model if model != "mini" else None, "--data": data, "--dataset": dataset}
        options = [str(part) for name, value in named.items() if value for part in (name, value)]
        command = shlex.join(["mien", "evaluate", task, *(["--quick"] if quick else []), *options])
        console.print(f"{page.write_evaluation(task, lines, command, plots)}", soft_wrap=True)
    failed = [line.name for line in lines if not line.passed]
    if failed:
        console.print(f"{bars.tally(lines)} hold; missed: {', '.join(failed)}", soft_wrap=True)
        raise typer.Exit(1)


def main() -> None:
    """Entry point of the console script."""
    app(prog_name="mien")
