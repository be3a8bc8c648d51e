"""The bars of the loop: processes change nothing, a kill changes nothing, the export loads."""

from __future__ import annotations

import dataclasses
import signal

import pytest
import torch
from safetensors.torch import load_file, load_model

from train import checkpoint, metrics
from train.config import TrainConfig
from train.trainer import Trainer


def losses(folder) -> dict[int, float]:
    return {
        row["step"]: row["loss"] for row in metrics.read(folder / "metrics.jsonl") if row["kind"] == "train"
    }


def validations(folder) -> list[dict]:
    return [row for row in metrics.read(folder / "metrics.jsonl") if row["kind"] == "validate"]


def state_of(folder) -> dict[str, torch.Tensor]:
    """Every tensor of a checkpoint: weights, average, moments of the optimizer."""
    moments = torch.load(folder / "optimizer.pt", weights_only=True)["optimizer"]["state"]
    flat = {f"{index}.{name}": value for index, state in moments.items() for name, value in state.items()}
    return load_file(folder / "model.safetensors") | load_file(folder / "ema.safetensors") | flat


def weights(folder) -> dict[str, torch.Tensor]:
    return load_file(folder / "export" / "model.safetensors")


def train(toy, runs, resume=False, **changes):
    """Run the toy recipe in this process; return the trainer and the run folder."""
    config = dataclasses.replace(toy.toy(), **changes)
    trainer = Trainer(config, toy.ToyTask(config.task), runs=runs, resume=resume, cpu=True)
    return trainer, trainer.train()


def test_two_processes_on_half_batches_equal_one(toy, run_toy, tmp_path):
    _, one = train(toy, tmp_path, name="one", task=toy.ToyConfig(adversarial=True))
    done = run_toy("name=two", "task.adversarial=true", "accumulation=2", processes=2)
    assert done.returncode == 0, done.stderr
    assert "on 2 x cpu" in done.stderr
    whole, halves = losses(one), losses(tmp_path / "two")
    assert list(whole) == list(halves) == list(range(1, 21))
    assert all(abs(whole[step] - halves[step]) <= 1e-4 * abs(whole[step]) for step in whole)
    for name, value in weights(one).items():
        torch.testing.assert_close(weights(tmp_path / "two")[name], value, rtol=1e-3, atol=1e-5)


def test_killed_run_resumes_bit_for_bit(toy, run_toy, tmp_path):
    settings = {"task": toy.ToyConfig(dropout=0.3), "log_every": 4}
    _, whole = train(toy, tmp_path, name="whole", **settings)
    killed = run_toy("name=killed", "task.dropout=0.3", "task.kill_at=13", "log_every=4", "workers=1")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert checkpoint.all_steps(tmp_path / "killed" / "checkpoints") == [5, 10]
    _, resumed = train(toy, tmp_path, resume=True, name="killed", **settings)
    assert losses(whole) == losses(resumed)
    assert validations(whole) == validations(resumed)
    first, second = (state_of(folder / "checkpoints" / "step-00000020") for folder in (whole, resumed))
    assert list(first) == list(second)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_signal_to_the_whole_group_stops_with_a_checkpoint(run_toy, tmp_path):
    stopped = run_toy("name=stopped", "task.stop_at=7", "workers=2")
    assert stopped.returncode == 0, stopped.stderr
    assert checkpoint.all_steps(tmp_path / "stopped" / "checkpoints")[-1] in (7, 8)


def test_time_limit_stops_with_a_checkpoint_and_the_run_can_be_extended(toy, tmp_path):
    _, folder = train(toy, tmp_path, name="short", max_minutes=1e-6, checkpoint_steps=0)
    assert checkpoint.all_steps(folder / "checkpoints") == [1]
    assert not (folder / "export").exists()
    train(toy, tmp_path, resume=True, name="short", steps=25)
    assert list(losses(folder)) == list(range(1, 26))
    assert TrainConfig.load(folder / "config.json").steps == 25


def test_last_two_checkpoints_are_kept_and_leftovers_of_a_kill_removed(toy, tmp_path):
    leftover = tmp_path / "keep" / "checkpoints" / ".step-00000099.partial"
    leftover.mkdir(parents=True)
    train(toy, tmp_path, name="keep", checkpoint_steps=4)
    assert sorted(path.name for path in leftover.parent.iterdir()) == ["step-00000016", "step-00000020"]


def test_second_start_without_resume_is_refused(toy, tmp_path):
    train(toy, tmp_path, name="again", steps=1)
    with pytest.raises(FileExistsError, match=r"again already holds a run at step 1: add --resume"):
        train(toy, tmp_path, name="again", steps=2)


def test_export_holds_the_averaged_weights_and_a_card(toy, tmp_path):
    trainer, folder = train(toy, tmp_path, name="out", ema_decay=0.9, steps=10)
    fresh = trainer.task.build()
    load_model(fresh, str(folder / "export" / "model.safetensors"))
    for name, value in trainer.ema.state_dict().items():
        assert torch.equal(fresh.state_dict()[name], value)
    trained = dict(trainer.model.named_parameters())
    assert any(not torch.equal(fresh.state_dict()[name], value) for name, value in trained.items())
    text = (folder / "export" / "README.md").read_text()
    assert "Licence of the data: CC0-1.0" in text
    assert "| mse |" in text
    assert '"seed": 0' in text


def test_loss_that_is_not_finite_ends_the_run_and_keeps_the_last_good_checkpoint(toy, tmp_path, monkeypatch):
    plain = toy.ToyTask.loss

    def loss(self, model, batch, draws):
        value, extra = plain(self, model, batch, draws)
        return value * (float("nan") if draws.step >= 3 else 1.0), extra

    monkeypatch.setattr(toy.ToyTask, "loss", loss)
    with pytest.raises(FloatingPointError, match=r"the loss is nan at step 5: lower optimizer\.lr"):
        train(toy, tmp_path, name="nan", checkpoint_steps=2, log_every=5)
    assert checkpoint.all_steps(tmp_path / "nan" / "checkpoints") == [2]


def test_trackers_get_the_rows(toy, tmp_path):
    _, folder = train(toy, tmp_path, name="tracked", steps=2, trackers=("tensorboard",))
    assert list((folder / "trackers").rglob("events.out.tfevents*"))


def test_throughput_is_a_share_of_the_measured_peak(toy, tmp_path):
    trainer, folder = train(toy, tmp_path, name="fast", steps=3, measure_peak=True)
    # Forward 2 x 8 x 16 per layer; backward the same for the weights, and for the input of the second layer.
    assert trainer.speed.flops_per_sample == 2 * 8 * 16 * (2 + 2 + 1)
    row = metrics.read(folder / "metrics.jsonl")[0]
    expected = row["samples_per_s"] * trainer.speed.flops_per_sample / trainer.speed.peak
    assert row["share_of_peak"] == pytest.approx(expected)
