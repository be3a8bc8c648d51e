"""What is painted on skins: where, on which side, and that it is a function of its randomness."""

from __future__ import annotations

import numpy as np
import pytest

from faces.head import complexion

SIZE = 64
SKIN = np.ones((SIZE, SIZE), np.float32)
PLAIN = np.full((SIZE, SIZE, 3), 170, np.uint8)


def painted(kind, monkeypatch, seed, skin=SKIN):
    monkeypatch.setattr(complexion, "SHARES", {kind: 1.0})
    texture, (feature,) = complexion.vary(PLAIN, skin, np.random.default_rng(seed))
    assert feature.kind == kind
    return np.abs(texture.astype(float) - PLAIN).sum(axis=2), feature.side


@pytest.mark.parametrize("kind", ["freckles", "birthmark", "tattoo"])
def test_what_is_on_one_side_stays_there(kind, monkeypatch):
    sides = set()
    for seed in range(24):
        changed, side = painted(kind, monkeypatch, seed)
        sides.add(side)
        left, right = changed[:, SIZE // 2 + 2 :].sum(), changed[:, : SIZE // 2 - 2].sum()
        if side != "both":
            own, other = (left, right) if side == "left" else (right, left)
            assert own > 0 and other == 0
    assert {"left", "right"} <= sides


def test_uneven_colour_comes_round_at_the_back_of_the_head(monkeypatch):
    changed, side = painted("field", monkeypatch, 3)
    steps = np.abs(np.diff(changed, axis=1))
    assert side == "both" and changed.std() > 1
    assert np.abs(changed[:, 0] - changed[:, -1]).max() <= 2 * steps.max()


@pytest.mark.parametrize("kind", complexion.SHARES)
def test_eyes_are_not_painted_on(kind, monkeypatch):
    skin = SKIN.copy()
    skin[20:44] = 0
    for seed in range(6):
        changed, _ = painted(kind, monkeypatch, seed, skin)
        assert not changed[20:44].any()


def test_a_seed_gives_the_same_and_others_something_else():
    first, again, other = (complexion.vary(PLAIN, SKIN, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first[0], again[0]) and first[1] == again[1]
    assert not np.array_equal(first[0], other[0])
    kinds = [
        {one.kind for one in complexion.vary(PLAIN, SKIN, np.random.default_rng(n))[1]} for n in range(60)
    ]
    for kind, share in complexion.SHARES.items():
        assert np.mean([kind in found for found in kinds]) == pytest.approx(share, abs=0.2)
