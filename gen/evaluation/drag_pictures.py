"""What edits show and what they leave: where dragged points end, the unmoved rest, and who it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gen.evaluation.bars import NO_BAR, RENDERS, Bar, not_measured
from gen.evaluation.drag_distance import drag_distances, share_left
from gen.evaluation.drag_exam import DragExam, partner
from gen.evaluation.drag_flows import FEW, others
from gen.evaluation.intervals import bootstrap_interval, mean_interval
from gen.evaluation.judge import Judge
from gen.evaluation.retained import masked_psnr

LEFT, DOUBLED, KEPT, DROP, BACK = 0.35, 2.0, 30.0, 0.05, 32.0
SIZES = {"small": (0.0, 3.0), "medium": (3.0, 8.0), "large": (8.0, np.inf)}
"""Drags by their length, from and below, in pixels of 128."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Distances:
    """From the targets of m drags to where their points are found, in pixels of 128; those that can be told."""

    outputs: np.ndarray
    """(m,) of edits."""
    shuffled: np.ndarray
    """(m,) of edits by the flow of another person's drags."""
    floors: np.ndarray
    """(m,) of true targets."""
    ceilings: np.ndarray
    """(m,) of sources."""
    lengths: np.ndarray
    """(m,) of the drags."""
    persons: np.ndarray
    """(m,)."""

    def left(self, items: np.ndarray, shuffled: bool = False) -> float:
        """Share that is left of the way, over some of the drags."""
        outputs = self.shuffled if shuffled else self.outputs
        return share_left(outputs[items], self.floors[items], self.ceilings[items])

    def told(self, items: np.ndarray) -> str:
        """Mean distances as words."""
        names = {"output": self.outputs, "floor": self.floors, "ceiling": self.ceilings}
        return ", ".join(f"{name} {values[items].mean():.2f}" for name, values in names.items())


def distances(exam: DragExam, rows: np.ndarray, outputs: np.ndarray, shuffled: np.ndarray) -> Distances:
    """Find the dragged points of edits.

    Args:
        exam: the set.
        rows: n edits.
        outputs: (n, s, s, 3) uint8.
        shuffled: likewise, by flows of other edits.
    """
    scale, found = 128 / exam.size, []
    for number, row in enumerate(rows):
        asked = exam.drags(row, FEW)
        truth = exam.images[row], exam.flows[row], exam.seen[row], asked.sources, asked.targets
        pictures = outputs[number], shuffled[number], exam.images[partner(row)], exam.images[row]
        away = [scale * drag_distances(picture, *truth) for picture in pictures]
        length = scale * np.linalg.norm(asked.vectors, axis=1)
        found.append(np.stack([*away, length, np.full(len(length), exam.persons[row])]))
    table = np.concatenate(found, axis=1)
    table = table[:, np.isfinite(table).all(axis=0)]
    return Distances(
        outputs=table[0], shuffled=table[1], floors=table[2], ceilings=table[3], lengths=table[4],
        persons=table[5].astype(int),
    )  # fmt: skip


def distance_bars(found: Distances) -> list[Bar]:
    """What is left of the way of dragged points, the same for drags of each length, and whether the flow matters."""
    names = (
        f"drag distance left at {FEW} drags (control: flows of other edits)",
        "drag distance by flows of other edits over that by the own",
    )
    if not len(found.outputs):
        why = "no dragged point has enough texture"
        return [not_measured(names[0], LEFT, "<=", why), not_measured(names[1], DOUBLED, ">=", why)]
    every, people = np.arange(len(found.outputs)), len(np.unique(found.persons))
    return [
        Bar(
            name=names[0], value=found.left(every), bar=LEFT, direction="<=", n=people,
            ci95=bootstrap_interval(found.persons, found.left), control=found.left(every, shuffled=True),
            domain=f"{RENDERS}; {len(every)} points, px of 128: {found.told(every)}; doing nothing leaves 1",
        ),
        *size_lines(found),
        Bar(
            name=names[1], value=_ratio(found, every), bar=DOUBLED, direction=">=", n=people,
            ci95=bootstrap_interval(found.persons, lambda items: _ratio(found, items)),
            domain=f"{RENDERS}; px of 128: {found.shuffled.mean():.2f} and {found.outputs.mean():.2f}",
        ),
    ]  # fmt: skip


def size_lines(found: Distances) -> list[Bar]:
    """Distances of drags by their length; lengths that no drag has are left out."""
    lines = []
    for name, (low, high) in SIZES.items():
        items = np.flatnonzero((found.lengths >= low) & (found.lengths < high))
        if not len(items):
            continue
        persons, limits = found.persons[items], f"from {low:g} px" if low else f"below {high:g} px"
        share = found.left(items)
        left = f", left {share:.2f}" if np.isfinite(share) else ""
        lines.append(
            Bar(
                name=f"drag distance in px of 128, {name} drags ({limits})",
                value=float(found.outputs[items].mean()), bar=NO_BAR, direction="<=", n=len(np.unique(persons)),
                ci95=mean_interval(found.outputs[items], persons),
                domain=f"{RENDERS}; {len(items)} points, {found.told(items)}{left}",
            )
        )  # fmt: skip
    return lines


