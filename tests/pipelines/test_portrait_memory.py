"""Types and places: half precision and offloading change no picture."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from accelerate import cpu_offload

from tests.pipelines.components import toy_people, toy_pipeline
from tests.pipelines.test_portrait_pipeline import draw


@pytest.fixture
def pipe():
    return toy_pipeline()


def test_half_precision_has_no_mixed_types(pipe):
    full = draw(pipe)
    pipe.to(torch.bfloat16)
    assert {module.dtype for module in (pipe.unet, pipe.conditioner, pipe.vae)} == {torch.bfloat16}
    half = draw(pipe)
    assert np.isfinite(half).all() and np.abs(half - full).mean() < 0.1
    pipe.to(torch.float32)
    pipe.conditioner.to(torch.bfloat16)  # parts of different types meet at the borders
    pipe.image_encoder.to(torch.bfloat16)
    assert np.isfinite(draw(pipe)).all()


def test_model_offload_draws_the_same_picture(pipe):
    expected = draw(pipe, toy_people(pipe, 1))
    pipe.enable_model_cpu_offload(device="cpu")
    assert np.allclose(draw(pipe, toy_people(pipe, 1)), expected, atol=1e-5)
    assert hasattr(pipe.unet, "_hf_hook") and not hasattr(pipe.conditioner, "_hf_hook")
    pipe.remove_all_hooks()


def test_sequential_offload_draws_the_same_picture(pipe):
    expected = draw(pipe, toy_people(pipe, 1))
    # What `enable_sequential_cpu_offload` does, which itself insists on an accelerator.
    for name, model in pipe.components.items():
        if isinstance(model, torch.nn.Module) and name not in pipe._exclude_from_cpu_offload:
            cpu_offload(model, torch.device("cpu"), offload_buffers=bool(model._parameters))
    assert next(pipe.unet.parameters()).device.type == "meta"
    assert np.allclose(draw(pipe, toy_people(pipe, 1)), expected, atol=1e-5)
