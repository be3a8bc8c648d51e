"""The bars of the portrait task, measured on held-out heads by the judge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from faces import vocabulary
from gen.evaluation import (
    copying,
    heldout,
    likeness,
    obedience,
    plots,
    realism,
    reconstruction,
    speed,
)
from gen.evaluation.bars import Bar, Settings
from gen.evaluation.heldout import STATES, HeldOut
from gen.evaluation.intervals import mean_interval
from gen.evaluation.judge import Judge, Measurements, require_independent
from gen.evaluation.training_set import TrainingSet
from gen.evaluation.trials import SEED, Trial, look_trials, make_portraits, meet, state_trials

QUICK_HEADS, QUICK_LOOKS = 40, 24
"""Heads of a quick run, and how many of them get a new look too; a full run makes two portraits of every head."""
FOUND = 0.98
QUICK_REPEATS, REPEATS = 3, 9


def measure(settings: Settings) -> list[Bar]:
    """Measure every bar of the portrait task; loads the pipeline, the judge and the held-out heads."""
    from pipelines.device import best_device
    from pipelines.portrait.pipeline import PortraitPipeline

    data = heldout.find(settings.data)
    # First, while this process holds no model yet: nothing else may count towards time and memory.
    settings.progress("time and memory", 0.0)
    bars = speed.measure(settings.model, data, QUICK_REPEATS if settings.quick else REPEATS)
    pipe = PortraitPipeline.from_pretrained(settings.model)
    pipe.to(settings.device or best_device())
    pipe.set_progress_bar_config(disable=True)
    judge = Judge.bundled(pipe.device)
    return measure_pictures(pipe, judge, heldout.load(data), settings) + bars


def measure_pictures(pipe: Any, judge: Judge, heads: HeldOut, settings: Settings) -> list[Bar]:
    """Measure all that pictures show.

    Args:
        pipe: a portrait pipeline.
        judge: shares no weights with the pipeline.
        heads: the held-out set.
        settings: how many heads, where plots go, how progress is told.
    """
    require_independent(judge.network, pipe.components)
    renders = judge.measure(heads.images)
    chosen = heads.spread(QUICK_HEADS if settings.quick else heads.heads)
    people = meet(pipe, heads, chosen.tolist(), settings)
    state = state_trials(heads, people)
    look = look_trials(heads, list(people)[:QUICK_LOOKS] if settings.quick else people)
    if len(state) < 2:
        raise ValueError(
            f"held-out heads: {len(people)} of {len(chosen)} faces were found, and {len(state)} of them "
            "have a state of another expression and pose; two are needed"
        )
    state_images = make_portraits(pipe, people, state, settings, "portraits in a new state")
    look_images = make_portraits(pipe, people, look, settings, "portraits with a new look")
    in_state, in_look = judge.measure(state_images), judge.measure(look_images)
    references = np.array([trial.reference for trial in state])
    targets = np.array([trial.target for trial in state])
    bars = [_found(chosen, people)]
    bars += likeness.measure(heads, renders, in_state, references, targets)
    bars += _obedience(state, in_state, renders[targets], ("expression", "pose"))
    bars += _obedience(look, in_look, None, ("hair_colour", "age_band"))
    bars += _look_ceilings(heads, renders)
    bars += realism.measure_samples(
        heads, renders, in_state, np.array([trial.head for trial in state]), targets, SEED
    )
    bars += _with_training(heads, renders, in_state)
    bars += _copying(heads, judge, renders, look, in_look, settings)
    if getattr(pipe, "vae", None) is not None:
        rows = slice(None) if not settings.quick else slice(0, QUICK_HEADS * STATES, STATES)
        bars += reconstruction.measure(pipe.vae, heads.images[rows], heads.identities[rows])
    if settings.plots is not None:
        plots.portrait_report(settings.plots, heads, state, state_images, renders, in_state, bars)
    return bars


def _found(chosen: np.ndarray, people: Mapping[int, Any]) -> Bar:
    found = np.isin(chosen, list(people))
    return Bar(
        name="references in which a face is found",
        value=float(found.mean()),
        bar=FOUND,
        direction=">=",
        n=len(chosen),
        ci95=mean_interval(found, chosen),
    )


def _obedience(
    trials: Sequence[Trial], seen: Measurements, real: Measurements | None, attributes: tuple[str, ...]
) -> list[Bar]:
    lines = []
    for attribute in attributes:
        requested = [trial.request[attribute] for trial in trials]
        lines.append(obedience.measure(attribute, seen, requested))
        if real is not None:
            lines.append(obedience.measure(attribute, real, requested, ceiling=True))
    return lines


def _look_ceilings(heads: HeldOut, renders: Measurements) -> list[Bar]:
    """Real renders of every colour and age: one picture a head, so that heads stay independent."""
    rows = np.arange(len(renders))[1::STATES]
    haired = np.array([row for row in rows if heads.labels[row]["hair_style"] != "bald"])
    colours = [heads.labels[row]["hair_colour"] for row in haired]
    bands = [vocabulary.age_band(heads.labels[row]["age_years"]) for row in rows]
    return [
        obedience.measure("hair_colour", renders[haired], colours, ceiling=True),
        obedience.measure("age_band", renders[rows], bands, ceiling=True),
    ]


def _with_training(heads: HeldOut, renders: Measurements, portraits: Measurements) -> list[Bar]:
    try:
        training = TrainingSet.bundled()
    except FileNotFoundError as absent:
        return [realism.copies_not_measured(str(absent), len(portraits))]
    training.require_disjoint(heads.identities)
    return [realism.measure_copies(heads, renders, portraits, training)]


def _copying(
    heads: HeldOut,
    judge: Judge,
    renders: Measurements,
    look: Sequence[Trial],
    in_look: Measurements,
    settings: Settings,
) -> list[Bar]:
    folder = _ablation_folder()
    same_image = None
    if folder is not None and (not settings.quick or (folder / copying.RECORD).is_file()):
        same_image = copying.same_image_correlation(folder, heads, judge, settings)
    if same_image is None and settings.quick:
        return []
    return [copying.measure(renders[np.array([trial.reference for trial in look])], in_look, same_image)]


def _ablation_folder() -> Path | None:
    import weights

    try:
        return Path(weights.bundled("ablation"))
    except FileNotFoundError:
        return None
