"""What the judge sees in the training renders, kept small: to find copied images and leaked identities.

Made once from the training shards:

    python -m gen.evaluation.training_set SHARDS tests/data/judge/training.npz
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from gen import atomic
from gen.evaluation import judge as judges
from gen.evaluation import sets
from gen.evaluation.judge import Judge
from gen.evaluation.shards import Sample, read

DIMENSIONS = 32
_BATCH = 256


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingSet:
    """Features of training images and centres of training identities."""

    keys: np.ndarray
    """(m,) names of images."""
    features: np.ndarray
    """(m, d) principal components of the judge's features."""
    mean: np.ndarray
    """(f,) of the judge's features."""
    basis: np.ndarray
    """(f, d) principal directions."""
    identities: np.ndarray
    """(t,) names."""
    centres: np.ndarray
    """(t, e) unit-norm mean embeddings."""

    def project(self, features: np.ndarray) -> np.ndarray:
        """Bring judge features (n, f) into the space of `features`, (n, d)."""
        return (features - self.mean) @ self.basis

    def require_disjoint(self, identities: ArrayLike) -> None:
        """Raise ValueError when one of the held-out identities (n,) was trained on."""
        shared = np.intersect1d(self.identities, np.asarray(identities))
        if len(shared):
            raise ValueError(
                f"held-out heads: {len(shared)} of them were trained on ({', '.join(shared[:3])}): "
                "render others with a seed of their own"
            )

    def save(self, path: Path) -> None:
        """Write the set in half precision."""
        halves = {
            name: getattr(self, name).astype(np.float16) for name in ("features", "mean", "basis", "centres")
        }
        with atomic.replaced(path) as file:
            np.savez_compressed(file, keys=self.keys, identities=self.identities, **halves)

    @classmethod
    def load(cls, path: Path) -> TrainingSet:
        """Read a set; raises FileNotFoundError with the command that makes it."""
        if not path.is_file():
            raise FileNotFoundError(
                f"{path} is absent: make it with `python -m gen.evaluation.training_set SHARDS {path}`"
            )
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        halves = {name: a.astype(np.float32) for name, a in arrays.items() if a.dtype == np.float16}
        halves["centres"] /= np.linalg.norm(halves["centres"], axis=1, keepdims=True)
        return cls(**(arrays | halves))

    @classmethod
    def bundled(cls) -> TrainingSet:
        """Read the set that lies beside the judge."""
        return cls.load(judges.folder() / "training.npz")


def build(samples: Iterable[Sample], judge: Judge, dimensions: int = DIMENSIONS) -> TrainingSet:
    """Measure training samples with the judge and keep the principal components of its features."""
    keys, people, features, embeddings = [], [], [], []
    samples = iter(samples)
    while batch := list(islice(samples, _BATCH)):
        seen = judge.measure(np.stack([sample.image for sample in batch]))
        keys += [sample.key for sample in batch]
        people += [str(sample.labels["identity_id"]) for sample in batch]
        features.append(seen.features)
        embeddings.append(seen.embedding)
    if not keys:
        raise ValueError("training set: no samples to measure")
    stacked = np.concatenate(features)
    mean = stacked.mean(axis=0)
    basis = np.linalg.svd(stacked - mean, full_matrices=False)[2][:dimensions].T
    identities, centres = sets.centres(np.concatenate(embeddings), people)
    return TrainingSet(
        keys=np.array(keys),
        features=(stacked - mean) @ basis,
        mean=mean,
        basis=basis,
        identities=identities,
        centres=centres,
    )


def main() -> None:
    """Build the file from a folder of shards."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("shards", type=Path, help="folder that `mien heads` wrote")
    parser.add_argument("out", type=Path, help="file to write, e.g. tests/data/judge/training.npz")
    parser.add_argument("--limit", type=int, default=30_000, help="number of images that are kept")
    arguments = parser.parse_args()
    build(islice(read(arguments.shards), arguments.limit), Judge.bundled()).save(arguments.out)


if __name__ == "__main__":
    main()
