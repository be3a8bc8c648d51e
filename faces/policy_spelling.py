"""Read a text as people read it: look-alike letters, hidden characters, digits for letters, letters set apart.

A text becomes a few readings, each a list of words, and loose words that only a reader who puts pieces together
would see. Word lists are folded in the same way, so they can be written as their languages write them.
"""

from __future__ import annotations

import functools
import itertools
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_LETTER = r"[^\W\d_]"
_WORDS = re.compile(rf"{_LETTER}+|\d+")
_WORDS_AND_STOPS = re.compile(rf"{_LETTER}+|\d+|[,.;:!?()|/…、。，]")
STOP = ","
_MARKS = re.compile("[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+")
"""Marks that decorate a letter. The vowel signs of Hindi and the voicing marks of Japanese are letters: they stay."""
_HIDDEN = "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"
"""Characters that show nothing although Unicode does not call them format characters."""
_GAP = r"[\s.\-_*·•/|,~+'‐‑‒–—:;]{1,3}"
_SPACED = re.compile(rf"(?<![^\W_])(?:[^\W_]{_GAP}){{2,}}[^\W_](?![^\W_])")
_MASK = re.compile(rf"(?<![^\W_]){_LETTER}[^\W_]{{0,20}}[*#%?&^~]{{1,6}}[^\W_]{{1,20}}(?![^\W_])")
_LEET = re.compile(r"[013456789@$!|+€£¢(]")
_LONGEST = 16
"""Letters of the longest word that is looked for among letters set apart."""
_MAX_RUN = 120
_NO_JOIN = {"penis", "anus", "minor", "therapist", "teen", "lad", "boi", "bub", "grl", "kld", "kiz"}
"""Of words that lie in two ordinary ones ("the pen is red"): only the word written whole counts."""

_LOOKS_LIKE = {
    "a": "аαɑᴀａ", "b": "вʙβƅ", "c": "сᴄϲⅽ", "d": "ԁᴅɗđ", "e": "еεᴇєҽ", "f": "ꜰƒ", "g": "ɡɢց", "h": "нʜһհ",
    "i": "іɪιıӏїɩ", "j": "јᴊ", "k": "кᴋκ", "l": "ʟⅼł", "m": "мᴍⅿ", "n": "ɴηոո", "o": "оοᴏօøσ", "p": "рᴘρ",
    "q": "ԛ", "r": "гʀᴦ", "s": "ѕꜱʂ", "t": "тᴛτ", "u": "ᴜυսц", "v": "νᴠѵ", "w": "ԝᴡωш", "x": "хχ", "y": "уʏγү",
    "z": "ᴢʐ", "ae": "æ", "oe": "œ", "th": "þ",
}  # fmt: skip
_HOMOGLYPHS = {ord(sign): letter for letter, signs in _LOOKS_LIKE.items() for sign in signs}
_ENCLOSED = {
    start + number: chr(ord("a") + number)
    for start in (0x1F150, 0x1F170, 0x1F1E6)  # white on black circles and squares, regional indicators
    for number in range(26)
} | dict.fromkeys((0x3F2, 0x3F9), "c")  # the lunate sigma, which NFKC would turn into a sigma
_DIGITS = {
    "0": "o", "3": "e", "4": "a", "5": "s", "6": "g", "7": "t", "8": "b", "9": "g", "@": "a", "$": "s", "+": "t",
    "€": "e", "£": "l", "¢": "c", "(": "c", "1": "i", "!": "i", "|": "i",
}  # fmt: skip
_LEET_I = str.maketrans(_DIGITS)
_LEET_L = str.maketrans(_DIGITS | dict.fromkeys("1!|", "l"))


@dataclass(frozen=True, slots=True)
class Reading:
    """What can be read out of one text."""

    texts: tuple[str, ...]
    """The folded text, and the same with letters or figures that were set apart put together."""
    sentences: tuple[tuple[str, ...], ...]
    """Each a list of words in their order, with `STOP` for punctuation."""
    apart: frozenset[str]
    """Words that letters set apart ("c h i l d") or digits for letters spell."""
    masks: tuple[str, ...]
    """Words with signs in the place of letters ("ch*ld"); "." stands for any letter."""
    compact: str
    """The text without spaces and punctuation, for scripts that set no spaces between words."""


