"""The modality that a query's own words name: "find the clip where…", "a picture of…".

Only the opening of a query is read, and only where a noun such as *clip* is what is looked for:
it must end the opening or be followed by a word that leads on (*of*, *where*, *with*). "Video games
on a table" and "a man taking a photo of a dog" therefore name nothing. English only.
"""

from __future__ import annotations

import re

from unite.types import Item, Modality

_NOUNS = {
    Modality.VIDEO: "clip|video|film|movie|footage|recording",
    Modality.IMAGE: "picture|image|photo|photograph|pic|snapshot|screenshot",
    Modality.TEXT: "text|words(?= )|note|caption|document|passage|paragraph|article|description",
}
_VERBS = (
    r"(?:find|show|search(?: for)?|look(?:ing)? for|get|give|fetch|(?:i )?want|(?:i )?need"
    r"|i'?m looking for|i am looking for)"
)
_ARTICLES = r"(?:an?|the|all|any|some|my|our|another|every|that|this)"
_LEADS_ON = (
    r"(?:of|with|where|when|in which|that|which|who|showing|shows|containing|about|for|from|after"
    r"|before|like)\b"
)
_OPENING = re.compile(
    rf"(?:please )?(?:(?:{_VERBS} )(?:me |us )?(?:{_ARTICLES} )?(?:[\w-]+ )??"
    rf"|(?:{_ARTICLES} )(?:[\w-]+ )??|)"
    + "(?:"
    + "|".join(f"(?P<m{int(bit)}>(?:{nouns})s?)" for bit, nouns in _NOUNS.items())
    + rf")(?: {_LEADS_ON}|\s*[:.?!]|$)"
)
_ANSWER = re.compile(r"(?:please )?answer\b")


def named(query: Item) -> Modality | None:
    """The modality that the instruction names, else the text; None where neither does."""
    for words in (query.instruction, query.text):
        opening = " ".join((words or "").lower().split())
        if _ANSWER.match(opening):
            return Modality.TEXT
        if match := _OPENING.match(opening):
            return Modality(int(str(match.lastgroup)[1:]))
    return None
