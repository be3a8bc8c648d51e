"""Do codes say which look it is, and not who wears it?"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from gen.evaluation.bars import RENDERS, Bar, not_measured
from gen.evaluation.intervals import bootstrap_interval, mean_interval
from gen.evaluation.judge import Judge
from gen.evaluation.makeup_exam import MakeupExam

RECALL, PROBE = 0.90, 1.5
_RETRIEVED = "code finds its look on another person, R@1 (control: shuffled)"
_PROBED = "who wears it read off a code, over chance (control: off the judge)"
_BATCH = 32


@torch.no_grad()
def encode(pipe: Any, frames: np.ndarray) -> np.ndarray:
    """Codes (n, C) of canonical frames (n, s, s, 3) uint8: what `encode_look` gives, but no face is searched."""
    codes = [
        pipe.makeup_encoder(pipe.reference_states(frames[start : start + _BATCH])).float().cpu().numpy()
        for start in range(0, len(frames), _BATCH)
    ]
    return np.concatenate(codes)


def measure(exam: MakeupExam, judge: Judge, codes: np.ndarray | None) -> list[Bar]:
    """Both lines, of codes (n, C) of every picture; None where the model has no encoder."""
    if codes is None:
        why = "this checkpoint has no makeup encoder"
        return [not_measured(_RETRIEVED, RECALL, ">=", why), not_measured(_PROBED, PROBE, "<=", why)]
    return [retrieval_bar(exam, codes), probe_bar(exam, codes, judge.measure(exam.images).embedding)]


def retrieval_bar(exam: MakeupExam, codes: np.ndarray) -> Bar:
    """Is the most similar code among all made-up pictures of all other people one of the same look?"""
    worn = np.flatnonzero(np.arange(len(codes)) % exam.pictures)
    persons, styles = exam.persons[worn], exam.styles[worn]

    def hits(own: np.ndarray) -> np.ndarray:
        unit = own / np.linalg.norm(own, axis=1, keepdims=True)
        similar = np.where(persons[:, None] == persons[None], -np.inf, unit @ unit.T)
        return styles[similar.argmax(axis=1)] == styles

    found = hits(codes[worn])
    shuffled = hits(codes[np.random.default_rng(0).permutation(worn)])
    return Bar(
        name=_RETRIEVED, value=float(found.mean()), bar=RECALL, direction=">=", n=len(np.unique(persons)),
        ci95=mean_interval(found, persons), control=float(shuffled.mean()),
    )  # fmt: skip


def probe_bar(exam: MakeupExam, codes: np.ndarray, embeddings: np.ndarray) -> Bar:
    """How much oftener than by chance a linear probe tells the people of a group apart.

    It is trained on the codes of all looks of a group but one, bare being a look too, and tells who wears that one.
    """
    right = _told_apart(exam, codes)
    seen = _told_apart(exam, embeddings)
    centred = codes.reshape(-1, exam.pictures, codes.shape[1]).copy()
    for group in np.unique(exam.groups):
        centred[exam.groups == group] -= centred[exam.groups == group].mean(axis=0)
    harder = _told_apart(exam, centred.reshape(codes.shape)).mean()
    groups = np.repeat(exam.groups, exam.pictures)
    return Bar(
        name=_PROBED, value=float(right.mean()), bar=PROBE, direction="<=", n=len(np.unique(groups)),
        ci95=bootstrap_interval(groups, lambda rows: float(right[rows].mean())), control=float(seen.mean()),
        domain=f"{RENDERS}; n counts groups; {harder:.2f} where the mean code of each look is known and taken off",
    )  # fmt: skip


def _told_apart(exam: MakeupExam, x: np.ndarray) -> np.ndarray:
    """Whether each picture's wearer is told, times the people to choose from, (n,)."""
    table = x.astype(np.float64).reshape(-1, exam.pictures, x.shape[1])
    told = np.empty(table.shape[:2])
    for group in np.unique(exam.groups):
        people = np.flatnonzero(exam.groups == group)
        for look in range(exam.pictures):
            known = np.delete(table[people], look, axis=1).reshape(-1, x.shape[1])
            wearer = np.repeat(np.arange(len(people)), exam.pictures - 1)
            guess = _ridge_classes(known, np.eye(len(people))[wearer], table[people, look])
            told[people, look] = (guess == np.arange(len(people))) * len(people)
    return told.ravel()


def _ridge_classes(known: np.ndarray, targets: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Classes of `asked` (m, f) by ridge regression to `targets` (n, classes) on standardised features."""
    centre, spread = known.mean(axis=0), known.std(axis=0)
    spread = np.where(spread > 1e-9, spread, 1)
    x, y = (known - centre) / spread, (asked - centre) / spread
    # As heavy as one in a hundred of a feature's weight: enough to have one answer, too little to hide any.
    kernel = x @ x.T + 0.01 * x.shape[1] * np.eye(len(x))
    # Codes that say nothing give the first class always, which is right as often as by chance.
    return (y @ x.T @ np.linalg.solve(kernel, targets - targets.mean(axis=0))).argmax(axis=1)
