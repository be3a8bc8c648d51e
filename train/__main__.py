"""The command `python -m train RECIPE [key=value ...]`, also for `accelerate launch -m` and `torchrun -m`."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from train import checkpoint, recipes
from train.config import TrainConfig
from train.overrides import ConfigError, differences
from train.tasks import make_task
from train.trainer import Trainer

logger = logging.getLogger("train")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    options = _parser().parse_intermixed_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    if options.list or not options.recipe:
        _list_recipes()
        return 0
    try:
        config = _config(options)
        if options.show:
            sys.stdout.write(json.dumps(config.to_dict(), indent=2) + "\n")
            return 0
        _run(config, options)
    except (ConfigError, FileExistsError, FileNotFoundError, FloatingPointError) as error:
        sys.stderr.write(f"train: {error}\n")
        return 2
    return 0


def _run(config: TrainConfig, options: argparse.Namespace) -> None:
    is_resumed = options.resume or options.export
    trainer = Trainer(config, make_task(config.task), runs=options.runs, resume=is_resumed, cpu=options.cpu)
    if options.export:
        trainer.export(trainer.validate())
    else:
        trainer.train()


def _config(options: argparse.Namespace) -> TrainConfig:
    """Return the recipe with the overrides; on resume, the checkpoint's config with the overrides."""
    config = recipes.make(options.recipe).with_overrides(options.overrides)
    if not (options.resume or options.export):
        return config
    found = checkpoint.latest(options.runs / config.name / "checkpoints")
    if not found:
        if options.export:
            raise FileNotFoundError(f"{options.runs / config.name}: no checkpoint to export; train first")
        return config
    saved = TrainConfig.load(found / "config.json").with_overrides(options.overrides)
    for line in differences(config.to_dict(), saved.to_dict()):
        logger.info("the run keeps its own setting (recipe -> run): %s", line)
    return saved


def _list_recipes() -> None:
    for name, function in sorted(recipes.RECIPES.items()):
        sys.stdout.write(f"{name:24} {(function.__doc__ or '').strip().splitlines()[0]}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m train", description="Train what a recipe describes.")
    parser.add_argument("recipe", nargs="?", help="name of a recipe; see --list")
    parser.add_argument(
        "overrides", nargs="*", metavar="key=value", help="for example steps=100 optimizer.lr=1e-4"
    )
    parser.add_argument(
        "--resume", action="store_true", help="continue the run from its last checkpoint, if any"
    )
    parser.add_argument(
        "--export", action="store_true", help="validate and export the last checkpoint, and end"
    )
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of the runs (default: runs)")
    parser.add_argument("--cpu", action="store_true", help="use the CPU even where an accelerator is present")
    parser.add_argument("--show", action="store_true", help="print the configuration and end")
    parser.add_argument("--list", action="store_true", help="print the recipes and end")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
