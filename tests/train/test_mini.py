"""Each task of `mini` on a handful of made-up heads: the loss reaches what it should, and the export loads."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL

from faces.networks import JudgeNet
from faces.perception import PerceptionNet
from pipelines.autoencoder import PatchAutoencoderKL
from pipelines.portrait.encoder import FaceEncoder
from pipelines.portrait.pipeline import PortraitPipeline
from tests.train.heads import SIZE, one_loss, reached
from train.data.heads import HeadArrays
from train.data.portraits import mirrored_labels, part_masks, reference_side
from train.latent_age import LatentAge, wanted_years
from train.margin import AngularMargin, contrastive, verification
from train.tasks.age import AgeConfig, AgeTask
from train.tasks.encoder import EncoderConfig, EncoderTask, face_crop, part_mask
from train.tasks.judge import JudgeConfig, JudgeTask
from train.tasks.perception import PerceptionConfig, PerceptionTask
from train.tasks.portrait import PortraitConfig, PortraitTask
from train.tasks.vae import FaceLooks, VaeConfig, VaeTask, structural_similarity


def test_vae_trains_both_halves_and_exports_its_latent_statistics(shards, tmp_path):
    task = VaeTask(VaeConfig(shards=shards, heldout=shards, channels=(8, 16)))
    model, _ = one_loss(task)
    assert {name.split(".")[0] for name in reached(model["vae"])} >= {"encoder", "decoder"}
    task.export(model, tmp_path)
    loaded = PatchAutoencoderKL.from_pretrained(tmp_path)
    assert len(loaded.config.latents_std) == 12
    assert loaded.config.in_channels == 3


def test_adversary_leaves_the_encoder_alone(shards):
    task = VaeTask(
        VaeConfig(shards=shards, heldout=shards, channels=(8, 16), decoder_only=True, adversarial_weight=0.1)
    )
    model, _ = one_loss(task)
    assert not reached(model["vae"].encoder)
    assert reached(model["vae"].decoder)
    assert reached(model["adversary"])


def test_structural_similarity_knows_equal_from_other():
    x = torch.rand(2, 3, 32, 32) * 2 - 1
    assert structural_similarity(x, x) == pytest.approx(1)
    assert structural_similarity(x, -x) < -0.5
    assert 0.6 < structural_similarity(x, x * 0.5) < 0.95


def test_encoder_recognises_whole_faces_and_reads_parts(shards, tmp_path):
    task = EncoderTask(
        EncoderConfig(
            shards=(shards,),
            heldout=shards,
            width=64,
            layers=2,
            heads=2,
            embedding=32,
            stem=(8, 16, 32),
            traits="sliders",
            pair_steps=0,
        )
    )
    model, data = one_loss(task, count=8)
    assert {"tower", "margin", "traits", "own_traits"} <= {name.split(".")[0] for name in reached(model)}
    task.export(model, tmp_path)
    tower = FaceEncoder.from_pretrained(tmp_path)
    assert tower.config.projection_dim == 32
    assert face_crop(data.image[0]).shape == (112, 112, 3)


def test_part_mask_fills_holes():
    parsing = np.zeros((20, 20), np.uint8)
    parsing[4:16, 4:16] = 1
    parsing[8:12, 8:12] = 17
    assert part_mask(parsing, (1,)).sum() == 144


@pytest.mark.parametrize(
    ("task", "network"),
    [
        (PerceptionTask(PerceptionConfig()), PerceptionNet),
        (JudgeTask(JudgeConfig(traits="sliders", pair_steps=0)), JudgeNet),
    ],
    ids=["perception", "judge"],
)
def test_face_networks_train_and_load(shards, tmp_path, task, network):
    from dataclasses import replace

    several = isinstance(task, PerceptionTask)
    task = type(task)(replace(task.config, shards=(shards,) if several else shards, heldout=shards))
    model, _ = one_loss(task)
    assert len(reached(model)) > 10
    task.export(model, tmp_path)
    loaded = network.load(tmp_path)
    trained = model["judge" if network is JudgeNet else "net"]
    for name, value in trained.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], value, atol=2e-3, rtol=2e-3)


def test_face_network_refuses_another_class(tmp_path):
    PerceptionNet(widths=(8, 8, 8, 8)).save(tmp_path)
    with pytest.raises(ValueError, match="holds a PerceptionNet, expected a JudgeNet"):
        JudgeNet.load(tmp_path)


def _portrait_task(shards, parts, **changes):
    sizes = {"channels": (32, 64), "text_width": 64, "text_layers": 1, "id_tokens": 2}
    return PortraitTask(PortraitConfig(shards=shards, heldout=shards, **parts, **(sizes | changes)))


def test_portrait_trains_all_its_parts_and_exports_a_pipeline(shards, frozen_parts, tmp_path):
    task = _portrait_task(shards, frozen_parts)
    model, _ = one_loss(task, count=8)
    parts = reached(model)
    assert {"text_encoder", "unet", "conditioner"} <= {name.split(".")[0] for name in parts}
    assert any("to_k_ip" in name for name in parts)
    assert any("fuse_module" in name for name in parts)
    task.export(model, tmp_path)
    pipe = PortraitPipeline.from_pretrained(tmp_path)
    assert isinstance(pipe.vae, AutoencoderKL)


def test_reference_and_target_are_two_pictures_of_one_person_on_one_side(shards, frozen_parts):
    task = _portrait_task(shards, frozen_parts)
    heads = task.dataset().heads
    for index in range(8):
        side, partner = task.pairs.draw(heads, index, np.random.default_rng(index))
        assert partner != index
        assert heads.identity[partner] == heads.identity[index]
        assert side == reference_side(partner)
    copying = _portrait_task(shards, frozen_parts, same_image=True)
    assert copying.pairs.draw(heads, 3, np.random.default_rng(0)) == (1, 3)


def test_drops_happen_as_often_as_configured(shards, frozen_parts):
    task = _portrait_task(
        shards, frozen_parts, identity_drop=0.1, text_drop=0.2, both_drop=0.1, part_drop=0.0
    )
    data = task.dataset()
    empty = task.sample(data, 0, np.random.default_rng(0))["ids"]
    rows = [task.sample(data, n % 8, np.random.default_rng(n)) for n in range(600)]
    nobody = np.mean([not row["id_embeds"].any() for row in rows])
    assert abs(nobody - 0.2) < 3 * np.sqrt(0.2 * 0.8 / 600)
    lengths = [int((row["ids"] != task.tokenizer.pad_token_id).sum()) for row in rows]
    assert abs(np.mean(np.array(lengths) == min(lengths)) - 0.3) < 3 * np.sqrt(0.3 * 0.7 / 600)
    assert len(empty) == 48


def test_dropped_identity_equals_the_unconditional_branch(shards, frozen_parts):
    """What training drops is what inference calls nobody."""
    task = _portrait_task(shards, frozen_parts, identity_drop=1.0)
    data = task.dataset()
    row = task.sample(data, 0, np.random.default_rng(0))
    pipe = task.assemble(task.build())
    nobody = pipe.encode_aligned(data.heads.image[:1], data.heads.parsing[:1]).unconditional
    torch.testing.assert_close(torch.from_numpy(row["id_embeds"]).float(), nobody.id_embeds[0].float())
    torch.testing.assert_close(
        torch.from_numpy(row["clip_states"]).float(), nobody.clip_states[0].float(), atol=2e-3, rtol=2e-3
    )


def test_mirrored_labels_swap_sides(shards):
    labels = HeadArrays(shards).labels[0] | {"pose": "left", "yaw": -20.0, "roll": 3.0}
    labels["au"] = labels["au"] | {"AU12L": 0.8, "AU12R": 0.1}
    mirrored = mirrored_labels(labels)
    assert (mirrored["pose"], mirrored["yaw"], mirrored["roll"]) == ("right", 20.0, -3.0)
    assert (mirrored["au"]["AU12L"], mirrored["au"]["AU12R"]) == (0.1, 0.8)
    assert mirrored_labels(mirrored) == labels


def test_part_masks_count_cells():
    parsing = np.zeros((1, 128, 128), np.uint8)
    parsing[0, :8, :8] = 10
    masks = part_masks(parsing)
    assert masks.shape == (1, 5, 16, 16)
    assert masks[0, 3, 0, 0] == 255
    assert masks[0].sum() == 255 * 2  # the nose counts as nose and as face


def test_angular_margin_by_hand():
    margin = AngularMargin(2, 2, scale=10.0)
    margin.centres.data = torch.eye(2)
    angle = 0.6
    own = torch.tensor([[np.cos(angle), np.sin(angle)]], dtype=torch.float32)
    wide = np.cos(angle + 0.3)
    expected = -np.log(np.exp(10 * wide) / (np.exp(10 * wide) + np.exp(10 * np.sin(angle))))
    assert margin(own, torch.tensor([0]), 0.3).item() == pytest.approx(expected, rel=1e-4)


def test_contrastive_prefers_the_own_partner():
    eye = torch.eye(4)
    right, wrong = contrastive(eye, eye), contrastive(eye, eye.roll(1, 0))
    assert right < 0.01
    assert wrong > 5
    uniform = torch.ones(4, 4) / 2
    assert contrastive(uniform, uniform).item() == pytest.approx(np.log(4), rel=1e-4)


def test_verification_of_perfect_and_useless_embeddings():
    identity = torch.arange(20).repeat_interleave(3)
    perfect = torch.nn.functional.one_hot(identity).float()
    assert verification(perfect, identity)["tar_at_far_1"] == 1
    useless = torch.nn.functional.normalize(
        torch.randn(60, 16, generator=torch.Generator().manual_seed(0)), dim=1
    )
    assert abs(verification(useless, identity)["eer"] - 0.5) < 0.12


def test_eyes_and_mouth_weigh_most(shards, frozen_parts):
    task = _portrait_task(shards, frozen_parts, face_weight=1.0, detail_weight=2.0)
    masks = torch.zeros(1, 5, 16, 16)
    masks[0, 0, 4:12, 4:12] = 1  # face
    masks[0, 2, 6, 6] = 1  # eyes
    weights = task._cell_weights(masks)[0, 0]
    assert (weights[0, 0], weights[8, 8], weights[6, 6]) == (1, 2, 4)


def test_faces_that_look_alike_to_the_encoder_cost_nothing(shards, frozen_parts):
    looks = FaceLooks(frozen_parts["image_encoder"])
    picture = torch.rand(2, 3, SIZE, SIZE) * 2 - 1
    other = picture.clone()
    other[..., 60:68, 40:56] = -1
    assert looks(picture, picture) == 0
    assert looks(other, picture) > 1e-4
    outside = picture.clone()
    outside[..., :16, :] = 1
    assert looks(outside, picture) == 0


def test_vae_learns_from_what_the_encoder_sees(shards, frozen_parts):
    task = VaeTask(
        VaeConfig(shards=shards, heldout=shards, channels=(8, 16), perceptual=frozen_parts["image_encoder"])
    )
    model, _ = one_loss(task)
    assert reached(model["vae"].encoder) and reached(model["vae"].decoder)
    assert not reached(task._looks)


def test_likeness_reaches_the_denoiser_and_not_the_networks_that_look(shards, frozen_parts):
    task = _portrait_task(
        shards, frozen_parts, likeness_weight=1.0, likeness_share=1.0, both_drop=0.0, identity_drop=0.0
    )
    model, data = one_loss(task, count=8)
    assert reached(model["unet"])
    assert not reached(task.vae) and not reached(task.image_encoder)
    wanted = torch.nn.functional.normalize(torch.randn(4, 32), dim=1)
    clean, usable = torch.randn(4, 12, 16, 16), torch.tensor([True, False, True, False])
    assert 0 < task._distance(clean, usable, wanted) < 2
    assert task._distance(clean, usable, wanted) == task._distance(clean[::2], usable[::2], wanted[::2])
    assert task._distance(clean, torch.zeros(4, dtype=torch.bool), wanted) == 0


def test_likeness_is_wanted_to_all_pictures_of_the_person_on_the_drawn_side(shards, frozen_parts):
    task = _portrait_task(shards, frozen_parts, both_drop=0.0, identity_drop=0.0)
    data = task.dataset()
    rows = task.pairs.same_side(data.heads, 2, side=0, partner=2)
    assert {data.heads.identity[row] for row in rows} == {data.heads.identity[2]}
    assert {reference_side(row) for row in rows} == {0} and 2 in rows
    person = task.sample(data, 2, np.random.default_rng(0))["person"]
    assert np.linalg.norm(person) > 0.1
    copying = _portrait_task(shards, frozen_parts, same_image=True)
    assert copying.pairs.same_side(data.heads, 2, side=0, partner=2) == [2]


def test_references_of_another_age_band_are_preferred(shards, frozen_parts):
    heads = HeadArrays(shards)
    of_person = {person: np.flatnonzero(heads.identity == person) for person in np.unique(heads.identity)}
    for labels in heads.labels:
        labels["age_band"] = "young"
    three = np.concatenate([of_person[0], of_person[1][:1]])  # three pictures of one person
    heads.identity, heads._people = np.where(np.isin(np.arange(8), three), 0, 1), [three, of_person[2]]
    heads.labels[three[1]]["age_band"] = "elderly"
    for share, allowed in ((1.0, {int(three[1])}), (0.0, {int(three[1]), int(three[2])})):
        task = _portrait_task(shards, frozen_parts, other_age=share)
        found = {tuple(task.pairs.partners(heads, int(three[0]), np.random.default_rng(k))) for k in range(8)}
        assert {row for rows in found for row in rows} == allowed
    # Everybody else is as old: all of them stay.
    always = _portrait_task(shards, frozen_parts, other_age=1.0)
    assert always.pairs.partners(heads, int(of_person[2][0]), np.random.default_rng(0)) == [
        int(of_person[2][1])
    ]


def test_age_critic_learns_years_and_is_loaded_by_the_portrait_task(shards, frozen_parts, tmp_path):
    task = AgeTask(AgeConfig(shards=shards, heldout=shards, vae=frozen_parts["vae"], width=8))
    model, _ = one_loss(task)
    assert len(reached(model)) == len(list(model.parameters()))
    task.export(model, tmp_path)
    critic = LatentAge.load(tmp_path)
    assert critic(torch.zeros(2, 12, 16, 16)).shape == (2,)

    portrait = _portrait_task(shards, frozen_parts, age_critic=tmp_path, age_weight=1.0)
    model, _ = one_loss(portrait, count=8)
    assert reached(model["unet"]) and not reached(portrait.age_critic)


def test_years_outside_a_range_are_counted_in_decades():
    critic = LatentAge(12, 8)
    critic.forward = lambda latents: torch.tensor([40.0, 40.0, 40.0, 60.0])
    ranges = torch.tensor([[35.0, 52.0], [58.0, 86.0], [0.0, 200.0], [35.0, 52.0]])
    assert critic.decades_outside(torch.zeros(4, 12, 16, 16), ranges).tolist() == pytest.approx(
        [0, 1.8, 0, 0.8]
    )


def test_ages_are_wanted_inside_the_band_that_a_text_names():
    assert wanted_years("portrait of a young woman") == (21, 32)
    assert wanted_years("an elderly man, smiling") == (58, 83)
    assert wanted_years("portrait of a middle-aged person") == (38, 52)
    assert wanted_years("a woman, smiling") == (0, 200)
