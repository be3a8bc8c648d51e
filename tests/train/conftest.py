"""Fixtures of the training tests: the toy task, and a runner for whole runs in a process of their own."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from tests.train.heads import write_shards
from train.tasks.encoder import EncoderConfig, EncoderTask
from train.tasks.vae import VaeConfig, VaeTask

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


@pytest.fixture(scope="session")
def toy() -> ModuleType:
    """The module toy.py, with its task and recipe registered."""
    if "train_toy" not in sys.modules:
        spec = importlib.util.spec_from_file_location("train_toy", HERE / "toy.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules["train_toy"] = module
        spec.loader.exec_module(module)
    return sys.modules["train_toy"]


@pytest.fixture
def run_toy(tmp_path):
    """Run the toy recipe in a process of its own (several with `processes`); return the finished process."""

    def run(*arguments: str, processes: int = 1) -> subprocess.CompletedProcess[str]:
        many = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
        command = [sys.executable, *(many if processes > 1 else []), str(HERE / "toy.py"), "toy"]
        command += ["--runs", str(tmp_path), "--cpu", *arguments]
        path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        env = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
        return subprocess.run(
            command, env=env, capture_output=True, text=True, timeout=600, start_new_session=True
        )

    return run


@pytest.fixture(scope="session")
def shards(tmp_path_factory) -> Path:
    """Four people in two pictures each."""
    return write_shards(tmp_path_factory.mktemp("heads"))


@pytest.fixture(scope="session")
def frozen_parts(shards, tmp_path_factory) -> dict[str, Path]:
    """An autoencoder and an image encoder, untrained and small."""
    folder = tmp_path_factory.mktemp("parts")
    torch.manual_seed(0)
    vae = VaeTask(VaeConfig(shards=shards, heldout=shards, channels=(8, 16)))
    vae.export(vae.build(), folder / "vae")
    encoder = EncoderTask(
        EncoderConfig(
            shards=(shards,), width=64, layers=1, heads=1, embedding=32, stem=(8, 16, 32), traits="sliders"
        )
    )
    encoder.export(encoder.build(), folder / "encoder")
    return {"vae": folder / "vae", "image_encoder": folder / "encoder"}
