"""What an edit of makeup must leave as it is: who it is, their skin, the shape of their face, all around it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from faces import metrics, vocabulary
from gen.evaluation.bars import RENDERS, Bar, not_measured
from gen.evaluation.colour import ciede2000, lab
from gen.evaluation.image_quality import psnr
from gen.evaluation.intervals import bootstrap_interval, mean_interval
from gen.evaluation.judge import Judge
from gen.evaluation.makeup_exam import MakeupExam, Transfer
from gen.evaluation.verification import NotResolvable, tar_at_far

FAR, TAR, LEAK = 0.01, 0.90, 0.05
TONE, NME, PSNR = 2.0, 0.02, 40.0
_MOST_PSNR = 99.0
"""Stands for equal bytes in means."""
_AWAY = 2
"""Pixels of 128 that skin keeps from makeup to count as outside it: those at its edge are mixed."""
_COMPONENTS, _PENALTY = 8, 3.0
"""Of the probe for identities: what it looks for, and its ridge in mean eigenvalues of the training data. Chosen on
other people: it reads 0.9 of the source off true renders, and 0.6 of the reference off its pasted pixels."""
_SKIN = tuple(vocabulary.PARSING.index(name) for name in ("skin", "nose"))


def paste(exam: MakeupExam, trial: Transfer) -> np.ndarray:
    """The control that copies instead of transferring: the reference's pixels where the source's face is."""
    face = exam.face(trial.source)[..., None]
    return np.where(face, exam.images[trial.reference], exam.images[trial.source])


def measure(
    exam: MakeupExam,
    judge: Judge,
    analyzer: Any,
    trials: Sequence[Transfer],
    outputs: np.ndarray,
    pasted: np.ndarray,
) -> list[Bar]:
    """All lines.

    Args:
        exam: the set.
        judge: shares nothing with the pipeline.
        analyzer: reads landmarks of frames.
        trials: what was asked.
        outputs: of the pipeline, (n, s, s, 3) uint8.
        pasted: of the control.
    """
    truths = exam.images[[trial.target for trial in trials]]
    bare = judge.measure(exam.images[:: exam.pictures]).embedding
    seen, copied, real = (judge.measure(images).embedding for images in (outputs, pasted, truths))
    persons = np.array([trial.person for trial in trials])
    return [
        *identity_bars(bare, persons, seen, copied, real),
        leak_bar(exam, bare, trials, seen),
        tone_bar(exam, trials, outputs, pasted),
        *landmark_bars(exam, analyzer, trials, outputs, pasted),
        background_bar(exam, trials, outputs),
    ]


def identity_bars(
    bare: np.ndarray, persons: np.ndarray, seen: np.ndarray, copied: np.ndarray, real: np.ndarray
) -> list[Bar]:
    """Is an output still taken for its source; impostors are outputs against the sources of all other people.

    Args:
        bare: embeddings of everybody's source, (people, e).
        persons: (n,) who is edited.
        seen: embeddings of outputs, (n, e).
        copied: of the control that pastes the reference.
        real: of true renders.
    """
    name = "identity TAR at FAR 1 %"
    try:
        accepted = [_accepted(bare, persons, one) for one in (seen, copied, real)]
    except NotResolvable as why:
        return [not_measured(name, TAR, ">=", str(why))]
    own, control, ceiling = accepted
    people = len(np.unique(persons))
    return [
        Bar(
            name=f"{name} (control: reference pasted)", value=float(own.mean()), bar=TAR, direction=">=",
            n=people, ci95=mean_interval(own, persons), control=float(control.mean()),
        ),
        Bar(
            name=f"{name}, ceiling of true renders", value=float(ceiling.mean()), bar=TAR, direction=">=",
            n=people, ci95=mean_interval(ceiling, persons),
        ),
    ]  # fmt: skip


def _accepted(bare: np.ndarray, persons: np.ndarray, seen: np.ndarray) -> np.ndarray:
    scores = seen @ bare.T
    own = np.arange(len(bare))[None] == persons[:, None]
    _, threshold = tar_at_far(scores[own], scores[~own], FAR)
    return scores[own] > threshold


def leak_bar(exam: MakeupExam, bare: np.ndarray, trials: Sequence[Transfer], seen: np.ndarray) -> Bar:
    """How well a linear probe reads off an output who wore the reference.

    Ridge regression from the judge's embedding to the leading principal components of the embedding of that person's
    bare picture, on groups of people that its training did not show. The probe looks at outputs, and at how they differ
    from their sources; the better one counts.
    """
    name = "identity of the reference in the output, R2 (control: of the source)"
    persons = np.array([trial.person for trial in trials])
    others = exam.persons[[trial.reference for trial in trials]]
    groups = exam.groups[persons]
    if len(np.unique(groups)) < 3:
        return not_measured(name, LEAK, "<=", f"{len(np.unique(groups))} groups of people, three are needed")
    centred = bare - bare.mean(axis=0)
    axes = np.linalg.svd(centred, full_matrices=False)[2][:_COMPONENTS]
    components = centred @ axes.T
    ways = {"the output": seen, "its difference to the source": seen - bare[persons]}
    errors = {way: _probe(x, components[others], groups) for way, x in ways.items()}
    best = max(errors, key=lambda way: _r2(*errors[way]))
    wrong, spread = errors[best]
    return Bar(
        name=name, value=_r2(wrong, spread), bar=LEAK, direction="<=", n=len(np.unique(persons)),
        ci95=bootstrap_interval(persons, lambda rows: _r2(wrong[rows], spread[rows])),
        control=_r2(*_probe(seen, components[persons], groups)),
        domain=f"{RENDERS}; a linear probe of {best}",
    )  # fmt: skip


def _probe(x: np.ndarray, wanted: np.ndarray, folds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Squared errors of predictions across folds, and of the mean of the training folds, (n,) each."""
    x, wanted = x.astype(np.float64), wanted.astype(np.float64)
    wrong, spread = np.empty(len(x)), np.empty(len(x))
    for fold in np.unique(folds):
        own = folds == fold
        centre, mean = x[~own].mean(axis=0), wanted[~own].mean(axis=0)
        known = x[~own] - centre
        kernel = known @ known.T
        ridge = max(_PENALTY * float(np.trace(kernel)) / len(kernel), 1e-12)
        weights = known.T @ np.linalg.solve(kernel + ridge * np.eye(len(kernel)), wanted[~own] - mean)
        wrong[own] = np.square((x[own] - centre) @ weights + mean - wanted[own]).sum(axis=1)
        spread[own] = np.square(mean - wanted[own]).sum(axis=1)
    return wrong, spread


