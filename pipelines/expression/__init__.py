"""Faces with the expression that action units describe."""
