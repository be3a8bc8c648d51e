"""The Dataset tab: labelled datasets of people who do not exist, planned, tried, made, stopped and gone on with."""

from __future__ import annotations

import html
import queue
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from ui import controls
from ui.events import IN_LANE, computer, handler, stopper
from ui.given import Given
from ui.limits import SEEDS, require_within
from ui.running import Run
from ui.services import Services
from ui.session import Session
from ui.sessions import Sessions

if TYPE_CHECKING:  # slow to import
    from gen.recipe import Recipe
    from gen.sample import Step

RECIPES = ("identities", "expressions", "makeup", "textures")
"""Those that need no head assets."""
MOST = 200
"""People of a dataset that a visitor may ask for; `mien generate` knows no limit."""
_SAMPLES = 8
"""Pictures of a preview, about."""


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

    @classmethod
    def of(cls, given: Given) -> DatasetRequest:
        """Read it off the controls."""
        return cls(kind=given.text("kind"), people=given.whole("people"), seed=given.whole("seed"))

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
    """A dataset that is being made by `computer`; told to stop, it does so after the batch in hand."""

    recipe: Recipe
    out: Path
    run: Run
    services: Services
    steps: queue.Queue[Step | Exception | None] = field(default_factory=queue.Queue)

    def start(self) -> None:
        """Start it."""
        computer.submit(self._make)

    def _make(self) -> None:
        from gen import engine

        try:
            with self.services.alone(self.run):
                engine.generate(self.recipe, self.out, progress=self._told)
            self.steps.put(None)
        except Exception as error:  # the visitor's event raises it
            self.steps.put(error)

    def _told(self, step: Step) -> None:
        self.steps.put(step)
        self.run.check()

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


def tab(services: Services, sessions: Sessions) -> None:
    """Lay the tab out."""
    with gr.Row():
        with gr.Column():
            kind = gr.Dropdown(label="Recipe", choices=list(RECIPES), value="identities")
            people = gr.Slider(label="People, or pictures a class", minimum=1, maximum=MOST, step=1, value=4)
            seed = gr.Number(label="Seed", value=0, precision=0, minimum=SEEDS[0], maximum=SEEDS[1])
            with gr.Row():
                plan = gr.Button("Show the plan", elem_id="dataset-plan")
                glance = gr.Button("Preview a few pictures", elem_id="dataset-preview")
            with gr.Row():
                start = gr.Button("Start or go on", variant="primary", elem_id="dataset-run")
                stop = gr.Button("Stop", variant="stop", elem_id="dataset-stop")
            gr.Markdown(
                "Stopped, it keeps what is finished; started again with the same settings, it goes on there."
            )
            text = gr.Textbox(label="Plan and progress", lines=12, interactive=False, elem_id="dataset-text")
        with gr.Column():
            sheet = controls.picture("What was made", elem_id="dataset-sheet")
            gr.Markdown(controls.SYNTHETIC)
            download = gr.DownloadButton("Download the dataset", interactive=False)
            report = gr.DownloadButton("Download the report", interactive=False)
    with gr.Accordion("Report", open=False) as opened:
        page = gr.HTML()
    named = {"kind": kind, "people": people, "seed": seed}
    inputs = list(named.values())

    def describe(given: Given, _: Run) -> str:
        from gen import preview  # slow to import

        return preview.dry_run(DatasetRequest.of(given).recipe())

    def sample(given: Given, run: Run) -> str:
        from gen import preview

        recipe = DatasetRequest.of(given).recipe()
        with services.alone(run):
            return str(preview.preview(recipe, run.session.path("sheet", ".jpg"), _SAMPLES, _into(run)))

    def make(given: Given, run: Run) -> Iterator[Any]:
        request = DatasetRequest.of(given)
        job = Job(request.recipe(), folder(request, run.session), run, services)
        job.start()
        yield "started", None, download, report, "", gr.skip()
        for step in job.events():
            tell(run, step)
            yield told(step), None, download, report, "", gr.skip()
        files = packed(job.out), job.out / "report.html"
        offered = [gr.DownloadButton(value=str(file), interactive=True) for file in files]
        yield "finished", str(job.out / "contact.jpg"), *offered, framed(files[1]), gr.Accordion(open=True)

    plan.click(
        handler(describe, list(named), sessions, "plan"),
        inputs,
        text,
        api_name="dataset_plan",
        preprocess=False,
    )
    glance.click(
        handler(sample, list(named), sessions, "dataset", computes=True),
        inputs,
        sheet,
        api_name="dataset_preview",
        **IN_LANE,
    )
    start.click(
        handler(make, list(named), sessions, "dataset"), inputs, [text, sheet, download, report, page, opened],
        api_name="dataset", show_progress_on=[text], **IN_LANE,
    )  # fmt: skip
    # Nothing is cancelled: what runs ends after the batch in hand, and says so.
    stop.click(stopper(sessions, "dataset"), queue=False, api_visibility="private")


def tell(run: Run, step: Step) -> None:
    """Move the progress bar, with the rate of acceptance beside it."""
    run.progress((step.done, step.total), desc=told(step), unit="batches")


def framed(report: Path) -> str:
    """A report in a frame of the page, without scripts."""
    return f'<iframe sandbox title="report" class="report" srcdoc="{html.escape(report.read_text("utf-8"))}"></iframe>'


def _into(run: Run) -> Callable[[Step], None]:
    def stepped(step: Step) -> None:
        run.check()
        tell(run, step)

    return stepped
