"""Labels of a face put into words: varied captions for training, canonical prompts for use.

Both draw on the same tables of wordings, the first wording of each being the canonical one, so a canonical
prompt is always a sentence that training may have seen.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from faces import vocabulary as names

if TYPE_CHECKING:
    from faces.analysis import FaceAnalysis

MAX_WORDS = 28
MAX_PIECES = 32
"""Words and punctuation marks together: leaves room for the part words in a text encoder of 48 positions."""

_OPENINGS = ("portrait of", "a portrait of", "headshot of", "face of", "picture of", "")
_AGES = {"young": ("young",), "middle-aged": ("middle-aged",), "elderly": ("elderly", "old", "senior")}
_GENDERS = {"woman": ("woman",), "man": ("man",), "person": ("person",)}
_EXPRESSIONS = {
    "neutral": ("neutral expression", "calm", "relaxed face", "no expression"),
    "happy": ("smiling", "happy", "cheerful", "with a smile", "happy expression"),
    "sad": ("sad", "unhappy", "sad expression", "looking sad"),
    "surprise": ("surprised", "astonished", "surprised expression", "looking surprised"),
    "fear": ("afraid", "scared", "fearful", "frightened expression"),
    "disgust": ("disgusted", "disgusted expression", "looking disgusted", "grimacing in disgust"),
    "anger": ("angry", "furious", "angry expression", "looking angry"),
    "contempt": ("contemptuous", "scornful", "contemptuous expression", "smirking with contempt"),
}
_POSES = {
    "left": ("facing left", "turned left", "looking to the left"),
    "slightly left": ("facing slightly left", "turned slightly left", "looking slightly to the left"),
    "frontal": ("facing the camera", "frontal view", "facing forward", "looking straight ahead"),
    "slightly right": ("facing slightly right", "turned slightly right", "looking slightly to the right"),
    "right": ("facing right", "turned right", "looking to the right"),
}
_HAIR = {
    "bald": ("bald", "bald head", "no hair"),
    "short": ("short {} hair",),
    "cropped": ("cropped {} hair", "very short {} hair"),
    "side-parted": ("side-parted {} hair", "{} hair with a side parting"),
    "tousled": ("tousled {} hair", "messy {} hair"),
    "afro": ("{} afro hair", "{} afro"),
    "bob": ("{} bob haircut", "{} bob", "{} hair in a bob"),
    "straight bob": ("straight {} bob haircut", "straight {} bob"),
    "braided": ("braided {} hair", "{} hair in braids"),
    "long": ("long {} hair",),
    "ponytail": ("{} ponytail", "{} hair in a ponytail"),
}
_HAIR_COLOURS = {
    "black": ("black",), "brown": ("brown",), "blond": ("blond", "blonde"),
    "red": ("red", "ginger"), "grey": ("grey", "gray"),
}  # fmt: skip
_SKIN = {
    1: ("very light skin", "pale skin", "light skin"),
    2: ("light skin", "fair skin"),
    3: ("medium light skin",),
    4: ("medium brown skin", "tanned skin"),
    5: ("dark brown skin", "dark skin"),
    6: ("very dark skin", "dark skin"),
}
_LIGHTS = {
    "soft": ("soft light", "soft lighting", "diffuse light"),
    "side": ("side light", "side lighting", "lit from the side"),
    "bright": ("bright light", "bright lighting"),
    "dim": ("dim light", "dim lighting", "low light"),
    "warm": ("warm light", "warm lighting"),
    "cool": ("cool light", "cool lighting", "cold light"),
}
_BACKGROUNDS = {name: (f"{name} background", f"on a {name} background") for name in names.BACKGROUNDS}
_CLOTHES = {
    name: (f"{name} clothes", f"wearing {name}", f"dressed in {name}") for name in names.CLOTH_COLOURS
}
_EYES = {name: (f"{name} eyes", f"with {name} eyes") for name in names.EYE_COLOURS}
_GLASSES = {True: ("wearing glasses", "with glasses", "glasses"), False: ("no glasses", "without glasses")}
_BEARDS = {
    "none": ("clean-shaven", "no beard"),
    "stubble": ("stubble", "light beard"),
    "full": ("beard", "full beard"),
}
_MAKEUP = {
    "lips": ("lipstick", "wearing lipstick"), "shadow": ("eye shadow", "wearing eye shadow"),
    "liner": ("eyeliner", "wearing eyeliner"), "blush": ("blush", "blush on the cheeks"),
}  # fmt: skip

_KEEP = {
    "gender": 0.9, "age_band": 0.85, "expression": 0.9, "pose": 0.85, "hair_style": 0.85,
    "hair_colour": 0.85, "glasses": 0.85, "beard": 0.7, "light": 0.5, "skin_tone": 0.45,
    "eye_colour": 0.45, "background": 0.45, "makeup": 0.6, "cloth_colour": 0.4,
}  # fmt: skip
"""Chance that a caption names an attribute, most important first; also the order in which room is given."""
_ABSENCE = 0.15
"""Chance that the absence of glasses or of a beard is worth words."""
_MAKEUP_VISIBLE = 0.15
"""Opacity from which a layer of makeup is named."""

_MINOR = re.compile(
    r"\b(?:bab(?:y(?!\s+blue)|ies)|infants?|newborns?|toddlers?|kids?|kiddos?|child(?:ren|like|ish|hood)?"
    r"|boy(?:s|ish)?|girl(?:s|ish)?|(?:pre)?teen(?:s|age|aged|agers?)?|tweens?|adolescen(?:t|ts|ce)|minors"
    r"|juveniles?|youngsters?|school(?:boys?|girls?|child|children)|(?:pre)?schoolers?|kindergart\w*"
    r"|under-?aged?|lolitas?|lolis?|shotas?)\b"
)
_SPELT = (
    "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen",
)  # fmt: skip
_AGE = rf"(\d{{1,3}}|{'|'.join(_SPELT)})"
_STATED_AGE = re.compile(
    rf"\b{_AGE}[\s-]*(?:(?:years?|yrs?)(?:[\s-]*old)?|y\s*/?\s*o)\b|\bage[ds]?[:\s]+(?:of\s+)?{_AGE}\b"
)


def refuse_minors(text: str) -> None:
    """Raise ValueError when a text asks for somebody younger than 18 by a word or by a stated age.

    A plain word list: it keeps honest users on the side of adults and does not stop a determined one.
    """
    plain = unicodedata.normalize("NFKC", text).casefold()
    found = _MINOR.search(plain)
    ages = (next(filter(None, match.groups())) for match in _STATED_AGE.finditer(plain))
    if found or any(age in _SPELT or int(age) < names.MINIMUM_AGE for age in ages):
        reason = f"the word '{found.group()}'" if found else f"an age below {names.MINIMUM_AGE}"
        raise ValueError(
            f"prompt asks for a minor ({reason}): only adults of {names.MINIMUM_AGE} up are made"
        )


def stated_age_band(text: str) -> str | None:
    """Name the age band of `vocabulary.AGE_BANDS` that a caption or prompt of this module names, if any."""
    for band, wordings in _AGES.items():
        if any(re.search(rf"\b{wording}\b", text) for wording in wordings):
            return band
    return None


def caption(labels: Mapping[str, Any], rng: np.random.Generator) -> str:
    """Describe the labels of a head in varied words, with random omissions and order.

    Every attribute is sometimes missing, so that a model learns to fill in what a prompt does not say.

    Args:
        labels: the flat dict of `HeadSpec.labels()`; attributes that are absent are not mentioned.
        rng: source of every choice.

    Returns:
        At most `MAX_WORDS` words and `MAX_PIECES` words and marks.

    Raises:
        ValueError: a value outside the vocabulary, or an age below 18.
    """
    if "age_years" in labels:
        names.age_band(labels["age_years"])
    stated = {key: labels[key] for key, chance in _KEEP.items() if key in labels and rng.random() < chance}
    stated = {
        key: value for key, value in stated.items() if _is_present(key, value) or rng.random() < _ABSENCE
    }
    if stated.get("expression") == names.MIXED:  # no word says it
        stated.pop("expression")
    if labels.get("gender") == "woman":
        stated.pop("beard", None)
    if labels.get("hair_style") == "bald":
        stated.pop("hair_colour", None)
    options = _wordings(stated)
    chosen = {key: _pick(wordings, rng) for key, wordings in options.items()}
    subject = _subject(stated, rng)
    while _pieces(", ".join([subject, *chosen.values()])) > MAX_PIECES or _count(subject, chosen) > MAX_WORDS:
        chosen.popitem()
    phrases = [chosen[key] for key in rng.permutation(list(chosen))] if chosen else []
    first = 0 if rng.random() < 0.85 else int(rng.integers(0, len(phrases) + 1))
    return ", ".join([*phrases[:first], subject, *phrases[first:]])


def prompt(
    *,
    gender: str = "person",
    age_band: str | None = None,
    expression: str | None = None,
    pose: str | None = None,
    hair_style: str | None = None,
    hair_colour: str | None = None,
    eye_colour: str | None = None,
    skin_tone: int | None = None,
    beard: str | None = None,
    glasses: bool | None = None,
    makeup: Iterable[str] = (),
    cloth_colour: str | None = None,
    light: str | None = None,
    background: str | None = None,
) -> str:
    """Word attributes as the canonical prompt, e.g. "portrait of a young woman, smiling, facing left".

    Args:
        gender: how the person is shown: "woman", "man" or "person".
        age_band: a key of `vocabulary.AGE_BANDS`.
        expression: one of `vocabulary.EXPRESSIONS`.
        pose: a key of `vocabulary.POSES`.
        hair_style: one of `vocabulary.HAIR_STYLES`.
        hair_colour: one of `vocabulary.HAIR_COLOURS`.
        eye_colour: one of `vocabulary.EYE_COLOURS`.
        skin_tone: one of `vocabulary.SKIN_TONES`, 1 (light) to 6 (dark).
        beard: "none", "stubble" or "full".
        glasses: worn or not.
        makeup: layers out of lips, shadow, liner, blush.
        cloth_colour: one of `vocabulary.CLOTH_COLOURS`.
        light: one of `vocabulary.LIGHTS`.
        background: one of `vocabulary.BACKGROUNDS`.

    Raises:
        ValueError: a value outside the vocabulary, or one that names a minor.
    """
    given = {
        "expression": expression, "pose": pose, "hair_style": hair_style, "hair_colour": hair_colour,
        "eye_colour": eye_colour, "skin_tone": skin_tone, "beard": beard, "glasses": glasses,
        "makeup": tuple(makeup), "cloth_colour": cloth_colour, "light": light, "background": background,
    }  # fmt: skip
    stated = {key: value for key, value in given.items() if value is not None and value != ()}
    for key, value in {"gender": gender, "age_band": age_band}.items():
        if value is not None:
            _wording(key, value)
    age = f"{age_band} " if age_band else ""
    subject = f"portrait of {_article(age or gender)} {age}{gender}"
    return ", ".join([subject, *(wordings[0] for wordings in _wordings(stated).values())])


def wording(key: str, value: Any) -> str:
    """Canonical words of one attribute, such as "smiling" for the expression "happy"; raises as `prompt` does."""
    return _wording(key, value)[0]


def values(key: str) -> tuple[Any, ...]:
    """List what an argument of `prompt` may be: "gender" -> ("woman", "man", "person")."""
    return tuple(_TABLES[key])


def words() -> tuple[str, ...]:
    """List every word that `caption` and `prompt` can use, and the part words of the portrait prompt.

    Lower case, letters only, sorted: "middle-aged" is the two words "middle" and "aged".
    """
    texts = [*_OPENINGS, "a an with and detail", " ".join(names.PARTS)]
    for table in (_TABLES[key] for key in _TABLES if not key.startswith("hair")):
        texts += itertools.chain.from_iterable(table.values())
    texts += itertools.chain.from_iterable(_hair(style, None) for style in _HAIR)
    texts += itertools.chain.from_iterable(_HAIR_COLOURS.values())
    return tuple(sorted({word for text in texts for word in re.findall(r"[a-z]+", text)}))


_TABLES: dict[str, dict[Any, tuple[str, ...]]] = {
    "gender": _GENDERS, "age_band": _AGES, "expression": _EXPRESSIONS, "pose": _POSES, "hair_style": _HAIR,
    "hair_colour": _HAIR_COLOURS, "eye_colour": _EYES, "skin_tone": _SKIN, "beard": _BEARDS,
    "glasses": _GLASSES, "makeup": _MAKEUP, "cloth_colour": _CLOTHES, "light": _LIGHTS,
    "background": _BACKGROUNDS,
}  # fmt: skip


def _wording(key: str, value: Any) -> tuple[str, ...]:
    """Wordings of one value; raises ValueError with the permitted values."""
    table = _TABLES[key]
    if value not in table:
        if isinstance(value, str):
            refuse_minors(value)
        raise ValueError(f"{key} is {value!r}, permitted: {', '.join(map(str, table))}")
    return table[value]


def _wordings(stated: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Wordings of the stated attributes; hair style and colour share a phrase, makeup has one a layer."""
    options: dict[str, tuple[str, ...]] = {}
    for key, value in stated.items():
        if key in ("gender", "age_band"):
            continue
        if key in ("hair_style", "hair_colour"):
            style, colour = stated.get("hair_style"), stated.get("hair_colour")
            options.setdefault("hair", _hair(style, colour))
        elif key == "makeup":
            options |= {f"makeup {layer}": _wording("makeup", layer) for layer in _layers(value)}
        else:
            options[key] = _wording(key, _beard(value) if key == "beard" else value)
    return options


