"""Published Stable-Makeup files: what the modules compute, against the formulas written here a second time."""

from __future__ import annotations

import copy
import math

import pytest
import torch

from pipelines.makeup import published
from pipelines.makeup.attention import check_text, install_makeup_attention
from pipelines.makeup.modules import detail_states
from tests.pipelines.components import TEXT_WIDTH
from tests.pipelines.makeup_files import LAYERS, four_level_unet, modules, toy_files


@pytest.fixture(scope="module")
def unet():
    return four_level_unet()


@pytest.fixture
def files(unet):
    return toy_files(unet)


PRECISIONS = [(torch.float32, 1e-5), (torch.float64, 1e-10)]


def oracle_norm(x, state, name):
    mean, variance = x.mean(-1, keepdim=True), x.var(-1, keepdim=True, correction=0)
    return (x - mean) / (variance + 1e-5).sqrt() * state[name + ".weight"] + state[name + ".bias"]


def oracle_attention(query, key, value, heads):
    """softmax(q k^T / sqrt(d)) v, one head after another."""
    out = []
    for q, k, v in zip(*(x.chunk(heads, dim=-1) for x in (query, key, value)), strict=True):
        out.append((q @ k.mT / math.sqrt(q.shape[-1])).softmax(-1) @ v)
    return torch.cat(out, dim=-1)


def oracle_states(pixels, state, layers=4, heads=16, patch=14):
    """Image encoder by hand: what goes into its first layer and what comes out of each."""
    state = {key.removeprefix("image_encoder.vision_model."): value for key, value in state.items()}

    def linear(x, name):
        return x @ state[name + ".weight"].T + state[name + ".bias"]

    kernel = state["embeddings.patch_embedding.weight"].flatten(1)
    patches = torch.nn.functional.unfold(pixels, patch, stride=patch).mT @ kernel.T
    first = state["embeddings.class_embedding"].expand(len(pixels), 1, -1)
    x = torch.cat([first, patches], dim=1) + state["embeddings.position_embedding.weight"]
    x = oracle_norm(x, state, "pre_layrnorm")
    states = [x]
    for number in range(layers):
        layer = f"encoder.layers.{number}."
        normed = oracle_norm(x, state, layer + "layer_norm1")
        projected = [linear(normed, f"{layer}self_attn.{name}_proj") for name in "qkv"]
        x = x + linear(oracle_attention(*projected, heads), layer + "self_attn.out_proj")
        inner = linear(oracle_norm(x, state, layer + "layer_norm2"), layer + "mlp.fc1")
        x = x + linear(inner * torch.sigmoid(1.702 * inner), layer + "mlp.fc2")
        states.append(x)
    return states


def oracle_mixer(x, state, heads=8, gate_half=1):
    normed = oracle_norm(x, state, "resampler.norm1")
    projected = [normed @ state[f"resampler.attn.to_{name}.weight"].T for name in "qkv"]
    out = oracle_attention(*projected, heads)
    x = x + out @ state["resampler.attn.to_out.0.weight"].T + state["resampler.attn.to_out.0.bias"]
    normed = oracle_norm(x, state, "resampler.norm2")
    halves = (
        normed @ state["resampler.ff.net.0.proj.weight"].T + state["resampler.ff.net.0.proj.bias"]
    ).chunk(2, -1)
    value, gate = halves[1 - gate_half], halves[gate_half]
    inner = value * gate * 0.5 * (1 + torch.erf(gate / math.sqrt(2)))
    return x + inner @ state["resampler.ff.net.2.weight"].T + state["resampler.ff.net.2.bias"]


def in_precision(unet, files, dtype):
    made = published.load_published(unet, files)
    parts = [copy.deepcopy(unet), *modules(made)]
    return [part.to(dtype) for part in parts], [{k: v.to(dtype) for k, v in state.items()} for state in files]


