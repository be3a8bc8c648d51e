"""A complete, topology-aligned texture of a head out of one picture of it."""
