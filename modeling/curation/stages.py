"""PURE. The stages between a feed and a sample, in their order: what drops a post at each, and the account of it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from annotation.uploads.filters import digest_text
from annotation.uploads.language import UNKNOWN

from .settings import CurationSettings


class Stage(StrEnum):
    """One stage; the order of definition is the order of work."""

    LANGUAGE = "language"
    EMPTY = "empty"
    VISIBILITY = "visibility"
    REPLY = "reply"
    REPEATED = "repeated"
    COMPREHENSIBILITY = "comprehensibility"
    NSFW = "nsfw"
    SCREENING = "screening"
    SAMPLE = "sample"


PLAIN = (Stage.LANGUAGE, Stage.EMPTY, Stage.VISIBILITY, Stage.REPLY, Stage.REPEATED)
BY_MODEL = (Stage.COMPREHENSIBILITY, Stage.NSFW, Stage.SCREENING)
STAGE_LABELS = {
    Stage.LANGUAGE: "Language",
    Stage.EMPTY: "Text",
    Stage.VISIBILITY: "Public",
    Stage.REPLY: "Context",
    Stage.REPEATED: "Repeated texts",
    Stage.COMPREHENSIBILITY: "Comprehensible",
    Stage.NSFW: "Safe to show",
    Stage.SCREENING: "Expresses a value",
    Stage.SAMPLE: "Sample",
}

OTHER_LANGUAGE, UNKNOWN_LANGUAGE = "other_language", "unknown_language"
EMPTY, PRIVATE, DELETED = "empty", "private", "deleted"
NO_PARENT, NO_QUOTED = "no_parent", "no_quoted"
REPEATED, UNCLEAR, UNSAFE = "repeated", "unclear", "unsafe"
NO_VALUE, NOT_DRAWN, NOT_READ = "no_value", "not_drawn", "not_read"
REASON_LABELS = {
    OTHER_LANGUAGE: "Another language",
    UNKNOWN_LANGUAGE: "Too short, or without letters, to tell the language",
    EMPTY: "No text",
    PRIVATE: "Not public",
    DELETED: "Deleted since",
    NO_PARENT: "A reply to a post that is not in the feeds",
    NO_QUOTED: "Quotes a post that is not in the feeds",
    REPEATED: "The text of an earlier post; its places in feeds count for that one",
    UNCLEAR: "Not comprehensible enough",
    UNSAFE: "Not safe to show",
    NO_VALUE: "Expresses no value strongly enough",
    NOT_DRAWN: "Not drawn",
    NOT_READ: "The model gave no rating that can be used",
}
PUBLIC = "public"
_NOT_PUBLIC = {"private": PRIVATE, "deleted": DELETED}


@dataclass(frozen=True)
class Fate:
    """Where a post was dropped, for which reason; `detail` is what a reader needs beyond it."""

    stage: Stage
    reason: str
    detail: str = ""


@dataclass(frozen=True)
class FeedFacts:
    """What the plain stages look at."""

    key: str
    text: str
    context_kind: str
    context_text: str
    language: str
    visibility: str = PUBLIC
    in_reply_to: str = ""


class PlainSieve:
    """Sends posts, in the order in which they came, through the stages that need no model.

    Parameters
    ----------
    settings : what is kept
    parents : texts of posts by their key; a reply that lacks its parent's text finds it here
    """

    def __init__(self, settings: CurationSettings, parents: Mapping[str, str] | None = None) -> None:
        self.settings, self.parents = settings, parents or {}
        self._first: dict[bytes, str] = {}

    def find_context(self, post: FeedFacts) -> str:
        """The other post's text: as it came, or from the feeds; '' where neither has it."""
        if post.context_text or post.context_kind != "reply":
            return post.context_text
        return self.parents.get(post.in_reply_to, "")

    def sift(self, post: FeedFacts) -> Fate | None:
        """Return where the next post is dropped; None when it stays in.

        A post without text has no language to judge: it is dropped as empty.
        """
        return self._check_language(post) or self._check_text(post) or self._check_repeated(post)

    def _check_language(self, post: FeedFacts) -> Fate | None:
        wanted = self.settings.languages
        if not post.text or not wanted or post.language in wanted:
            return None
        if post.language not in ("", UNKNOWN):
            return Fate(Stage.LANGUAGE, OTHER_LANGUAGE, post.language)
        return None if self.settings.keeps_unknown else Fate(Stage.LANGUAGE, UNKNOWN_LANGUAGE)

    def _check_text(self, post: FeedFacts) -> Fate | None:
        if not post.text:
            return Fate(Stage.EMPTY, EMPTY)
        if post.visibility in _NOT_PUBLIC:
            return Fate(Stage.VISIBILITY, _NOT_PUBLIC[post.visibility])
        if post.context_kind and not self.find_context(post):
            reason = NO_PARENT if post.context_kind == "reply" else NO_QUOTED
            return Fate(Stage.REPLY, reason)
        return None

    def _check_repeated(self, post: FeedFacts) -> Fate | None:
        first = self._first.setdefault(digest_text(post.text, self.find_context(post)), post.key)
        return None if first == post.key else Fate(Stage.REPEATED, REPEATED, first)


def judge(stage: Stage, ratings: Sequence[float], settings: CurationSettings) -> Fate | None:
    """Return where a post is dropped for what a model said of it; None when it stays in.

    Parameters
    ----------
    stage : one of `BY_MODEL`
    ratings : the final rating of a codebook, or one rating for each value; means over several readings
    settings : the limits

    Raises
    ------
    ValueError
        If there is no rating, or one that is no number: that is no reading, and nothing follows from it.
    """
    if not ratings or not all(math.isfinite(rating) for rating in ratings):
        raise ValueError(
            f"{list(ratings)} are no ratings for the stage '{stage}'; count the post as not read"
        )
    if stage == Stage.SCREENING:
        best = max(ratings)
        return None if best >= settings.least_screening else Fate(stage, NO_VALUE, f"at most {best:g}")
    (rating,) = ratings
    if stage == Stage.COMPREHENSIBILITY:
        return (
            None if rating >= settings.least_comprehensibility else Fate(stage, UNCLEAR, f"rated {rating:g}")
        )
    return None if rating <= settings.most_nsfw else Fate(stage, UNSAFE, f"rated {rating:g}")


def average(readings: Iterable[Sequence[float]]) -> tuple[float, ...]:
    """Return the mean of several readings of one post, rating by rating; () of none."""
    found = list(readings)
    return tuple(math.fsum(column) / len(found) for column in zip(*found, strict=True))


class Account:
    """Counts, stage after stage, how many posts came, how many were dropped, and why."""

    def __init__(self, came: int, stages: Sequence[Stage]) -> None:
        self.came, self.stages = came, stages
        self.dropped: dict[Stage, Counter[str]] = {stage: Counter() for stage in stages}

    def add(self, fate: Fate | None) -> None:
        if fate is not None:
            self.dropped[fate.stage][fate.reason] += 1

    def to_lines(self) -> list[dict[str, Any]]:
        """Return one line for each stage, as they are stored: stage, came, kept, and dropped by reason."""
        lines, came = [], self.came
        for stage in self.stages:
            kept = came - self.dropped[stage].total()
            dropped = dict(sorted(self.dropped[stage].items()))
            lines.append({"stage": stage.value, "came": came, "kept": kept, "dropped": dropped})
            came = kept
        return lines
