"""Training for drag editing on made-up pairs: drags, losses, what is trained and what is exported."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from faces.spread import spread
from pipelines.drag.drags import Drags
from pipelines.drag.flow_generator import FlowGenerator
from pipelines.drag.pipeline import DragPipeline
from tests.train.heads import one_loss, reached, write_shards
from train.data.motion import MOST, MotionPairs
from train.draws import Draws
from train.tasks.drag import DragConfig, DragTask
from train.tasks.flow import FlowConfig, FlowTask, mirrored, predict

CHANNELS = (8, 8, 8)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    return write_shards(tmp_path_factory.mktemp("pairs"), motion=True)


@pytest.fixture(scope="module")
def generator(pairs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("flow")
    task = FlowTask(FlowConfig(shards=pairs, heldout=pairs, channels=CHANNELS, size=32))
    task.export(task.build(), folder)
    return folder


def drag_task(pairs, generator, **changes):
    return DragTask(DragConfig(shards=pairs, heldout=pairs, flow=generator, channels=CHANNELS, **changes))


def test_drags_follow_the_flow_and_start_on_what_both_show(pairs):
    data = MotionPairs(pairs)
    assert len(data) == 8 and data.partner(0) == 1 and data.partner(5) == 4
    counts = set()
    for seed in range(40):
        drags = data.drags(seed % 8, np.random.default_rng(seed))
        counts.add(int(drags.known.sum()))
        columns, rows = np.floor(drags.sources[drags.known]).astype(int).T
        assert data.seen[seed % 8][rows, columns].all()
        wanted = np.array([1, 2]) * (-1 if seed % 2 else 1)
        assert np.abs(drags.vectors[drags.known] - wanted).max() < 0.4
        assert not drags.vectors[~drags.known].any()
    assert min(counts) <= 3 and max(counts) > 10
    for count in (1, 5):
        exact = data.drags(0, np.random.default_rng(1), count)
        assert exact.known.sum() == count and (exact.vectors[exact.known] == (1, 2)).all()
    assert data.drags(0, np.random.default_rng(1), MOST).known.sum() <= MOST


def test_heads_that_are_no_pairs_are_refused(tmp_path):
    with pytest.raises(ValueError, match="flow"):
        MotionPairs(write_shards(tmp_path))


def test_far_points_are_chosen():
    places = np.array([[0, 0], [1, 0], [10, 0], [0, 9], [1, 1]])
    assert spread(places, 3).tolist() == [[0, 0], [10, 0], [0, 9]]
    assert len(spread(places, 9)) == 5 and len(spread(places[:0], 2)) == 0


def test_mirrored_samples_move_the_other_way():
    frames, flow, head = torch.rand(2, 3, 8, 8), torch.rand(2, 2, 8, 8), torch.rand(2, 1, 8, 8)
    places, vectors = torch.rand(2, 4, 2), torch.rand(2, 4, 2)
    made = mirrored(torch.tensor([False, True]), frames, flow, head, places, vectors)
    for before, after in zip((frames, flow, head, places, vectors), made, strict=True):
        assert torch.equal(after[0], before[0])
    assert torch.equal(made[0][1], frames[1].flip(-1))
    assert torch.equal(made[1][1, 0], -flow[1, 0].flip(-1)) and torch.equal(
        made[1][1, 1], flow[1, 1].flip(-1)
    )
    assert torch.allclose(made[3][1, :, 0], 1 - places[1, :, 0]) and torch.equal(
        made[4][1, :, 0], -vectors[1, :, 0]
    )


def test_a_flow_generator_trains_and_its_units_are_the_pipelines(pairs, tmp_path):
    task = FlowTask(FlowConfig(shards=pairs, heldout=pairs, channels=CHANNELS, size=32))
    model, data = one_loss(task, count=4)
    assert {name.split(".")[0] for name in reached(model)} == {"down_blocks", "up_blocks"}
    _, flow, head = task.pictures(torch.tensor([0]))
    inside = head[0, 0] > 0
    assert torch.allclose(flow[0][:, inside].mean(dim=1), torch.tensor([1.0, 2.0]) * 10 / 128, atol=1e-3)
    numbers = task.validate(model.eval(), 3, tmp_path)
    assert numbers["still"] == pytest.approx(5**0.5, abs=1e-3)
    assert set(numbers) == {"still", "error_1", "error_3", "error_5", "error_10", "error_68"}
    assert (tmp_path / "step-00000003.png").is_file()
    task.export(model, tmp_path / "export")
    assert FlowGenerator.from_pretrained(tmp_path / "export").config.sample_size == 32
    assert len(data) == 8


def test_a_perfect_flow_has_no_loss(pairs, monkeypatch):
    task = FlowTask(FlowConfig(shards=pairs, heldout=pairs, channels=CHANNELS, size=32))
    wanted = {}
    pictures = task.pictures
    monkeypatch.setattr(task, "pictures", lambda index: wanted.setdefault("all", pictures(index)))
    monkeypatch.setattr("train.tasks.flow.mirrored", lambda mirror, *rows: rows)
    monkeypatch.setattr("train.tasks.flow.predict", lambda *_: wanted["all"][1].requires_grad_())
    task.build()
    data = task.dataset()
    batch = torch.utils.data.default_collate(
        [task.sample(data, index, np.random.default_rng(index)) for index in range(2)]
    )
    _, parts = task.loss(None, batch, Draws(0, range(2), 0))
    assert parts["head"] == 0 and parts["background"] == 0 and parts["drags"] < 0.2


def test_the_denoiser_trains_and_the_export_is_a_pipeline(pairs, generator, tmp_path):
    task = drag_task(pairs, generator, predicted_share=0.5)
    model, _ = one_loss(task, count=4)
    assert {name.split(".")[0] for name in reached(model)} >= {
        "conv_in",
        "down_blocks",
        "up_blocks",
        "conv_out",
    }
    assert not any(parameter.requires_grad for parameter in task.generator.parameters())
    numbers = task.validate(model.eval(), 2, tmp_path)
    assert (
        set(numbers) == {"psnr_still", "psnr_exact", "psnr_told"}
        and np.isfinite(list(numbers.values())).all()
    )
    task.export(model, tmp_path / "export")
    pipe = DragPipeline.from_pretrained(tmp_path / "export")
    assert pipe.sees_moved and pipe.frame_size == 128
    picture = np.zeros((128, 128, 3), np.uint8)
    assert pipe(picture, [((40, 40), (50, 40))], aligned=True, num_inference_steps=1).images[0].size == (
        128,
        128,
    )


def test_training_asks_the_generator_as_the_pipeline_does(pairs, generator):
    task = drag_task(pairs, generator)
    pipe = task.assemble(task.build())
    frames = torch.rand(1, 3, 128, 128) * 2 - 1
    drags = Drags.of([((40, 41), (50, 45)), ((80, 90), (80, 85))], size=(128, 128))
    places, vectors = (torch.from_numpy(x)[None] / 128 for x in (drags.sources, drags.vectors))
    told = predict(pipe.flow_generator, frames, places, vectors, torch.ones(1, 2, dtype=torch.bool), 32) * 3.2
    with torch.no_grad():
        assert torch.allclose(told, pipe.predict_flow(frames, [drags]), atol=1e-4)
