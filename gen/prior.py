"""Where new identities come from: a Gaussian over identity embeddings, and how alike distinct identities are.

The model is probabilistic PCA (Tipping and Bishop, "Probabilistic principal component analysis", JRSS B 1999,
equations 7 and 8) around a mean that depends linearly on how a person is rendered: a prompt that names an old
woman gets an embedding of one, or the picture would be a compromise, and compromises resemble each other. It is
a prior of what the model conditions on: the embeddings of its own image encoder.

The similarities of the training identities among each other are kept with it, as the measure of "another person"
in the eyes of the network that compares: the model's recognizer, where it has one (`gen.recognition`).

Made once from the training shards:

    python -m gen.prior weights/mini data/heads
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.numpy import load_file, save

from faces import vocabulary
from gen import atomic, recognition
from gen.evaluation import shards
from weights import quantized

FILE = "identity_prior.safetensors"
RATES = (0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 5e-3, 2e-3, 1e-3, 5e-4, 2e-4, 1e-4, 1e-5, 1e-6)
"""False-match rates at which the cosine of two different training identities is kept."""
TRAITS: dict[str, tuple[Any, ...]] = {
    "gender": ("woman", "man", "person"),
    "age_band": tuple(vocabulary.AGE_BANDS),
    "skin_tone": vocabulary.SKIN_TONES,
}
"""What the mean depends on: axis -> values, in the order of the rows of `trait_effects`."""
NEIGHBOUR_LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)
CODE_LENGTH = 128
"""Directions that training embeddings are stored in, at most: of `mini` they hold 99.8 % of the squares."""
_CHUNK = 1024


def fit_prior(
    embeddings: np.ndarray,
    identities: np.ndarray | None = None,
    components: int = 64,
    looks: Sequence[Mapping[str, Any]] | None = None,
    compared: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Fit the prior to the embeddings of training identities.

    Args:
        embeddings: (n, E), any scale, normalised here.
        identities: (n,) labels; the embeddings of one identity are averaged. By default all differ.
        components: K, at most E - 1 and the number of identities - 1.
        looks: n mappings that hold what is rendered for the axes of `TRAITS`. By default the mean depends on
            nothing.
        compared: (n, C) what the network that compares makes of the same pictures. By default `embeddings`.

    Returns:
        mean (E,), trait_effects (T, E) and trait_shares (T,) with a row for each value of `TRAITS`;
        components (K, E), variances (K,) and noise () of the PPCA model of what is left; all float32;
        training_codes (N, R) int8 and training_directions (R, C) float16, R at most `CODE_LENGTH`, whose
        product is an embedding per identity, up to rounding and length; impostor_rate and impostor_cosine (see
        `RATES`); neighbour_level and neighbour_cosine: quantiles of the cosine of an identity to its nearest
        other one, by exact embeddings.

    Raises:
        ValueError: fewer than 3 identities, or embeddings that are not finite.
    """
    people = _people(np.asarray(embeddings, np.float64), identities)
    count, width = people.shape
    kept = min(components, width - 1, count - 1)
    mean = people.mean(0)
    shown = _averages(_indicators([{}] * len(embeddings) if looks is None else looks), identities)
    effects = np.linalg.lstsq(shown - shown.mean(0), people - mean, rcond=None)[0]
    rest = people - mean - (shown - shown.mean(0)) @ effects
    values, directions = _principal(np.cov(rest.T, bias=True))
    seen = people if compared is None else _people(np.asarray(compared, np.float64), identities)
    codes, code_directions = _encode(seen)
    cosines, nearest = _similarities(seen.astype(np.float32))
    return {
        "mean": mean.astype(np.float32),
        "trait_effects": effects.astype(np.float32),
        "trait_shares": shown.mean(0).astype(np.float32),
        "components": np.ascontiguousarray(directions[:kept], np.float32),
        "variances": values[:kept].astype(np.float32),
        "noise": np.array(values[kept:].mean(), np.float32),
        "training_codes": codes,
        "training_directions": code_directions,
        "impostor_rate": np.array(RATES, np.float32),
        "impostor_cosine": cosines,
        "neighbour_level": np.array(NEIGHBOUR_LEVELS, np.float32),
        "neighbour_cosine": np.quantile(nearest, NEIGHBOUR_LEVELS).astype(np.float32),
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class IdentityPrior:
    """A fitted prior."""

    mean: np.ndarray
    trait_effects: np.ndarray
    trait_shares: np.ndarray
    components: np.ndarray
    variances: np.ndarray
    noise: np.ndarray
    training_embeddings: np.ndarray
    """(N, C) float32 of length 1."""
    impostor_rate: np.ndarray
    impostor_cosine: np.ndarray
    neighbour_level: np.ndarray
    neighbour_cosine: np.ndarray

    @classmethod
    def load(cls, folder: Path) -> IdentityPrior:
        """Read the prior of a model folder.

        Raises:
            FileNotFoundError: the model has none.
            ValueError: the file lacks a tensor, or was made with another recognizer.
        """
        path = folder / FILE
        if not path.is_file():
            raise FileNotFoundError(
                f"{path}: missing; make it with `python -m gen.prior {folder} SHARDS` from the training shards"
            )
        tensors = load_file(path)
        with safe_open(path, "numpy") as file:
            made_with = (file.metadata() or {}).get(recognition.FOLDER, "")
        if made_with != recognition.digest(folder):
            raise ValueError(f"{path}: made with another recognizer than the folder's; run gen.prior again")
        plain = set(cls.__dataclass_fields__) - {"training_embeddings"}
        missing = sorted((plain | {"training_codes", "training_directions"}) - set(tensors))
        if missing:
            raise ValueError(f"{path}: lacks {', '.join(missing)}; written by gen.prior.fit_prior?")
        training = _decode(tensors["training_codes"], tensors["training_directions"])
        return cls(training_embeddings=training, **{key: tensors[key] for key in plain})

    def sample(self, rng: np.random.Generator, looks: Mapping[str, Any] | None = None) -> np.ndarray:
        """Draw an identity, (E,) float32 of length 1.

        Args:
            rng: where randomness comes from.
            looks: what is wanted for axes of `TRAITS`; an axis that is left out, or holds a value that is not
                there, is as often what it is as in training.
        """
        spread = np.sqrt(np.maximum(self.variances - self.noise, 0))
        drawn = self._mean(looks or {}) + (spread * rng.standard_normal(len(spread))) @ self.components
        drawn = drawn + np.sqrt(self.noise) * rng.standard_normal(len(self.mean))
        return (drawn / np.linalg.norm(drawn)).astype(np.float32)

    def _mean(self, looks: Mapping[str, Any]) -> np.ndarray:
        wanted, first = self.trait_shares.copy(), 0
        for axis, values in TRAITS.items():
            if looks.get(axis) in values:
                wanted[first : first + len(values)] = [value == looks[axis] for value in values]
            first += len(values)
        return self.mean + (wanted - self.trait_shares) @ self.trait_effects

    def nearest_training(self, embeddings: np.ndarray) -> np.ndarray:
        """Largest cosine of compared embeddings (n, C), of length 1, to any training identity, (n,)."""
        return (embeddings @ self.training_embeddings.T).max(1)

    def cosine_at(self, rate: float) -> float:
        """Cosine that two different training identities exceed at a rate; interpolated on a log scale."""
        return float(np.interp(-np.log(rate), -np.log(self.impostor_rate), self.impostor_cosine))

    def neighbour_at(self, level: float) -> float:
        """Quantile of the cosine of a training identity to its nearest other one."""
        return float(np.interp(level, self.neighbour_level, self.neighbour_cosine))


def _indicators(looks: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """(n, T): 1 where a picture has the value of `TRAITS`."""
    pairs = [(axis, value) for axis, values in TRAITS.items() for value in values]
    return np.array([[float(look.get(axis) == value) for axis, value in pairs] for look in looks])


def _averages(rows: np.ndarray, identities: np.ndarray | None) -> np.ndarray:
    """The mean row of every identity, in the order of `_people`."""
    if identities is None:
        return rows
    names, index = np.unique(np.asarray(identities), return_inverse=True)
    sums = np.zeros((len(names), rows.shape[1]))
    np.add.at(sums, index, rows)
    return sums / np.bincount(index)[:, None]


def _people(embeddings: np.ndarray, identities: np.ndarray | None) -> np.ndarray:
    """One embedding of length 1 per identity."""
    if embeddings.ndim != 2 or not np.isfinite(embeddings).all():
        raise ValueError(f"embeddings of shape {embeddings.shape}, expected (n, E) finite numbers")
    unit = embeddings / np.maximum(np.linalg.norm(embeddings, axis=1, keepdims=True), 1e-12)
    if identities is not None:
        means = _averages(unit, identities)
        unit = means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
    if len(unit) < 3:
        raise ValueError(f"embeddings of {len(unit)} identities, at least 3 are needed")
    return unit


def _principal(products: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues (E,), largest first, and eigenvectors (E, E), a row each, of a covariance or Gram matrix."""
    values, vectors = np.linalg.eigh(products)
    signs = np.sign(vectors[np.abs(vectors).argmax(0), np.arange(len(values))])
    return np.maximum(values[::-1], 0), (vectors * signs).T[::-1]


def _encode(people: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """int8 codes (N, R) and float16 directions (R, C) of embeddings (N, C), see `_decode`.

    The directions are principal ones, without centring: it is cosines that have to stay.
    """
    directions = _principal(people.T @ people)[1][: min(CODE_LENGTH, *people.shape)]
    codes, scales = quantized.to_int8(torch.from_numpy(directions @ people.T))
    # Scales relative to the largest, for a common factor says nothing and float16 is coarse near zero.
    folded = directions * (scales / scales.max()).numpy()[:, None]
    # safetensors writes memory as it lies.
    return np.ascontiguousarray(codes.numpy().T), np.ascontiguousarray(folded, np.float16)


def _decode(codes: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Embeddings (N, C) float32 of length 1."""
    embeddings = codes.astype(np.float32) @ directions.astype(np.float32)
    return embeddings / np.maximum(np.linalg.norm(embeddings, axis=1, keepdims=True), 1e-6)


def _similarities(people: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cosines of all pairs at `RATES` and every identity's nearest neighbour, never the whole matrix."""
    count = len(people)
    edges = np.linspace(-1, 1, 20_001)
    histogram = np.zeros(len(edges) - 1)
    nearest = np.empty(count, np.float32)
    for first in range(0, count, _CHUNK):
        cosines = np.clip(people[first : first + _CHUNK] @ people.T, -1, 1)
        rows = np.arange(len(cosines))
        cosines[rows, first + rows] = -2
        nearest[first : first + _CHUNK] = cosines.max(1)
        histogram += np.histogram(cosines[cosines > -2], edges)[0]
    exceed = 1 - np.cumsum(histogram) / histogram.sum()
    found = [edges[1:][np.searchsorted(-exceed, -rate, side="left")] for rate in RATES]
    return np.array(found, np.float32), nearest


def main() -> None:
    """Fit the prior of a model to its training renders and write it into the model's folder."""
    from pipelines.portrait.pipeline import PortraitPipeline

    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("model", type=Path, help="pipeline folder, e.g. weights/mini")
    parser.add_argument("shards", type=Path, help="folder of the training shards")
    arguments = parser.parse_args()
    pipe = PortraitPipeline.from_pretrained(str(arguments.model))
    recognizer = recognition.load(arguments.model)
    embeddings, compared, people, looks = [], [], [], []
    samples = shards.read(arguments.shards)
    while batch := list(islice(samples, 128)):
        images = np.stack([sample.image for sample in batch])
        embeddings.append(recognition.embed(pipe.image_encoder, pipe.feature_extractor, images))
        if recognizer is not None:
            compared.append(recognition.compare(recognizer, pipe.feature_extractor, images))
        people += [str(sample.labels["identity_id"]) for sample in batch]
        looks += [{axis: sample.labels[axis] for axis in TRAITS} for sample in batch]
    prior = fit_prior(
        np.concatenate(embeddings),
        np.array(people),
        looks=looks,
        compared=np.concatenate(compared) if compared else None,
    )
    made_with = {recognition.FOLDER: recognition.digest(arguments.model)}
    atomic.write_bytes(arguments.model / FILE, save(prior, metadata=made_with))


if __name__ == "__main__":
    main()
