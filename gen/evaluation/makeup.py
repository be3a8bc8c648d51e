"""The bars of makeup: transfer, strength, removal and codes, against true renders of the same faces."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from faces.images import ImageError
from faces.makeup import BARE, REGIONS
from gen.evaluation import footprints, look_codes, makeup_exam, makeup_regions, retention, speed
from gen.evaluation.bars import Bar, Settings, controls_bar, not_measured
from gen.evaluation.intervals import mean_interval
from gen.evaluation.judge import Judge, require_independent
from gen.evaluation.makeup_exam import MakeupExam, Transfer
from gen.evaluation.makeup_regions import STRENGTHS
from gen.seeds import noise_generator, sample_seed
from gen.worker import cpu_threads

SEED = 20261126
SECONDS = 4.0
QUICK_PEOPLE, QUICK_LINED = 24, 5
"""Transfers of a quick run, and how many more of looks that show liner alone; a full run makes all there are."""
QUICK_SWEPT, SWEPT = 2, 16
"""Transfers that are made at every strength."""
QUICK_TOLD = 5
"""Looks of a quick run that are taken off, and said as colours and as codes; in a full run there is one a person."""
_BATCH = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class Edits:
    """Calls of a pipeline on pictures of an exam; each picture has a seed, which no look and no strength changes."""

    pipe: Any
    exam: MakeupExam
    settings: Settings

    def __call__(
        self, title: str, rows: Sequence[int], makeup: Sequence[Any], strengths: Sequence[float] | None = None
    ) -> np.ndarray:
        """Edit pictures, (n, s, s, 3) uint8.

        Args:
            title: of the progress, and part of the seeds.
            rows: pictures of the exam.
            makeup: what each shall wear.
            strengths: of each, 1 by default.
        """
        strengths = strengths or [1.0] * len(rows)
        made = []
        for start in range(0, len(rows), _BATCH):
            self.settings.progress(title, start / len(rows))
            batch = slice(start, start + _BATCH)
            names = [(self.exam.labels[row]["identity_id"], row) for row in rows[batch]]
            output = self.pipe(
                image=[self.exam.images[row] for row in rows[batch]],
                makeup=list(makeup[batch]),
                strength=list(strengths[batch]),
                aligned=True,
                output_type="np",
                generator=[noise_generator(sample_seed(SEED, title, *name)) for name in names],
            )
            made += [(np.asarray(one) * 255).round().clip(0, 255).astype(np.uint8) for one in output.images]
        self.settings.progress(title, 1.0)
        return np.stack(made)

    def transfer(self, title: str, trials: Sequence[Transfer]) -> np.ndarray:
        """Put looks of reference pictures on bare faces."""
        wanted = [self.exam.images[trial.reference] for trial in trials]
        return self(title, [trial.source for trial in trials], wanted)


def measure(settings: Settings) -> list[Bar]:
    """Measure every bar of the makeup task; loads the pipeline, the judge and the exam."""
    from pipelines.device import best_device
    from pipelines.makeup.pipeline import MakeupPipeline

    exam = makeup_exam.load(settings.data)
    pipe = MakeupPipeline.from_pretrained(settings.model)
    pipe.set_progress_bar_config(disable=True)
    settings.progress("time", 0.0)
    seconds = seconds_bar(pipe, exam, 2 if settings.quick else 5)
    pipe.to(settings.device or best_device())
    return [*measure_pictures(pipe, Judge.bundled(pipe.device), exam, settings), seconds]


def measure_pictures(pipe: Any, judge: Judge, exam: MakeupExam, settings: Settings) -> list[Bar]:
    """Measure all that pictures and codes show.

    Args:
        pipe: a makeup pipeline.
        judge: shares no weights with the pipeline, nor with what finds faces for it.
        exam: the set; it is brought to the size of the pipeline.
        settings: how many people, where plots go, how progress is told.
    """
    analyzer = pipe.analyzer
    require_independent(judge.network, {**pipe.components, "analyzer": getattr(analyzer, "network", None)})
    exam = exam.resized(pipe.frame_size)
    edits = Edits(pipe=pipe, exam=exam, settings=settings)
    quick = settings.quick
    people = exam.spread(QUICK_PEOPLE if quick else exam.people)
    trials = makeup_exam.transfers(exam, people, 1 if quick else exam.pictures)
    outputs = edits.transfer("makeup", trials)
    bars = _look_bars(exam, judge, analyzer, trials, outputs)
    bars += _shape_bars(edits, trials, outputs, QUICK_LINED if quick else exam.people)

    few = [trials[number] for number in _spread(len(trials), QUICK_SWEPT if quick else SWEPT)]
    sweep = edits(
        "strengths",
        [trial.source for trial in few for _ in STRENGTHS],
        [exam.images[trial.reference] for trial in few for _ in STRENGTHS],
        [*STRENGTHS] * len(few),
    )
    bars += makeup_regions.strength_bars(exam, few, sweep)

    codes = None
    removed = None
    some = [trials[number] for number in _spread(len(trials), QUICK_TOLD if quick else exam.people)]
    if pipe.makeup_encoder is not None:
        codes = look_codes.encode(pipe, exam.images)
        removed = edits("removal", [trial.target for trial in some], [BARE] * len(some))
    bars += _told_bars(edits, some, codes, removed)
    bars += look_codes.measure(exam, judge, codes)
    bars.append(controls_bar(bars))
    if settings.plots is not None:
        _draw(settings, exam, (trials, outputs), (few, sweep), (some, removed), bars)
    return bars


def _look_bars(
    exam: MakeupExam, judge: Judge, analyzer: Any, trials: Sequence[Transfer], outputs: np.ndarray
) -> list[Bar]:
    """What transfers show, and what they leave."""
    targets = _rows(trials, "target")
    bars = makeup_regions.region_bars(
        "look of a reference", exam, outputs, _rows(trials, "source"), targets, targets
    )
    bars.append(makeup_regions.retrieval_bar(exam, trials, outputs))
    pasted = np.stack([retention.paste(exam, trial) for trial in trials])
    return bars + retention.measure(exam, judge, analyzer, trials, outputs, pasted)


def _shape_bars(edits: Edits, trials: list[Transfer], outputs: np.ndarray, most: int) -> list[Bar]:
    """Shapes, of liner with so many looks more than `trials` have, since few looks show it alone."""
    exam, known = edits.exam, {trial.target for trial in trials}
    every = makeup_exam.transfers(exam, range(exam.people), exam.pictures)
    lined = [
        trial
        for trial in every
        if trial.target not in known and footprints.footprint(exam, trial.source, trial.target, "liner")
    ]
    more = [lined[number] for number in _spread(len(lined), most)]
    if more:
        outputs = np.concatenate([outputs, edits.transfer("liner", more)])
    trials = [*trials, *more]
    pasted = np.stack([retention.paste(exam, trial) for trial in trials])
    return footprints.shape_bars(exam, trials, outputs, pasted)


def _told_bars(
    edits: Edits, trials: Sequence[Transfer], codes: np.ndarray | None, removed: np.ndarray | None
) -> list[Bar]:
    """Removal, and looks that are told as colours and as codes, which all need an encoder of looks."""
    exam, sources, targets = edits.exam, _rows(trials, "source"), _rows(trials, "target")
    titles = ("makeup taken off", "look of colours", "look of a code")
    if codes is None or removed is None:
        why = "this checkpoint has no makeup encoder"
        names = [f"{title}, dE2000 left in {region}" for title in titles for region in REGIONS]
        return [not_measured(name, makeup_regions.LEFT, "<=", why) for name in names]
    coloured = edits("colours", sources.tolist(), [exam.look(row) for row in targets])
    coded = edits("codes", sources.tolist(), [codes[trial.reference] for trial in trials])
    return [
        *makeup_regions.region_bars(titles[0], exam, removed, targets, sources, targets),
        *makeup_regions.region_bars(titles[1], exam, coloured, sources, targets, targets),
        *makeup_regions.region_bars(titles[2], exam, coded, sources, targets, targets),
    ]


def seconds_bar(pipe: Any, exam: MakeupExam, repeats: int) -> Bar:
    """Time of one call on a photograph, its faces found first, on the CPU; the first call is not counted."""
    name = "seconds for one face"
    for trial in makeup_exam.transfers(exam, range(exam.people), 1):
        source, reference = (Image.fromarray(exam.images[row]) for row in (trial.source, trial.reference))
        try:
            with cpu_threads(speed.THREADS):
                taken = [_timed(pipe, source, reference) for _ in range(repeats + 1)][1:]
        except ImageError:  # another face may be easier to find
            continue
        return Bar(
            name=name, value=float(np.median(taken)), bar=SECONDS, direction="<=", n=len(taken),
            ci95=mean_interval(np.array(taken), range(len(taken))),
            domain=f"this machine, {speed.THREADS} CPU threads, {exam.size} px, faces found in both pictures",
        )  # fmt: skip
    return not_measured(name, SECONDS, "<=", "no face is found in any picture")


def _timed(pipe: Any, source: Image.Image, reference: Image.Image) -> float:
    begin = time.perf_counter()
    pipe(image=source, makeup=reference, generator=torch.Generator().manual_seed(SEED))
    return time.perf_counter() - begin


def _rows(trials: Sequence[Transfer], name: str) -> np.ndarray:
    return np.array([getattr(trial, name) for trial in trials])


def _spread(count: int, most: int) -> list[int]:
    """Choose at most so many of `count` things, evenly."""
    return (
        np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int)).tolist() if count else []
    )


def _draw(
    settings: Settings,
    exam: MakeupExam,
    made: tuple[Sequence[Transfer], np.ndarray],
    swept: tuple[Sequence[Transfer], np.ndarray],
    taken: tuple[Sequence[Transfer], np.ndarray | None],
    bars: Sequence[Bar],
) -> None:
    """Write bars.png, makeup.png, strength.png and removal.png."""
    from gen.evaluation import plots

    assert settings.plots is not None  # asked for only where there is a folder
    folder = settings.plots
    plots.bar_plot(folder / "bars.png", bars)
    trials, outputs = made
    some = _spread(len(trials), 10)
    pictures = {
        name: [exam.images[getattr(trials[number], name)] for number in some]
        for name in ("source", "reference", "target")
    }
    shown = {"source": pictures["source"], "reference": pictures["reference"]}
    shown |= {"output": [outputs[number] for number in some], "true render": pictures["target"]}
    plots.sheet(folder / "makeup.png", shown)
    few, sweep = swept
    table = sweep.reshape(len(few), len(STRENGTHS), *sweep.shape[1:])[:6]
    columns = {f"strength {strength:g}": list(table[:, place]) for place, strength in enumerate(STRENGTHS)}
    plots.sheet(
        folder / "strength.png", {"reference": [exam.images[one.reference] for one in few], **columns}
    )
    several, removed = taken
    if removed is not None:
        rows = range(min(6, len(several)))
        shown = {
            "made up": [exam.images[several[row].target] for row in rows],
            "output": [removed[row] for row in rows],
            "true render": [exam.images[several[row].source] for row in rows],
        }
        plots.sheet(folder / "removal.png", shown)
