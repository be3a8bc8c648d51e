"""The commands below `mien generate`, one a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

import typer

from mien.terminal import AsJson, Model, Seed, Workers, console, print_json

generate = typer.Typer(no_args_is_help=True, help="Make a labelled synthetic dataset.")

DatasetFolder = Annotated[Path, typer.Option(help="Folder of the dataset; a finished part is kept.")]
RecipeFile = Annotated[Path | None, typer.Option(help="YAML file with settings instead of these options.")]
Format = Annotated[Literal["webdataset", "folder", "parquet"], typer.Option(help="How it is written.")]
Engine = Annotated[Literal["local", "ray"], typer.Option(help="ray: on a cluster.")]
Shards = Annotated[str | None, typer.Option(help="Only shards FIRST:LAST, for job arrays.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Remove the dataset in the folder first.")]


@generate.command()
def identities(
    out: DatasetFolder,
    ids: Annotated[int, typer.Option(min=1, help="Identities.")] = 50,
    images_per_id: Annotated[int, typer.Option(min=1, help="Pictures of each.")] = 10,
    seed: Seed = 0,
    recipe: RecipeFile = None,
    format: Format = "webdataset",
    model: Model = "mini",
    workers: Workers = None,
    engine: Engine = "local",
    shards: Shards = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Make new synthetic identities in varied pose, expression, light, age and hair."""
    settings = {"ids": ids, "images_per_id": images_per_id, "seed": seed, "format": format, "model": model}
    _run("identities", recipe, settings, out, shards, workers, engine, overwrite, as_json)


@generate.command()
def expressions(
    out: DatasetFolder,
    per_class: Annotated[int, typer.Option(min=1, help="Pictures of each of the eight expressions.")] = 500,
    seed: Seed = 0,
    recipe: RecipeFile = None,
    format: Format = "webdataset",
    model: Model = "mini",
    workers: Workers = None,
    engine: Engine = "local",
    shards: Shards = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Make labelled expressions, each by the same looks in the same poses, with labels that were checked."""
    settings = {"per_class": per_class, "seed": seed, "format": format, "model": model}
    _run("expressions", recipe, settings, out, shards, workers, engine, overwrite, as_json)


@generate.command()
def makeup(
    out: DatasetFolder,
    faces: Annotated[int, typer.Option(min=1, help="Identities.")] = 50,
    styles: Annotated[int, typer.Option(min=1, max=255, help="Styles, the same on every identity.")] = 5,
    seed: Seed = 0,
    recipe: RecipeFile = None,
    format: Format = "webdataset",
    model: Model = "mini",
    makeup_model: Annotated[
        str, typer.Option(help='What makes faces up: "mini" (bundled), a folder or a hub id.')
    ] = "mini",
    workers: Workers = None,
    engine: Engine = "local",
    shards: Shards = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Make pairs: new faces, bare and in styles of makeup, with the colours and masks of every style."""
    settings = {"faces": faces, "styles": styles, "seed": seed, "format": format, "model": model}
    settings["makeup_model"] = makeup_model
    _run("makeup", recipe, settings, out, shards, workers, engine, overwrite, as_json)


@generate.command()
def drags(
    out: DatasetFolder,
    pairs: Annotated[int, typer.Option(min=1, help="Heads, each before and after an edit.")] = 200,
    size: Annotated[int, typer.Option(min=128, max=1024, help="Pixels of a side.")] = 256,
    seed: Seed = 0,
    recipe: RecipeFile = None,
    format: Format = "webdataset",
    makehuman: Annotated[
        Path | None, typer.Option(envvar="MIEN_MAKEHUMAN", help="MakeHuman's data folder.")
    ] = None,
    workers: Workers = None,
    engine: Engine = "local",
    shards: Shards = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Render pairs of a head before and after an edit, with the true flow between them, drags and pins."""
    settings = {"pairs": pairs, "size": size, "seed": seed, "format": format}
    places = {"makehuman": str(makehuman)} if makehuman else {}
    _run("drags", recipe, settings, out, shards, workers, engine, overwrite, as_json, places)


@generate.command()
def textures(
    out: DatasetFolder,
    people: Annotated[int, typer.Option(min=1, help="People, each in every style.")] = 200,
    styles: Annotated[
        str | None,
        typer.Option(help="Of photoreal, cartoon, painting, sculpture, fantasy, between commas; else all."),
    ] = None,
    seed: Seed = 0,
    recipe: RecipeFile = None,
    format: Format = "webdataset",
    model: Model = "mini",
    workers: Workers = None,
    engine: Engine = "local",
    shards: Shards = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Draw facial textures of nobody in several styles, all of one layout, with masks of what views show of them."""
    settings = {"people": people, "seed": seed, "format": format, "model": model}
    settings |= {} if styles is None else {"styles": styles}
    _run("textures", recipe, settings, out, shards, workers, engine, overwrite, as_json)


def _run(
    kind: str,
    recipe: Path | None,
    settings: dict[str, Any],
    out: Path,
    shards: str | None,
    workers: int | None,
    engine: str,
    overwrite: bool,
    as_json: bool,
    places: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Make the dataset of a recipe file, else of settings, and print what became of it.

    `places` says where things are on this machine; it holds for recipe files too.
    """
    from mien.generate import build, make, parse_range

    plan = build(kind, recipe, settings).model_copy(update=dict(places))
    run = make(
        plan, out, shard_range=parse_range(shards), workers=workers, engine=engine, overwrite=overwrite
    )
    if as_json:
        print_json(run)
        return
    for name, value in run.items():
        console.print(f"{name:12} {value}", soft_wrap=True)