@functools.cache
def _is_hidden(sign: str) -> bool:
    return sign in _HIDDEN or unicodedata.category(sign) in ("Cf", "Cc", "Co", "Cn") and not sign.isspace()


@functools.cache
def _is_filler(sign: str) -> bool:
    return unicodedata.category(sign)[0] in "ZPC" or unicodedata.category(sign) in ("Sm", "Sc", "Sk")


def fold(text: str, *, enye: bool = True) -> str:
    """Fold a text: compatible forms, case, look-alike letters, decorations and hidden characters.

    Args:
        text: anything.
        enye: keep the Spanish ñ apart from n, as "ny": "niña" is a child, Nina is a name.
    """
    if text.isascii():
        return re.sub(r"[\x00-\x08\x0e-\x1f\x7f]", "", text).casefold()
    text = unicodedata.normalize("NFKC", text.translate(_ENCLOSED)).casefold()
    text = "".join(sign for sign in text if not _is_hidden(sign))
    text = unicodedata.normalize("NFD", text)
    if enye:
        text = text.replace("n\u0303", "ny")
    text = unicodedata.normalize("NFC", _MARKS.sub("", text))
    return text.translate(_HOMOGLYPHS)


def words(text: str) -> tuple[str, ...]:
    """Split a folded text into words and numbers."""
    return tuple(_WORDS.findall(text))


def _sentence(text: str) -> tuple[str, ...]:
    """Split a folded text into words, numbers and stops."""
    found = _WORDS_AND_STOPS.findall(text)
    return tuple(word if word[0].isalnum() else STOP for word in found)


def read(text: str) -> Reading:
    """Read a text in every way in which a reader would."""
    folded = fold(text)
    texts = [folded]
    if not text.isascii() and (bare := fold(text, enye=False)) != folded:
        texts.append(bare)
    sentences = [_sentence(reading) for reading in texts]
    apart: set[str] = set()
    for reading in texts.copy():
        for spelt in dict.fromkeys((reading, reading.translate(_LEET_I), reading.translate(_LEET_L))):
            for run in _SPACED.findall(spelt):
                apart |= set(_windows(run))
        together = _SPACED.sub(lambda run: re.sub(_GAP, "", run.group()), reading)
        if together != reading:
            texts.append(together)
            sentences.append(_sentence(together))
        sentences += _without_digits(reading, apart)
    apart |= set(_tall_i(text))
    masks = tuple(re.sub(r"[*#%?&^~]", ".", mask) for mask in _MASK.findall(folded))
    apart |= {
        re.sub(r"[\W_]+", "", chunk)
        for chunk in folded.split()
        if re.search(r"\w[\W_]+\w", chunk) and not re.search(r"['’]s\b", chunk)
    }
    compact = "" if text.isascii() else "".join(sign for sign in folded if not _is_filler(sign))
    return Reading(tuple(texts), tuple(dict.fromkeys(sentences)), frozenset(apart), masks, compact)


def _windows(run: str) -> Iterator[str]:
    """Every word that the letters of a run can hold."""
    for letters in _variants(re.sub(_GAP, "", run)[:_MAX_RUN]):
        for start, size in itertools.product(range(len(letters)), range(3, _LONGEST + 1)):
            yield letters[start : start + size]


def _variants(word: str) -> list[str]:
    """Letters for digits; what stands for i or for l is tried as both."""
    if not _LEET.search(word):
        return [word]
    places = [place for place, sign in enumerate(word) if sign in "1!|"][:3]
    found = []
    for letters in itertools.product("il", repeat=len(places)):
        signs = list(word)
        for place, letter in zip(places, letters, strict=True):
            signs[place] = letter
        found.append("".join(signs).translate(_LEET_I))
    return found


def _without_digits(text: str, apart: set[str]) -> list[tuple[str, ...]]:
    """Read digits and signs as letters wherever they stand with letters; add each such word to `apart`."""
    chunks = text.split()
    hits = {chunk for chunk in chunks if _LEET.search(chunk) and re.search(_LETTER, chunk)}
    if not hits:
        return []
    for chunk in hits:
        for word in itertools.chain.from_iterable(_variants(part) for part in _pieces(chunk)):
            apart.add(re.sub(r"[\W_]+", "", word))
            apart.add(re.sub(r"[\W\d_]+", "", word))
    return [
        _sentence(" ".join(chunk.translate(table) if chunk in hits else chunk for chunk in chunks))
        for table in (_LEET_I, _LEET_L)
    ]