def _r2(wrong: np.ndarray, spread: np.ndarray) -> float:
    return float(1 - wrong.sum() / spread.sum())


def tone_bar(exam: MakeupExam, trials: Sequence[Transfer], outputs: np.ndarray, pasted: np.ndarray) -> Bar:
    """CIEDE2000 between the mean colours, in L*a*b*, of the skin that no makeup covers, before and after."""
    shifts, controls = [], []
    for trial, output, copy in zip(trials, outputs, pasted, strict=True):
        side = 2 * round(_AWAY * exam.size / 128) + 1
        worn = cv2.dilate((exam.weight(trial.target) > 0).astype(np.uint8), np.ones((side, side), np.uint8))
        skin = np.isin(exam.parsing[trial.source], _SKIN) & (worn == 0)
        before, after, other = (
            lab(image[skin]).mean(axis=0) for image in (exam.images[trial.source], output, copy)
        )
        shifts.append(float(ciede2000(before, after)))
        controls.append(float(ciede2000(before, other)))
    persons = [trial.person for trial in trials]
    return Bar(
        name="skin beside the makeup, dE2000 of its tone (control: reference pasted)",
        value=float(np.mean(shifts)), bar=TONE, direction="<=", n=len(set(persons)),
        ci95=mean_interval(np.array(shifts), persons), control=float(np.mean(controls)),
    )  # fmt: skip


def landmark_bars(
    exam: MakeupExam, analyzer: Any, trials: Sequence[Transfer], outputs: np.ndarray, pasted: np.ndarray
) -> list[Bar]:
    """How far landmarks move between source and output, in distances of the outer eye corners."""
    rows = sorted({trial.source for trial in trials})
    known = dict(zip(rows, _landmarks(analyzer, exam.images[rows]), strict=True))
    before = np.stack([known[trial.source] for trial in trials])
    truths = exam.images[[trial.target for trial in trials]]
    moved, control, ceiling = (
        metrics.landmark_error(_landmarks(analyzer, images), before) for images in (outputs, pasted, truths)
    )
    persons = [trial.person for trial in trials]
    name, n = "landmarks moved, NME", len(set(persons))
    return [
        Bar(
            name=f"{name} (control: reference pasted)", value=float(moved.mean()), bar=NME, direction="<=",
            n=n, ci95=mean_interval(moved, persons), control=float(control.mean()),
        ),
        Bar(
            name=f"{name}, ceiling of true renders", value=float(ceiling.mean()), bar=NME, direction="<=",
            n=n, ci95=mean_interval(ceiling, persons),
        ),
    ]  # fmt: skip


def _landmarks(analyzer: Any, frames: np.ndarray) -> np.ndarray:
    return np.stack([face.landmarks for face in analyzer.analyze_aligned(np.ascontiguousarray(frames))])


def background_bar(exam: MakeupExam, trials: Sequence[Transfer], outputs: np.ndarray) -> Bar:
    """PSNR of all that is no face; equal bytes count as 99 dB."""

    def fidelity(trial: Transfer, image: np.ndarray) -> float:
        outside = ~exam.face(trial.source)
        return min(psnr(image[outside], exam.images[trial.source][outside]), _MOST_PSNR)

    kept = np.array([fidelity(*pair) for pair in zip(trials, outputs, strict=True)])
    control = [fidelity(trial, exam.images[trial.reference]) for trial in trials]
    persons = [trial.person for trial in trials]
    return Bar(
        name="background, PSNR in dB (control: the reference)", value=float(kept.mean()), bar=PSNR,
        direction=">=", n=len(set(persons)), ci95=mean_interval(kept, persons),
        control=float(np.mean(control)),
    )  # fmt: skip
