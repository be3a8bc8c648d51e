"""Makeup from a reference photograph, from colours or from a stored code, put on or taken off a face."""