def _pieces(chunk: str) -> set[str]:
    """A chunk whole, without the punctuation around it, and its parts between punctuation."""
    trimmed = chunk.strip("!?.,:;)\"'(|+[]{}<>")
    return {chunk, trimmed, chunk.rstrip("!?.,:;)\"'"), *re.split(r"[-/.,:;_)\]\[]+", trimmed)}


def _tall_i(text: str) -> Iterator[str]:
    """A capital I in the middle of small letters passes for an l ("chiId")."""
    for word in re.findall(r"\b\w*[a-z]I\w*\b", text):
        yield re.sub(r"(?<=\w)I", "l", word).casefold()


def joined(sentence: tuple[str, ...]) -> Iterator[str]:
    """Yield what two to four neighbouring pieces of a sentence spell ("ch ild")."""
    for start in range(len(sentence)):
        word = sentence[start]
        for piece in sentence[start + 1 : start + 4]:
            if len(word) > 12 or len(piece) > 9:
                break
            word += piece
            if len(word) > 2 and word not in _NO_JOIN:
                yield word


Squeezed = tuple[str, tuple[int, ...]]


def squeeze(word: str) -> Squeezed:
    """Write a word with every repeated letter once, and how often each stands: "teen" -> "ten", (1, 2, 1)."""
    runs = [(letter, len(list(run))) for letter, run in itertools.groupby(word)]
    return "".join(letter for letter, _ in runs), tuple(count for _, count in runs)


class Lexicon:
    """Terms that are looked up in readings.

    A term is one word or several; a word that ends in * stands for every word that begins so. Letters may be
    repeated more often than the term has them ("chiiild"), never less often ("ten" is not "teen").
    """

    def __init__(self, terms: Iterable[str]) -> None:
        self._whole: dict[str, list[tuple[Squeezed, ...]]] = {}
        self._begun: dict[str, list[tuple[Squeezed, ...]]] = {}
        self.single: dict[int, set[str]] = {}
        """Terms of one word, without the star, by their length."""
        for term in terms:
            parts = [
                part for word in term.split() for part in (*words(fold(word)), *("*" * word.endswith("*")))
            ]
            pattern: list[Squeezed] = []
            for part in parts:
                if part == "*":
                    pattern[-1] = (pattern[-1][0] + "*", pattern[-1][1])
                else:
                    pattern.append(squeeze(part))
            letters = pattern[0][0]
            table, key = (self._begun, letters[:2]) if letters.endswith("*") else (self._whole, letters)
            table.setdefault(key, []).append(tuple(pattern))
            if len(pattern) == 1:
                self.single.setdefault(len(parts[0]), set()).add(parts[0])

    def spans(self, sentence: tuple[str, ...]) -> Iterator[tuple[int, int]]:
        """Yield where terms stand: first word, and one past the last."""
        squeezed = [squeeze(word) for word in sentence]
        for start, (letters, _) in enumerate(squeezed):
            for pattern in (*self._whole.get(letters, ()), *self._begun.get(letters[:2], ())):
                stop = start + len(pattern)
                if stop <= len(squeezed) and all(map(_agrees, squeezed[start:stop], pattern)):
                    yield start, stop

    def __contains__(self, word: str) -> bool:
        return any(True for _ in self.spans((word,)))

    def joins(self, word: str) -> bool:
        """Tell whether pieces put together are exactly one of the terms."""
        return word in self.single.get(len(word), ())

    def masked(self, mask: str) -> bool:
        """Tell whether a word with "." for unknown letters may be one of the terms."""
        known = sum(letter != "." for letter in mask)
        return known > 1 and any(re.fullmatch(mask, word) for word in self.single.get(len(mask), ()))


def _agrees(word: Squeezed, pattern: Squeezed) -> bool:
    letters, counts = pattern
    if letters.endswith("*"):
        if not word[0].startswith(letters[:-1]):
            return False
    elif word[0] != letters:
        return False
    return all(count >= least for count, least in zip(word[1], counts, strict=False))
