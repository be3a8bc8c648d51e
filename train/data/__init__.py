"""Map-style datasets of plain dicts: WebDataset shards, image folders, caches of precomputed arrays."""

from train.data.cache import ArrayCache, write_cache
from train.data.folder import ImageFolder
from train.data.shards import ShardDataset

__all__ = ["ArrayCache", "ImageFolder", "ShardDataset", "write_cache"]
