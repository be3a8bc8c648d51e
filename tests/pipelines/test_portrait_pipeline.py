"""What diffusers proves for its own pipelines, proved for `PortraitPipeline`."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import torch
from diffusers import (
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    LCMScheduler,
    StableDiffusionPipeline,
)
from diffusers.callbacks import SDCFGCutoffCallback

from pipelines.portrait.pipeline import PortraitPipeline
from tests.pipelines.components import (
    generators,
    toy_components,
    toy_conditioner,
    toy_people,
    toy_pipeline,
    toy_text_encoder,
    toy_unet,
    toy_vae,
)
from tests.pipelines.tokens import toy_tokenizer

PROMPTS = ["a man", "portrait of a woman"]


@pytest.fixture
def pipe():
    return toy_pipeline()


def draw(pipe, people=None, prompt="a man", seeds=(0,), **options):
    """Two steps from given seeds, as an array."""
    people = toy_people(pipe, 1) if people is None else people
    defaults = {"num_inference_steps": 2, "output_type": "np", "generator": generators(*seeds)}
    return pipe(prompt=prompt, conditioning=people, **defaults | options).images


def test_call_has_the_arguments_of_a_diffusers_pipeline():
    expected = {
        "prompt", "negative_prompt", "height", "width", "num_inference_steps", "timesteps", "sigmas",
        "guidance_scale", "num_images_per_prompt", "eta", "generator", "latents", "output_type", "return_dict",
        "cross_attention_kwargs", "callback_on_step_end", "callback_on_step_end_tensor_inputs",
    }  # fmt: skip
    assert expected <= inspect.signature(PortraitPipeline.__call__).parameters.keys()


def test_components_make_the_same_pipeline(pipe):
    other = PortraitPipeline(**pipe.components)
    other.set_progress_bar_config(disable=True)
    assert np.array_equal(draw(other), draw(pipe))


def test_save_and_load_draw_the_same_picture(pipe, tmp_path):
    people = toy_people(pipe, 1)
    expected = draw(pipe, people)
    pipe.save_pretrained(tmp_path)
    loaded = PortraitPipeline.from_pretrained(tmp_path)
    loaded.set_progress_bar_config(disable=True)
    assert np.array_equal(draw(loaded, people), expected)
    saved = (tmp_path / "model_index.json").read_text()
    assert "pipelines.portrait.modules" in saved and "pipelines.autoencoder" in saved
    assert not any("to_k_ip" in key for key in loaded.unet.state_dict())


def test_optional_components_stay_absent(tmp_path):
    components = toy_components() | {"image_encoder": None, "feature_extractor": None, "vae": None}
    people = toy_people(toy_pipeline(), 1)
    pipe = PortraitPipeline(**components)
    pipe.save_pretrained(tmp_path)
    loaded = PortraitPipeline.from_pretrained(tmp_path)
    assert loaded.vae is None and loaded.image_encoder is None
    assert loaded.vae_scale_factor == 1
    for one in (pipe, loaded):
        one.set_progress_bar_config(disable=True)
    pixels = draw(pipe, people, output_type="pt")
    assert pixels.shape == (1, 4, 8, 8)
    assert torch.equal(draw(loaded, people, output_type="pt"), pixels)


def test_output_types_agree(pipe):
    people = toy_people(pipe, 1)
    latents = draw(pipe, people, output_type="latent")
    pixels = draw(pipe, people, output_type="pt")
    array = draw(pipe, people)
    picture = draw(pipe, people, output_type="pil")[0]
    decoded = (pipe.decode_latents(latents) / 2 + 0.5).clamp(0, 1)
    assert latents.shape == (1, 4, 8, 8)
    assert torch.allclose(pixels, decoded, atol=1e-6)
    assert np.allclose(array, pixels.permute(0, 2, 3, 1).numpy(), atol=1e-6)
    assert picture.size == (32, 32)
    assert np.abs(np.asarray(picture) / 255 - array[0]).max() <= 0.5 / 255 + 1e-6


def test_tuple_equals_dict(pipe):
    people = toy_people(pipe, 1)
    options = {"num_inference_steps": 2, "output_type": "np", "prompt": "a man", "conditioning": people}
    in_tuple = pipe(**options, generator=generators(0), return_dict=False)
    assert isinstance(in_tuple, tuple) and len(in_tuple) == 1
    assert np.array_equal(in_tuple[0], pipe(**options, generator=generators(0)).images)


@pytest.mark.parametrize("guidance_scale", [1.0, 3.0])
def test_a_batch_of_people_equals_each_alone(pipe, guidance_scale):
    people = toy_people(pipe, 2)
    options = {"num_images_per_prompt": 2, "guidance_scale": guidance_scale, "identity_scale": [0.5, 1.5]}
    batch = draw(pipe, people, PROMPTS, seeds=(0, 1, 2, 3), **options)
    for number in range(2):
        options["identity_scale"] = [0.5, 1.5][number]
        seeds = (2 * number, 2 * number + 1)
        alone = draw(pipe, people.select([number]), PROMPTS[number], seeds=seeds, **options)
        assert np.abs(batch[2 * number : 2 * number + 2] - alone).max() < 1e-4


def test_people_are_not_crossed(pipe):
    people = toy_people(pipe, 2)
    seeds = (7, 7, 7, 7)
    batch = draw(pipe, people, "a man", seeds=seeds, num_images_per_prompt=2, guidance_scale=3.0)
    assert np.abs(batch[0] - batch[1]).max() < 1e-5  # the same person, prompt and noise
    assert np.abs(batch[2] - batch[3]).max() < 1e-5
    assert np.abs(batch[0] - batch[2]).max() > 1e-3  # another person
    swapped = draw(
        pipe, people.select([1, 0]), "a man", seeds=seeds, num_images_per_prompt=2, guidance_scale=3.0
    )
    assert np.abs(batch[[2, 3, 0, 1]] - swapped).max() < 1e-5


def test_one_person_serves_all_prompts_and_one_prompt_all_people(pipe):
    people = toy_people(pipe, 2)
    both = draw(pipe, people, "a man", seeds=(0, 1))
    assert np.array_equal(both, draw(pipe, people, ["a man"] * 2, seeds=(0, 1)))
    one = draw(pipe, people.select([1]), PROMPTS, seeds=(0, 1))
    assert np.array_equal(one, draw(pipe, people.select([1, 1]), PROMPTS, seeds=(0, 1)))
    with pytest.raises(ValueError, match="3 prompts for 2 people"):
        draw(pipe, people, ["a"] * 3, seeds=(0, 1, 2))


def test_one_generator_serves_a_batch(pipe):
    options = {
        "prompt": "a man",
        "conditioning": toy_people(pipe, 2),
        "num_inference_steps": 2,
        "output_type": "np",
    }
    first = pipe(**options, generator=torch.Generator().manual_seed(3)).images
    assert np.array_equal(first, pipe(**options, generator=torch.Generator().manual_seed(3)).images)
    with pytest.raises(ValueError, match="generator: a list of 1 for 2 portraits"):
        pipe(**options, generator=generators(0))


def test_given_latents_are_the_noise(pipe):
    noise = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(5))
    people = toy_people(pipe, 1)
    assert np.array_equal(draw(pipe, people, latents=noise), draw(pipe, people, seeds=(5,)))
    with pytest.raises(ValueError, match=r"latents \(1, 4, 8, 8\): expected \(1, 4, 16, 8\)"):
        draw(pipe, people, latents=noise, height=64)


def test_pictures_that_are_not_square(pipe):
    assert draw(pipe, height=64, width=32).shape == (1, 64, 32, 3)
    with pytest.raises(ValueError, match="height=30: must be a multiple of 4"):
        draw(pipe, height=30)


def test_guidance_runs_the_denoiser_twice_as_wide_only_above_one(pipe):
    widths = []
    pipe.unet.register_forward_pre_hook(lambda _, arguments: widths.append(len(arguments[0])))
    draw(pipe, guidance_scale=1.0)
    draw(pipe, guidance_scale=1.5)
    assert widths == [1, 1, 2, 2]


def test_guidance_of_one_ignores_the_negative_prompt(pipe):
    people = toy_people(pipe, 1)
    plain = draw(pipe, people, guidance_scale=1.0)
    assert np.array_equal(draw(pipe, people, guidance_scale=1.0, negative_prompt="a woman"), plain)
    guided = draw(pipe, people, guidance_scale=3.0)
    assert np.abs(draw(pipe, people, guidance_scale=3.0, negative_prompt="a woman") - guided).max() > 1e-4
    assert np.abs(draw(pipe, people, guidance_scale=3.0, guidance_rescale=0.7) - guided).max() > 1e-4
    with pytest.raises(ValueError, match="negative_prompt: 3 given for 1 prompts"):
        draw(pipe, people, guidance_scale=3.0, negative_prompt=["a"] * 3)


@pytest.mark.parametrize("merge_step", [-1, 0, 2, 9])
def test_parts_are_merged_after_the_merge_step(pipe, merge_step):
    people = toy_people(pipe, 1)
    with torch.no_grad():  # with gradients a CPU takes other kernels, equal to rounding only
        plain, merged, _, _ = pipe.encode_conditions(["a man"], [""], people)
    assert torch.equal(plain[0], merged[0]) and not torch.equal(plain[1], merged[1])
    used, seen = [], []

    def note(_, arguments, keywords):
        text = keywords["encoder_hidden_states"]
        used.append(
            "merged" if torch.equal(text, merged) else "plain" if torch.equal(text, plain) else "other"
        )

    pipe.unet.register_forward_pre_hook(note, with_kwargs=True)

    def callback(_pipe, step, _time, tensors):
        seen.append((step, sorted(tensors)))
        return {}

    draw(pipe, people, num_inference_steps=4, merge_step=merge_step, callback_on_step_end=callback)
    assert used == ["plain" if step <= merge_step else "merged" for step in range(4)]
    assert seen == [(step, ["latents"]) for step in range(4)]


def test_callbacks_see_and_change_tensors(pipe):
    people = toy_people(pipe, 1)
    names = PortraitPipeline._callback_tensor_inputs
    shapes = {}

    def zero(_pipe, _step, _time, tensors):
        shapes.update({name: tuple(value.shape) for name, value in tensors.items()})
        return {"latents": torch.zeros_like(tensors["latents"])}

    changed = draw(
        pipe,
        people,
        output_type="latent",
        callback_on_step_end=zero,
        callback_on_step_end_tensor_inputs=names,
    )
    assert changed.abs().max() == 0
    assert shapes == {"latents": (1, 4, 8, 8), "prompt_embeds": (2, 48, 32), "identity_tokens": (2, 2, 32)}
    with pytest.raises(ValueError, match=r"\['noise'\]: permitted are"):
        draw(pipe, people, callback_on_step_end=zero, callback_on_step_end_tensor_inputs=["noise"])


def test_guidance_can_end_on_the_way(pipe):
    cutoff = SDCFGCutoffCallback(cutoff_step_ratio=None, cutoff_step_index=0)
    widths = []
    pipe.unet.register_forward_pre_hook(lambda _, arguments: widths.append(len(arguments[0])))
    draw(pipe, num_inference_steps=3, callback_on_step_end=cutoff)
    assert widths == [2, 1, 1]


def test_interrupt_skips_the_remaining_steps(pipe):
    steps = []

    def stop(pipe, step, _time, _tensors):
        steps.append(step)
        pipe._interrupt = step == 1
        return {}

    draw(pipe, num_inference_steps=5, callback_on_step_end=stop)
    assert steps == [0, 1]
    steps.clear()
    draw(pipe, num_inference_steps=2)  # the next call starts afresh
    assert pipe.interrupt is False and pipe.num_timesteps == 2


@pytest.mark.parametrize(
    "scheduler", [EulerDiscreteScheduler, DPMSolverMultistepScheduler, LCMScheduler, DDPMScheduler]
)
def test_schedulers_are_swapped(pipe, scheduler):
    before = draw(pipe, num_inference_steps=3)
    pipe.scheduler = scheduler.from_config(pipe.scheduler.config)
    after = draw(pipe, num_inference_steps=3)
    assert np.isfinite(after).all()
    assert np.abs(after - before).max() > 1e-4
    assert np.array_equal(draw(pipe, num_inference_steps=3), after)


def test_own_timesteps_are_used(pipe):
    pipe.scheduler = DDPMScheduler.from_config(pipe.scheduler.config)
    times = []

    def note(_pipe, _step, time, _tensors):
        times.append(int(time))
        return {}

    draw(pipe, timesteps=[900, 500, 10], callback_on_step_end=note)
    assert times == [900, 500, 10]


def test_denoisers_distilled_with_guidance_get_its_scale():
    components = toy_components()
    components["unet"] = toy_unet(time_cond_proj_dim=8)
    components["conditioner"] = toy_conditioner(components["unet"])
    pipe = PortraitPipeline(**components)
    pipe.set_progress_bar_config(disable=True)
    widths = []
    pipe.unet.register_forward_pre_hook(lambda _, arguments: widths.append(len(arguments[0])))
    weak, strong = (draw(pipe, guidance_scale=scale) for scale in (2.0, 8.0))
    assert widths == [1] * 4
    assert np.abs(weak - strong).max() > 1e-5


def test_the_progress_bar_counts_every_step(pipe, capsys):
    pipe.set_progress_bar_config(disable=False)
    draw(pipe, num_inference_steps=3)
    assert "3/3" in capsys.readouterr().err


def test_a_unet_shared_with_another_pipeline_draws_as_before():
    components = toy_components(rank=2) | {"vae": toy_vae(patch_size=1)}
    names = ("vae", "text_encoder", "tokenizer", "unet", "scheduler")
    shared = {name: components[name] for name in names}
    plain = StableDiffusionPipeline(
        **shared, safety_checker=None, feature_extractor=None, requires_safety_checker=False
    )
    plain.set_progress_bar_config(disable=True)
    options = {"prompt": "a man", "num_inference_steps": 2, "output_type": "np", "height": 16, "width": 16}
    before = plain(**options, generator=generators(0)).images
    pipe = PortraitPipeline(**components)
    assert np.array_equal(plain(**options, generator=generators(0)).images, before)
    pipe.set_progress_bar_config(disable=True)
    off = {"identity_scale": 0.0, "lora_scale": 0.0, "merge_step": 99, "guidance_scale": 1.0}
    somebody = draw(pipe, toy_people(pipe, 1), **off)
    text = pipe.encode_prompt(["a man"], toy_people(pipe, 1).part_valid)[0]
    same = plain(
        prompt_embeds=text, num_inference_steps=2, guidance_scale=1.0, generator=generators(0), output_type="np",
        height=16, width=16,
    ).images  # fmt: skip
    assert np.abs(somebody - same).max() < 1e-6


def test_another_unet_without_its_identity_attention_is_refused(pipe):
    pipe.unet = toy_unet(seed=1)
    with pytest.raises(ValueError, match="call install_identity_attention"):
        draw(pipe)


@pytest.mark.parametrize("variant", ["faceid", "faceid_plus", "faceid_plusv2", "portrait", "consistentid"])
def test_every_variant_draws(variant):
    pipe = toy_pipeline(variant=variant, token_dim=32)
    people = toy_people(pipe, 2)
    pictures = draw(pipe, people, PROMPTS, seeds=(4, 4))
    other = draw(pipe, people.select([1, 0]), PROMPTS, seeds=(4, 4))
    assert np.isfinite(pictures).all() and np.abs(pictures - other).max() > 1e-4


def test_sdxl_reads_two_text_encoders():
    components = toy_components() | {
        "text_encoder_2": toy_text_encoder(is_projected=True),
        "tokenizer_2": toy_tokenizer(),
        "unet": toy_unet(
            cross_attention_dim=64,
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=32 + 6 * 8,
        ),
    }
    components["conditioner"] = toy_conditioner(components["unet"])
    pipe = PortraitPipeline(**components)
    pipe.set_progress_bar_config(disable=True)
    people = toy_people(pipe, 2)
    batch = draw(pipe, people, PROMPTS, seeds=(0, 1), guidance_scale=3.0)
    alone = draw(pipe, people.select([1]), PROMPTS[1], seeds=(1,), guidance_scale=3.0)
    assert np.abs(batch[1:] - alone).max() < 1e-4


def test_provenance_names_the_very_weights(pipe):
    record = pipe.provenance(seed=3, steps=2, prompt="a man", scale=1.0)
    assert (record.pipeline, record.seed, record.steps) == ("PortraitPipeline", 3, 2)
    assert record.extra == {"scheduler": "DDIMScheduler", "scale": 1.0}
    assert record.model_sha256 == toy_pipeline().weights_sha256()
    with torch.no_grad():
        next(pipe.vae.parameters()).flatten()[0] += 1e-3
    assert pipe.weights_sha256() != record.model_sha256


def test_a_missing_bundled_model_is_named(monkeypatch, tmp_path):
    import weights

    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    with pytest.raises(FileNotFoundError, match="bundled weights 'mini'"):
        PortraitPipeline.from_pretrained("mini")
