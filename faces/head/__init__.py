"""The parametric head: MakeHuman's CC0 assets, morphs, sampling, rendering and exact ground truth."""
