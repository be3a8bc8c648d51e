"""Refuse prompts that ask for what Mien does not make; say which rule was met, and never repeat the text.

`check` looks at texts and returns the first rule that they meet, `require` raises instead. Prompts, negative prompts,
file names and captions go through it alike, so a word counts wherever it stands: "not a child" is refused too.

What it is worth: it protects honest users from pictures that they did not mean to ask for, and those who handle the
pictures afterwards. It does not stop a determined abuser. It compares words with lists in about a dozen
languages, undoes common tricks of spelling, and knows a few turns of phrase; it does not understand sentences. A
paraphrase without any listed word, a language that is not listed, a name in small letters or a name that the
capitals do not give away pass. The suites in the tests are what the lists were fitted to: of new lines, by the same
author, it caught 38 of 40 about minors and 80 to 93 % elsewhere at first sight. No list of people is complete, so
there is none: titles and requests for a likeness
are matched, not names. Because this is open source, it can be removed. The model's training on adults, the
gate on uploads and the record in every file are further layers; none of them replaces another.

Where a word has two meanings the stricter one counts: "girl" and "boy" are refused although some mean adults by
them ("young woman", "young man" say so); "childlike" and "baby face" are refused because a face would show them;
"passport photo" is refused although most are harmless.
"""

from __future__ import annotations

import datetime
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from faces import policy_ages, policy_contexts, policy_words
from faces.policy_spelling import STOP, Lexicon, Reading, fold, joined, read


class Category(StrEnum):
    """Rules, the gravest first; `check` reports the first that is met."""

    SEXUAL = "sexual"
    MINOR = "minor"
    NUDITY = "nudity"
    REAL_PERSON = "real-person"
    IMPERSONATION = "impersonation"
    HATE = "hate"
    INFERENCE = "inference"


