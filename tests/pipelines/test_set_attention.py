from __future__ import annotations

import pytest
import torch
from diffusers.models.attention_processor import AttnProcessor2_0, XFormersAttnProcessor

from pipelines import attention, device
from pipelines.portrait.attention import IdentityProcessor
from tests.pipelines.components import toy_pipeline


def kinds(model) -> set[str]:
    return {
        type(item.processor).__name__
        for item in model.modules()
        if getattr(item, "processor", None) is not None
    }


def test_native_counts_every_layer():
    pipe = toy_pipeline()
    assert attention.set_attention(pipe, "native") == {"vae": 2, "unet": 8}
    assert kinds(pipe.unet) == {"AttnProcessor2_0", "IdentityProcessor"}


def test_what_does_not_run_here_is_refused_and_changes_nothing():
    pipe = toy_pipeline()
    before = dict(pipe.unet.attn_processors)
    with pytest.raises(ValueError, match="attention 'xformers': does not run on cpu; use 'native'"):
        attention.set_attention(pipe, "xformers")
    with pytest.raises(ValueError, match="attention 'fastest': expected one of .*xformers"):
        attention.set_attention(pipe, "fastest")
    with pytest.raises(ValueError, match="has layers of AttnProcessor2_0, which cannot use it"):
        attention.set_attention(pipe, "_native_math")
    assert pipe.unet.attn_processors == before


def test_stock_and_identity_layers_are_switched_and_switched_back(monkeypatch):
    pipe = toy_pipeline()
    monkeypatch.setattr(attention, "_try_operator", lambda *_: None)
    assert attention.set_attention(pipe, "xformers")["unet"] == 8
    processors = pipe.unet.attn_processors.values()
    ours = [item for item in processors if isinstance(item, IdentityProcessor)]
    assert len(ours) == 4 and all(item._attention_backend.value == "xformers" for item in ours)
    assert all(isinstance(item, XFormersAttnProcessor) for item in processors if item not in ours)
    attention.set_attention(pipe)
    assert all(item._attention_backend is None for item in ours)
    assert {type(item) for item in pipe.unet.attn_processors.values()} == {
        AttnProcessor2_0,
        IdentityProcessor,
    }


@torch.no_grad()
def test_identity_layers_compute_the_same_through_the_dispatcher():
    pipe = toy_pipeline()
    latents, text = torch.randn(1, 4, 8, 8), torch.randn(1, 9, 32)
    expected = pipe.unet(latents, 7, text).sample
    for item in pipe.unet.attn_processors.values():
        if isinstance(item, IdentityProcessor):
            item._attention_backend = "_native_math"
    assert torch.allclose(pipe.unet(latents, 7, text).sample, expected, atol=1e-6)


def test_an_operator_that_fails_is_the_reason_given():
    with pytest.raises(ValueError, match="attention 'flash': does not run on cpu in torch.float32"):
        attention._try_operator("flash", torch.device("cpu"), torch.float32)


def test_the_best_device_is_an_accelerator_when_there_is_one(monkeypatch):
    for name in device.ACCELERATORS:
        monkeypatch.setattr(getattr(torch, name), "is_available", lambda: False)
    assert device.best_device() == torch.device("cpu")
    monkeypatch.setattr(torch.mps, "is_available", lambda: True)
    assert device.best_device() == torch.device("mps")
    assert device.is_accelerator("mps") and not device.is_accelerator("cpu")
