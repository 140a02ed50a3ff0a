"""The words by which the stand-in's reader guesses what a post is about: a hand-made list, no model of anything."""

import json
import math
import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

STRONG, WEAK = 3.0, 1.0
SHORTEST_STEM = 4  # a shorter stem must be the whole word, or 'win' would be found in 'window'
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")
_LINK = re.compile(r"https?://|www\.|\b\w+\.(?:com|net|org|io)\b")


@cache
def load_lexicon() -> dict[str, Any]:
    """Return the word lists as they lie in the file beside this module."""
    with Path(__file__).with_name("lexicon.json").open(encoding="utf-8") as file:
        content: dict[str, Any] = json.load(file)
    return content


def split_words(text: str) -> list[str]:
    """Return the words of a text in small letters, numbers and signs left out."""
    return _WORD.findall(text.lower().replace("’", "'"))


class StemIndex:
    """Weights of concepts by the beginnings of words."""

    def __init__(self, stems: Mapping[str, Mapping[str, float]]) -> None:
        """`stems` holds, for each concept, the weight of each beginning of a word."""
        self._entries: dict[str, tuple[tuple[str, float], ...]] = {}
        for concept, weights in stems.items():
            for stem, weight in weights.items():
                self._entries[stem] = (*self._entries.get(stem, ()), (concept, weight))
        self._longest = max((len(stem) for stem in self._entries), default=0)

    def weigh(self, words: Iterable[str]) -> dict[str, float]:
        """Return the sum of weights for each concept that a word brings up; each word counts once."""
        found: dict[str, float] = {}
        entries = self._entries
        for word in set(words):
            best: dict[str, float] = {}
            ends = (
                [len(word)]
                if len(word) < SHORTEST_STEM
                else range(SHORTEST_STEM, min(len(word), self._longest) + 1)
            )
            for end in ends:
                for concept, weight in entries.get(word[:end], ()):
                    best[concept] = max(weight, best.get(concept, 0.0))
            if len(word) == SHORTEST_STEM and word.endswith("s"):
                for concept, weight in entries.get(word[:-1], ()):
                    best.setdefault(concept, weight)
            for concept, weight in best.items():
                found[concept] = found.get(concept, 0.0) + weight
        return found


@cache
def get_value_index() -> StemIndex:
    """Return the index of the shipped values' words."""
    return StemIndex(
        {
            key: {
                **dict.fromkeys(lists["weak"].split(), WEAK),
                **dict.fromkeys(lists["strong"].split(), STRONG),
            }
            for key, lists in load_lexicon()["values"].items()
        }
    )


@cache
def get_coarse_index() -> StemIndex:
    """Return the index of the words that make a post unpleasant to show, and of advertisements."""
    lexicon = load_lexicon()
    lists = {**lexicon["coarse"], "spam": lexicon["unpleasant"]}
    return StemIndex({key: dict.fromkeys(words.split(), 1.0) for key, words in lists.items()})


@cache
def _guess_stems(key: str) -> StemIndex:
    return StemIndex({key: dict.fromkeys((part[:7] for part in split_words(key.replace("_", " "))), STRONG)})


def weigh_concept(key: str, words: list[str], known: Mapping[str, float]) -> float:
    """Return how much the words bring up a concept; one that no list holds is looked for by its own name."""
    if key in load_lexicon()["values"]:
        return known.get(key, 0.0)
    return _guess_stems(key).weigh(words).get(key, 0.0)


def judge_features(text: str, words: list[str], context: str) -> dict[str, float]:
    """Return what plain features of a text say, each from 0 (not at all) to 1 (fully).

    'readability', 'coherence', 'spam', 'context' (how much is missing without another post), 'sexual', 'violent' and
    'derogatory'.
    """
    coarse = get_coarse_index().weigh(words)
    n_words = len(words)
    distinct = len(set(words)) / n_words if n_words else 0.0
    letters = sum(character.isalpha() for character in text)
    capitals = sum(character.isupper() for character in text) / letters if letters else 0.0
    signs = 1 - (letters + text.count(" ")) / len(text) if text else 1.0
    links = len(_LINK.findall(text.lower())) + text.count("#") / 2
    enough = 1 - math.exp(-n_words / 4)
    pointing = sum(word in _pointing_words() for word in words) / n_words if n_words else 1.0
    return {
        "readability": _bound(enough * (1.15 - signs) * (1 - max(0.0, capitals - 0.4))),
        "coherence": _bound(enough * distinct**2 * 1.15),
        "spam": _bound((coarse.get("spam", 0.0) + 1.5 * links) / 5),
        "context": 0.0 if context else _bound(1.2 * (1 - enough) + max(0.0, pointing - 0.25)),
        **{kind: 1 - math.exp(-coarse.get(kind, 0.0) / 1.5) for kind in ("sexual", "violent", "derogatory")},
    }


@cache
def _pointing_words() -> frozenset[str]:
    return frozenset(load_lexicon()["pointing"].split())


def _bound(share: float) -> float:
    return min(1.0, max(0.0, share))
