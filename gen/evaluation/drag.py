"""The bars of drag editing: flows against rendered flow, edits against true renders of the same heads."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from faces.networks import network_input
from gen.evaluation import drag_exam, drag_flows, drag_pictures, speed
from gen.evaluation.bars import Bar, Settings, controls_bar
from gen.evaluation.drag_exam import DragExam
from gen.evaluation.drag_flows import COUNTS, FEW
from gen.evaluation.intervals import mean_interval
from gen.evaluation.judge import Judge, require_independent
from gen.seeds import noise_generator, sample_seed
from gen.worker import cpu_threads
from pipelines.drag.warping import resize_flow

SEED = 20261128
"""Of the noise."""
SECONDS, PREVIEW = 1.0, 0.1
QUICK_PEOPLE = 20
"""People of a quick run, with one edit each; a full run edits everybody, both ways."""
QUICK_KEPT = 6
"""Edits of a quick run with a mask, and with no flow; in a full run there is one a person."""
_BATCH = 16


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Edited:
    """Pictures of n edits, (n, s, s, 3) uint8."""

    outputs: np.ndarray
    """What a call returns."""
    drawn: np.ndarray
    """What the denoiser drew for it, before it was brought back into the photograph."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Editor:
    """Calls of a pipeline on pictures of an exam; each picture has its noise, whatever is asked of it."""

    pipe: Any
    exam: DragExam
    settings: Settings

    def flows(self, rows: np.ndarray, count: int) -> np.ndarray:
        """Complete drags to flows, (n, s, s, 2) float32 pixels."""
        size, made = self.exam.size, []
        for batch in self._batches(f"flow of {count} drags", rows):
            drags = [self.exam.drags(row, count) for row in batch]
            flow = resize_flow(self.pipe.predict_flow(self._frames(batch), drags), (size, size))
            made.append(flow.movedim(1, -1).float().cpu().numpy())
        return np.concatenate(made)

    def edit(self, title: str, rows: np.ndarray, masks: Sequence[np.ndarray] | None = None) -> Edited:
        """Edit pictures by `FEW` drags each, as a user does.

        Args:
            title: of the progress.
            rows: n edits.
            masks: (s, s) bool of each, what may change; None for all of it.
        """
        drags = [self.exam.drags(row, FEW) for row in rows]
        asked = {"drags": [np.stack([one.sources, one.targets], axis=1) for one in drags]}
        return self._call(title, rows, asked if masks is None else asked | {"mask": list(masks)})

    def follow(self, title: str, rows: np.ndarray, flows: np.ndarray) -> Edited:
        """Edit pictures by flows (n, s, s, 2) in pixels that are given."""
        return self._call(title, rows, {"flow": torch.from_numpy(flows).movedim(-1, 1)})

    def still(self, title: str, rows: np.ndarray) -> np.ndarray:
        """Draw pictures by no flow at all; nothing is composited."""
        made = []
        for batch in self._batches(title, rows):
            frames = self._frames(batch)
            none = torch.zeros(len(frames), 2, *frames.shape[2:])
            drawn = self.pipe.edit_with_flow(frames, none, generator=self._noise(batch))
            made.append(_bytes((drawn.float() / 2 + 0.5).movedim(1, -1).cpu().numpy()))
        return np.concatenate(made)

    def _call(self, title: str, rows: np.ndarray, asked: dict[str, Any]) -> Edited:
        outputs, drawn, latents = [], [], []

        def keep(pipe: Any, step: int, timestep: Any, given: dict[str, Any]) -> dict[str, Any]:
            latents[:] = [given["latents"]]
            return given

        for start, batch in zip(range(0, len(rows), _BATCH), self._batches(title, rows), strict=True):
            made = self.pipe(
                image=[self.exam.images[row] for row in batch],
                aligned=True,
                output_type="np",
                generator=self._noise(batch),
                callback_on_step_end=keep,
                **{name: given[start : start + len(batch)] for name, given in asked.items()},
            )
            outputs += [_bytes(np.asarray(one)) for one in made.images]
            drawn.append(_bytes(self.pipe.decode_latents(latents[0])))
        return Edited(outputs=np.stack(outputs), drawn=np.concatenate(drawn))

    def _batches(self, title: str, rows: np.ndarray) -> Iterator[np.ndarray]:
        for start in range(0, len(rows), _BATCH):
            self.settings.progress(title, start / len(rows))
            yield rows[start : start + _BATCH]
        self.settings.progress(title, 1.0)

    def _frames(self, rows: np.ndarray) -> torch.Tensor:
        return network_input(torch.from_numpy(self.exam.images[rows])).to(self.pipe.device)

    def _noise(self, rows: np.ndarray) -> list[torch.Generator]:
        labels = [self.exam.labels[row] for row in rows]
        return [noise_generator(sample_seed(SEED, row["identity_id"], row["state"])) for row in labels]


