"""The bars of face analysis, on people, materials and lights that no training showed, in two looks."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from faces import metrics, vocabulary
from faces.analysis import FaceAnalysis, FaceAnalyzer
from faces.head.landmarks import snap_to_outline
from faces.head.study import is_compound
from gen.evaluation import exam
from gen.evaluation.bars import RENDERS, Bar, Settings
from gen.evaluation.exam import Exam
from gen.evaluation.intervals import bootstrap_interval
from gen.evaluation.verification import equal_error_rate
from gen.worker import cpu_threads

SECOND = "second look: other shading, shapes, blur, noise, JPEG"
THREADS, REPEATS = 2, 30
MILLISECONDS, MEGABYTES = 60.0, 12.0
_TURNED = 30
Score = Callable[[np.ndarray], float]


def measure(settings: Settings) -> list[Bar]:
    """Measure every bar of perception, in half a minute and so in a quick run too; loads analyzer and exam."""
    analyzer = FaceAnalyzer.from_pretrained(settings.model, device=settings.device or "cpu")
    lines = []
    for number, (look, domain) in enumerate((("first", RENDERS), ("second", SECOND))):
        settings.progress(f"{look} look", number / 3)
        pictures = exam.load(look, settings.data)
        seen = exam.through_a_camera(pictures.images) if look == "second" else pictures.images
        lines += score(pictures, analyzer.analyze_aligned(seen), domain)
    settings.progress("time", 2 / 3)
    return [*lines, milliseconds(analyzer), megabytes(analyzer)]


def score(truth: Exam, found: list[FaceAnalysis], domain: str) -> list[Bar]:
    """Compare analyses with the truth.

    Args:
        truth: pictures with labels.
        found: an analysis of each, in order.
        domain: where the pictures are from, for the table.
    """
    shuffled = np.random.default_rng(0).permutation(len(found))
    lines = [
        *_dense(truth, found, shuffled, domain),
        *_units(truth, found, shuffled, domain),
        *_expressions(truth, found, shuffled, domain),
    ]
    if found[0].outline_landmarks is not None:
        lines.append(_outline(truth, found, domain))
    if found[0].embedding is not None:
        lines.append(_identity(truth, found, domain))
    return lines


def _dense(truth: Exam, found: list[FaceAnalysis], shuffled: np.ndarray, domain: str) -> list[Bar]:
    """Landmarks, parsing, pose; the control answers for another picture."""
    points = np.stack([face.landmarks for face in found])
    parsing = np.stack([face.parsing for face in found])
    pose = np.stack([face.pose for face in found])
    error = metrics.landmark_error(points, truth.landmarks)
    mean_face = truth.landmarks.mean(axis=0, keepdims=True)
    degrees = np.abs(pose - truth.pose).mean(axis=1)
    both, either = metrics.overlaps(parsing, truth.parsing)
    lines = [
        _bar(
            "landmarks, NME by the eyes' distance", lambda rows: error[rows].mean(), 0.04, "<=", truth, domain,
            float(metrics.landmark_error(np.broadcast_to(mean_face, points.shape), truth.landmarks).mean()),
        ),
        _bar(
            "parsing, mean IoU", lambda rows: metrics.pooled_iou(both[rows], either[rows]), 0.80, ">=",
            truth, domain, metrics.mean_iou(parsing[shuffled], truth.parsing),
        ),
        _bar(
            "head pose, mean error in degrees", lambda rows: degrees[rows].mean(), 5.0, "<=", truth, domain,
            float(np.abs(pose[shuffled] - truth.pose).mean()),
        ),
    ]  # fmt: skip
    return lines


def _units(truth: Exam, found: list[FaceAnalysis], shuffled: np.ndarray, domain: str) -> list[Bar]:
    read = np.array([[face.action_units[name] for name in vocabulary.UNIT_COLUMNS] for face in found])
    wanted = truth.units

    def mean(rows: np.ndarray) -> float:
        return float(np.nanmean(metrics.correlations(read[rows], wanted[rows])))

    def least(rows: np.ndarray) -> float:
        return float(np.nanmin(metrics.correlations(read[rows], wanted[rows])))

    each = metrics.correlations(read, wanted)
    worst = vocabulary.UNIT_COLUMNS[int(np.nanargmin(each))]
    return [
        _bar(
            "action units, mean r", mean, 0.80, ">=", truth, domain,
            float(np.nanmean(metrics.correlations(read[shuffled], wanted))), draws=200,
        ),
        _bar(f"action units, least r ({worst})", least, 0.50, ">=", truth, domain, draws=200),
    ]  # fmt: skip


def _expressions(truth: Exam, found: list[FaceAnalysis], shuffled: np.ndarray, domain: str) -> list[Bar]:
    basic = truth.expression != vocabulary.MIXED
    # Free combinations of units were shown in training; two expressions at once never were.
    compound = np.array([is_compound(row["au"]) for row in truth.labels])
    open_set = np.array([face.open_set for face in found])
    probabilities = np.array([list(face.expression.values()) for face in found])
    wanted = np.array(
        [
            vocabulary.EXPRESSIONS.index(name) if name in vocabulary.EXPRESSIONS else -1
            for name in truth.expression
        ]
    )
    right = probabilities.argmax(axis=1) == wanted
    asked = truth[basic]
    return [
        _bar(
            "expression, accuracy of 8", lambda rows: right[basic][rows].mean(), 0.85, ">=", asked, domain,
            float((probabilities[shuffled].argmax(axis=1) == wanted)[basic].mean()),
        ),
        _bar(
            "expression, calibration error",
            lambda rows: metrics.calibration_error(probabilities[basic][rows], wanted[basic][rows]),
            0.05, "<=", asked, domain,
        ),
        _bar(
            "unseen compounds against the 8, AUROC",
            lambda rows: metrics.auroc(open_set[basic | compound][rows], compound[basic | compound][rows]),
            0.80, ">=", truth[basic | compound], domain,
            float(metrics.auroc(open_set[shuffled][basic | compound], compound[basic | compound])),
        ),
    ]  # fmt: skip


def _outline(truth: Exam, found: list[FaceAnalysis], domain: str) -> Bar:
    """Does the adapter bring jaws of turned heads to the outline, as people annotate them?"""
    turned = np.abs(truth.pose[:, 0]) >= _TURNED
    asked = truth[turned]
    pairs = zip(asked.landmarks, asked.parsing, strict=True)
    wanted = np.stack([snap_to_outline(points, labels) for points, labels in pairs])
    chosen = [face for face, one in zip(found, turned, strict=True) if one]
    plain = metrics.landmark_error(np.stack([face.landmarks for face in chosen]), wanted)
    adapted = metrics.landmark_error(
        np.stack([face.outline_landmarks for face in chosen if face.outline_landmarks is not None]), wanted
    )
    return _bar(
        f"outline error of heads turned by {_TURNED} degrees and more, adapted over plain",
        lambda rows: adapted[rows].mean() / plain[rows].mean(), 0.6, "<=", asked, domain, 1.0,
    )  # fmt: skip


def _identity(truth: Exam, found: list[FaceAnalysis], domain: str) -> Bar:
    vectors = np.stack([face.embedding for face in found if face.embedding is not None])
    likeness, people = vectors @ vectors.T, truth.identities

    def rate(rows: np.ndarray) -> float:
        upper = np.triu_indices(len(rows), 1)
        # A person drawn twice by the bootstrap is no impostor and no genuine pair of itself.
        apart = rows[upper[0]] != rows[upper[1]]
        scores = likeness[rows[upper[0]], rows[upper[1]]][apart]
        same = (people[rows[upper[0]]] == people[rows[upper[1]]])[apart]
        return equal_error_rate(scores[same], scores[~same])

    return _bar("identity, equal error rate", rate, 0.03, "<=", truth, domain, draws=40)


def milliseconds(analyzer: FaceAnalyzer) -> Bar:
    """Time of all readings of one face in the canonical frame, without the search for it."""
    frame = np.full((1, analyzer.size, analyzer.size, 3), 127, np.uint8)
    taken = []
    with cpu_threads(THREADS):
        for _ in range(REPEATS + 3):
            start = time.perf_counter()
            analyzer.analyze_aligned(frame)
            taken.append(1000 * (time.perf_counter() - start))
    return Bar(
        name="milliseconds a face",
        value=float(np.median(taken[3:])),
        bar=MILLISECONDS,
        direction="<=",
        n=REPEATS,
        domain=f"this machine, {THREADS} CPU threads, {analyzer.size} px",
    )


def megabytes(analyzer: FaceAnalyzer) -> Bar:
    """Weights of all networks that the analyzer uses, as shipped in half precision."""
    networks = [analyzer.network, *([analyzer.embedder] if analyzer.embedder is not None else [])]
    count = sum(value.numel() for network in networks for value in network.state_dict().values())
    return Bar(
        name="megabytes of weights", value=2 * count / 1e6, bar=MEGABYTES, direction="<=", n=len(networks),
        domain="half precision",
    )  # fmt: skip


def _bar(
    name: str,
    statistic: Score,
    bar: float,
    direction: str,
    truth: Exam,
    domain: str,
    control: float | None = None,
    draws: int = 500,
) -> Bar:
    everything = np.arange(len(truth.labels))
    return Bar(
        name=name,
        value=float(statistic(everything)),
        bar=bar,
        direction=direction,  # type: ignore[arg-type]
        n=len(np.unique(truth.identities)),
        ci95=bootstrap_interval(truth.identities, statistic, draws=draws),
        control=control,
        domain=domain,
    )
