"""Averaging two pipelines: by hand, at both ends, and refused where they differ."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file, save_file

from train.average import average


@pytest.fixture
def pipelines(tmp_path):
    for name, value in (("old", 1.0), ("new", 3.0)):
        (tmp_path / name / "unet").mkdir(parents=True)
        tensors = {"weight": torch.full((2, 2), value).half(), "count": torch.tensor(int(value))}
        save_file(tensors, tmp_path / name / "unet/model.safetensors", metadata={"format": "pt"})
        (tmp_path / name / "model_index.json").write_text(name)
    return tmp_path


@pytest.mark.parametrize(("share", "weight"), [(0.0, 1.0), (0.25, 1.5), (1.0, 3.0)])
def test_weights_lie_between_and_all_else_is_the_newer(pipelines, share, weight):
    average(pipelines / "old", pipelines / "new", share, pipelines / "out")
    mean = load_file(pipelines / "out/unet/model.safetensors")
    assert mean["weight"].dtype == torch.float16 and (mean["weight"] == weight).all()
    assert mean["count"] == 3
    assert (pipelines / "out/model_index.json").read_text() == "new"


def test_other_networks_and_shares_are_refused(pipelines):
    with pytest.raises(ValueError, match="share 2 is outside"):
        average(pipelines / "old", pipelines / "new", 2, pipelines / "out")
    save_file({"weight": torch.zeros(3)}, pipelines / "old/unet/model.safetensors")
    with pytest.raises(ValueError, match="differ"):
        average(pipelines / "old", pipelines / "new", 0.5, pipelines / "out")
