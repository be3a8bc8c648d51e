"""From a prompt to token ids, and the positions of the words that part tokens are merged into.

ConsistentID appends a description of the face and marks the nouns of its parts. Here the words are found by
counting the tokens of each piece of text: no token is added to the tokenizer, so nothing that is saved
changes.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from faces import vocabulary

_PARTS = tuple(vocabulary.PARTS)
_LEGACY_CLAUSES = {
    "face": "The person has one face",
    "ears": "two ears",
    "eyes": "two eyes",
    "nose": "one nose",
    "mouth": "and one mouth",
}
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class MarkedText:
    """Token ids of one text, padded, with the place of each part's word."""

    input_ids: list[int]
    """As many as the text encoder has positions."""
    positions: list[int]
    """Index of the last token of each part's word in the order of `vocabulary.PARTS`, -1 where it has none."""


def mark_parts(
    tokenizer: PreTrainedTokenizerBase,
    text: str,
    *,
    parts: Sequence[bool] | None = None,
    legacy: bool = False,
) -> MarkedText:
    """Append "Detail: face, ears, eyes, nose, mouth" to a text and mark these words.

    The text comes first and is never cut for the details: parts that do not fit stay without a word, and a
        text
    that does not fit by itself loses its end; both are logged.

    Args:
        tokenizer: of CLIP's kind; its `model_max_length` is the number of positions.
        text: the user's prompt, may be empty.
        parts: which parts are there, in the order of `vocabulary.PARTS`. Only the legacy text depends on it.
        legacy: word and order the details as ConsistentID's published weights were trained.
    """
    if legacy:
        return _mark_legacy(tokenizer, text, parts or (True,) * len(_PARTS))
    room = tokenizer.model_max_length - 2
    ids, positions = _fit(tokenizer, _ids(tokenizer, text), text, room), []
    opening, comma = _ids(tokenizer, "Detail:"), _ids(tokenizer, ",")
    for number, part in enumerate(_PARTS):
        piece = (comma if number else opening) + _ids(tokenizer, part)
        fits = len(ids) + len(piece) <= room and -1 not in positions
        ids = ids + piece if fits else ids
        positions.append(len(ids) if fits else -1)  # the token of the beginning stands before all
    if -1 in positions:
        missing = ", ".join(part for part, place in zip(_PARTS, positions, strict=True) if place < 0)
        _logger.warning("prompt %r leaves no room for %s of the reference: shorten it", text, missing)
    return MarkedText(input_ids=_framed(tokenizer, ids), positions=positions)


def plain_text(tokenizer: PreTrainedTokenizerBase, text: str) -> MarkedText:
    """Tokenize a text as it is: no part has a word."""
    ids = _fit(tokenizer, _ids(tokenizer, text), text, tokenizer.model_max_length - 2)
    return MarkedText(input_ids=_framed(tokenizer, ids), positions=[-1] * len(_PARTS))


def _mark_legacy(tokenizer: PreTrainedTokenizerBase, text: str, parts: Sequence[bool]) -> MarkedText:
    """Clauses of the parts that are there, in front of the prompt when both together are too long.

    The published code glues "Detail:" to the prompt and counts a marker a part towards the limit; what is
    beyond it is cut without an end token.
    """
    clauses = [_LEGACY_CLAUSES[part] for part, there in zip(_PARTS, parts, strict=True) if there]
    # Each piece of text but the last ends in the noun of a part, where the marker used to stand.
    first, *others = [*clauses, ""]
    details = [first, *(f", {clause}" for clause in others)]
    ids, ends = _joined(tokenizer, [f"{text}Detail:{details[0]}", *details[1:]])
    limit = tokenizer.model_max_length
    if 2 + len(ids) + len(clauses) > limit:
        details[-1] += f" Caption:{text}"
        ids, ends = _joined(tokenizer, [f"Detail:{details[0]}", *details[1:]])
        if 2 + len(ids) > limit:
            _logger.warning("prompt %r: its end is beyond %d tokens and has no effect", text, limit)
    framed = [tokenizer.bos_token_id, *ids, tokenizer.eos_token_id][:limit]
    framed += [tokenizer.pad_token_id] * (limit - len(framed))
    places = iter(ends)
    positions = [next(places) if there else -1 for there in parts]
    return MarkedText(input_ids=framed, positions=[place if place < limit else -1 for place in positions])


def _joined(tokenizer: PreTrainedTokenizerBase, pieces: Sequence[str]) -> tuple[list[int], list[int]]:
    """Token ids of all pieces, and where each ends once the token of the beginning stands before them."""
    ids, ends = [], []
    for piece in pieces:
        ids += _ids(tokenizer, piece)
        ends.append(len(ids))
    return ids, ends


def _ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    return tokenizer(text, add_special_tokens=False, verbose=False).input_ids if text else []


def _fit(tokenizer: PreTrainedTokenizerBase, ids: list[int], text: str, room: int) -> list[int]:
    if len(ids) > room:
        lost = tokenizer.decode(ids[room:])
        _logger.warning("prompt of %d tokens, %d fit: %r at its end has no effect", len(ids), room, lost)
    return ids[:room]


def _framed(tokenizer: PreTrainedTokenizerBase, ids: list[int]) -> list[int]:
    framed = [tokenizer.bos_token_id, *ids, tokenizer.eos_token_id]
    return framed + [tokenizer.pad_token_id] * (tokenizer.model_max_length - len(framed))
