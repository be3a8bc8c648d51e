"""Training of the texture model on made-up textures of an ellipsoid: masks, loss, what is measured and exported."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from faces.head.dataset import _write_parquet
from pipelines.pixels import fold
from pipelines.texture.conditioning import CONDITION_CHANNELS, TEXTURE_CHANNELS, unconditional
from pipelines.texture.pipeline import TexturePipeline
from pipelines.texture.template import HeadTemplate
from tests.pipelines.texture_ellipsoid import ellipsoid, smooth_texture
from tests.train.heads import one_loss, reached
from train import recipes
from train.data.textures import Textures, Views, insides
from train.draws import Draws
from train.overrides import ConfigError
from train.tasks import make_task
from train.tasks.texture import TextureConfig, TextureTask, fitted_mean, psnr

SIZE, COUNT = 32, 12


def head_template():
    """The ellipsoid as a `HeadTemplate`."""
    toy = ellipsoid()
    template = HeadTemplate(
        len(toy.mean), len(toy.triangles), len(toy.shape_basis), len(toy.expression_basis), "ellipsoid", SIZE
    )
    content = {
        "mean": toy.mean, "shape_basis": toy.shape_basis, "expression_basis": toy.expression_basis, "uv": toy.uv,
        "landmark_weights": toy.landmark_weights.astype(np.float32),
        "triangle_corners": toy.triangles.astype(np.int16),
        "landmark_corners": toy.landmark_vertices.astype(np.int16),
        "mirror_corners": toy.mirror_vertices.astype(np.int16),
    }  # fmt: skip
    template.load_state_dict({name: torch.from_numpy(array) for name, array in content.items()})
    return template


def write_set(folder, seed):
    folder.mkdir()
    images = np.stack([smooth_texture(SIZE, seed + number) for number in range(COUNT)])
    np.save(folder / "images.npy", (images * 255).round().astype(np.uint8))
    _write_parquet(
        folder / "labels.parquet",
        [{"skin_tone": n, "marks": [{"side": "left"}], "makeup": [], "complexion": []} for n in range(COUNT)],
    )
    (folder / "settings.json").write_text(json.dumps({"count": COUNT, "seed": seed}))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("textures")
    head_template().save_pretrained(folder / "template")
    write_set(folder / "train", 0)
    write_set(folder / "dev", 100)
    return folder


def texture_task(folder, **changes):
    return TextureTask(
        TextureConfig(
            textures=folder / "train",
            heldout=folder / "dev",
            template=folder / "template",
            size=SIZE,
            channels=(8, 8, 8),
            masks=6,
            components=5,
            manifold_size=16,
            **changes,
        )
    )


def test_textures_are_read_with_their_labels(folder, tmp_path):
    data = Textures(folder / "train")
    assert len(data) == COUNT and data.size == SIZE and data.settings["seed"] == 0
    assert data.labels[3] == {"skin_tone": 3, "marks": [{"side": "left"}], "makeup": [], "complexion": []}
    expected = np.asarray(data.image).astype(float).mean(axis=0) / 127.5 - 1
    assert np.allclose(data.mean().movedim(0, -1).numpy(), expected, atol=1e-6)
    with pytest.raises(FileNotFoundError, match="no textures here"):
        Textures(tmp_path)


def test_masks_show_a_part_of_the_head_and_are_made_once(folder, tmp_path, monkeypatch):
    template = head_template()
    views = Views(tmp_path, template, SIZE, count=4, seed=3)
    masks = np.array(views.masks)
    assert masks.shape == (4, SIZE, SIZE) and masks.dtype == np.uint8 and masks.max() == 255
    shares = (masks > 0).mean(axis=(1, 2))
    assert (shares > 0.1).all() and (shares < 0.6).all()
    assert len(np.unique(masks.reshape(4, -1), axis=0)) == 4
    monkeypatch.setattr("train.data.textures._random_mask", lambda *_: pytest.fail("computed again"))
    assert np.array_equal(Views(tmp_path, template, SIZE, count=4, seed=3).masks, masks)


def test_drawn_weights_are_masks_less_insides_and_occluders(tmp_path):
    views = Views(tmp_path, head_template(), SIZE, count=1)
    whole = views.masks[0].astype(np.float32) / 255
    inside = insides(head_template(), SIZE)
    assert 0 < inside.sum() < inside.size / 4
    closed = np.where(inside, 0, whole)
    kinds = {"whole": 0, "closed": 0, "occluded": 0}
    for seed in range(400):
        weight = views.draw(np.random.default_rng(seed))
        assert ((weight == whole) | (weight == 0)).all()
        kind = "whole" if (weight == whole).all() else "closed" if (weight == closed).all() else "occluded"
        kinds[kind] += 1
    assert 130 < kinds["whole"] < 220 and 130 < kinds["closed"] < 220 and 30 < kinds["occluded"] < 110


def test_the_denoiser_trains_and_is_exported(folder, tmp_path):
    task = texture_task(folder)
    model, data = one_loss(task)
    assert len(data) == COUNT
    assert model.config.in_channels == TEXTURE_CHANNELS + CONDITION_CHANNELS
    assert {name.split(".")[0] for name in reached(model)} == {
        "conv_in", "time_embedding", "down_blocks", "mid_block", "up_blocks", "conv_norm_out", "conv_out"
    }  # fmt: skip
    task.export(model, tmp_path)
    assert next(model.parameters()).dtype == torch.float32
    pipe = TexturePipeline.from_pretrained(tmp_path)
    assert pipe.unet.config.sample_size == SIZE // 2 and pipe.layout.size == SIZE
    assert (pipe.manifold.config.component_count, pipe.manifold.config.size) == (5, 16)
    assert torch.allclose(pipe.manifold.mean_texture(SIZE), task.mean, atol=2e-3)


class Perfect(torch.nn.Module):
    """Answers with textures that it is told; remembers what it was shown."""

    def __init__(self, goal):
        super().__init__()
        self.goal = torch.nn.Parameter(goal)
        self.shown = []

    def forward(self, sample, _, return_dict):
        self.shown.append(sample[:, TEXTURE_CHANNELS:].detach())
        return (self.goal[: len(sample)],)


def shown_in_a_loss(folder, **changes):
    task = texture_task(folder, **changes)
    data = task.dataset()
    batch = torch.utils.data.default_collate(
        [task.sample(data, index, np.random.default_rng(index)) for index in range(4)]
    )
    model = Perfect(torch.zeros(4, TEXTURE_CHANNELS, SIZE // 2, SIZE // 2))
    loss, parts = task.loss(model, batch, Draws(0, range(4), 0))
    return task, batch, model.shown[0], loss, parts


def test_what_is_dropped_is_not_shown(folder):
    *_, everything, loss, _ = shown_in_a_loss(folder, drop_all=0.0, drop_mirrored=0.0)
    *_, one_sided, same, _ = shown_in_a_loss(folder, drop_all=0.0, drop_mirrored=1.0)
    *_, nothing, unweighted, parts = shown_in_a_loss(folder, drop_all=1.0, drop_mirrored=0.0)
    assert everything[:, 16:32].abs().sum() > 0
    assert torch.equal(one_sided[:, :16], everything[:, :16]) and not one_sided[:, 16:32].any()
    assert torch.equal(one_sided[:, 32:], everything[:, 32:]) and torch.equal(loss, same)
    assert torch.equal(nothing, unconditional(4, SIZE, nothing))
    assert torch.allclose(unweighted.detach(), parts["error"]) and torch.allclose(
        unweighted.detach(), parts["hidden"], atol=1e-6
    )


def test_hidden_texels_count_more(folder):
    for seen_weight in (0.2, 1.0):
        task, batch, _, loss, _ = shown_in_a_loss(folder, drop_all=0.0, seen_weight=seen_weight)
        mirror = Draws(0, range(4), 0).bernoulli(0.5).view(-1, 1, 1, 1)
        goal = task.images[batch["index"]].movedim(-1, 1) / 127.5 - 1
        weight = batch["weight"]
        goal, weight = (torch.where(mirror, task.layout.mirrored(x), x) for x in (goal, weight))
        importance = (1 - (1 - seen_weight) * weight) * torch.from_numpy(task.layout.valid)
        expected = ((goal - task.mean).abs() * importance).sum() / (3 * importance.sum())
        assert torch.allclose(loss.detach(), expected, rtol=1e-4)


def test_validation_compares_with_simple_guesses(folder, tmp_path):
    task = texture_task(folder)
    task.dataset()
    numbers = task.validate(task.build().eval(), 7, tmp_path)
    names = ("model", "mean", "fitted", "mirror", "pca")
    assert set(numbers) == {f"psnr_{n}_{r}" for n in names for r in ("unseen", "mirrored", "never")}
    assert (tmp_path / "step-00000007.png").is_file()
    assert np.isfinite(numbers["psnr_mean_unseen"]) and numbers["psnr_mean_unseen"] > 5


def test_a_denoiser_that_is_right_has_no_error_where_textures_are_hidden(folder, tmp_path, monkeypatch):
    task = texture_task(folder)
    truth = torch.from_numpy(Textures(folder / "dev").image[:].copy()).movedim(-1, 1) / 127.5 - 1
    clean = fold(truth - task.mean, 2)
    model = task.build().eval()
    monkeypatch.setattr(type(model), "forward", lambda self, sample, t, return_dict: (clean[: len(sample)],))
    numbers = task.validate(model, 1, tmp_path)
    assert numbers["psnr_model_unseen"] > 45 > numbers["psnr_mean_unseen"] + 10
    monkeypatch.setattr(type(model), "forward", lambda self, sample, t, return_dict: (0 * clean,))
    numbers = task.validate(model, 2, tmp_path)
    assert numbers["psnr_model_unseen"] == pytest.approx(numbers["psnr_mean_unseen"], abs=0.05)


def test_guesses_of_a_texture_that_is_its_own_mirror_image(folder):
    task = texture_task(folder)
    truth = (task.mean * 0.6 + torch.tensor([0.1, 0.0, -0.1]).view(3, 1, 1))[None]
    truth = (truth + task.layout.mirrored(truth)) / 2
    weight = torch.zeros(1, 1, SIZE, SIZE)
    weight[..., : SIZE // 2] = 1
    guesses = task.baselines(truth * weight, weight)
    hidden = (weight[0, 0] == 0) & torch.from_numpy(task.layout.valid)
    assert torch.allclose(guesses["mirror"][..., hidden], truth[..., hidden], atol=1e-3)
    whole = torch.ones(1, 1, SIZE, SIZE, dtype=torch.bool)
    known = (psnr(guesses[name], truth, whole) for name in ("mean", "fitted", "pca"))
    mean, fitted, pca = known
    assert fitted > mean + 2 and pca > mean


def test_colours_are_fitted_exactly_where_they_can_be():
    mean, weight = torch.rand(3, 8, 8), torch.rand(2, 1, 8, 8)
    slope, shift = torch.rand(2, 3, 1, 1), torch.rand(2, 3, 1, 1)
    truth = mean * slope + shift
    assert torch.allclose(fitted_mean(mean, truth, weight), truth, atol=1e-4)
    assert torch.allclose(fitted_mean(mean, truth, torch.zeros_like(weight)), torch.zeros(()), atol=1e-4)


def test_psnr_is_that_of_regions_that_are_large_enough():
    guess, truth = torch.zeros(2, 3, 8, 8), torch.zeros(2, 3, 8, 8)
    guess[0] = 0.2
    guess[1] = 0.02
    inside = torch.ones(2, 1, 8, 8, dtype=torch.bool)
    assert psnr(guess, truth, inside) == pytest.approx(30, abs=1e-3)
    inside[1, 0, 0, 0] = False
    assert psnr(guess, truth, inside) == pytest.approx(20, abs=1e-3)
    assert np.isnan(psnr(guess, truth, inside & False))


def test_the_recipe_makes_the_task_and_other_sizes_are_refused(folder):
    config = recipes.make("texture")
    assert config.task.kind == "texture" and config.optimizer.kind == "muon" and config.batch_size == 32
    task = make_task(TextureConfig(textures=folder / "train", template=folder / "template", size=SIZE * 2))
    assert isinstance(task, TextureTask)
    with pytest.raises(ConfigError, match="task.size is 64"):
        task.dataset()
