"""Evaluation: metrics in plain numpy, the judge, and the bars that `mien evaluate` prints."""
