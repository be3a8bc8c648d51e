"""Decoupled attention against diffusers' IP-Adapter processor, and the localisation loss by hand."""

from __future__ import annotations

import copy

import pytest
import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor2_0, IPAdapterAttnProcessor2_0
from peft import LoraConfig

from pipelines.portrait.attention import (
    IdentityContext,
    IdentityProcessor,
    attention_layers,
    install_identity_attention,
    record_text_attention,
    remove_identity_attention,
)
from pipelines.portrait.localization import localization_loss, mean_localization_loss
from tests.pipelines.components import toy_conditioner, toy_unet


def inputs(seed: int = 0):
    """Noisy latents, text and identity tokens of two samples."""
    torch.manual_seed(seed)
    return torch.randn(2, 4, 8, 8), torch.randn(2, 9, 32), torch.randn(2, 2, 32)


def call(unet, latents, text, context=None):
    kwargs = None if context is None else {"ip_hidden_states": context}
    return unet(latents, 7, text, cross_attention_kwargs=kwargs).sample


@torch.no_grad()
def _with_diffusers_processors(unet, weights, scale: float = 1.0):
    """The same UNet with diffusers' IP-Adapter processors and the low-rank updates merged into its weights."""
    unet = copy.deepcopy(unet)
    processors = {}
    for layer in attention_layers(unet):
        attention, weight = (
            unet.get_submodule(layer.name.removesuffix(".processor")),
            weights[str(layer.index)],
        )
        targets = {"q": attention.to_q, "k": attention.to_k, "v": attention.to_v, "out": attention.to_out[0]}
        for name, target in targets.items():
            update = getattr(weight, f"to_{name}_lora")
            target.weight += update.up.weight @ update.down.weight
        if not layer.token_dim:
            processors[layer.name] = AttnProcessor2_0()
            continue
        processor = IPAdapterAttnProcessor2_0(layer.hidden, layer.token_dim, num_tokens=(2,), scale=scale)
        processor.to_k_ip[0].weight.copy_(weight.to_k_ip.weight)
        processor.to_v_ip[0].weight.copy_(weight.to_v_ip.weight)
        processors[layer.name] = processor
    unet.set_attn_processor(processors)
    return unet


@torch.no_grad()
@pytest.mark.parametrize("scale", [1.0, 0.4])
def test_a_unet_equals_diffusers_with_merged_low_rank_updates(scale):
    unet = toy_unet()
    conditioner = toy_conditioner(unet, rank=4)
    latents, text, tokens = inputs()
    theirs = _with_diffusers_processors(unet, conditioner.attention, scale)
    expected = theirs(latents, 7, torch.cat([text, tokens], dim=1)).sample
    install_identity_attention(unet, conditioner.attention)
    ours = call(unet, latents, text, IdentityContext(tokens, scale))
    assert (ours - expected).abs().max() < 1e-5
    without = call(unet, latents, text, IdentityContext(tokens, scale, 0.0))
    assert (without - expected).abs().max() > 0.05 * expected.std()


@torch.no_grad()
def test_strength_zero_is_the_base_model_and_effect_grows_with_strength():
    unet = toy_unet()
    conditioner = toy_conditioner(unet, rank=4)
    latents, text, tokens = inputs()
    base = call(unet, latents, text)
    install_identity_attention(unet, conditioner.attention)
    assert torch.equal(call(unet, latents, text), base)
    off = call(unet, latents, text, IdentityContext(tokens, 0.0, 0.0))
    assert (off - base).abs().max() < 1e-6
    effects = [
        (call(unet, latents, text, IdentityContext(tokens, scale, 0.0)) - base).norm()
        for scale in (0.25, 0.5, 1.0)
    ]
    assert 0 < effects[0] < effects[1] < effects[2]
    each = call(unet, latents, text, IdentityContext(tokens, torch.tensor([0.0, 1.0]), 0.0))
    assert torch.allclose(each[0], base[0], atol=1e-6)
    assert torch.allclose(each[1], call(unet, latents, text, IdentityContext(tokens, 1.0, 0.0))[1], atol=1e-5)


