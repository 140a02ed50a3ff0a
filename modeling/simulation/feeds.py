"""Invented feeds of invented people: what a curation is rehearsed and tested on. Nothing in them is evidence.

Posts are put together from parts of sentences; each says at most a few values, some of them rarely. With every row
goes the truth about its post, which no file of feeds has.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

PHRASES = Path(__file__).with_name("feed_phrases.json")
SOURCES = ("following", "for_you")
STRENGTHS = (3, 4, 5, 6)
GROUPS = {"18 to 34": 0.42, "35 to 54": 0.38, "55 and over": 0.20}
SHARES = {
    "empty": 0.03,
    "foreign": 0.14,
    "spam": 0.05,
    "fragment": 0.07,
    "unsafe": 0.02,
    "neutral": 0.24,
}  # of new posts; the rest express one value or two
SEEN_BEFORE = 0.18  # of all rows: a post that stood in a feed before
SAME_TEXT = 0.05  # of new posts: another post's text under a key of its own
REPLIES, PARENT_MISSING = 0.16, 0.35
PRIVATE, DELETED = 0.03, 0.012
SECOND_VALUE = 0.25
MOST_KEPT = 5_000  # posts that may be seen again
MOST_TRIES = 50
_SLOT = re.compile(r"{(\w+)}")


@dataclass(frozen=True)
class InventedRow:
    """One row of a feed, and the truth about its post: kind and the values it expresses, from 1 to 6."""

    cells: dict[str, str]
    truth: dict[str, Any]


@dataclass
class _Post:
    cells: dict[str, str]
    truth: dict[str, Any]


@dataclass
class _Owner:
    name: str
    group: str
    share_following: float
    tastes: dict[str, list[float]] = field(default_factory=dict)  # by source, summed up over values


class FeedWriter:
    """Invents the rows of some owners' feeds, one after the other.

    Parameters
    ----------
    n_owners : how many people have a feed
    rng : decides everything
    groups : the quota groups with the share of owners in each

    Raises
    ------
    ValueError
        If there is no owner, or the shares do not add up to 1.
    """

    def __init__(
        self, n_owners: int, rng: np.random.Generator, groups: Mapping[str, float] | None = None
    ) -> None:
        groups = groups or GROUPS
        if n_owners < 1:
            raise ValueError(f"feeds have at least 1 owner, not {n_owners}")
        if abs(sum(groups.values()) - 1) > 1e-9:
            raise ValueError(f"the shares of the groups add up to {sum(groups.values()):g}, not to 1")
        self.rng = rng
        self.phrases = load_phrases()
        self.values = list(self.phrases["values"])
        self.owners = [self._invent_owner(number, groups) for number in range(1, n_owners + 1)]
        self._texts: set[str] = set()
        self._kept: deque[_Post] = deque(maxlen=MOST_KEPT)
        self._n_posts = 0

    def write(self, n_rows: int) -> Iterator[InventedRow]:
        """Yield so many rows. Two posts have the same text only where that was meant."""
        for _ in range(n_rows):
            owner = self.owners[self.rng.integers(len(self.owners))]
            source = SOURCES[int(self.rng.random() > owner.share_following)]
            if self._kept and self.rng.random() < SEEN_BEFORE:
                post = self._kept[self.rng.integers(len(self._kept))]
            else:
                post = self._invent_post(owner, source)
                self._kept.append(post)
            placed = {"owner": owner.name, "group": owner.group, "source": source}
            yield InventedRow(post.cells | placed, post.truth)

    def _invent_owner(self, number: int, groups: Mapping[str, float]) -> _Owner:
        group = list(groups)[int(np.searchsorted(np.cumsum(list(groups.values())), self.rng.random()))]
        owner = _Owner(f"owner-{number:04d}", group, float(self.rng.uniform(0.55, 0.9)))
        rates = np.array([self.phrases["rates"][value] for value in self.values])
        own = rates * self.rng.gamma(2.0, 0.5, len(rates))
        louder = np.array([value in self.phrases["more_for_you"] for value in self.values])
        for source, factor in zip(SOURCES, (0.7, 1.8), strict=True):
            weights = own * np.where(louder, factor, 1.0)
            owner.tastes[source] = list(np.cumsum(weights / weights.sum()))
        return owner

    def _invent_post(self, owner: _Owner, source: str) -> _Post:
        self._n_posts += 1
        draw = self.rng.random()
        if self._kept and draw < SAME_TEXT:
            twin = self._kept[self.rng.integers(len(self._kept))]
            cells, truth = dict(twin.cells), dict(twin.truth)
            truth["same_text_as"] = twin.truth.get("same_text_as", twin.cells["key"])
        else:
            kind, text, expresses = self._invent_text(owner, source)
            cells, truth = {"text": text}, {"kind": kind, "expresses": expresses}
            cells |= self._invent_context(kind) | {"language": "en" if kind == "neutral" else ""}
            cells["visibility"] = self._pick_visibility()
        key = f"post-{self._n_posts:07d}"
        return _Post(cells | {"key": key}, truth | {"key": key})

    def _invent_text(self, owner: _Owner, source: str) -> tuple[str, str, dict[str, int]]:
        kind = self._pick_kind()
        for _ in range(MOST_TRIES):
            expresses: dict[str, int] = {}
            if kind == "empty":
                return kind, "", expresses
            if kind == "foreign":
                text = self._write_foreign()
            elif kind in ("spam", "fragment", "unsafe"):
                text = self._fill(self._pick(self.phrases[kind if kind != "fragment" else "fragments"]))
            elif kind == "neutral":
                text = self._wrap(self._fill(self._pick(self.phrases["neutral"])))
            else:
                expresses = self._pick_values(owner, source)
                parts = [self._fill(self._pick(self.phrases["values"][value])) for value in expresses]
                text = self._wrap(". ".join(part[:1].upper() + part[1:] for part in parts))
            plain = " ".join(text.casefold().split())
            if plain not in self._texts:
                self._texts.add(plain)
                return kind, text, expresses
        raise ValueError(
            f"no new text of the kind '{kind}' was found in {MOST_TRIES} tries after {self._n_posts:,} posts; ask for "
            "fewer rows"
        )

    def _pick_kind(self) -> str:
        draw = self.rng.random()
        for kind, share in SHARES.items():
            draw -= share
            if draw < 0:
                return kind
        return "value"

    def _pick_values(self, owner: _Owner, source: str) -> dict[str, int]:
        several = 2 if self.rng.random() < SECOND_VALUE else 1
        tastes = owner.tastes[source]
        places = {
            min(int(np.searchsorted(tastes, self.rng.random())), len(tastes) - 1) for _ in range(several)
        }
        return {self.values[place]: int(self._pick(STRENGTHS)) for place in sorted(places)}

    def _invent_context(self, kind: str) -> dict[str, str]:
        if kind == "empty" or self.rng.random() >= REPLIES:
            return {"context_kind": "", "context_text": "", "in_reply_to": ""}
        parent = f"elsewhere-{self.rng.integers(10**9):09d}"
        if self.rng.random() < PARENT_MISSING:
            return {"context_kind": "reply", "context_text": "", "in_reply_to": parent}
        text = self._fill(self._pick(self.phrases["neutral"]))
        return {"context_kind": "reply", "context_text": text, "in_reply_to": parent}

    def _pick_visibility(self) -> str:
        draw = self.rng.random()
        return "private" if draw < PRIVATE else "deleted" if draw < PRIVATE + DELETED else "public"

    def _write_foreign(self) -> str:
        languages = self.phrases["languages"]
        code = self._pick(sorted(languages))
        sentence = self._fill(self._pick(languages[code]))
        return sentence + self._fill(self.phrases["numbered"][code])

    def _wrap(self, sentence: str) -> str:
        opener, closer = self._pick(self.phrases["openers"]), self._pick(self.phrases["closers"])
        return f"{opener}{sentence}{closer}" if opener else f"{sentence[:1].upper()}{sentence[1:]}{closer}"

    def _fill(self, template: str) -> str:
        return fill_phrase(template, self.rng)

    def _pick(self, several: Sequence[Any]) -> Any:
        return several[int(self.rng.integers(len(several)))]


def fill_phrase(template: str, rng: np.random.Generator) -> str:
    """Return a sentence with a word or number drawn for each of its slots."""
    phrases = load_phrases()

    def pick(slot: re.Match[str]) -> str:
        name = slot[1]
        if name == "number":
            return str(rng.integers(2, 10**6))
        return str(phrases[name][int(rng.integers(len(phrases[name])))])

    filled = _SLOT.sub(pick, template)
    return filled[:1].upper() + filled[1:]


@cache
def load_phrases() -> dict[str, Any]:
    """Return the parts of sentences as they lie in the file beside this module."""
    found: dict[str, Any] = json.loads(PHRASES.read_text(encoding="utf-8"))
    return found
