"""The job of `make demo`: portraits, edits of faces, textured heads, a dataset, numbers, and one page of it all."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from faces import examples
from mien import demo_drag, demo_texture, expression, makeup, progress
from mien.demo_texture import TexturedHead
from mien.errors import errors

REFERENCES = examples.FOLDER
LOOKS: tuple[dict[str, Any], ...] = (
    {"expression": "happy", "pose": "frontal"},
    {"expression": "surprise", "pose": "slightly left"},
    {"expression": "anger", "pose": "slightly right"},
    {"expression": "neutral", "pose": "left", "light": "warm"},
    {"expression": "neutral", "age_band": "elderly", "hair_style": "short", "hair_colour": "grey"},
    {"expression": "happy", "pose": "slightly right", "hair_style": "long", "hair_colour": "blond"},
)  # fmt: skip
"""What every person is shown as, in the terms of `faces.captions.prompt`."""
BATCH = 16
EXPRESSIVE = 3
"""People who are shown with every expression."""
MADE_UP = 3
"""People who are made up."""
MAKEUP = (*makeup.EXAMPLES, "the last, as the person above wears it", "the last, taken off")
"""What they wear."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Demo:
    """What is made."""

    out: Path = Path("out/demo")
    photo: Path | None = None
    """A picture of the user's own, shown first."""
    identities: int = 50
    images_per_id: int = 4
    steps: int = 20
    """Denoising steps of the portraits."""
    dataset_steps: int = 8
    """Denoising steps of the dataset: fewer, for the clock's sake."""
    dataset_drawings: int = 1
    """Drawings of a new identity of which one becomes its reference, for the same reason."""
    seed: int = 0
    model: str = "mini"
    workers: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Person:
    """A reference and its portraits, all of them files below the demo's folder."""

    name: str
    reference: Path
    portraits: tuple[Path, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """Bars of a task, or why there are none."""

    task: str
    bars: Sequence[Any] = ()
    reason: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Results:
    """Everything the page shows."""

    settings: Demo
    prompts: tuple[str, ...]
    people: tuple[Person, ...]
    portrait_seconds: float
    expressions: tuple[Person, ...]
    """The first people with the expressions of `vocabulary.EXPRESSIONS`; none where the model cannot steer them."""
    expression_seconds: float
    makeup: tuple[Person, ...]
    """The first people in the looks of `mien.makeup.EXAMPLES`, in one read off a photograph, and with it taken off."""
    makeup_seconds: float
    dragged: tuple[Person, ...]
    """The first people with the pictures of `mien.demo_drag.SHOWN`."""
    drag_seconds: float
    textured: tuple[TexturedHead, ...]
    """Some people as heads with complete textures."""
    texture_seconds: float
    dataset: dict[str, Any]
    dataset_seconds: float
    measured: tuple[Measured, ...]
    model_sha256: str


def run(settings: Demo) -> Path:
    """Make everything and return the page.

    Raises:
        NoFaceFound: the user's picture shows no face.
        FileNotFoundError: references or weights are missing.
    """
    from mien import page
    from mien.portrait import model_digest

    settings.out.mkdir(parents=True, exist_ok=True)
    people = _people(settings)
    prompts = prompts_of_looks()
    start = time.perf_counter()
    people = _portraits(settings, people, prompts)
    portraits_done = time.perf_counter()
    expressions = _expressions(settings, people[:EXPRESSIVE])
    expressions_done = time.perf_counter()
    made_up = _makeup(settings, people[:MADE_UP])
    makeup_done = time.perf_counter()
    dragged = demo_drag.drag(settings, people)
    drag_done = time.perf_counter()
    textured = demo_texture.texture(settings, people)
    texture_done = time.perf_counter()
    dataset = _dataset(settings)
    dataset_done = time.perf_counter()
    results = Results(
        settings=settings,
        prompts=prompts,
        people=people,
        portrait_seconds=portraits_done - start,
        expressions=expressions,
        expression_seconds=expressions_done - portraits_done,
        makeup=made_up,
        makeup_seconds=makeup_done - expressions_done,
        dragged=dragged,
        drag_seconds=drag_done - makeup_done,
        textured=textured,
        texture_seconds=texture_done - drag_done,
        dataset=dataset,
        dataset_seconds=dataset_done - texture_done,
        measured=(_measure("portrait", settings), _measure("identities", settings)),
        model_sha256=model_digest(settings.model),
    )
    return page.write(results, settings.out / "index.html")


def prompts_of_looks() -> tuple[str, ...]:
    """Word the looks."""
    from faces import captions

    return tuple(captions.prompt(**look) for look in LOOKS)


def _people(settings: Demo) -> tuple[Person, ...]:
    """Copy the references beside the page, the user's own first."""
    from PIL import Image

    from faces.images import open_image

    bundled = sorted(REFERENCES.glob("*.webp"))
    if not bundled:
        raise FileNotFoundError(f"{REFERENCES}: no reference pictures (*.webp); install Mien again")
    folder = settings.out / "references"
    folder.mkdir(parents=True, exist_ok=True)
    people = []
    if settings.photo:
        upright = Image.fromarray(open_image(settings.photo))
        upright.thumbnail((1024, 1024))
        copy = folder / "your-picture.png"
        upright.save(copy)
        people.append(Person(name="your picture", reference=copy))
    for number, source in enumerate(bundled, start=1):
        copy = folder / source.name
        shutil.copyfile(source, copy)
        people.append(Person(name=f"person {number}", reference=copy))
    return tuple(people)


def _portraits(settings: Demo, people: tuple[Person, ...], prompts: tuple[str, ...]) -> tuple[Person, ...]:
    """Show every person in every look, in batches of different people; each from its own seed."""
    import torch

    from faces.provenance import save_image
    from mien.portrait import record
    from pipelines.device import best_device
    from pipelines.portrait.pipeline import PortraitPipeline

    pipe = PortraitPipeline.from_pretrained(settings.model).to(best_device())
    pipe.set_progress_bar_config(disable=True)
    folder = settings.out / "portraits"
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [(person, look, prompt) for person in people for look, prompt in enumerate(prompts)]
    files: dict[str, list[Path]] = {person.name: [] for person in people}
    with progress.counted("portraits", len(jobs)) as done:
        for start in range(0, len(jobs), BATCH):
            batch = jobs[start : start + BATCH]
            seeds = [settings.seed + look for _, look, _ in batch]
            output: Any = pipe(
                image=[[str(person.reference)] for person, _, _ in batch],
                prompt=[prompt for _, _, prompt in batch],
                num_inference_steps=settings.steps,
                generator=[torch.Generator("cpu").manual_seed(seed) for seed in seeds],
            )
            for (person, look, prompt), image, seed in zip(batch, output.images, seeds, strict=True):
                path = folder / f"{person.reference.stem}-{look + 1}.png"
                files[person.name].append(
                    save_image(image, path, record(settings.model, prompt, seed, settings.steps))
                )
            done(len(batch))
    return tuple(replace(person, portraits=tuple(files[person.name])) for person in people)


def _expressions(settings: Demo, people: tuple[Person, ...]) -> tuple[Person, ...]:
    """Show people with the eight expressions, each person's from one noise."""
    import torch

    from faces import vocabulary
    from faces.provenance import save_image
    from mien.portrait import record
    from pipelines.device import best_device
    from pipelines.expression.pipeline import ExpressionPipeline

    if not _steers_expressions(settings.model):
        return ()
    pipe = ExpressionPipeline.from_pretrained(settings.model).to(best_device())
    pipe.set_progress_bar_config(disable=True)
    folder = settings.out / "expressions"
    folder.mkdir(parents=True, exist_ok=True)
    shown = []
    with progress.counted("expressions", len(people) * len(vocabulary.EXPRESSIONS)) as done:
        for person in people:
            prompt = expression.seen_prompt(person.reference, pose="frontal")
            output: Any = pipe(
                image=str(person.reference),
                prompt=prompt,
                expression=list(vocabulary.EXPRESSIONS),
                num_inference_steps=settings.steps,
                generator=[torch.Generator("cpu").manual_seed(settings.seed) for _ in vocabulary.EXPRESSIONS],
            )
            origin = record(settings.model, prompt, settings.seed, settings.steps, "ExpressionPipeline")
            files = [
                save_image(image, folder / f"{person.reference.stem}-{name}.png", origin)
                for name, image in zip(vocabulary.EXPRESSIONS, output.images, strict=True)
            ]
            shown.append(replace(person, portraits=tuple(files)))
            done(len(files))
    return tuple(shown)


def _steers_expressions(model: str) -> bool:
    """Whether a model brings an adapter of action units."""
    from gen import models

    return (models.folder(model) / "action_unit_adapter").is_dir()


def _makeup(settings: Demo, people: tuple[Person, ...]) -> tuple[Person, ...]:
    """Make people up in colours, as the one before wears the last of them, and take it off again."""
    import torch
    from PIL import Image

    from faces.makeup import BARE
    from faces.provenance import COMPOSITE, Provenance, save_image
    from pipelines.device import best_device
    from pipelines.makeup.pipeline import MakeupPipeline

    pipe = MakeupPipeline.from_pretrained("mini").to(best_device())
    pipe.set_progress_bar_config(disable=True)
    folder = settings.out / "makeup"
    folder.mkdir(parents=True, exist_ok=True)
    origin = Provenance(
        digital_source_type=COMPOSITE, pipeline="MakeupPipeline",
        model="mini", model_sha256=pipe.weights_sha256(), seed=settings.seed,
    )  # fmt: skip

    def worn(faces: Sequence[Any], looks: Sequence[Any]) -> list[Any]:
        noise = [torch.Generator("cpu").manual_seed(settings.seed) for _ in faces]
        return pipe(list(faces), list(looks), generator=noise).images

    faces = [Image.open(person.reference).convert("RGB") for person in people]
    columns = []
    with progress.counted("makeup", len(people) * len(MAKEUP)) as done:
        for look in makeup.EXAMPLES.values():
            columns.append(worn(faces, [look] * len(faces)))
            done(len(faces))
        last = columns[-1]
        columns.append(worn(faces, [last[-1], *last[:-1]]))
        columns.append(worn(last, [BARE] * len(last)))
        done(2 * len(faces))
    shown = []
    for person, pictures in zip(people, zip(*columns, strict=True), strict=True):
        names = (f"{person.reference.stem}-{number}.png" for number in range(1, len(MAKEUP) + 1))
        files = [
            save_image(image, folder / name, origin) for image, name in zip(pictures, names, strict=True)
        ]
        shown.append(replace(person, portraits=tuple(files)))
    return tuple(shown)


def _dataset(settings: Demo) -> dict[str, Any]:
    """Make the dataset; one that an earlier demo made with other settings is made anew."""
    from gen.plan import PlanConflict
    from mien import generate

    recipe = generate.build(
        "identities",
        None,
        {
            "ids": settings.identities,
            "images_per_id": settings.images_per_id,
            "seed": settings.seed,
            "steps": settings.dataset_steps,
            "drawings": settings.dataset_drawings,
            "model": settings.model,
        },
    )
    workers = settings.workers or os.cpu_count()
    try:
        return generate.make(recipe, settings.out / "dataset", workers=workers)
    except PlanConflict:
        return generate.make(recipe, settings.out / "dataset", workers=workers, overwrite=True)


def _measure(task: str, settings: Demo) -> Measured:
    """Measure what `mien evaluate TASK --quick` measures, or say why that is not possible here."""
    from gen.evaluation import bars

    dataset = settings.out / "dataset" if task == "identities" else None
    try:
        with progress.shared(f"evaluate {task}") as report:
            lines = bars.evaluate(task, True, model=settings.model, dataset=dataset, progress=report)
    except (FileNotFoundError, ImportError) as error:  # a wheel has no held-out heads
        errors.print(f"mien: {task} not measured: {error}", markup=False)
        return Measured(task=task, reason=str(error))
    return Measured(task=task, bars=lines)
