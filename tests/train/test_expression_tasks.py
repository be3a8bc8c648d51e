"""Tasks of the expression pipeline on made-up heads: adapter, judge's reader, calibrator, perception's labels."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from faces import vocabulary
from faces.head.expression import PROTOTYPES
from faces.head.spec import full_action_units
from faces.networks import JudgeNet
from faces.perception import PerceptionNet
from pipelines.expression.calibrator import LabelCalibrator
from pipelines.expression.modules import ActionUnitAdapter
from tests.train.heads import one_loss, reached
from train.calibrate import calibration
from train.data.heads import IGNORED, HeadArrays, unit_weights
from train.tasks.calibrator import CalibratorConfig, CalibratorTask
from train.tasks.expression import ExpressionConfig, ExpressionTask, _shaken
from train.tasks.judge_reader import JudgeReaderConfig, JudgeReaderTask
from train.tasks.perception import PerceptionConfig, PerceptionTask, mirrored, study_labels
from train.tasks.perception_reader import PerceptionReaderConfig, PerceptionReaderTask, with_reader
from train.tasks.portrait import PortraitConfig, PortraitTask

TINY = {"size": 128, "widths": (4, 8, 8, 8), "depths": (0, 1, 0, 0), "width": 16, "layers": 1, "heads": 2}


@pytest.fixture(scope="module")
def model_folder(shards, frozen_parts, tmp_path_factory):
    """A small portrait model, untrained."""
    sizes = {"channels": (32, 64), "text_width": 64, "text_layers": 1, "id_tokens": 2}
    torch.manual_seed(0)
    task = PortraitTask(PortraitConfig(shards=shards, heldout=shards, **frozen_parts, **sizes))
    folder = tmp_path_factory.mktemp("model")
    task.export(task.build(), folder)
    return folder


def expression_task(shards, model_folder, **changes):
    return ExpressionTask(ExpressionConfig(shards=shards, heldout=shards, start=model_folder, **changes))


def test_only_the_adapter_is_trained_and_exported(shards, model_folder, tmp_path):
    task = expression_task(shards, model_folder, tokens=2, hidden=16)
    model, _ = one_loss(task, count=8)
    assert {name.split(".")[0] for name in reached(model)} == {"adapter"}
    assert any("to_v" in name for name in reached(model))
    task.export(model, tmp_path)
    assert ActionUnitAdapter.from_pretrained(tmp_path).config.num_tokens == 2


def test_units_come_from_the_side_that_is_drawn_and_captions_leave_room(shards, model_folder):
    task = expression_task(shards, model_folder, told_share=0.0, all_share=0.5, tokens=2, hidden=16)
    data = task.dataset()
    labels = data.heads.labels[1]
    rows = [task.sample(data, 1, np.random.default_rng(seed)) for seed in range(200)]
    straight = np.array([labels["au"][name] for name in vocabulary.UNIT_COLUMNS], np.float32)
    sides = {row["units"].tobytes() for row in rows}
    assert sides <= {straight.tobytes(), vocabulary.flip_units(straight).tobytes()}
    shares = [row["specified"].mean() for row in rows]
    assert np.mean([share == 1 for share in shares]) == pytest.approx(0.5, abs=0.15)
    assert np.mean([share == 0 for share in shares]) > 0.15
    told = task._told({"expression": "happy", "gender": "man"}, np.random.default_rng(0))
    assert told == {"gender": "man"}


def test_a_teacher_reaches_the_adapter_and_does_not_learn(shards, model_folder, tmp_path):
    torch.manual_seed(0)
    PerceptionNet(**TINY).save(tmp_path)
    task = expression_task(
        shards,
        model_folder,
        teacher=tmp_path,
        unit_weight=1.0,
        unit_share=1.0,
        all_share=1.0,
        tokens=2,
        hidden=16,
    )
    model, _ = one_loss(task, count=8)
    assert reached(model["adapter"]) and not reached(task.teacher) and not reached(task.vae)


def test_a_teacher_sees_pictures_mirrored_and_moved_as_their_units_are():
    pictures = torch.zeros(2, 3, 64, 64)
    pictures[:, :, 20:44, 4:28] = 1.0  # on the left
    torch.manual_seed(0)
    left, right = _shaken(pictures, torch.tensor([False, True]))
    assert left[..., :32].mean() > 4 * left[..., 32:].mean()
    assert right[..., 32:].mean() > 4 * right[..., :32].mean()
    first, second = (_shaken(pictures, torch.tensor([False, False])) for _ in range(2))
    assert not torch.allclose(first, second)
    assert first.mean() == pytest.approx(pictures.mean().item(), rel=0.2)


def test_likeness_reaches_the_adapter_and_is_nothing_for_the_target_itself(shards, model_folder):
    task = expression_task(
        shards, model_folder, recognizer=model_folder / "image_encoder", likeness_weight=1.0, unit_share=1.0,
        tokens=2, hidden=16,
    )  # fmt: skip
    model, _ = one_loss(task, count=8)
    assert reached(model["adapter"])
    clean = torch.randn(
        2, task.vae.config.latent_channels, 16, 16, generator=torch.Generator().manual_seed(0)
    )
    assert task._unlike(task._decode(clean), clean).item() == pytest.approx(0, abs=1e-5)


def test_the_sheet_leaves_the_adapter_in_place(shards, model_folder, tmp_path):
    """Drawing a sheet builds a pipeline, which takes the attention of the denoiser for itself."""
    task = expression_task(shards, model_folder, tokens=2, hidden=16)
    model = task.build()
    task.assemble(model)
    batch = [task.sample(task.dataset(), index, np.random.default_rng(index)) for index in range(4)]
    batch = {name: torch.from_numpy(np.stack([row[name] for row in batch])) for name in batch[0]}
    from train.draws import Draws

    task.loss(model, batch, Draws(0, range(4), 0))[0].backward()
    assert reached(model["adapter"])


def test_the_reader_learns_and_the_judge_stays(shards, tmp_path):
    torch.manual_seed(0)
    known = JudgeNet(widths=(4, 8, 8, 8), embedding=8)
    known.save(tmp_path / "judge")
    task = JudgeReaderTask(
        JudgeReaderConfig(shards=(shards,), heldout=shards, start=tmp_path / "judge", reader=(8, 8, 8, 8))
    )
    model, _ = one_loss(task)
    assert {name.split(".")[0] for name in reached(model)} == {"reader"}
    task.export(model, tmp_path / "out")
    loaded, before = JudgeNet.load(tmp_path / "out"), JudgeNet.load(tmp_path / "judge")
    x = torch.rand(2, 3, 128, 128)
    with torch.no_grad():
        new, old = loaded(x), before(x)
    assert {"units", "shown"} <= set(new) - set(old)
    for name, value in old.items():
        torch.testing.assert_close(new[name], value, atol=0, rtol=0)


def test_the_reader_of_perception_learns_and_the_rest_stays(shards, tmp_path):
    torch.manual_seed(0)
    PerceptionNet(**TINY).save(tmp_path / "known")
    config = {"shards": (shards,), "heldout": shards, "fine": 0}
    task = PerceptionReaderTask(
        PerceptionReaderConfig(start=tmp_path / "known", reader=(8, 8, 8, 8), **config)
    )
    model, _ = one_loss(task)
    assert {name.split(".")[0] for name in reached(model)} == {"readers"}
    task.export(model, tmp_path / "read")
    before, after = PerceptionNet.load(tmp_path / "known"), PerceptionNet.load(tmp_path / "read")
    x = torch.rand(2, 3, TINY["size"], TINY["size"])
    with torch.no_grad():
        old, new = before(x), after(x)
    assert set(old) == set(new)
    for name in set(old) - {"action_units"}:
        torch.testing.assert_close(new[name], old[name], atol=0, rtol=0)

    # Training everything else afterwards leaves what the reader stands on.
    task = PerceptionTask(PerceptionConfig(start=tmp_path / "read", **config))
    model, _ = one_loss(task)
    got = set(reached(model))
    assert "net.encoder.3.0.0.weight" in got
    assert not any(name.startswith(("net.readers", "net.encoder.0", "net.encoder.1")) for name in got)
    assert not model["net"].encoder[1][0][1].training  # its running statistics hold still, too


def test_the_calibrator_looks_through_the_denoiser(shards, model_folder, tmp_path):
    task = CalibratorTask(CalibratorConfig(shards=(shards,), heldout=shards, model=model_folder, width=16))
    data = task.dataset()
    labels = study_labels(HeadArrays(shards).labels)["expression"]
    assert len(data) == (labels != IGNORED).sum()
    model, _ = one_loss(task, count=2)
    assert len(reached(model)) > 10
    task.export(model, tmp_path)
    assert LabelCalibrator.from_pretrained(tmp_path).config.timestep == 60


def test_labels_of_a_study(shards):
    heads = HeadArrays(shards)
    labels = study_labels(heads.labels)
    mixed = np.array([row["expression"] == vocabulary.MIXED for row in heads.labels])
    np.testing.assert_array_equal(labels["expression"] == IGNORED, mixed)
    assert (labels["valence_arousal"][mixed] == 0).all()
    both = mirrored(mirrored(labels))
    for name, values in labels.items():
        np.testing.assert_array_equal(both[name], values)
    weights = unit_weights(np.array([[0.0, 1.0], [0.1, 0.0]]))
    assert weights[0] > weights[1] and weights.mean() == pytest.approx(1)


def test_several_folders_of_heads_are_one(shards):
    one, both = HeadArrays(shards), HeadArrays([shards, shards])
    assert len(both) == 2 * len(one)
    np.testing.assert_array_equal(both.image[len(one) :], one.image)
    assert len(np.unique(both.identity)) == len(np.unique(one.identity))


def test_valence_follows_strength(shards):
    row = HeadArrays(shards).labels[0]
    half = {name: value * 0.5 for name, value in full_action_units(PROTOTYPES["happy"]).items()}
    full = full_action_units(PROTOTYPES["happy"])
    strong, weak = (
        study_labels([row | {"expression": "happy", "au": units}])["valence_arousal"][0]
        for units in (full, half)
    )
    np.testing.assert_allclose(strong, vocabulary.CIRCUMPLEX["happy"], atol=1e-6)
    np.testing.assert_allclose(weak, strong / 2, atol=1e-6)


def test_perception_moves_labels_with_the_picture(shards):
    task = PerceptionTask(
        PerceptionConfig(shards=(shards,), heldout=shards, augmentation="none", texture_share=0.0)
    )
    data = task.dataset()
    for seed in range(12):
        row = task.sample(data, 3, np.random.default_rng(seed))
        assert row["quality"] == 1 and row["presence"] == 1
        assert abs(abs(row["pose"][0]) - abs(data.labels[3]["yaw"])) < 1e-3
    always = PerceptionTask(PerceptionConfig(shards=(shards,), heldout=shards, texture_share=1.0))
    row = always.sample(always.dataset(), 3, np.random.default_rng(0))
    assert row["presence"] == 0 and row["quality"] == 0


@pytest.mark.parametrize("hold", ["readers", "what readers see"])
def test_readers_hold_the_levels_under_them_unless_they_are_taught_anew(shards, tmp_path, hold):
    torch.manual_seed(0)
    with_reader(PerceptionNet(**TINY), (4, 4, 4, 4)).save(tmp_path)
    task = PerceptionTask(
        PerceptionConfig(shards=(shards,), heldout=shards, start=tmp_path, fine=4, hold=hold)
    )
    model, _ = one_loss(task, count=4)
    found = reached(model["net"])
    assert not any(name.startswith("readers.") for name in found)
    assert any(name.startswith("encoder.0.") for name in found) == (hold == "readers")
    assert any(name.startswith("encoder.2.") for name in found)


def test_maps_are_taught_while_every_other_answer_stays(shards, tmp_path):
    torch.manual_seed(0)
    known = with_reader(PerceptionNet(**TINY), (4, 4, 4, 4)).eval()
    known.save(tmp_path)
    config = PerceptionConfig(shards=(shards,), heldout=shards, start=tmp_path, fine=4, hold="all but maps")
    task = PerceptionTask(config)
    model, _ = one_loss(task)
    found = reached(model)
    assert any(name.startswith("net.detail.") for name in found)
    assert not any(name.startswith(("net.encoder.", "net.decoder.", "net.value.")) for name in found)
    torch.optim.SGD(model.parameters(), 0.1).step()
    x = torch.rand(2, 3, TINY["size"], TINY["size"])
    before = PerceptionNet.load(tmp_path)
    with torch.no_grad():
        taught, untaught = model["net"].eval()(x), before(x)
    assert not torch.equal(taught["parsing"][..., ::2, ::2], untaught["parsing"])
    for name in set(untaught) - {"parsing"}:
        torch.testing.assert_close(taught[name], untaught[name], atol=1e-6, rtol=1e-5)


def test_calibration_is_fitted_to_the_heads(shards):
    torch.manual_seed(0)
    found = calibration(PerceptionNet(**TINY).eval(), HeadArrays(shards))
    assert set(found) == {"temperature", "open_set_centre", "open_set_width"}
    assert 0.1 < found["temperature"] < 10 and found["open_set_width"] > 0
