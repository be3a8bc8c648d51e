"""The small CLIP tokenizer of `mini`: every word of the caption vocabulary is one token, any other text still works."""

from __future__ import annotations

import json
from collections.abc import Sequence

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import CLIPTokenizer

_END = "</w>"
_SPECIAL = ("<|startoftext|>", "<|endoftext|>")


def train_tokenizer(words: Sequence[str], max_length: int) -> CLIPTokenizer:
    """Learn byte-pair merges (Sennrich et al. 2016) until every given word is one token.

    Args:
        words: lower-case words, as `faces.captions.words` lists them.
        max_length: positions of the text encoder.

    Raises:
        ValueError: a word is still split, which means it holds other characters than letters.
    """
    tokenizer = Tokenizer(models.BPE(end_of_word_suffix=_END))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.BpeTrainer(
        vocab_size=20_000, min_frequency=1, end_of_word_suffix=_END, show_progress=False
    )
    tokenizer.train_from_iterator(words, trainer)
    merges = [tuple(pair) for pair in json.loads(tokenizer.to_str())["model"]["merges"]]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    pieces = [
        *letters,
        *(letter + _END for letter in letters),
        *("".join(pair) for pair in merges),
        *_SPECIAL,
    ]
    vocabulary = {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
    made = CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=max_length)  # type: ignore[arg-type]
    split = [word for word in words if len(made(word, add_special_tokens=False).input_ids) != 1]
    if split:
        raise ValueError(f"words {split[:5]} are split into pieces; only lower-case letters are expected")
    return made
