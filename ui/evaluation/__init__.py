"""Measures the web page on a running server: how fast it is there, what many visitors do to it, what it refuses."""
