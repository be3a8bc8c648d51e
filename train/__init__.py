"""Training: one accelerate loop, a small task object for each trainable thing, recipes, data.

`Trainer(config, task).train()` is the loop; `train.tasks` says what a task is; `train.recipes` holds the
presets; `python -m train RECIPE [key=value ...] [--resume]` runs one.
"""