@torch.no_grad()
def test_removing_restores_the_unet_and_keeps_the_lora_of_the_user():
    unet = toy_unet()
    latents, text, tokens = inputs()
    unet.add_adapter(LoraConfig(r=2, target_modules=["to_q", "to_k"], init_lora_weights=False))
    before = {key: value.clone() for key, value in unet.state_dict().items()}
    processors = dict(unet.attn_processors)
    expected = call(unet, latents, text)
    install_identity_attention(unet, toy_conditioner(unet, rank=2).attention)
    assert unet.state_dict().keys() == before.keys()
    assert not torch.equal(call(unet, latents, text, IdentityContext(tokens)), expected)
    remove_identity_attention(unet)
    assert unet.attn_processors == processors
    assert torch.equal(call(unet, latents, text), expected)
    assert all(torch.equal(value, before[key]) for key, value in unet.state_dict().items())


def test_layers_are_counted_down_up_middle():
    def names(**config):
        return [
            layer.name
            for layer in attention_layers(toy_unet(norm_num_groups=2, attention_head_dim=1, **config))
        ]

    blocks = {
        "block_out_channels": (2, 2, 2, 2),
        "down_block_types": ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
        "up_block_types": ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
        "layers_per_block": 2,
    }
    sd15 = names(**blocks)
    assert len(sd15) == 32
    assert [sd15.index(name) for name in sd15 if name.startswith("mid_block")] == [30, 31]
    assert next(n for n, name in enumerate(sd15) if name.startswith("up_blocks")) == 12
    assert all(("attn1" if index % 2 == 0 else "attn2") in name for index, name in enumerate(sd15))
    sdxl = names(
        block_out_channels=(2, 2, 2),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        layers_per_block=2,
        transformer_layers_per_block=(1, 2, 10),
    )
    assert len(sdxl) == 140
    assert next(n for n, name in enumerate(sdxl) if name.startswith("up_blocks")) == 48
    assert next(n for n, name in enumerate(sdxl) if name.startswith("mid_block")) == 120


def test_weights_of_another_unet_are_refused():
    other = toy_conditioner(toy_unet(block_out_channels=(32, 32)), variant="faceid").attention
    with pytest.raises(
        ValueError, match=r"attention layer 1 \(.*attn2.processor\): identity keys map 32 to 32"
    ):
        install_identity_attention(toy_unet(), other)
    weights = toy_conditioner(toy_unet()).attention["1"]
    with pytest.raises(ValueError, match="attention layer 99: the UNet has 8 attention layers"):
        install_identity_attention(toy_unet(), {"99": weights})


@torch.no_grad()
def test_masks_reach_the_text_branch():
    unet = toy_unet()
    conditioner = toy_conditioner(unet)
    latents, text, tokens = inputs()
    mask = torch.ones(2, 9)
    mask[:, 5:] = 0
    short = unet(latents, 7, text[:, :5]).sample
    install_identity_attention(unet, conditioner.attention)
    masked = unet(latents, 7, text, encoder_attention_mask=mask).sample
    assert torch.allclose(masked, short, atol=1e-5)


def loss(probabilities, positions, masks, valid=None, size=(2, 2)):
    valid = torch.ones_like(positions, dtype=torch.bool) if valid is None else valid
    return float(localization_loss(probabilities, positions, masks, valid, size))


def test_localization_by_hand():
    # One head on a 2 x 2 grid; the part is the left column; its word is token 1.
    attention = torch.tensor([[0.6, 0.4], [0.8, 0.2], [0.2, 0.8], [0.9, 0.1]])
    masks = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    relative = [0.4 / 0.80001, 0.2 / 0.80001, 0.8 / 0.80001, 0.1 / 0.80001]
    outside, inside = (relative[1] + relative[3]) / 2, (relative[0] + relative[2]) / 2
    expected = outside - inside
    value = loss(attention[None, None], torch.tensor([[1]]), masks[None, None])
    assert value == pytest.approx(expected, abs=1e-4)


