"""A CLIP tokenizer made on the spot: whole words for a few, letters for all others."""

from __future__ import annotations

import functools

from transformers import CLIPTokenizer

WORDS = [
    "a",
    "the",
    "of",
    "person",
    "man",
    "woman",
    "face",
    "ears",
    "eyes",
    "nose",
    "mouth",
    "detail",
    "one",
    "two",
    "and",
    "has",
]
_END = "</w>"


@functools.lru_cache
def _pieces() -> tuple[dict[str, int], list[tuple[str, str]]]:
    printable = [chr(number) for number in range(33, 127)]
    pieces, merges = [*printable, *(letter + _END for letter in printable)], []
    for word in WORDS:
        left = word[0]
        for number, letter in enumerate(word[1:], start=1):
            right = letter + _END if number == len(word) - 1 else letter
            merges.append((left, right))
            left += right
            pieces.append(left)
    pieces += ["<|startoftext|>", "<|endoftext|>"]
    return {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}, list(dict.fromkeys(merges))


def toy_tokenizer(length: int = 48) -> CLIPTokenizer:
    """Make a tokenizer for a text encoder of `length` positions."""
    vocabulary, merges = _pieces()
    return CLIPTokenizer(vocab=dict(vocabulary), merges=list(merges), model_max_length=length)
