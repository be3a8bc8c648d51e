"""Find the youngest age that a text states: in figures or words, by a year of birth, a birthday or a school year."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator

from faces.policy_spelling import fold

ADULT = 18

_SPELT = """
1 one un une uno una um uma een eins ein jeden один odin bir
2 two zwei deux dos due dois duas twee dwa dwu два двух dva iki
3 three drei trois tres tre drie trzy три трех tri uc
4 four vier quatre cuatro quattro quatro cztery cztero четыре четырех dort
5 five fünf fuenf cinq cinco cinque vijf pięć pięcio пять пяти bes
6 six sechs seis sei zes sześć sześcio шесть шести alti
7 seven sieben sept siete sette sete zeven siedem siedmio семь семи yedi
8 eight acht huit ocho otto oito osiem ośmio восемь восьми sekiz
9 nine neun neuf nueve nove negen dziewięć dziewięcio девять девяти dokuz
10 ten zehn dix diez dieci dez tien dziesięć dziesięcio десять десяти
11 eleven elf onze once undici jedenaście одиннадцать одиннадцати jedenasto onbir
12 twelve zwölf zwoelf douze doce dodici doze twaalf dwanaście двенадцать двенадцати dwunasto oniki
13 thirteen dreizehn treize trece tredici treze dertien trzynaście тринадцать тринадцати trzynasto onuc
14 fourteen vierzehn quatorze catorce quattordici catorze
14 veertien czternaście четырнадцать четырнадцати czternasto ondort
15 fifteen fünfzehn fuenfzehn quinze quince quindici vijftien piętnaście пятнадцать пятнадцати pietnasto onbes
16 sixteen sechzehn seize dieciséis sedici dezesseis
16 dezasseis zestien szesnaście шестнадцать шестнадцати szesnasto onalti
17 seventeen siebzehn dix-sept diecisiete diciassette dezessete
17 dezassete zeventien siedemnaście семнадцать семнадцати siedemnasto onyedi
18 eighteen achtzehn dix-huit dieciocho diciotto
18 dezoito achttien osiemnaście восемнадцать восемнадцати osiemnasto
"""
_NUMBERS = {
    word: int(line.split()[0]) for line in fold(_SPELT).split("\n") if line for word in line.split()[1:]
}
_TENS = re.compile(
    r"(?:twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred|vingt|trente|quarante|cinquante|soixante"
    r"|treinta|cuarenta|cincuenta|sesenta|setenta|ochenta|noventa|vinte|trinta|quarenta|cinquenta|sessenta|oitenta"
    r"|dwadziescia|\w+dziesci|\w+dziesiat|yirmi|otuz|kirk|elli|altmis|yetmis|seksen|"
    + fold(r"двадцат\w*|тридцат\w*|сорок\w?|\w+десят\w*|девяност\w").replace("\\b", "")
    + r")(?:\s*-\s*|\s+(?:y|e|et|and)\s+|\s+)(?:(?:y|e|et)-)?$"
)
_WORD = "|".join(sorted(map(re.escape, _NUMBERS), key=len, reverse=True))
_ENGLISH = "|".join(
    {line.split()[0]: line.split()[1] for line in reversed(_SPELT.split("\n")) if line}.values()
)
_SAID = rf"(?:[1-9]\d?(?!\.\d)|(?!one\b)(?:{_ENGLISH}))"
_NUMBER = rf"(?:\d{{1,3}}(?:[.,]\d)?|(?<![^\W_])(?:{_WORD}))"
_RANGE = rf"({_NUMBER})(?:\s*(?:-|–|/|to|and|or|bis|und|oder|à|ou|y|o|a|e|i|lub|или)\s*({_NUMBER}))?"
_UNIT = (
    fold(
        r"(?:years?|yrs?|yr|y\s*[/.]?\s*o(?:ld)?|(?<=\d)y|yo|jahre?n?s?|j[aä]e?hrig\w*"
        r"|ans|años?|anos?|anni|jaar|jarige?\w*"
        r"|lat(?:a|ek|k\w*)?|letni\w*|yaş\w*|лет|года?|годик\w*|летн\w*|(?<=\d)let|(?<=\d )let|goda?"
        r"|letn\w*|saal|varsh)"
    )
    + r"(?![^\W_])"
)
_NOT_AGE = (
    r"(?!\s*(?:ago|later|younger|older|earlier|before|after|apart|together|of\s+(?:experience|marriage|service)"
    r"|experience|from\s+now|difference|married|in\s+(?:business|prison|office)|wiser|d'experience|lang|hence))"
)
_CJK = fold("岁歲歳살세")
_AGES = tuple(
    re.compile(pattern)
    for pattern in (
        rf"(?<![\d.,:/])(?<![\d]-){_RANGE}(?:\s+and\s+a\s+half)?[\s-]*{_UNIT}{_NOT_AGE}",
        rf"(?<!\d)(\d{{1,3}})\s*(?:[{_CJK}]|才|साल|वर्ष)",
        rf"\b(?:age[sd]?|aged|alter|edad|eta|idade|leeftijd|wieku?|yasi?|agee?|{fold('возраст')}\w*)\b[\s:=,-]*"
        rf"(?:(?:of|between|from|around|about|only|just|roughly|approximately|von|de|di|van|is|was|under|below)\s+)*{_RANGE}"
        r"(?![^\W_])",
        rf"\b(?:turn(?:s|ed|ing)?|celebrat\w+)\s+(?:(?:his|her|their|the)\s+)?({_SAID}|one)\b(?!\s*(?:degrees|°|%|to))",
        r"\b(?:is|was|were|being|only|just|he's|she's|they're|looks?|looking|appears?|seems?|to\s+be|aged\s+to"
        r"|make\s+(?:her|him|them|me))\s+(?:like\s+|about\s+|around\s+)?"
        rf"({_SAID})\s*(?:$|[,.;!)]|\band\b|\bwith\b)",
        rf"\b(?:woman|man|person|female|male|model|student|someone|somebody|frau|mann|femme|homme|mujer|hombre)"
        rf"\s*[,(:]\s*({_SAID})\s*(?:$|[,.;)])",
        rf"\b(?:person|woman|man|lady|someone|somebody)\s+of\s+({_SAID})\b",
        r"\b(?:fe)?male\s+(\d{1,2})\s*(?:$|[,.;)])",
        r"\b(1[0-7])/?[fm]\b",
        r"\bf(1[2457])\b",
        r"\b(\d{1,2})\s*(?:st|nd|rd|th)\s+birthday",
    )
)
_YOUNGER = re.compile(
    rf"(?:\b(?:under|below|younger\s+than|less\s+than|unter|junger\s+als|moins\s+de|menos\s+de|meno\s+di|onder"
    rf"|jonger\s+dan|ponizej|almost|nearly|not\s+yet|not\s+even|not|barely|about\s+to\s+turn|before\s+(?:turning\s+)?"
    rf"|{fold('младше')}|u)[\s-]*|<\s*)({_NUMBER})(?![^\W_])"
    r"(?=\s*(?:$|[,.;:!)]|and\b|with\b|in\b|wo?m[ae]n\b|person|people|years?\b|yrs?\b|yo\b|jahre?n?\b|ans\b|an[y]?os\b"
    r"|anni\b|jaar\b|lat\b|let\b))"
)
_MONTHS = re.compile(
    rf"{_NUMBER}[\s-]*(?:months?|weeks?|days?|mos?|monate?n?|wochen?|mois|mesi|maanden)[\s-]*"
    r"(?:old|alt|de\s+edad|oud|de\s+vie)\b|\d+\s*(?:か月|ヶ月|个月大|個月大)"
)
_ORDINAL = r"(?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|eleventh|twelfth)"
_SCHOOL = re.compile(
    rf"\b(?:\d{{1,2}}\s*(?:st|nd|rd|th)|{_ORDINAL})[\s-]*grade(?:r|rs)?\b|\bgrade[\s-]*(?:1[0-2]|[1-9k])\b"
    rf"|\byear[\s-]+(?:1[0-3]|[1-9])\s+(?:student|pupil|class)|\bclass\s+[1-9][ab]?\s+(?:student|pupil)"
    rf"|\b(?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth)\s+birthday"
    r"|\b(?:[1-9]|1[0-3])\s*\.?\s*klasse\b|\bgen(?:eration)?[\s-]+alpha\b|[1-6一二三四五六]年生|[小中][1-6一二三]の|\bon\s+yas\w*"
)
_HAN = re.compile(rf"([一二三四五六七八九十两兩]{{1,3}})[{_CJK}]")
_BORN = re.compile(
    fold(
        r"(?:\bborn|\bbirth\w*|\bdob|\bgeboren|\bgeb\b|\bnée?\s+en|\bnacid[oa]|\bnat[oa]|\bnascid[oa]|\burodz\w*"
        r"|\bjahrgang|\bроди\w*|\bрожд\w*|\brodi\w*|出生|जन्म)"
    )
    + r"[^\n]{0,25}?(?<!\d)((?:19|20)\d\d)(?!\d)"
)
_YEAR_FIRST = re.compile(
    r"(?<!\d)((?:19|20)\d\d)(?!\d)\D{0,4}?(?:"
    + fold(r"born|dogumlu|生まれ|年生|出生|年出生|года? рожд|में जन्म")
    + ")"
)
_BORN_AGO = re.compile(rf"\bborn\s+(?:just\s+|only\s+)?({_NUMBER})\s+years?\s+ago")


def youngest(text: str, today: datetime.date) -> int | None:
    """Return the youngest age that a folded text states or implies, None where it states none.

    A year of birth counts as the age before that year's birthday, so that of two possible ages the lower counts.
    """
    return min(_found(text, today), default=None)


def _found(text: str, today: datetime.date) -> Iterator[int]:
    for pattern in _AGES:
        for match in pattern.finditer(text):
            if not _TENS.search(_before(text, match.start())):
                yield from (_number(group) for group in match.groups() if group)
    for match in _YOUNGER.finditer(text):
        if (age := _number(match.group(1))) <= ADULT and not _TENS.search(_before(text, match.start(1))):
            yield age - 1
    if _MONTHS.search(text):
        yield 0
    if _SCHOOL.search(text):
        yield 6
    for match in _HAN.finditer(text):
        yield _han(match.group(1))
    for pattern in (_BORN, _YEAR_FIRST):
        for match in pattern.finditer(text):
            yield max(today.year - int(match.group(1)) - 1, 0)
    for match in _BORN_AGO.finditer(text):
        yield _number(match.group(1))


def _before(text: str, place: int) -> str:
    return text[max(0, place - 30) : place]


def _number(text: str) -> int:
    return _NUMBERS[text] if text in _NUMBERS else int(re.split("[.,]", text)[0])


def _han(text: str) -> int:
    digits = {sign: value for value, sign in enumerate("一二三四五六七八九", 1)} | {"两": 2, "兩": 2}
    before, ten, after = text.rpartition("十")
    tens = 10 * digits.get(before, 1) if ten else 0
    return tens + sum(digits.get(sign, 0) for sign in after[-1:])
