"""PURE. Whole words in texts, whatever their case and in whichever form of Unicode they are written."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence


class _Spaces(dict[int, str | None]):
    """What each character becomes: itself in a word, nothing where it only joins, a space between words."""

    def __missing__(self, code: int) -> str | None:
        character = chr(code)
        category = unicodedata.category(character)
        if category[0] in "LNM" or character == "_":
            self[code] = character
        else:
            self[code] = None if category == "Cf" else " "
        return self[code]


_SPACES = _Spaces()


def space_out(text: str) -> str:
    """Return the words of a text, folded, with one space before, between and after them.

    What is neither letter, number, mark nor underscore ends a word; so "don't" is two, in a text as in a rule.

    >>> space_out("It’s a DISGRACE, really")
    ' it s a disgrace really '
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return f" {' '.join(folded.translate(_SPACES).split())} "


def find_words(spaced: str, words: Sequence[str]) -> tuple[int, ...]:
    """Return which of some words, or phrases, a text holds. Both as `space_out` gives them.

    >>> find_words(space_out("Not fair. Fairness!"), [space_out("fair"), space_out("not fair"), space_out("air")])
    (0, 1)
    """
    return tuple(place for place, word in enumerate(words) if word in spaced)
