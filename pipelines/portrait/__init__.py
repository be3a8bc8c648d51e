"""Portraits of a person in any look that a prompt describes."""

# diffusers loads a component only from modules that are imported already: these are the bundled model's own.
from pipelines import autoencoder as autoencoder
from pipelines.portrait import encoder as encoder
