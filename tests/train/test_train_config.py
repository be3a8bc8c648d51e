"""Configs: strict overrides, round trips, ranges, recipes."""

from __future__ import annotations

import dataclasses

import pytest

from train import recipes
from train.config import OptimizerConfig, TrainConfig
from train.overrides import ConfigError, differences


def test_overrides_are_parsed_to_the_type_of_the_field(toy):
    config = toy.toy().with_overrides(
        ["optimizer.lr=3e-4", "optimizer.betas=0.5,0.9", "steps=7", "task.adversarial=true",
         "trackers=tensorboard",
         "mixed_precision=bf16", "optimizer.schedule=constant"]
    )  # fmt: skip
    assert config.optimizer.lr == 3e-4
    assert config.optimizer.betas == (0.5, 0.9)
    assert config.steps == 7
    assert config.task.adversarial is True
    assert config.trackers == ("tensorboard",)
    assert config.mixed_precision == "bf16"
    assert config.optimizer.warmup == toy.toy().optimizer.warmup


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("optimizer.lrr=1", r"unknown key optimizer\.lrr; did you mean optimizer\.lr\?"),
        ("task.zzz=3", r"unknown key task\.zzz; known: task\.count"),
        ("steps=many", r"steps='many'.*integer.*steps is int"),
        ("steps=2.5", r"steps='2\.5'.*steps is int"),
        ("optimizer.betas=0.9", r"optimizer\.betas"),
        ("mixed_precision=int8", r"mixed_precision='int8'.*'no'"),
        ("optimizer=3", r"optimizer is a group: set one of its parts"),
        ("steps.more=3", r"steps has no part 'more'"),
        ("steps", r"'steps': an override reads key=value"),
        ("optimizer.lr=-1", r"optimizer\.lr=-1\.0: must be above 0"),
        ("accumulation=3", r"batch_size=8: must be a multiple of accumulation=3"),
        ("name=a/b", r"name='a/b': must be one folder name"),
    ],
)
def test_bad_overrides_say_what_is_wrong(toy, text, message):
    with pytest.raises(ConfigError, match=message):
        toy.toy().with_overrides([text])


def test_config_survives_a_file(toy, tmp_path):
    config = dataclasses.replace(
        toy.toy(), optimizer=OptimizerConfig(betas=(0.1, 0.2)), trackers=("tensorboard",)
    )
    config.save(tmp_path / "config.json")
    assert TrainConfig.load(tmp_path / "config.json") == config


def test_unknown_keys_of_a_file_are_refused(toy):
    data = toy.toy().to_dict()
    data["task"]["color"] = 1
    with pytest.raises(ConfigError, match=r"unknown key task\.color"):
        TrainConfig.from_dict(data)


def test_unknown_task_and_recipe_name_the_known_ones(toy):
    data = toy.toy().to_dict()
    data["task"]["kind"] = "toys"
    with pytest.raises(ConfigError, match=r"unknown task kind 'toys'; known: .*portrait"):
        TrainConfig.from_dict(data)
    with pytest.raises(ConfigError, match=r"unknown recipe 'tuy'; known: .*toy"):
        recipes.make("tuy")


def test_differences_name_the_leaves(toy):
    old, new = toy.toy(), toy.toy().with_overrides(["optimizer.lr=1", "steps=3"])
    assert differences(old.to_dict(), new.to_dict()) == ["optimizer.lr: 0.01 -> 1.0", "steps: 20 -> 3"]