def noise(*shape, seed=7, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def error(ours, theirs):
    assert ours.shape == theirs.shape
    return (ours - theirs).abs().max().item()


@torch.no_grad()
@pytest.mark.parametrize(("dtype", "bar"), PRECISIONS)
def test_tokens_of_a_reference_are_states_2_4_shallow_first_then_mixed(unet, files, dtype, bar):
    (_, encoder, adapter, *_), (state, *_) = in_precision(unet, files, dtype)
    pixels = noise(2, 3, 28, 28, dtype=dtype)
    ours = encoder(pixels, output_hidden_states=True).hidden_states
    theirs = oracle_states(pixels, state)
    assert len(ours) == len(theirs) == 5
    assert max(error(*pair) for pair in zip(ours, theirs, strict=True)) <= bar
    tokens = torch.cat([theirs[2], theirs[4]], dim=1)
    assert error(detail_states(ours), tokens) <= bar
    assert error(adapter(ours), oracle_mixer(tokens, state)) <= bar
    assert adapter(ours).shape == (2, 2 * 5, 48)
    for wrong in (
        oracle_mixer(torch.cat([theirs[4], theirs[2]], dim=1), state),
        oracle_mixer(torch.cat([theirs[1], theirs[3]], dim=1), state),
        oracle_mixer(tokens, state, gate_half=0),
        oracle_mixer(tokens, state, heads=4),
    ):
        assert error(adapter(ours), wrong) > 1e-3  # the bar would tell them apart


@torch.no_grad()
@pytest.mark.parametrize(("dtype", "bar"), PRECISIONS)
def test_every_layer_attends_by_the_formula(unet, files, dtype, bar):
    (denoiser, _, adapter, *_), (state, *_) = in_precision(unet, files, dtype)
    install_makeup_attention(denoiser, adapter.attention)
    own = denoiser.state_dict()
    tokens = noise(2, 10, 48, dtype=dtype)
    for index, place in LAYERS.items():
        name = f"{place}.transformer_blocks.0.attn2"
        attn = denoiser.get_submodule(name)
        x = noise(2, 6, own[f"{name}.to_q.weight"].shape[1], seed=index, dtype=dtype)
        query = x @ own[f"{name}.to_q.weight"].T
        key, value = (tokens @ state[f"SSR_layers.{index}.to_{kind}_SSR.weight"].T for kind in "kv")
        mixed = oracle_attention(query, key, value, attn.heads)
        for scale in (1.0, 0.4):
            attn.processor.scale = scale
            theirs = scale * mixed @ own[f"{name}.to_out.0.weight"].T + own[f"{name}.to_out.0.bias"]
            assert error(attn(x, encoder_hidden_states=tokens), theirs) <= bar


def test_training_attends_by_the_same_formula(unet, files):
    (denoiser, _, adapter, *_), _ = in_precision(unet, files, torch.float32)
    install_makeup_attention(denoiser, adapter.attention)
    attn = denoiser.mid_block.attentions[0].transformer_blocks[0].attn2
    x, tokens = noise(2, 6, 32, dtype=torch.float32), noise(2, 10, 48, dtype=torch.float32)
    trained = attn(x, encoder_hidden_states=tokens)
    with torch.no_grad():
        assert error(trained, attn(x, encoder_hidden_states=tokens)) <= 1e-5
    trained.sum().backward()
    assert adapter.attention["31"].to_v.weight.grad.abs().sum() > 0


@torch.no_grad()
def test_scale_zero_leaves_the_output_projection_of_nothing(unet, files):
    (denoiser, _, adapter, *_), _ = in_precision(unet, files, torch.float32)
    install_makeup_attention(denoiser, adapter.attention)
    for place in LAYERS.values():
        attn = denoiser.get_submodule(f"{place}.transformer_blocks.0.attn2")
        attn.processor.scale = 0.0
        x = noise(1, 6, attn.to_q.in_features, dtype=torch.float32)
        out = attn(x, encoder_hidden_states=noise(1, 10, 48, dtype=torch.float32))
        assert torch.equal(out, attn.to_out[0](torch.zeros(1, 6, attn.to_q.out_features)))
        assert torch.equal(out, attn.to_out[0].bias.expand_as(out))


@torch.no_grad()
def test_the_order_of_tokens_does_not_matter(unet, files):
    (denoiser, _, adapter, *_), _ = in_precision(unet, files, torch.float64)
    install_makeup_attention(denoiser, adapter.attention)
    tokens, order = noise(1, 10, 48), torch.randperm(10, generator=torch.Generator().manual_seed(3))
    mixed = adapter.mixer(tokens)
    assert error(adapter.mixer(tokens[:, order]), mixed[:, order]) <= 1e-12
    latents = noise(1, 4, 8, 8)
    first = denoiser(latents, 10, mixed).sample
    assert error(denoiser(latents, 10, mixed[:, order]).sample, first) <= 1e-12
    assert error(denoiser(latents, 10, adapter.mixer(noise(1, 10, 48, seed=8))).sample, first) > 1e-6


@torch.no_grad()
def test_swapped_controlnets_draw_something_else(unet, files):
    source, drawing = (noise(1, 3, 64, 64, seed=seed, dtype=torch.float32) for seed in (1, 2))
    latents = noise(1, 4, 8, 8, dtype=torch.float32)
    text, tokens = noise(1, 7, TEXT_WIDTH, dtype=torch.float32), noise(1, 10, 48, dtype=torch.float32)

    def draw(paths):
        made, denoiser = published.load_published(unet, paths), copy.deepcopy(unet)
        install_makeup_attention(denoiser, made.adapter.attention)
        down, middle = made.content_controlnet(latents, 10, text, source, return_dict=False)
        more, further = made.structure_controlnet(latents, 10, text, drawing, return_dict=False)
        added = [a + b for a, b in zip(down, more, strict=True)]
        return denoiser(
            latents, 10, tokens,
            down_block_additional_residuals=added, mid_block_additional_residual=middle + further,
        ).sample  # fmt: skip

    right = draw(files)
    assert torch.equal(draw(files), right)
    assert error(draw([files[0], files[2], files[1]]), right) > 1e-4


def test_makeup_tokens_are_kept_from_a_controlnet(unet, files):
    made = published.load_published(unet, files)
    check_text(made.content_controlnet, torch.zeros(2, 77, TEXT_WIDTH))
    with pytest.raises(
        ValueError, match=r"ControlNet: states \(2, 10, 48\), expected the embedding of the empty"
    ):
        check_text(made.content_controlnet, torch.zeros(2, 10, 48))
    with pytest.raises(
        ValueError, match=r"ControlNet: states \(20, 48\), expected .* 32 wide; makeup tokens"
    ):
        check_text(made.structure_controlnet, torch.zeros(2, 10, 48).flatten(0, 1))


def test_text_is_kept_from_makeup_attention(unet, files):
    denoiser = copy.deepcopy(unet)
    install_makeup_attention(denoiser, published.load_published(unet, files).adapter.attention)
    with pytest.raises(ValueError, match=r"tokens \(1, 77, 32\), expected makeup tokens 48 wide"):
        denoiser(torch.zeros(1, 4, 8, 8), 10, torch.zeros(1, 77, TEXT_WIDTH))
