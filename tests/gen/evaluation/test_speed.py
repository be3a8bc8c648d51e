"""Time and memory, and the autoencoder lines."""

from __future__ import annotations

import pathlib
from types import SimpleNamespace

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


def test_a_failing_benchmark_tells_why(monkeypatch, tmp_path):
    failed = SimpleNamespace(returncode=1, stderr="Traceback ...\nOSError: no such model\n")
    monkeypatch.setattr(speed.subprocess, "run", lambda *arguments, **options: failed)
    with pytest.raises(RuntimeError, match="speed of a-model: the benchmark failed: OSError: no such model$"):
        speed.run("a-model", tmp_path, [1], 1)


def test_the_child_is_given_the_model_the_data_and_the_sizes(monkeypatch, tmp_path):
    def child(command, **options):
        arguments = command[command.index("gen.evaluation.speed") + 1 :]
        assert arguments[:2] == ["mini", str(tmp_path)]
        assert arguments[3:] == ["--repeats", "5", "--sizes", "1", "16"]
        pathlib.Path(arguments[2]).write_text('{"seconds": {}, "peak_bytes": 1}')
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(speed.subprocess, "run", child)
    assert speed.run("mini", tmp_path, [1, 16], 5) == {"seconds": {}, "peak_bytes": 1}


def test_autoencoder_lines_against_the_known_error():
    heldout = standins.held_out(5)
    vae = standins.StandInAutoencoder()
    exact = standins.StandInAutoencoder()
    exact.gain.data.fill_(1.0)
    assert (reconstruction.reconstruct(exact, heldout.images) == heldout.images).all()
    signal, similarity = reconstruction.measure(vae, heldout.images, heldout.identities)
    # A gain of 0.99 on -1..1 moves a value v of 0..255 by 0.01 |v - 127.5|, then it is rounded.
    pixels = heldout.images.astype(float)
    rebuilt = np.rint(127.5 + 0.99 * (pixels - 127.5))
    error = (((rebuilt - pixels) / 255) ** 2).mean(axis=(1, 2, 3))
    assert signal.value == pytest.approx((-10 * np.log10(error)).mean(), abs=0.3)
    assert signal.n == similarity.n == 5 and signal.passed and similarity.passed
    assert similarity.value > 0.99 and signal.control < signal.value
    blank = standins.StandInAutoencoder()
    blank.gain.data.zero_()
    assert not any(line.passed for line in reconstruction.measure(blank, heldout.images, heldout.identities))
