"""Labelled synthetic face datasets: recipe -> plan -> workers -> checks -> shards."""
