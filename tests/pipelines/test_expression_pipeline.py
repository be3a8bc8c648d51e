"""What `ExpressionPipeline` adds to a portrait: action units, semantic guidance, the layout of a seed face."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler, EulerDiscreteScheduler

from faces import vocabulary
from faces.perception import PerceptionNet
from pipelines.expression.guidance import ExpressionGuide, clean_estimate, descend
from pipelines.expression.modules import BRANCH, ActionUnitAdapter
from pipelines.expression.pipeline import ExpressionPipeline
from pipelines.expression.units import at_rest, typical_units
from pipelines.portrait.attention import install_identity_attention
from pipelines.portrait.pipeline import PortraitPipeline
from tests.pipelines.components import generators, toy_components, toy_frames, toy_people

SMILE, FROWN = {"AU12": 1.0}, {"AU4": 1.0}


def toy_adapter(unet, **config) -> ActionUnitAdapter:
    """An adapter with every weight drawn at random, so that each part has an effect."""
    torch.manual_seed(3)
    adapter = ActionUnitAdapter.for_unet(unet, num_tokens=2, hidden=16, **config)
    for parameter in adapter.attention.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return adapter.eval()


def toy_expression(**components) -> ExpressionPipeline:
    parts = toy_components() | components
    pipe = ExpressionPipeline(**parts, action_unit_adapter=toy_adapter(parts["unet"]))
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture
def pipe():
    return toy_expression()


def draw(pipe, units=None, seeds=(0,), people=None, prompt="a man", **options):
    defaults = {"num_inference_steps": 3, "output_type": "np", "generator": generators(*seeds)}
    people = toy_people(pipe, 1) if people is None else people
    return pipe(prompt=prompt, action_units=units, conditioning=people, **defaults | options).images


class Darkness:
    """A guide that wants dark pictures."""

    def __call__(self, images):
        return images.flatten(1).mean(dim=1)


def test_without_units_it_is_the_portrait_pipeline(pipe):
    parts = {name: part for name, part in pipe.components.items() if name != "action_unit_adapter"}
    people = toy_people(pipe, 1)
    mine = draw(pipe, people=people)
    portrait = PortraitPipeline(**parts)
    portrait.set_progress_bar_config(disable=True)
    theirs = portrait(
        prompt="a man", conditioning=people, num_inference_steps=3, output_type="np", generator=generators(0),
        merge_step=-1,
    ).images  # fmt: skip
    np.testing.assert_array_equal(mine, theirs)


def test_units_change_the_picture_and_their_scale_how_much(pipe):
    free, smile, frown = draw(pipe), draw(pipe, SMILE), draw(pipe, FROWN)
    assert not np.array_equal(free, smile) and not np.array_equal(smile, frown)
    np.testing.assert_array_equal(draw(pipe, SMILE, unit_scale=0.0), free)
    weak, strong = (np.abs(draw(pipe, SMILE, unit_scale=scale) - free).mean() for scale in (0.3, 1.0))
    assert 0 < weak < strong


def test_a_batch_draws_what_single_calls_draw(pipe):
    both = draw(pipe, [SMILE, FROWN], seeds=(1, 2))
    for row, (units, seed) in enumerate(((SMILE, 1), (FROWN, 2))):
        np.testing.assert_allclose(both[row], draw(pipe, units, seeds=(seed,))[0], atol=1e-5)


def test_sides_and_rest_differ_from_free():
    adapter = toy_adapter(toy_components()["unet"])
    values, specified = adapter.table([{"AU12": 0.5}, {"AU12L": 0.5}, {}, at_rest()], 4)
    left, right = (vocabulary.UNIT_COLUMNS.index(name) for name in ("AU12L", "AU12R"))
    assert values[0, [left, right]].tolist() == [0.5, 0.5] and values[1, right] == 0
    assert specified.sum(dim=1).tolist() == [2, 1, 0, len(vocabulary.UNIT_COLUMNS)]
    tokens = adapter(values, specified)
    assert (tokens[2] - tokens[3]).abs().max() > 1e-3
    # What is not specified cannot matter.
    changed = values.clone()
    changed[1, right] = 1.2
    torch.testing.assert_close(adapter(changed, specified)[1], tokens[1])


@pytest.mark.parametrize(
    ("units", "message"),
    [
        ({"AU99": 1.0}, "unknown 'AU99'"),
        ({"AU12": 1.7}, "expected 0..1.5"),
        ({"AU12": float("nan")}, "expected 0..1.5"),
        ([{}, {}, {}], "3 mappings of action units|3 given for"),
    ],
)
def test_wrong_units_are_refused_by_name(pipe, units, message):
    with pytest.raises(ValueError, match=message):
        draw(pipe, units, prompt=["a man", "a woman"], people=toy_people(pipe, 2), seeds=(0, 1))


def test_one_prompt_serves_several_expressions(pipe):
    images = pipe(
        prompt="a man", expression=["happy", "sad", None], num_inference_steps=2, output_type="np",
        generator=generators(1, 1, 1),
    ).images  # fmt: skip
    assert len(images) == 3 and not np.array_equal(images[0], images[1])


def test_typical_units_are_those_of_the_rig_with_all_else_at_rest():
    (happy,) = typical_units(None, ["happy"], 1.0)
    assert happy["AU12L"] == happy["AU12R"] == 0.85 and happy["AU4L"] == 0
    (half,) = typical_units(None, ["happy"], 0.5)
    assert half["AU12L"] == pytest.approx(0.425)
    assert typical_units({"AU4": 0.3}, ["happy"], 1.0) == [{"AU4": 0.3}]
    with pytest.raises(ValueError, match="known are neutral, happy"):
        typical_units(None, ["joyful"], 1.0)


def test_action_units_are_free_until_they_start(pipe):
    frown = {"AU4": 1.0, "AU15": 0.8}
    never = draw(pipe, SMILE, unit_start=1.0)
    np.testing.assert_array_equal(draw(pipe, frown, unit_start=1.0), never)
    late, early = draw(pipe, SMILE, unit_start=0.5), draw(pipe, SMILE)
    assert 0 < np.abs(late - never).mean() < np.abs(early - never).mean()
    with pytest.raises(ValueError, match="unit_start=1.5: expected a share"):
        draw(pipe, SMILE, unit_start=1.5)


def test_guidance_waits_for_the_action_units(pipe):
    call = {"num_inference_steps": 4, "semantic_scale": 0.1, "semantic_every": 1, "unit_start": 0.5}
    call |= {"guide": Darkness(), "generator": generators(0), "output_type": "np"}
    assert pipe(prompt="a man", action_units=SMILE, **call).guide_losses.shape == (2, 1)
    assert pipe(prompt="a man", **call).guide_losses.shape == (3, 1)  # from `semantic_start` on


def test_guidance_off_is_equal_bit_by_bit(pipe):
    plain = draw(pipe, SMILE)
    np.testing.assert_array_equal(draw(pipe, SMILE, guide=Darkness(), semantic_scale=0.0), plain)
    np.testing.assert_array_equal(
        draw(pipe, SMILE, guide=Darkness(), semantic_scale=1.0, semantic_start=1.0), plain
    )
    assert not np.array_equal(draw(pipe, SMILE, guide=Darkness(), semantic_scale=1.0), plain)


@pytest.mark.parametrize("scheduler", [DDIMScheduler, DPMSolverMultistepScheduler, EulerDiscreteScheduler])
def test_guidance_lowers_the_loss_of_its_guide(scheduler):
    pipe = toy_expression(scheduler=scheduler(num_train_timesteps=1000))
    won = 0
    for seed in range(6):
        call = {"seeds": (seed,), "num_inference_steps": 6, "guidance_scale": 1.0}
        plain = draw(pipe, SMILE, **call).mean()
        guided = draw(pipe, SMILE, guide=Darkness(), semantic_scale=8.0, semantic_start=0.0, **call).mean()
        won += guided < plain
    assert won >= 5


@pytest.mark.parametrize(("start", "every", "steps"), [(0.5, 1, 2), (0.1, 2, 2), (0.0, 2, 2), (0.0, 1, 4)])
def test_losses_of_guided_steps_are_told(pipe, start, every, steps):
    result = pipe(
        prompt="a man", action_units=SMILE, num_inference_steps=4, semantic_start=start, semantic_scale=0.1,
        semantic_every=every, unit_start=0.0, guide=Darkness(), generator=generators(0), output_type="np",
    )  # fmt: skip
    assert result.guide_losses.shape == (steps, 1)
    assert draw(pipe) is not None and pipe(prompt="a man", num_inference_steps=1).guide_losses is None


def test_descent_has_the_length_that_is_asked_for():
    torch.manual_seed(0)
    condition, gradient = torch.randn(2, 3, 4), torch.randn(2, 3, 4)
    moved = condition - descend(condition, gradient, 0.7, "global")
    torch.testing.assert_close(moved.flatten(1).norm(dim=1), torch.full((2,), 0.7), atol=1e-6, rtol=0)
    moved = condition - descend(condition, gradient, 0.7, "token")
    torch.testing.assert_close(moved.norm(dim=2), torch.full((2, 3), 0.7), atol=1e-6, rtol=0)
    assert ((condition - descend(condition, gradient, 0.7)) * gradient).sum() > 0
    torch.testing.assert_close(descend(condition, torch.zeros_like(gradient), 0.7), condition)


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "sample"])
def test_the_clean_estimate_of_a_perfect_denoiser_is_clean(kind):
    scheduler = DDIMScheduler(prediction_type=kind)
    clean, noise, t = torch.randn(1, 4, 8, 8), torch.randn(1, 4, 8, 8), torch.tensor(400)
    signal = scheduler.alphas_cumprod[400]
    noisy = signal.sqrt() * clean + (1 - signal).sqrt() * noise
    perfect = {
        "epsilon": noise, "sample": clean,
        "v_prediction": signal.sqrt() * noise - (1 - signal).sqrt() * clean,
    }[kind]  # fmt: skip
    torch.testing.assert_close(clean_estimate(scheduler, perfect, noisy, t), clean, atol=1e-4, rtol=1e-4)


def test_the_guide_is_content_with_what_it_asked_for():
    torch.manual_seed(0)
    net = PerceptionNet(size=32, widths=(4, 8, 8, 8), depths=(0, 1, 0, 0), width=16, layers=1, heads=2).eval()
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        small = torch.nn.functional.interpolate(
            images * 2 - 1, size=(32, 32), mode="bilinear", antialias=True
        )
        read = net(small)
    specified = torch.ones_like(read["action_units"], dtype=torch.bool)
    guide = ExpressionGuide(net, [None, None], read["action_units"], specified)
    assert guide(images).abs().max() < 1e-6
    assert (ExpressionGuide(net, [None, "sad"], read["action_units"], specified)(images)[1]) > 0.5
    with pytest.raises(ValueError, match="known are neutral"):
        ExpressionGuide(net, ["joyful"], read["action_units"], specified)


def test_a_layout_is_nearer_to_its_face_the_less_of_it_is_inverted(pipe):
    frames, _ = toy_frames(1, seed=4)
    pictures = [
        draw(pipe, layout=frames, layout_share=share, num_inference_steps=10, guidance_scale=1.0)
        for share in (0.2, 1.0)
    ]
    wanted = pipe.decode_latents(
        pipe.encode_latents(torch.from_numpy(frames).permute(0, 3, 1, 2) / 127.5 - 1)
    )
    wanted = (wanted / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).detach().numpy()
    near, far = (np.abs(picture - wanted).mean() for picture in pictures)
    assert near < far
    with pytest.raises(ValueError, match="semantic_every=0"):
        draw(pipe, SMILE, semantic_scale=1.0, semantic_every=0)
    with pytest.raises(ValueError, match="pass one"):
        draw(pipe, layout=frames, latents=torch.zeros(1, 4, 8, 8))


def test_inversion_and_drawing_without_conditions_meet(pipe):
    """DDIM there and back on nobody gives the same latents, the closer the more steps there are."""
    for parameter in pipe.unet.conv_out.parameters():
        parameter.data *= 0.1  # a denoiser at random is far from smooth in its input
    frames, _ = toy_frames(1, seed=4)
    clean = pipe.encode_latents(torch.from_numpy(frames).permute(0, 3, 1, 2) / 127.5 - 1)
    call = {"layout": frames, "layout_share": 0.5, "guidance_scale": 1.0, "output_type": "latent"}
    coarse, fine = (
        float((pipe(prompt="", num_inference_steps=steps, **call).images - clean).abs().mean().detach())
        for steps in (20, 80)
    )
    assert fine < coarse / 2 and coarse < 0.1 * float(clean.abs().mean().detach())


def test_save_and_load_draw_the_same_picture(pipe, tmp_path):
    people = toy_people(pipe, 1)
    expected = draw(pipe, SMILE, people=people)
    pipe.save_pretrained(tmp_path)
    loaded = ExpressionPipeline.from_pretrained(tmp_path)
    loaded.set_progress_bar_config(disable=True)
    np.testing.assert_array_equal(draw(loaded, SMILE, people=people), expected)


def test_a_portrait_model_with_an_adapter_beside_it_loads(pipe, tmp_path):
    expected = draw(pipe, SMILE)
    parts = {name: part for name, part in pipe.components.items() if name != "action_unit_adapter"}
    PortraitPipeline(**parts).save_pretrained(tmp_path)
    pipe.action_unit_adapter.save_pretrained(tmp_path / "action_unit_adapter")
    loaded = ExpressionPipeline.from_pretrained(tmp_path)
    loaded.set_progress_bar_config(disable=True)
    np.testing.assert_array_equal(draw(loaded, SMILE), expected)


def test_a_denoiser_that_another_pipeline_took_is_noticed(pipe):
    install_identity_attention(pipe.unet, pipe.conditioner.attention)
    with pytest.raises(ValueError, match="install_adapter"):
        draw(pipe, SMILE)


def test_callbacks_see_and_change_unit_tokens(pipe):
    def silence(pipe, step, t, tensors):
        return {"unit_tokens": torch.zeros_like(tensors["unit_tokens"])}

    names = ("unit_tokens",)
    changed = draw(pipe, SMILE, callback_on_step_end=silence, callback_on_step_end_tensor_inputs=names)
    assert not np.array_equal(changed, draw(pipe, SMILE))


def test_an_adapter_of_another_denoiser_is_refused():
    parts = toy_components()
    other = ActionUnitAdapter(token_dim=32, num_tokens=1, hidden=8, attention_widths=((0, 16),))
    with pytest.raises(ValueError, match=f"adapter {BRANCH}"):
        ExpressionPipeline(**parts, action_unit_adapter=other)


def test_where_units_are_free_the_guide_wants_typical_ones(pipe, monkeypatch):
    asked = []

    class Spy(ExpressionGuide):
        def __init__(self, network, names, values, specified):
            asked.append((names, values, specified))
            super().__init__(network, names, values, specified)

    monkeypatch.setattr("pipelines.expression.pipeline.ExpressionGuide", Spy)
    for units in ({}, SMILE):
        draw(pipe, units, expression="surprise", semantic_scale=0.1, semantic_start=0.5)
    (_, typical, everything), (_, _, smile) = asked
    assert everything.all() and typical[0, vocabulary.UNIT_COLUMNS.index("AU26")] > 0
    assert smile.sum() == 2  # the sides of AU12, and no other
