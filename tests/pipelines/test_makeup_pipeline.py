"""Makeup on faces: what diffusers proves for its own pipelines, and the promises of `MakeupPipeline`."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from diffusers import DPMSolverMultistepScheduler, EulerDiscreteScheduler

from faces.analysis import NoFaceFound
from faces.makeup import BARE, MakeupLook
from pipelines.makeup.looks import Blend
from pipelines.makeup.pipeline import MakeupPipeline
from tests.pipelines.components import generators
from tests.pipelines.makeup_components import (
    SIZE,
    ToyAnalyzer,
    toy_makeup_components,
    toy_makeup_pipeline,
    toy_photo,
)

FACE, REFERENCE, OTHER = (toy_photo(seed) for seed in range(3))
RED = MakeupLook.of(lips="#c01020")


@pytest.fixture
def pipe():
    return toy_makeup_pipeline()


def edit(pipe, image=FACE, makeup=REFERENCE, seeds=(0,), **options):
    """Two steps from given seeds, as arrays."""
    defaults = {"num_inference_steps": 2, "output_type": "np", "generator": generators(*seeds)}
    return pipe(image, makeup, **defaults | options).images


def test_save_and_load_draw_the_same_picture(pipe, tmp_path):
    expected = edit(pipe)
    pipe.save_pretrained(tmp_path)
    loaded = MakeupPipeline.from_pretrained(tmp_path)
    loaded.analyzer = ToyAnalyzer()
    loaded.set_progress_bar_config(disable=True)
    # Loaded weights lie elsewhere in memory, and some processors round otherwise there.
    assert np.allclose(edit(loaded)[0], expected[0], atol=1e-5)
    assert not any("to_k_ip" in key or "adapter" in key for key in loaded.unet.state_dict())


def test_a_batch_draws_what_single_calls_draw(pipe):
    several = edit(pipe, [FACE, OTHER], [REFERENCE, RED], seeds=(0, 1), strength=[1.0, 0.5])
    first = edit(pipe, FACE, REFERENCE, seeds=(0,))[0]
    second = edit(pipe, OTHER, RED, seeds=(1,), strength=0.5)[0]
    assert np.allclose(several[0], first, atol=1e-5)
    assert np.allclose(several[1], second, atol=1e-5)


def test_one_look_serves_all_faces(pipe):
    several = edit(pipe, [FACE, OTHER], REFERENCE, seeds=(0, 1))
    assert np.allclose(several[1], edit(pipe, OTHER, REFERENCE, seeds=(1,))[0], atol=1e-5)


def test_output_types_agree(pipe):
    arrays, tensors = edit(pipe)[0], edit(pipe, output_type="pt")[0]
    picture = np.asarray(edit(pipe, output_type="pil")[0])
    assert arrays.shape == (SIZE, SIZE, 3) and arrays.dtype == np.float32
    assert torch.equal(tensors, torch.from_numpy(arrays).movedim(-1, 0))
    assert np.array_equal(picture, (arrays * 255).round().astype(np.uint8))
    assert edit(pipe, output_type="latent").shape == (1, 12, SIZE // 2, SIZE // 2)


def test_tuple_equals_output(pipe):
    images, masks = pipe(
        FACE, REFERENCE, num_inference_steps=2, output_type="np", generator=generators(0), return_dict=False
    )
    assert np.array_equal(images[0], edit(pipe)[0]) and masks[0].shape == (SIZE, SIZE)


@pytest.mark.parametrize("kind", [EulerDiscreteScheduler, DPMSolverMultistepScheduler])
def test_schedulers_are_swapped(pipe, kind):
    before = edit(pipe)[0]
    pipe.scheduler = kind.from_config(pipe.scheduler.config)
    after = edit(pipe, num_inference_steps=3)[0]
    assert np.isfinite(after).all() and not np.array_equal(before, after)


def test_callbacks_see_and_change_latents_and_interrupt(pipe):
    seen = []

    def halt(pipe, step, t, tensors):
        seen.append((step, tensors["latents"].shape))
        pipe._interrupt = step == 1
        return {"latents": torch.zeros_like(tensors["latents"])}

    latents = edit(pipe, num_inference_steps=4, callback_on_step_end=halt, output_type="latent")
    assert [step for step, _ in seen] == [0, 1]
    assert not latents.any()


def test_half_precision_and_offload_order(pipe):
    pipe.to(torch.bfloat16)
    assert np.isfinite(edit(pipe)[0]).all()
    order = pipe.model_cpu_offload_seq.split("->")
    assert set(order) | set(pipe._exclude_from_cpu_offload) == {
        name for name, part in MakeupPipeline(**toy_makeup_components()).components.items()
        if isinstance(part, torch.nn.Module)
    } | {"vae", "text_encoder"}  # fmt: skip


def test_pictures_of_each_face(pipe):
    images = edit(pipe, seeds=(0, 1), num_images_per_prompt=2)
    assert len(images) == 2 and not np.array_equal(*images)
    assert np.allclose(images[1], edit(pipe, seeds=(1,))[0], atol=1e-5)


# What makeup promises


def test_strength_0_gives_the_very_bytes_back(pipe):
    assert np.array_equal(np.asarray(edit(pipe, strength=0, output_type="pil")[0]), FACE)


def test_strength_1_is_the_conditional_prediction(pipe):
    questions, weights = pipe.prepare_conditions([REFERENCE], [1.0])
    assert len(questions) == 1 and weights[0].tolist() == [1.0]
    asked = []
    pipe.unet.register_forward_hook(lambda *_: asked.append(1))
    edit(pipe)
    assert len(asked) == 2  # one forward a step


def test_guidance_sums_answers_with_weights_of_one(pipe):
    questions, weights = pipe.prepare_conditions([REFERENCE, RED], [1.5, 0.25])
    assert len(questions) == 2
    assert torch.allclose(sum(weights), torch.ones(2))
    both = edit(pipe, [FACE, OTHER], [REFERENCE, RED], seeds=(0, 1), strength=[1.5, 0.25])
    assert np.allclose(both[1], edit(pipe, OTHER, RED, seeds=(1,), strength=0.25)[0], atol=1e-5)


def test_a_denoiser_of_changes_that_answers_nothing_changes_nothing():
    pipe = toy_makeup_pipeline(predicts_change=True)
    assert not np.array_equal(np.asarray(edit(pipe, output_type="pil")[0]), FACE)
    torch.nn.init.zeros_(pipe.unet.conv_out.weight)
    torch.nn.init.zeros_(pipe.unet.conv_out.bias)
    assert np.array_equal(np.asarray(edit(pipe, output_type="pil")[0]), FACE)


def test_changes_are_for_denoisers_of_pixels_that_predict_samples():
    scheduler = DPMSolverMultistepScheduler(prediction_type="epsilon")
    with pytest.raises(ValueError, match="predicts samples"):
        toy_makeup_pipeline(predicts_change=True, scheduler=scheduler)


def test_outside_the_face_no_byte_changes(pipe):
    result = pipe(FACE, REFERENCE, num_inference_steps=2, generator=generators(0))
    picture, mask = np.asarray(result.images[0]), result.masks[0]
    assert np.array_equal(picture[mask == 0], FACE[mask == 0])
    assert (mask == 0).mean() > 0.3
    assert not np.array_equal(picture[mask > 0.9], FACE[mask > 0.9])


def test_regions_share_out_the_face(pipe):
    whole = edit(pipe)[0] - FACE / 255
    parts = [edit(pipe, region=name)[0] - FACE / 255 for name in ("lips", "eyes", "skin")]
    assert all(np.abs(part).max() > 0.01 for part in parts)
    inside = (whole + FACE / 255 > 0) & (whole + FACE / 255 < 1)
    assert np.allclose(sum(parts)[inside], whole[inside], atol=1e-4)
    lips = parts[0]
    assert np.abs(lips[:12]).max() < 1e-6, "lips alone leave the eyes as they are"


def test_the_photograph_keeps_its_size_and_detail(pipe):
    photo = toy_photo(5, 96, 120)
    result = pipe(photo, REFERENCE, num_inference_steps=2, generator=generators(0))
    picture = np.asarray(result.images[0])
    assert picture.shape == photo.shape and result.masks[0].shape == photo.shape[:2]
    assert np.array_equal(picture[result.masks[0] == 0], photo[result.masks[0] == 0])
    # What is moved is the change, which is smooth: the photograph's own grain survives it.
    change = picture.astype(int) - photo
    inside = (
        (result.masks[0] > 0.99)[1:, 1:] & (picture > 0).all(-1)[1:, 1:] & (picture < 255).all(-1)[1:, 1:]
    )
    step = np.abs(np.diff(change, axis=0)[:, 1:])[inside].mean()
    assert step < 0.5 * np.abs(np.diff(photo.astype(int), axis=0)[:, 1:])[inside].mean()


def test_all_ways_to_say_a_look_differ(pipe):
    code = pipe.encode_look(REFERENCE)[0]
    pictures = [edit(pipe, makeup=look)[0] for look in (REFERENCE, code, RED, BARE, OTHER)]
    for first in range(len(pictures)):
        for second in range(first):
            assert not np.allclose(pictures[first], pictures[second], atol=1e-4)


def test_codes_are_unit_vectors_and_colours_have_them(pipe):
    codes = pipe.encode_look([REFERENCE, RED])
    assert codes.shape == (2, 8) and torch.allclose(codes.norm(dim=1), torch.ones(2), atol=1e-5)
    assert np.allclose(edit(pipe, makeup=codes[1])[0], edit(pipe, makeup=RED)[0], atol=1e-5)


def test_a_blend_lies_between_its_looks(pipe):
    first, second = edit(pipe, output_type="latent"), edit(pipe, makeup=RED, output_type="latent")
    whole = edit(pipe, makeup=Blend((REFERENCE, RED), (1.0, 0.0)), output_type="latent")
    half = edit(pipe, makeup=Blend((REFERENCE, RED), (0.5, 0.5)), output_type="latent")
    assert torch.allclose(whole, first, atol=1e-4)
    assert (half - first).norm() < (second - first).norm()
    assert (half - second).norm() < (second - first).norm()


def test_aligned_frames_are_not_looked_for(pipe):
    pipe.analyzer.require_face = None
    frames = [FACE, OTHER]
    assert len(edit(pipe, frames, REFERENCE, seeds=(0, 1), aligned=True)) == 2
    with pytest.raises(ValueError, match="takes 32 px"):
        edit(pipe, toy_photo(0, 64, 64), REFERENCE, aligned=True)


def test_no_face_is_an_error_that_names_the_picture(pipe):
    black = np.zeros((64, 64, 3), np.uint8)
    with pytest.raises(NoFaceFound, match="no face"):
        edit(pipe, black)
    with pytest.raises(NoFaceFound, match="no face"):
        edit(pipe, FACE, black)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"makeup": None}, "makeup: missing"),
        ({"image": []}, "empty list"),
        ({"makeup": [REFERENCE, RED]}, "2 looks for 1 faces"),
        ({"strength": 2.5}, "strength 2.5"),
        ({"strength": float("nan")}, "strength nan"),
        ({"strength": [1.0, 1.0]}, "strength: 2 given"),
        ({"region": "hair"}, "choose any of lips, eyes, skin"),
        ({"region": []}, "choose any of"),
        ({"makeup": np.ones(5, np.float32)}, "expected 8 finite numbers"),
        ({"makeup": np.zeros(8, np.float32)}, "expected 8 finite numbers"),
        ({"output_type": "jpeg"}, "output_type 'jpeg'"),
        ({"callback_on_step_end_tensor_inputs": ("prompt",)}, "permitted are"),
        ({"latents": torch.zeros(1, 4, 8, 8)}, "latents"),
    ],
)
def test_wrong_arguments_are_named(pipe, options, message):
    with pytest.raises(ValueError, match=message):
        edit(pipe, **options)


def test_without_a_makeup_encoder_looks_are_photographs(tmp_path):
    pipe = toy_makeup_pipeline(makeup_encoder=None)
    assert np.isfinite(edit(pipe)[0]).all()
    for look in (RED, BARE, torch.ones(8)):
        with pytest.raises(ValueError, match="photographs alone"):
            edit(pipe, makeup=look)
