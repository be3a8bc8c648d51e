"""Seeds depend on names only."""

from __future__ import annotations

import pytest
import torch

from gen.seeds import noise_generator, sample_seed, stream


def noise(seed):
    return torch.randn(8, generator=noise_generator(seed))


def test_seeds_are_functions_of_their_names():
    assert sample_seed(1, "a", 0) == sample_seed(1, "a", 0)
    others = {sample_seed(1, "a", 0), sample_seed(2, "a", 0), sample_seed(1, "b", 0), sample_seed(1, "a", 1)}
    assert len(others | {sample_seed(1, "a0"), sample_seed(1, "a", "0", "")}) == 6
    assert sample_seed(0, "id000000_00000") == 28998484943785  # a change here changes every dataset


def test_streams_repeat():
    assert (stream(3, "x").random(4) == stream(3, "x").random(4)).all()
    assert (stream(3, "x").random(4) != stream(3, "y").random(4)).any()


def test_the_high_bits_of_a_seed_count():
    assert torch.equal(torch.randn(3, generator=torch.Generator().manual_seed(5)), noise(5)[:3])
    assert not torch.equal(noise(5), noise(5 + 2**32))
    assert not torch.equal(noise(5 + 2**32), noise(5 + 2**33))
    assert torch.equal(noise(5 + 2**47), noise(5 + 2**47))


@pytest.mark.parametrize("seed", [-1, 2**48])
def test_seeds_out_of_range_are_refused(seed):
    with pytest.raises(ValueError, match="permitted: 0 to 2"):
        noise_generator(seed)
    if seed < 0:
        with pytest.raises(ValueError, match="dataset seed is -1"):
            sample_seed(seed, "a")