_PLAIN = {
    Category.SEXUAL: "sexual content is never made: this tool shows faces, and every face may be somebody's",
    Category.MINOR: "it seems to ask for somebody younger than 18, or for signs of youth: only adults are made. "
    "Say 'young woman', 'young man' or an age of 18 or more",
    Category.NUDITY: "nudity and sexualised portraits are not made",
    Category.REAL_PERSON: "it seems to ask for a real person or a look-alike: that needs the consent of this person. "
    "Describe looks, without a name or a title",
    Category.IMPERSONATION: "pictures that pass for documents, official statements or news are not made",
    Category.HATE: "hateful or dehumanising pictures of people are not made",
    Category.INFERENCE: "health, character, crime, attractiveness or orientation are not read from faces or shown as "
    "if a face told them. Describe what can be seen",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a text is refused. It holds no text, so it can be shown and logged."""

    category: Category
    digest: str
    """SHA-256 of the normalised texts. It tells equal texts, and a short text can be guessed from it: keep it as
    logs of use are kept."""

    @property
    def message(self) -> str:
        """The reason in plain words."""
        return f"prompt refused ({self.category}): {_PLAIN[self.category]}"


class PromptRefused(ValueError):
    """A text that asks for what is not made; the message says the category and never the text."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


def check(*texts: str, consented: bool = False, today: datetime.date | None = None) -> Refusal | None:
    """Look for what is not made in texts that belong to one request.

    Args:
        texts: prompt, negative prompt, file names, captions; together they are one request.
        consented: a valid consent record covers the person and the use, so that naming them is no reason to refuse.
            Every other rule stays.
        today: the day from which years of birth are counted; by default the present day.

    Returns:
        The gravest rule that the texts meet, or None.
    """
    met = frozenset().union(*(_met(text, today or datetime.date.today()) for text in texts if text))
    if Category.SEXUAL in met or (Category.NUDITY in met and met & {Category.MINOR, Category.REAL_PERSON}):
        met |= {Category.SEXUAL}
    if consented:
        met -= {Category.REAL_PERSON}
    first = next((category for category in Category if category in met), None)
    return Refusal(first, _digest(texts)) if first else None


def require(*texts: str, consented: bool = False, today: datetime.date | None = None) -> None:
    """Raise PromptRefused where `check` finds a reason."""
    refusal = check(*texts, consented=consented, today=today)
    if refusal:
        raise PromptRefused(refusal)


def log_line(refusal: Refusal) -> str:
    """Word a refusal for a log: category and hash, never the text, and nothing of any picture."""
    return f"prompt refused: category={refusal.category} sha256={refusal.digest}"


def _digest(texts: tuple[str, ...]) -> str:
    normalised = "\n".join(" ".join(fold(text).split()) for text in texts)
    return hashlib.sha256(normalised.encode("utf-8", "surrogatepass")).hexdigest()


_HARMLESS = Lexicon(policy_words.HARMLESS)
_YOUTH = Lexicon((*policy_words.YOUTH, *policy_words.YOUTH_CONTEXT))
_SEXUAL = Lexicon(policy_words.SEXUAL)
_NUDITY = Lexicon(policy_words.NUDITY)
_OTHERS = {
    Category.REAL_PERSON: Lexicon(policy_contexts.LIKENESS),
    Category.IMPERSONATION: Lexicon(policy_contexts.IMPERSONATION),
    Category.HATE: Lexicon(policy_contexts.HATE),
    Category.INFERENCE: Lexicon(policy_contexts.INFERENCE),
}
_GROUPS = Lexicon(policy_contexts.GROUPS)
_DEGRADING = Lexicon(policy_contexts.DEGRADING)
_VERBS = Lexicon(policy_contexts.READING_VERBS)
_TRAITS = Lexicon(policy_contexts.INNER_TRAITS)
_ANYWHERE = {
    category: tuple(fold(term).replace(" ", "") for term in terms)
    for category, terms in {
        Category.MINOR: policy_words.YOUTH_ANYWHERE,
        Category.SEXUAL: policy_words.SEXUAL_ANYWHERE,
        Category.NUDITY: policy_words.NUDITY_ANYWHERE,
        Category.REAL_PERSON: policy_contexts.LIKENESS_ANYWHERE,
        Category.IMPERSONATION: policy_contexts.IMPERSONATION_ANYWHERE,
        Category.HATE: policy_contexts.HATE_ANYWHERE,
        Category.INFERENCE: policy_contexts.INFERENCE_ANYWHERE,
    }.items()
}
_FINE_ANYWHERE = tuple(fold(term).replace(" ", "") for term in policy_words.HARMLESS_ANYWHERE)
_STEMS = (
    "children",
    "littlegirl",
    "littleboy",
    "toddler",
    "preteen",
    "schoolgirl",
    "schoolboy",
    "teenage",
    "underage",
)
_STEMS_BEFORE = ("young", "little", "small", "cute", "sweet", "nude", "naked", "sexy", "hot", "tiny", "my")
_KINDS = ("child", "girl", "girls", "boy", "boys", "kid", "kids", "teen", "teens", "baby", "lolita", "loli")
_LITTLE_NAME = re.compile(r"\blittle [A-Z][a-z]+")
_HIDDEN_WORDS = frozenset(before + kind for before in _STEMS_BEFORE for kind in _KINDS)


def _met(text: str, today: datetime.date) -> frozenset[Category]:
    """Every rule that one text meets."""
    reading = read(text)
    sentences = [_without_stops(sentence) for sentence in reading.sentences]
    met = {category for category, terms in _ANYWHERE.items() if _anywhere(reading, terms)}
    met |= {
        category
        for category, lexicon in _OTHERS.items()
        if any(True for sentence in sentences for _ in lexicon.spans(sentence))
        or any(word in lexicon for word in reading.apart)
    }
    cleared = [_cleared(sentence) for sentence in reading.sentences]
    for category, lexicon in (
        (Category.MINOR, _YOUTH),
        (Category.SEXUAL, _SEXUAL),
        (Category.NUDITY, _NUDITY),
    ):
        if category not in met and _is_in(lexicon, reading, cleared, 3 if category == Category.MINOR else 5):
            met.add(category)
    if Category.MINOR not in met and _is_young(reading, sentences, today):
        met.add(Category.MINOR)
    if Category.HATE not in met and _both(_GROUPS, _DEGRADING, cleared):
        met.add(Category.HATE)
    if Category.INFERENCE not in met and _both(_VERBS, _TRAITS, sentences):
        met.add(Category.INFERENCE)
    if _LITTLE_NAME.search(text):
        met.add(Category.MINOR)
    if Category.REAL_PERSON not in met and policy_contexts.names_somebody(text):
        met.add(Category.REAL_PERSON)
    return frozenset(met)


def _anywhere(reading: Reading, terms: tuple[str, ...]) -> bool:
    if not reading.compact:
        return False
    compact = reading.compact
    for fine in _FINE_ANYWHERE:
        compact = compact.replace(fine, "-")
    return any(term in compact for term in terms)


def _cleared(sentence: tuple[str, ...]) -> tuple[str, ...]:
    """The sentence without stops, harmless phrases blanked: "baby hair" is one, "baby, hair" is none."""
    left = list(sentence)
    for start, stop in _HARMLESS.spans(sentence):
        left[start:stop] = ["-"] * (stop - start)
    return _without_stops(left)


def _without_stops(sentence: Iterable[str]) -> tuple[str, ...]:
    return tuple(word for word in sentence if word != STOP)


def _is_in(lexicon: Lexicon, reading: Reading, sentences: list[tuple[str, ...]], shortest: int) -> bool:
    return (
        any(True for sentence in sentences for _ in lexicon.spans(sentence))
        or any(word in lexicon for word in reading.apart)
        or any(
            len(word) >= shortest and lexicon.joins(word)
            for sentence in sentences
            for word in joined(sentence)
        )
        or any(len(word) > 4 and lexicon.joins(word[::-1]) for word in sentences[0])
        or any(lexicon.masked(mask) for mask in reading.masks)
    )


def _both(first: Lexicon, second: Lexicon, sentences: Iterable[tuple[str, ...]]) -> bool:
    return any(
        any(True for _ in first.spans(sentence)) and any(True for _ in second.spans(sentence))
        for sentence in sentences
    )


def _is_young(reading: Reading, sentences: list[tuple[str, ...]], today: datetime.date) -> bool:
    for text in reading.texts:
        age = policy_ages.youngest(text, today)
        if age is not None and age < policy_ages.ADULT:
            return True
    for sentence in sentences:
        whole = set(sentence)
        if "kind" in whole and whole & policy_words.KIND_CUES:
            return True
        if any(word in _HIDDEN_WORDS or any(stem in word for stem in _STEMS) for word in whole):
            return True
        for place, word in enumerate(sentence):
            follows = {*sentence[place + 1 : place + 4]}
            if (
                word == "junge"
                and not follows & policy_words.GROWN
                and sentence[place - 1 : place] in (("der",), ("ein",))
            ):
                return True
    return False