def _hair(style: str | None, colour: str | None) -> tuple[str, ...]:
    colours = _wording("hair_colour", colour) if colour is not None else ("",)
    if style is None:
        return tuple(f"{colour} hair" for colour in colours)
    filled = [wording.format(colour) for colour in colours for wording in _wording("hair_style", style)]
    return tuple(dict.fromkeys(" ".join(text.split()) for text in filled))


def _layers(makeup: Iterable[Mapping[str, Any] | str]) -> list[str]:
    """Regions of the visible layers; a layer is that of a label, with region and alpha, or a bare region."""
    layers = [
        (layer, 1.0) if isinstance(layer, str) else (layer["region"], layer["alpha"]) for layer in makeup
    ]
    return list(dict.fromkeys(region for region, alpha in layers if alpha >= _MAKEUP_VISIBLE))


def _beard(value: float | str) -> str:
    """Name a beard density in 0..1."""
    if isinstance(value, str):
        return value
    return "none" if value < 0.15 else "stubble" if value < 0.5 else "full"


def _is_present(key: str, value: Any) -> bool:
    """Tell presence (worth saying) from absence (rarely worth saying)."""
    return _beard(value) != "none" if key == "beard" else bool(value) if key == "glasses" else True


def _subject(stated: Mapping[str, Any], rng: np.random.Generator) -> str:
    opening = _pick(_OPENINGS, rng)
    noun = _pick(_wording("gender", stated.get("gender", "person")), rng)
    age = _pick(_wording("age_band", stated["age_band"]), rng) + " " if "age_band" in stated else ""
    bare = not opening and rng.random() < 0.5
    return f"{age}{noun}" if bare else f"{opening} {_article(age or noun)} {age}{noun}".strip()


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


def _pick(options: tuple[str, ...], rng: np.random.Generator) -> str:
    """Choose the canonical wording half of the time, so that it is well learned, else any."""
    return options[0] if rng.random() < 0.5 else options[int(rng.integers(len(options)))]


def _pieces(text: str) -> int:
    return len(re.findall(r"[a-z]+|[^a-z\s]", text))


def _count(subject: str, chosen: Mapping[str, str]) -> int:
    return len(" ".join([subject, *chosen.values()]).split())


def prompt_of(face: FaceAnalysis, **more: Any) -> str:
    """Word what a prompt has to name so that it stays: hair, glasses and a beard, where the analysis sees them.

    Args:
        face: as `FaceAnalyzer` returns it.
        **more: further arguments of `prompt`.
    """
    worn = {name for name, probability in face.attributes.items() if probability >= 0.5}
    colour = max(face.hair_colour, key=lambda name: face.hair_colour[name])
    hair = {"hair_style": "bald"} if "bald" in worn else {"hair_colour": colour}
    glasses, beard = "glasses" in worn or None, "full" if "beard" in worn else None
    return prompt(**hair, glasses=glasses, beard=beard, **more)
