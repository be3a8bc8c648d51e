"""The Dataset tab: labelled datasets of people who do not exist, planned, tried, made, stopped and gone on with."""

from __future__ import annotations

import queue
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gradio as gr

from gen.recipe import Recipe
from gen.sample import Step
from ui.events import LANE, plain_error_of_each, plain_errors, session_of
from ui.limits import SEEDS, require_within
from ui.session import Session

RECIPES = ("identities", "expressions", "makeup", "textures")
"""Those that need no head assets."""
MOST = 200
"""People of a dataset that a visitor may ask for; `mien generate` knows no limit."""


class Stopped(RuntimeError):  # noqa: N818 - it reads as what happened
    """A visitor stopped a dataset; what is finished stays, and the same request goes on from there."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DatasetRequest:
    """What a visitor asks for."""

    kind: str = "identities"
    """Of `RECIPES`."""
    people: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what no control gives."""
        if self.kind not in RECIPES:
            raise ValueError(f"recipe {self.kind!r}: expected one of {', '.join(RECIPES)}")
        require_within(self, people=(1, MOST), seed=SEEDS)

    def recipe(self) -> Recipe:
        """The recipe that it means."""
        from gen.recipes.expressions import ExpressionsRecipe
        from gen.recipes.identities import IdentitiesRecipe
        from gen.recipes.makeup import MakeupRecipe
        from gen.recipes.textures import TexturesRecipe

        if self.kind == "identities":
            return IdentitiesRecipe(ids=self.people, images_per_id=4, seed=self.seed)
        if self.kind == "expressions":
            return ExpressionsRecipe(per_class=self.people, seed=self.seed)
        if self.kind == "makeup":
            return MakeupRecipe(faces=self.people, styles=3, seed=self.seed)
        return TexturesRecipe(people=self.people, seed=self.seed)


@dataclass(slots=True, eq=False)
class Job:
    """A dataset that is being made in a thread; told to stop, it does so after the batch in hand."""

    recipe: Recipe
    out: Path
    steps: queue.Queue[Step | Exception | None] = field(default_factory=queue.Queue)
    stopping: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        """Start the thread."""
        threading.Thread(target=self._run, name="dataset", daemon=True).start()

    def _run(self) -> None:
        from gen import engine

        try:
            engine.generate(self.recipe, self.out, progress=self._told)
            self.steps.put(None)
        except Exception as error:  # the visitor's event raises it
            self.steps.put(error)

    def _told(self, step: Step) -> None:
        self.steps.put(step)
        if self.stopping.is_set():
            raise Stopped("dataset: stopped; start it again to go on")

    def events(self) -> Iterator[Step]:
        """Reports until it is done.

        Raises:
            Exception: what went wrong; `Stopped` when it was told to.
        """
        while (step := self.steps.get()) is not None:
            if isinstance(step, Exception):
                raise step
            yield step


def folder(request: DatasetRequest, session: Session) -> Path:
    """Where a dataset of a visitor lies: the same request finds what an earlier one left."""
    return session.folder / f"{request.kind}-{request.people}-{request.seed}"


def packed(out: Path) -> Path:
    """A finished dataset as one file to download."""
    return Path(shutil.make_archive(str(out), "zip", out))


def told(step: Step) -> str:
    """A report in words."""
    tried = step.kept + step.rejected
    rate = f", {step.kept / tried:.0%} of the attempts accepted" if tried else ""
    return f"{step.stage}: {step.done} of {step.total}{rate}"


def tab(session: gr.State) -> None:
    """Lay the tab out."""
    with gr.Row():
        with gr.Column():
            kind = gr.Dropdown(label="Recipe", choices=list(RECIPES), value="identities")
            people = gr.Slider(label="People, or pictures a class", minimum=1, maximum=MOST, step=1, value=4)
            seed = gr.Number(label="Seed", value=0, precision=0, minimum=SEEDS[0], maximum=SEEDS[1])
            with gr.Row():
                plan, start = gr.Button("Show the plan"), gr.Button("Start or go on", variant="primary")
                stop = gr.Button("Stop", variant="stop")
            text = gr.Textbox(label="Plan and progress", lines=14, interactive=False)
        with gr.Column():
            sheet = gr.Image(label="What was made", interactive=False, type="filepath", height=420)
            download = gr.DownloadButton("Download", interactive=False)
            report = gr.DownloadButton("Report", interactive=False)
    job: Any = gr.State(None)

    @plain_errors
    def describe(which, number, chance):  # noqa: ANN001, ANN202
        from gen import preview

        return preview.dry_run(DatasetRequest(kind=which, people=int(number), seed=int(chance)).recipe())

    def make(which, number, chance, visitor):  # noqa: ANN001, ANN202
        own = session_of(visitor)
        request = DatasetRequest(kind=which, people=int(number), seed=int(chance))
        running = Job(request.recipe(), folder(request, own))
        running.start()
        yield "started", None, download, report, running, own
        for step in running.events():
            yield told(step), None, download, report, running, own
        files = [gr.DownloadButton(value=str(path), interactive=True) for path in
                 (packed(running.out), running.out / "report.html")]  # fmt: skip
        yield "finished", str(running.out / "contact.jpg"), *files, None, own

    inputs = [kind, people, seed]
    plan.click(describe, inputs, text, api_name="dataset_plan")
    start.click(
        plain_error_of_each(make), [*inputs, session], [text, sheet, download, report, job, session],
        api_name="dataset", concurrency_id=LANE, concurrency_limit=1,
    )  # fmt: skip
    stop.click(
        lambda running: running and running.stopping.set(), job, None, queue=False, api_visibility="private"
    )