def test_localization_rewards_attention_inside_and_ignores_invalid_parts():
    size = (4, 2)  # latents need not be square
    masks = torch.zeros(1, 2, 4, 2)
    masks[:, :, :2] = 1
    inside = masks[:, :1].flatten(2).transpose(1, 2)[:, None].expand(1, 3, 8, 6)
    positions = torch.tensor([[2, 4]])
    assert loss(inside, positions, masks, size=size) == pytest.approx(-1, abs=1e-3)
    assert loss(1 - inside, positions, masks, size=size) == pytest.approx(1, abs=1e-3)
    nothing = torch.zeros(1, 2, dtype=torch.bool)
    assert loss(inside, positions, masks, nothing, size) == 0
    mixed = inside.clone()
    mixed[..., 4] = 1 - mixed[..., 4]
    assert loss(mixed, positions, masks, torch.tensor([[True, False]]), size) == pytest.approx(-1, abs=1e-3)
    assert loss(mixed, torch.tensor([[2, -1]]), masks, size=size) == pytest.approx(-1, abs=1e-3)


def test_recording_changes_nothing_and_trains_the_queries_of_chosen_layers():
    unet = toy_unet()
    conditioner = toy_conditioner(unet, rank=2)
    install_identity_attention(unet, conditioner.attention)
    unet.requires_grad_(False)
    latents, text, tokens = inputs()
    context = IdentityContext(tokens)
    plain = call(unet, latents, text, context)
    with record_text_attention(unet, ("mid_block",)) as recorded:
        seen = call(unet, latents, text, context)
    assert torch.allclose(plain, seen, atol=1e-5)
    assert [x.shape for items in recorded.values() for x in items] == [(2, 2, 16, 9)]
    assert torch.allclose(next(iter(recorded.values()))[0].sum(-1), torch.ones(()), atol=1e-5)
    masks = torch.rand(2, 5, 32, 32)
    positions, valid = torch.arange(1, 6).expand(2, 5), torch.ones(2, 5, dtype=torch.bool)
    mean_localization_loss(recorded, positions, masks, valid, (8, 8)).backward()
    layers = {layer.index: layer for layer in attention_layers(unet)}
    moved = {
        (layers[int(index)].name.split(".")[0], name)
        for index, weights in conditioner.attention.items()
        for name, parameter in weights.named_parameters()
        if parameter.grad is not None and parameter.grad.abs().max() > 0 and layers[int(index)].token_dim
    }
    chosen = {("mid_block", f"to_{x}_lora.{part}.weight") for x in "qk" for part in ("down", "up")}
    assert chosen <= moved
    assert not any(block == "up_blocks" for block, _ in moved)
    call(unet, latents, text, context)
    assert len(next(iter(recorded.values()))) == 1  # recording has ended
    with pytest.raises(ValueError, match="no cross-attention layer with identity attention begins with"), \
            record_text_attention(unet, ("middle",)):  # fmt: skip
        pass
    with pytest.raises(ValueError, match=r"16 positions of attention: no halving of \(6, 6\)"):
        mean_localization_loss(recorded, positions, masks, valid, (6, 6))


def test_gradient_checkpointing_gives_the_same_gradients():
    def gradients(is_checkpointed: bool) -> list[torch.Tensor]:
        unet: UNet2DConditionModel = toy_unet().train()
        conditioner = toy_conditioner(unet)
        install_identity_attention(unet, conditioner.attention)
        if is_checkpointed:
            unet.enable_gradient_checkpointing()
        latents, text, tokens = inputs()
        call(unet, latents, text, IdentityContext(tokens.requires_grad_())).square().mean().backward()
        return [tokens.grad, *(x.grad for x in conditioner.attention.parameters())]

    for plain, checkpointed in zip(gradients(False), gradients(True), strict=True):
        assert torch.allclose(plain, checkpointed, atol=1e-6)
        assert plain.abs().max() > 0


def test_pictures_as_input_and_residuals():
    """Layers of `AttnDownBlock2D` get (b, c, h, w) and add it to what they give."""
    unet = toy_unet()
    layer = attention_layers(unet)[0]
    attention = copy.deepcopy(unet.get_submodule(layer.name.removesuffix(".processor")))
    attention.residual_connection, attention.rescale_output_factor = True, 2.0
    picture = torch.randn(2, 16, 4, 6)
    expected = attention(picture)
    conditioner = toy_conditioner(unet, rank=2)
    attention.set_processor(IdentityProcessor(conditioner.attention["0"], attention.processor))
    assert torch.allclose(attention(picture), expected, atol=1e-6)
