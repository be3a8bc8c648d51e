"""One folder a task: each a custom diffusers pipeline."""
