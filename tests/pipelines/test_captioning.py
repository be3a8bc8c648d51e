from __future__ import annotations

import logging

import pytest

from faces import vocabulary
from pipelines.portrait.captioning import mark_parts, plain_text
from tests.pipelines.tokens import toy_tokenizer

PARTS = list(vocabulary.PARTS)
PROMPTS = [
    "",
    "a man",
    "A WOMAN, with green eyes and a big nose!",
    "face of a person; ears, eyes, mouth.",
    "portrait of the man",
    "two men two noses",
]


def words(tokenizer, marked):
    """The text of the marked tokens, None where there is none."""
    return [
        None if place < 0 else tokenizer.decode([marked.input_ids[place]]).strip()
        for place in marked.positions
    ]


@pytest.mark.parametrize("length", [48, 77])
@pytest.mark.parametrize("prompt", PROMPTS)
def test_part_words_are_found_behind_the_prompt(length, prompt):
    tokenizer = toy_tokenizer(length)
    before = len(tokenizer)
    marked = mark_parts(tokenizer, prompt)
    whole = f"{prompt} Detail: face, ears, eyes, nose, mouth"
    assert marked.input_ids == tokenizer(whole, padding="max_length").input_ids
    assert words(tokenizer, marked) == PARTS
    own = len(tokenizer(prompt, add_special_tokens=False).input_ids)
    assert marked.positions == [own + 3 + 2 * number for number in range(5)]
    assert len(tokenizer) == before  # nothing was added to the vocabulary


def test_the_prompt_is_kept_when_the_details_do_not_fit(caplog):
    tokenizer = toy_tokenizer(48)
    prompt = "a " * 40
    with caplog.at_level(logging.WARNING):
        marked = mark_parts(tokenizer, prompt)
    assert tokenizer.decode(marked.input_ids).count("a ") >= 40
    assert words(tokenizer, marked) == ["face", "ears", None, None, None]
    assert "leaves no room for eyes, nose, mouth of the reference" in caplog.text
    assert len(marked.input_ids) == 48 and marked.input_ids[-1] == tokenizer.eos_token_id


def test_a_prompt_that_is_too_long_by_itself_loses_its_end_with_a_warning(caplog):
    tokenizer = toy_tokenizer(48)
    prompt = "a " * 46 + "nose"
    with caplog.at_level(logging.WARNING):
        plain, marked = plain_text(tokenizer, prompt), mark_parts(tokenizer, prompt)
    assert plain.input_ids == tokenizer(prompt, truncation=True, padding="max_length").input_ids
    assert marked.input_ids == plain.input_ids and marked.positions == [-1] * 5
    assert "prompt of 47 tokens, 46 fit: 'nose' at its end has no effect" in caplog.text


def test_plain_text_is_what_the_tokenizer_says():
    tokenizer = toy_tokenizer(77)
    for prompt in PROMPTS:
        assert plain_text(tokenizer, prompt).input_ids == tokenizer(prompt, padding="max_length").input_ids


@pytest.mark.parametrize("prompt", PROMPTS)
def test_legacy_wording_is_that_of_the_published_weights(prompt):
    tokenizer = toy_tokenizer(77)
    marked = mark_parts(tokenizer, prompt, legacy=True)
    text = f"{prompt}Detail:The person has one face, two ears, two eyes, one nose, and one mouth,"
    assert marked.input_ids == tokenizer(text, padding="max_length").input_ids
    assert words(tokenizer, marked) == PARTS
    without = mark_parts(tokenizer, prompt, parts=[False, True, False, True, False], legacy=True)
    assert (
        without.input_ids == tokenizer(f"{prompt}Detail:two ears, one nose,", padding="max_length").input_ids
    )
    assert words(tokenizer, without) == [None, "ears", None, "nose", None]


def test_legacy_puts_long_prompts_behind_the_details(caplog):
    tokenizer = toy_tokenizer(77)
    details = "The person has one face, two ears, two eyes, one nose, and one mouth,"
    count = len(tokenizer(f"Detail:{details}").input_ids)
    fitting = "a " * (77 - count - 5 - 1) + "."  # the published code counts its five markers as well
    assert tokenizer.decode(mark_parts(tokenizer, fitting, legacy=True).input_ids).startswith(
        "<|startoftext|>a a"
    )
    with caplog.at_level(logging.WARNING):
        marked = mark_parts(tokenizer, "a " + fitting, legacy=True)
    whole = tokenizer(f"Detail:{details} Caption:a {fitting}").input_ids
    assert marked.input_ids[: len(whole)] == whole[:77]
    assert words(tokenizer, marked) == PARTS
    with caplog.at_level(logging.WARNING):
        cut = mark_parts(tokenizer, "a " * 80, legacy=True)
    assert len(cut.input_ids) == 77 and cut.input_ids[-1] != tokenizer.eos_token_id
    assert "its end is beyond 77 tokens" in caplog.text


def test_legacy_without_any_part():
    tokenizer = toy_tokenizer(77)
    marked = mark_parts(tokenizer, "a man", parts=[False] * 5, legacy=True)
    assert marked.input_ids == tokenizer("a manDetail:", padding="max_length").input_ids
    assert marked.positions == [-1] * 5