def measure(settings: Settings) -> list[Bar]:
    """Measure every bar of the drag task; loads the pipeline, the judge and the exam."""
    from pipelines.device import best_device
    from pipelines.drag.pipeline import DragPipeline

    exam = drag_exam.load(settings.data)
    pipe = DragPipeline.from_pretrained(settings.model)
    pipe.set_progress_bar_config(disable=True)
    settings.progress("time", 0.0)
    seconds = seconds_bars(pipe, exam.resized(pipe.frame_size), 3 if settings.quick else 7)
    pipe.to(settings.device or best_device())
    return [*measure_edits(pipe, Judge.bundled(pipe.device), exam, settings), *seconds]


def measure_edits(pipe: Any, judge: Judge, exam: DragExam, settings: Settings) -> list[Bar]:
    """Measure all that flows and pictures show.

    Args:
        pipe: a drag pipeline.
        judge: shares no weights with the pipeline.
        exam: the set; it is brought to the size of the pipeline.
        settings: how many people, where plots go, how progress is told.
    """
    require_independent(judge.network, pipe.components)
    exam = exam.resized(pipe.frame_size)
    editor = Editor(pipe=pipe, exam=exam, settings=settings)
    rows = exam.edits(QUICK_PEOPLE if settings.quick else None)
    flows = {count: editor.flows(rows, count) for count in COUNTS}
    settings.progress("baselines", 0.0)
    found = drag_flows.errors(exam, rows, flows)
    own = editor.edit("edits", rows)
    bars = drag_flows.measure(exam, rows, flows, found)
    bars += picture_bars(editor, judge, rows, flows[FEW], own)
    bars.append(controls_bar(bars))
    if settings.plots is not None:
        from gen.evaluation import drag_plots

        drag_plots.draw(settings.plots, exam, rows, flows[FEW], own.outputs, found)
    return bars


def picture_bars(editor: Editor, judge: Judge, rows: np.ndarray, flows: np.ndarray, own: Edited) -> list[Bar]:
    """All lines about pictures.

    Args:
        editor: makes further ones.
        judge: shares no weights with the pipeline.
        rows: n edits.
        flows: (n, s, s, 2) predicted of `FEW` drags, which others are edited by for a control.
        own: the edits.
    """
    exam = editor.exam
    shuffled = editor.follow("flows of other edits", rows, flows[drag_flows.others(rows)])
    editor.settings.progress("distances", 0.0)
    found = drag_pictures.distances(exam, rows, own.outputs, shuffled.outputs)
    return [
        *drag_pictures.distance_bars(found),
        drag_pictures.unmoved_bar(exam, rows, own.drawn),
        *_kept_bars(editor, rows, own),
        drag_pictures.identity_bar(exam, judge, rows, own.outputs),
    ]


def _kept_bars(editor: Editor, rows: np.ndarray, own: Edited) -> list[Bar]:
    """What an edit mask and no flow leave, of one edit a person or of a few people."""
    exam, settings = editor.exam, editor.settings
    firsts = np.unique(exam.persons[rows], return_index=True)[1]
    firsts = firsts[:: max(1, len(firsts) // QUICK_KEPT)] if settings.quick else firsts
    some = rows[firsts]
    masks = [drag_pictures.edit_mask(exam, row) for row in some]
    masked = editor.edit("edits with a mask", some, masks)
    still = editor.still("no flow", some)
    return [
        drag_pictures.mask_bar(exam, some, masks, masked.outputs, own.outputs[firsts]),
        drag_pictures.zero_bar(exam, some, still),
    ]


def seconds_bars(pipe: Any, exam: DragExam, repeats: int) -> list[Bar]:
    """Time of an edit and of a preview of its flow on the CPU; the first call of each is not counted."""
    asked = exam.drags(0, FEW)
    drags = np.stack([asked.sources, asked.targets], axis=1)

    def edit() -> None:
        pipe(exam.images[0], drags, aligned=True, generator=torch.Generator().manual_seed(SEED))

    def preview() -> None:
        pipe.preview(exam.images[0], drags, aligned=True)

    return [
        _seconds_bar("seconds for an edit", SECONDS, edit, repeats, exam.size),
        _seconds_bar("seconds for a preview of the flow", PREVIEW, preview, 3 * repeats, exam.size),
    ]


def _seconds_bar(name: str, bar: float, call: Callable[[], None], repeats: int, size: int) -> Bar:
    with cpu_threads(speed.THREADS):
        taken = np.array([_timed(call) for _ in range(repeats + 1)][1:])
    return Bar(
        name=name, value=float(np.median(taken)), bar=bar, direction="<=", n=len(taken),
        ci95=mean_interval(taken, range(len(taken))),
        domain=f"this machine, {speed.THREADS} CPU threads, {size} px, {FEW} drags, an aligned frame",
    )  # fmt: skip


def _timed(call: Callable[[], None]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def _bytes(pictures: np.ndarray) -> np.ndarray:
    return (pictures * 255).round().clip(0, 255).astype(np.uint8)
