"""Time and memory, and the autoencoder lines."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from gen.evaluation import reconstruction, speed
from tests.gen.evaluation import standins


def test_record_becomes_bars(monkeypatch, tmp_path):
    record = {"seconds": {"1": [1.0, 1.2, 5.0], "16": [4.8]}, "peak_bytes": 2_500_000_000}
    monkeypatch.setattr(speed, "run", lambda *arguments: record)
    single, batch, memory = speed.measure("mini", tmp_path, 3)
    assert (single.value, single.n, single.passed) == (1.2, 3, True)
    assert batch.value == pytest.approx(4.0) and batch.control == 1 and batch.passed
    assert memory.value == 2.5 and not memory.passed
    assert "2 CPU threads" in single.domain


def test_benchmark_times_each_batch_size():
    pipe = standins.StandInPipe()
    reference = Image.fromarray(standins.held_out(1).images[0])
    seconds = speed.benchmark(pipe, reference, [1, 4], repeats=3)
    assert pipe.batches == [1, 1, 1, 1, 4]
    assert [len(seconds[size]) for size in ("1", "4")] == [3, 1]
    assert all(value > 0 for values in seconds.values() for value in values)


def test_a_failing_benchmark_tells_why(tmp_path):
    with pytest.raises(RuntimeError, match="speed of no-such-model: the benchmark failed: .*"):
        speed.run("no-such-model", tmp_path, [1], 1)


def test_autoencoder_lines_against_the_known_error():
    heldout = standins.held_out(5)
    vae = standins.StandInAutoencoder()
    exact = standins.StandInAutoencoder()
    exact.gain.data.fill_(1.0)
    assert (reconstruction.reconstruct(exact, heldout.images) == heldout.images).all()
    signal, similarity = reconstruction.measure(vae, heldout.images, heldout.identities)
    pixels = heldout.images / 127.5 - 1
    rounding = 1 / 255**2 / 12
    expected = -10 * np.log10(((0.005 * pixels) ** 2).mean(axis=(1, 2, 3)) + rounding).mean()
    assert signal.value == pytest.approx(expected, abs=0.5)
    assert signal.n == similarity.n == 5 and signal.passed and similarity.passed
    assert similarity.value > 0.99 and signal.control < signal.value
    blank = standins.StandInAutoencoder()
    blank.gain.data.zero_()
    assert not any(line.passed for line in reconstruction.measure(blank, heldout.images, heldout.identities))
