"""Finds pictures that are the same: to the pixel, nearly, or mirrored."""

from __future__ import annotations

import collections
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from gen.record import phash

MAX_HAMMING = 40
"""Of the 256 bits of the perceptual hash; nearer pictures are compared themselves."""
MIN_CORRELATION = 0.995
_SIDE = 48
_BANDS = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class Duplicate:
    """A picture that repeats an earlier one."""

    key: str
    first: str
    """The earlier one, which a consumer would keep."""
    kind: str
    """exact, near or mirror."""
    score: float
    """Correlation of the small grey pictures, 1 for exact ones."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Print:
    key: str
    exact: str
    bits: np.ndarray
    small: np.ndarray
    mirrored_bits: np.ndarray
    mirrored_small: np.ndarray


def find(pictures: Iterable[tuple[str, np.ndarray]]) -> Iterator[Duplicate]:
    """Compare pictures with those before them; memory holds a 9 kB print of each, not the pictures.

    A perceptual hash cut into bands finds candidates without comparing all pairs; candidates count as near
    when their small grey pictures, freed of brightness and contrast, correlate.

    Args:
        pictures: (key, (h, w, 3) uint8).

    Yields:
        At most one duplicate per picture: exact before near before mirrored, the nearest first.
    """
    exact: dict[str, str] = {}
    bands: dict[tuple[int, bytes], list[_Print]] = collections.defaultdict(list)
    for key, image in pictures:
        found = _print(key, image)
        duplicate = _search(found, exact, bands)
        if duplicate:
            yield duplicate
        exact.setdefault(found.exact, key)
        for band in enumerate(_cut(found.bits)):
            bands[band].append(found)


def _search(
    new: _Print, exact: dict[str, str], bands: dict[tuple[int, bytes], list[_Print]]
) -> Duplicate | None:
    if new.exact in exact:
        return Duplicate(key=new.key, first=exact[new.exact], kind="exact", score=1.0)
    for kind, bits, small in (
        ("near", new.bits, new.small),
        ("mirror", new.mirrored_bits, new.mirrored_small),
    ):
        near = {old.key: old for band in enumerate(_cut(bits)) for old in bands.get(band, ())}
        scores = [
            (float(small @ old.small), old.key)
            for old in near.values()
            if int(np.unpackbits(np.bitwise_xor(bits, old.bits)).sum()) <= MAX_HAMMING
        ]
        best = max(scores, default=(0.0, ""))
        if best[0] >= MIN_CORRELATION:
            return Duplicate(key=new.key, first=best[1], kind=kind, score=round(best[0], 4))
    return None


def _print(key: str, image: np.ndarray) -> _Print:
    mirrored = np.ascontiguousarray(image[:, ::-1])
    return _Print(
        key=key,
        exact=hashlib.sha256(repr(image.shape).encode() + image.tobytes()).hexdigest(),
        bits=_bits(image),
        small=_small(image),
        mirrored_bits=_bits(mirrored),
        mirrored_small=_small(mirrored),
    )


def _bits(image: np.ndarray) -> np.ndarray:
    return np.frombuffer(bytes.fromhex(phash(image)), np.uint8)


def _small(image: np.ndarray) -> np.ndarray:
    """Grey, small, of mean 0 and length 1."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    small = cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).ravel()
    small -= small.mean()
    return small / max(float(np.linalg.norm(small)), 1e-6)


def _cut(bits: np.ndarray) -> list[bytes]:
    return [part.tobytes() for part in np.split(bits, _BANDS)]