def _ratio(found: Distances, items: np.ndarray) -> float:
    own = found.outputs[items].mean()
    return float(found.shuffled[items].mean() / own) if own > 0 else float("nan")


def unmoved_bar(exam: DragExam, rows: np.ndarray, drawn: np.ndarray) -> Bar:
    """PSNR where neither picture of the pair moves, of what the denoiser draws, before anything is composited.

    Args:
        exam: the set.
        rows: n edits.
        drawn: (n, s, s, 3) uint8.
    """
    where = [exam.unmoved(row) for row in rows]

    def kept(pictures: np.ndarray) -> np.ndarray:
        found = [
            masked_psnr(one, exam.images[row], at) for one, row, at in zip(pictures, rows, where, strict=True)
        ]
        return np.array(found)

    own, control = kept(drawn), kept(drawn[others(rows)])
    there = np.isfinite(own)
    own, control, persons = own[there], control[there], exam.persons[rows][there]
    return Bar(
        name="unmoved region before compositing, PSNR in dB (control: somebody else's)",
        value=float(own.mean()), bar=KEPT, direction=">=", n=len(np.unique(persons)),
        ci95=mean_interval(own, persons), control=float(control.mean()),
    )  # fmt: skip


def edit_mask(exam: DragExam, row: int) -> np.ndarray:
    """What a careful user would let change: all that moves, is hidden or uncovered, and where drags start."""
    mask = ~exam.unmoved(row)
    columns, lines = exam.drags(row, FEW).source_pixels.T
    mask[lines, columns] = True
    return mask


def mask_bar(
    exam: DragExam, rows: np.ndarray, masks: Sequence[np.ndarray], masked: np.ndarray, free: np.ndarray
) -> Bar:
    """Share of edits in which every byte outside the mask is the source's, so that its PSNR is infinite.

    Args:
        exam: the set.
        rows: n edits.
        masks: (s, s) bool of each, what may change.
        masked: (n, s, s, 3) uint8, edits with the mask.
        free: the same edits without it.
    """

    def kept(pictures: np.ndarray) -> np.ndarray:
        found = [
            (one[~at] == exam.images[row][~at]).all()
            for one, row, at in zip(pictures, rows, masks, strict=True)
        ]
        return np.array(found, bool)

    own, persons = kept(masked), exam.persons[rows]
    return Bar(
        name="edit mask: every byte outside as it was, share of edits (control: no mask)",
        value=float(own.mean()), bar=1.0, direction=">=", n=len(np.unique(persons)),
        ci95=mean_interval(own, persons), control=float(kept(free).mean()),
    )  # fmt: skip


def identity_bar(exam: DragExam, judge: Judge, rows: np.ndarray, outputs: np.ndarray) -> Bar:
    """How much less alike the source an output looks to the judge than the true target does, in cosines."""
    source, target, seen = (
        judge.measure(images).embedding
        for images in (exam.images[rows], exam.images[[partner(row) for row in rows]], outputs)
    )
    true = np.einsum("ne,ne->n", source, target)
    drop, control = (true - np.einsum("ne,ne->n", source, one) for one in (seen, seen[others(rows)]))
    persons = exam.persons[rows]
    return Bar(
        name="identity: cosine of source and true target less that of source and output (control: somebody else's)",
        value=float(drop.mean()), bar=DROP, direction="<=", n=len(np.unique(persons)),
        ci95=mean_interval(drop, persons), control=float(control.mean()),
        domain=f"{RENDERS}; cosine of source and true target {true.mean():.3f}",
    )  # fmt: skip


def zero_bar(exam: DragExam, rows: np.ndarray, drawn: np.ndarray) -> Bar:
    """PSNR of what the denoiser draws by no flow at all, before anything is composited, against the source.

    Args:
        exam: the set.
        rows: n edits.
        drawn: (n, s, s, 3) uint8.
    """
    whole = np.ones((exam.size, exam.size), bool)

    def back(pictures: np.ndarray) -> np.ndarray:
        return np.array(
            [masked_psnr(one, exam.images[row], whole) for one, row in zip(pictures, rows, strict=True)]
        )

    own, persons = back(drawn), exam.persons[rows]
    return Bar(
        name="no drags give the input back, PSNR in dB before compositing (control: somebody else's)",
        value=float(own.mean()), bar=BACK, direction=">=", n=len(np.unique(persons)),
        ci95=mean_interval(own, persons), control=float(back(drawn[others(rows)]).mean()),
    )  # fmt: skip
