"""The conditioner against diffusers' own projector, and against the formulas written out."""

from __future__ import annotations

import pytest
import torch
from diffusers.models.embeddings import IPAdapterFaceIDImageProjection, IPAdapterFaceIDPlusImageProjection
from torch.nn import functional

from pipelines.portrait.modules import IdentityConditioner, IdentityProjector, IdentityProjectorPlus
from tests.pipelines.components import toy_conditioner, toy_unet

_LAYER = {
    "0.norm1": "ln0", "0.norm2": "ln1", "0.to_q": "attn.to_q", "0.to_out": "attn.to_out.0",
    "1.0": "ff.0", "1.1": "ff.1.net.0.proj", "1.3": "ff.1.net.2",
}  # fmt: skip


def _converted(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Our projector's weights under the names of diffusers' class."""
    converted = {}
    for key, value in state.items():
        key = (
            key.replace("proj.0.", "proj.net.0.proj.")
            .replace("proj.2.", "proj.net.2.")
            .removeprefix("resampler.")
        )
        if not key.startswith("layers."):
            converted[key] = value
            continue
        _, number, name = key.split(".", 2)
        name, kind = name.rsplit(".", 1)
        start = f"layers.{number}."
        if name == "0.to_kv":
            converted[start + "attn.to_k.weight"], converted[start + "attn.to_v.weight"] = value.chunk(2)
        else:
            converted[f"{start}{_LAYER[name]}.{kind}"] = value
    return converted


@torch.no_grad()
@pytest.mark.parametrize("shortcut", [False, True])
@pytest.mark.parametrize("width", [128, 768])
def test_plus_projector_equals_that_of_diffusers(width, shortcut):
    torch.manual_seed(0)
    ours = IdentityProjectorPlus(64, 128, width, 4, 96, depth=2, head_dim=64, ff_mult=4, shortcut=shortcut)
    theirs = IPAdapterFaceIDPlusImageProjection(
        embed_dims=width, output_dims=width, hidden_dims=96, id_embeddings_dim=64, depth=2, heads=width // 64
    )
    theirs.load_state_dict(_converted(ours.state_dict()))
    theirs.shortcut = shortcut
    embeds, states = torch.randn(3, 64), torch.randn(3, 17, 96)
    theirs.clip_embeds = states[:, None]
    assert torch.allclose(ours(embeds, states), theirs(embeds), atol=1e-5)
    assert ours(embeds, states).std() > 0.5


@torch.no_grad()
def test_plain_projector_equals_that_of_diffusers():
    torch.manual_seed(0)
    ours = IdentityProjector(64, 64, 96, 4)
    theirs = IPAdapterFaceIDImageProjection(image_embed_dim=64, cross_attention_dim=96, mult=1, num_tokens=4)
    theirs.load_state_dict(
        {
            key.replace("proj.0.", "ff.net.0.proj.").replace("proj.2.", "ff.net.2."): x
            for key, x in ours.state_dict().items()
        }
    )
    embeds = torch.randn(3, 64)
    assert torch.allclose(ours(embeds), theirs(embeds).view(3, 4, 96), atol=1e-6)
    several = ours(embeds[None])  # three embeddings of one person stand side by side
    assert torch.allclose(several, ours(embeds).flatten(0, 1)[None], atol=1e-6)


@torch.no_grad()
def test_part_encoder_follows_the_formulas():
    conditioner = toy_conditioner(toy_unet())
    encoder = conditioner.part_encoder
    states = torch.randn(2, 7, 24)
    weights = dict(encoder.named_parameters())

    def linear(name, x):
        bias = weights.get(f"resampler.{name}.bias")
        return functional.linear(x, weights[f"resampler.{name}.weight"], bias)

    def norm(name, x):
        return functional.layer_norm(
            x, x.shape[-1:], weights[f"resampler.{name}.weight"], weights[f"resampler.{name}.bias"]
        )

    features, latents = linear("proj_in", states), encoder.latents.expand(2, -1, -1)
    looked, asked = norm("layers.0.0.norm1", features), norm("layers.0.0.norm2", latents)
    query = linear("layers.0.0.to_q", asked)
    key, value = linear("layers.0.0.to_kv", torch.cat([looked, asked], 1)).chunk(2, -1)
    heads = []
    for start in range(0, 32, 16):
        part = slice(start, start + 16)
        scores = query[..., part] @ key[..., part].transpose(1, 2) / 16**0.5
        heads.append(scores.softmax(-1) @ value[..., part])
    latents = latents + linear("layers.0.0.to_out", torch.cat(heads, -1))
    latents = latents + linear(
        "layers.0.1.3", functional.gelu(linear("layers.0.1.1", norm("layers.0.1.0", latents)))
    )
    expected = norm("norm_out", linear("proj_out", latents))[:, 0]
    assert torch.allclose(encoder(states), expected, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("count", range(6))
def test_fusion_merges_valid_parts_alone_and_leaves_its_input(count):
    conditioner = toy_conditioner(toy_unet())
    fuse = conditioner.fuse_module
    torch.manual_seed(1)
    text, parts = torch.randn(2, 12, 32), torch.randn(2, 5, 32)
    positions = torch.tensor([[3, 5, 6, 9, 11], [2, 4, 7, 8, 10]])
    valid = torch.zeros(2, 5, dtype=torch.bool)
    valid[0, :count] = True
    valid[1, 5 - count :] = True
    before, expected = text.clone(), text.clone()
    for row, part in valid.nonzero().tolist():
        word, token = text[row, positions[row, part]], parts[row, part]
        mixed = fuse.mlp1.layernorm(torch.cat([word, token]))
        mixed = fuse.mlp1.fc2(functional.gelu(fuse.mlp1.fc1(mixed))) + word
        mixed = mixed + fuse.mlp2.fc2(functional.gelu(fuse.mlp2.fc1(fuse.mlp2.layernorm(mixed))))
        expected[row, positions[row, part]] = fuse.layer_norm(mixed)
    fused = conditioner.fuse(text, parts, positions.where(valid, -1), valid)
    assert torch.allclose(fused, expected, atol=1e-5)
    assert torch.equal(text, before)
    assert torch.equal(fused == text, ~torch.isclose(fused, text).logical_not())  # other rows bit for bit
    missing_words = conditioner.fuse(text, parts, torch.full_like(positions, -1), torch.ones_like(valid))
    assert torch.equal(missing_words, text)


def test_everything_learns():
    conditioner = toy_conditioner(toy_unet())
    valid = torch.tensor([[True, True, False, True, True]])
    tokens = conditioner(torch.randn(1, 16), torch.randn(1, 5, 24), torch.randn(1, 5, 5, 24), valid)
    fused = conditioner.fuse(
        torch.randn(1, 8, 32), tokens.part_tokens, torch.tensor([[1, 2, 3, 4, 5]]), valid
    )
    (fused.square().mean() + tokens.id_tokens.square().mean()).backward()
    dead = [name for name, x in conditioner.named_parameters() if x.grad is None and "attention" not in name]
    assert dead == []


@torch.no_grad()
def test_legacy_order_gives_ears_the_eyes_only_when_both_are_there():
    unet = toy_unet()
    aligned, legacy = toy_conditioner(unet), toy_conditioner(unet, legacy_parts=True)
    embeds, states, parts = torch.randn(2, 16), torch.randn(2, 5, 24), torch.randn(2, 5, 5, 24)
    valid = torch.tensor([[True] * 5, [True, False, True, True, True]])
    straight = aligned(embeds, states, parts, valid).part_tokens
    crossed = legacy(embeds, states, parts, valid).part_tokens
    assert torch.equal(crossed[0], straight[0, [0, 2, 1, 3, 4]])
    assert torch.equal(crossed[1], straight[1])


def test_the_identity_branch_starts_as_the_text_branch():
    unet = toy_unet()
    conditioner = IdentityConditioner.for_unet(unet, variant="faceid", id_dim=8, num_tokens=2)
    names = [name.removesuffix(".processor") for name in unet.attn_processors]
    assert list(conditioner.attention) == [str(n) for n, name in enumerate(names) if name.endswith("attn2")]
    for index, weights in conditioner.attention.items():
        attention = unet.get_submodule(names[int(index)])
        assert torch.equal(weights.to_k_ip.weight, attention.to_k.weight)
        assert torch.equal(weights.to_v_ip.weight, attention.to_v.weight)
    assert conditioner.config.token_dim == 32


@torch.no_grad()
def test_save_and_load_keep_every_bit(tmp_path):
    conditioner = toy_conditioner(toy_unet(), rank=2)
    conditioner.save_pretrained(tmp_path)
    loaded = IdentityConditioner.from_pretrained(tmp_path)
    for name, value in conditioner.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value)
    assert "attention.1.to_k_ip.weight" in loaded.state_dict()


def test_wrong_inputs_are_named():
    conditioner = toy_conditioner(toy_unet())
    good = (
        torch.randn(1, 16),
        torch.randn(1, 5, 24),
        torch.randn(1, 5, 5, 24),
        torch.ones(1, 5, dtype=torch.bool),
    )
    with pytest.raises(ValueError, match=r"id_embeds \(1, 8\): image_encoder embeddings are 16 wide"):
        conditioner(torch.randn(1, 8), *good[1:])
    with pytest.raises(ValueError, match="clip_states: missing; variant consistentid needs it"):
        conditioner(good[0], None, *good[2:])
    with pytest.raises(ValueError, match="the states must be 24 wide"):
        conditioner(good[0], torch.randn(1, 5, 8), *good[2:])
    with pytest.raises(ValueError, match="part_valid: missing"):
        conditioner(*good[:3])
    with pytest.raises(ValueError, match="part_width=40: must be a multiple of head_dim=16"):
        toy_conditioner(toy_unet(), part_width=40)
    with pytest.raises(ValueError, match="variant='arcface': expected one of"):
        toy_conditioner(toy_unet(), variant="arcface")


def test_normed_and_raw_embeddings_are_told_apart():
    normed = toy_conditioner(toy_unet())
    raw = toy_conditioner(toy_unet(), normed_embedding=False)
    unit = functional.normalize(torch.randn(2, 16), dim=-1)
    for conditioner, good, bad in ((normed, unit, unit * 22), (raw, unit * 22, unit)):
        conditioner.check_embeddings(good)
        conditioner.check_embeddings(torch.zeros(1, 16))
        with pytest.raises(ValueError, match="id_embeds: length"):
            conditioner.check_embeddings(bad)


@torch.no_grad()
def test_golden_values():
    """Made by this code when it equalled the published one; a change here changes what old weights draw."""
    conditioner = toy_conditioner(toy_unet())
    for number, (_, parameter) in enumerate(sorted(conditioner.named_parameters())):
        ramp = torch.arange(parameter.numel(), dtype=torch.float64)
        parameter.copy_((torch.sin(ramp * 0.37 + number) * 0.2).view_as(parameter))
    wave = torch.sin(torch.arange(16 + 5 * 24 + 5 * 5 * 24, dtype=torch.float32))
    embeds, states, parts = wave[:16].view(1, 16), wave[16:136].view(1, 5, 24), wave[136:].view(1, 5, 5, 24)
    tokens = conditioner(embeds, states, parts, torch.ones(1, 5, dtype=torch.bool))
    assert torch.allclose(tokens.id_tokens[0, :, :3], torch.tensor(GOLDEN_ID), atol=1e-4)
    assert torch.allclose(tokens.part_tokens[0, 2, :3], torch.tensor(GOLDEN_EYES), atol=1e-4)


GOLDEN_ID = [[-0.244018, -0.080154, 0.153219], [-0.202977, -0.166802, 0.013022]]
GOLDEN_EYES = [0.130872, 0.161409, 0.121445]
