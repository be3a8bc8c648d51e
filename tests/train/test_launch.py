"""The command line, parameter groups and the launcher's configuration files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.commands.launch import launch_command_parser
from torch import nn

from train import metrics, optimizer
from train.__main__ import main
from train.config import OptimizerConfig
from train.tasks import frozen

CONFIGS = sorted((Path(__file__).parents[2] / "train" / "configs").glob("*.yaml"))


def test_list_names_the_recipes(toy, capsys):
    assert main(["--list"]) == 0
    assert "toy                      Tiny denoiser." in capsys.readouterr().out.splitlines()


def test_show_prints_the_configuration_with_overrides(toy, capsys):
    assert main(["toy", "steps=3", "--show", "optimizer.lr=2"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["steps"], shown["optimizer"]["lr"], shown["task"]["kind"]) == (3, 2.0, "toy")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["toy", "stepz=3"], "unknown key stepz; did you mean steps?"),
        (["toys"], "unknown recipe 'toys'; known:"),
        (["toy", "--export"], "toy: no checkpoint to export; train first"),
    ],
)
def test_errors_are_one_line_and_exit_2(toy, capsys, tmp_path, arguments, message):
    assert main([*arguments, "--runs", str(tmp_path)]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1


def test_resume_keeps_the_settings_of_the_run_and_export_needs_no_training(toy, tmp_path):
    runs = ["--runs", str(tmp_path), "--cpu"]
    assert main(["toy", "steps=3", "optimizer.lr=0.5", *runs]) == 0
    assert main(["toy", "steps=4", "--resume", *runs]) == 0
    rows = metrics.read(tmp_path / "toy" / "metrics.jsonl")
    assert json.loads((tmp_path / "toy" / "config.json").read_text())["optimizer"]["lr"] == 0.5
    assert [row["step"] for row in rows if row["kind"] == "train"] == [1, 2, 3, 4]
    (tmp_path / "toy" / "export" / "model.safetensors").unlink()
    assert main(["toy", "--export", *runs]) == 0
    assert (tmp_path / "toy" / "export" / "model.safetensors").exists()


def test_groups_split_decay_and_fill_in_the_config(toy):
    task = toy.ToyTask(toy.ToyConfig(adversarial=True))
    groups = optimizer.parameter_groups(task, task.build(), OptimizerConfig(lr=1e-3, weight_decay=0.1))
    assert [(group["name"], group["base_lr"], group["weight_decay"]) for group in groups] == [
        ("net", 1e-3, 0.1), ("net", 1e-3, 0.0), ("critic", 3e-3, 0.1), ("critic", 3e-3, 0.0),
    ]  # fmt: skip
    assert groups[2]["betas"] == (0.5, 0.9)
    assert all(parameter.ndim == 2 for parameter in groups[0]["params"])


def test_parameter_in_no_group_or_in_two_is_an_error(toy, monkeypatch):
    task = toy.ToyTask(toy.ToyConfig(adversarial=True))
    model = task.build()
    monkeypatch.setattr(task, "parameter_groups", lambda model: [{"params": model["net"].parameters()}])
    with pytest.raises(ValueError, match=r"leaves out 4 trainable parameters, such as critic\.0\.weight"):
        optimizer.parameter_groups(task, model, OptimizerConfig())
    twice = [{"params": list(model.parameters())}, {"params": model["net"].parameters()}]
    monkeypatch.setattr(task, "parameter_groups", lambda model: twice)
    with pytest.raises(ValueError, match=r"parameter group 1: net\.0\.weight is in two groups"):
        optimizer.parameter_groups(task, model, OptimizerConfig())


def test_frozen_lets_gradients_through_but_not_in():
    layer, x = nn.Linear(2, 1), torch.ones(1, 2, requires_grad=True)
    with frozen(layer):
        out = layer(x)
    out.backward()
    assert x.grad is not None and layer.weight.grad is None and layer.weight.requires_grad


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_launcher_knows_every_key_of_its_configuration(path):
    config = load_config_from_file(str(path))  # refuses unknown keys at the top
    known = {action.dest for action in launch_command_parser()._actions}
    used = set(config.fsdp_config) | set(config.deepspeed_config)
    assert used <= known
    assert config.main_training_function == "main"


def test_all_four_configurations_are_there():
    assert [path.stem for path in CONFIGS] == ["cpu", "deepspeed_zero2", "fsdp2", "multi_gpu"]
