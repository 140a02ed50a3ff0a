"""PURE. Rules held against posts as models read them, chunk by chunk.

A condition is true, false or, where what it needs is not there, unknown: no distribution, one sample only, another
model without a reading. Unknown stays unknown through "not"; "all" is false as soon as one part is, "any" true as soon
as one part is (Kleene's logic). A post is flagged where the whole condition is true, never where it is unknown; how
often that was so is counted.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from .language import BOTH, CONTEXT, EACH, PRESENCE, TEXT, Condition, Rule, say_bounds, say_condition
from .patterns import compile_pattern, prepare
from .posts import Chunk, Flagged, Floats, Reason
from .words import find_words, space_out

Truth = NDArray[
    np.uint8
]  # of shape (n_posts, n_values of the rule), or (n_posts, 1) where it is alike for all
FALSE, UNKNOWN, TRUE = 0, 1, 2
EVERY = slice(None)
MOST_SHOWN = 3  # values named in what was found
MOST_QUOTED = 60  # characters of what a pattern found


class Matcher:
    """Holds rules against posts, and counts.

    Parameters
    ----------
    rules : of `read_rules`
    value_keys, value_names : of the study, in the order of the ratings
    points : of the scale, lowest first
    threshold : from which rating on a value counts as expressed

    Attributes
    ----------
    n_posts, n_unread : posts held against the rules; posts without any rating, which no rule is held against
    n_flagged : by rule
    n_undecided : by rule, posts that it might have flagged, had nothing been unknown
    n_unknown : by rule and place of a condition, posts of which it was unknown for some value
    """

    def __init__(
        self,
        rules: Sequence[Rule],
        value_keys: Sequence[str],
        value_names: Mapping[str, str],
        points: Sequence[int],
        threshold: float,
    ) -> None:
        self.rules, self.value_keys, self.names = tuple(rules), tuple(value_keys), dict(value_names)
        self.points = np.asarray(points, dtype=np.float64)
        self.threshold = threshold
        self.place_of = {key: place for place, key in enumerate(value_keys)}
        self.n_posts = self.n_unread = self.n_any = 0
        self.n_flagged: Counter[str] = Counter()
        self.n_undecided: Counter[str] = Counter()
        self.n_unknown: dict[str, Counter[str]] = {rule.key: Counter() for rule in rules}
        leaves = [leaf for rule in rules for leaf in rule.when.list_leaves()]
        self.words = {
            words: tuple(map(space_out, words)) for words in {leaf.words for leaf in leaves} if words
        }
        self.patterns = {leaf.pattern: compile_pattern(leaf.pattern) for leaf in leaves if leaf.pattern}
        self.needs_words = {leaf.within for leaf in leaves if leaf.words}
        self.needs_patterns = {leaf.within for leaf in leaves if leaf.pattern}

    def match(self, chunk: Chunk) -> list[Flagged]:
        """Return the posts of a chunk that some rule flags, in order of their rows, and count.

        Raises ValueError when the chunk's values or points are not as many as the matcher's.
        """
        if chunk.samples.shape[2] != len(self.value_keys):
            raise ValueError(
                f"a chunk has ratings of {chunk.samples.shape[2]} values, the rules are for {len(self.value_keys)}"
            )
        if chunk.distributions is not None and chunk.distributions.shape[2] != len(self.points):
            raise ValueError(
                f"a chunk has distributions over {chunk.distributions.shape[2]} points, the scale has "
                f"{len(self.points)}"
            )
        seen = _Seen(self, chunk)
        self.n_posts += seen.n_posts
        self.n_unread += int((~seen.is_read).sum())
        reasons: dict[int, list[Reason]] = {}
        for rule in self.rules:
            for row, reason in self._hold(rule, seen):
                reasons.setdefault(row, []).append(reason)
        self.n_any += len(reasons)
        return [
            Flagged(row, tuple(reasons[row]), tuple(float(rating) for rating in seen.ratings[row]))
            for row in sorted(reasons)
        ]

    def _hold(self, rule: Rule, seen: _Seen) -> list[tuple[int, Reason]]:
        columns = np.array([self.place_of[key] for key in rule.values], dtype=np.int64)
        truth = seen.judge(rule.when, columns)
        for leaf in rule.when.list_leaves():
            found = seen.judge(leaf, columns)
            self.n_unknown[rule.key][leaf.place] += int(((found == UNKNOWN).any(axis=1) & seen.is_read).sum())
        is_true = (truth == TRUE).any(axis=1) & seen.is_read
        self.n_flagged[rule.key] += int(is_true.sum())
        self.n_undecided[rule.key] += int(((truth == UNKNOWN).any(axis=1) & ~is_true & seen.is_read).sum())
        whole = np.broadcast_to(truth, (seen.n_posts, len(columns)))
        flagged = []
        for row in np.flatnonzero(is_true):
            concerned = columns[whole[row] == TRUE]
            if not rule.looks_at_each and rule.is_any:
                expressed = columns[seen.ratings[row, columns] >= self.threshold]
                concerned = expressed if len(expressed) else columns
            keys = tuple(self.value_keys[column] for column in concerned)
            flagged.append((int(row), Reason(rule.key, keys, seen.tell(rule, int(row), concerned))))
        return flagged

    def describe_counts(self) -> dict[str, object]:
        """Return all counts, ready for JSON; `add_counts` puts those of several matchers together."""
        return {
            "n_posts": self.n_posts,
            "n_unread": self.n_unread,
            "n_any": self.n_any,
            "rules": {
                rule.key: {
                    "n_flagged": self.n_flagged[rule.key],
                    "n_undecided": self.n_undecided[rule.key],
                    "unknown": dict(self.n_unknown[rule.key]),
                }
                for rule in self.rules
            },
        }


class _Seen:
    """A chunk with what conditions need of it, each thing computed once."""

    def __init__(self, matcher: Matcher, chunk: Chunk) -> None:
        self.matcher, self.chunk = matcher, chunk
        self.n_posts = len(chunk.texts)
        read = ~np.isnan(chunk.samples)
        self.n_samples = read.sum(axis=0)
        with np.errstate(invalid="ignore"):
            self.ratings = np.where(read, chunk.samples, 0.0).sum(axis=0) / self.n_samples
        self.is_read = (self.n_samples > 0).any(axis=1)
        self.texts = {TEXT: chunk.texts, CONTEXT: chunk.contexts}
        self.spaced = self._prepare(matcher.needs_words, space_out)
        self.prepared = self._prepare(matcher.needs_patterns, prepare)
        self.judged: dict[tuple[int, bytes], Truth] = {}

    def _prepare(self, needs: set[str], how: object) -> dict[str, list[str]]:
        sides = {side for need in needs for side in ((TEXT, CONTEXT) if need == BOTH else (need,))}
        return {side: [how(text) if text else "" for text in self.texts[side]] for side in sides}  # type: ignore[operator]

    def judge(self, condition: Condition, columns: NDArray[np.int64]) -> Truth:
        known = (id(condition), columns.tobytes())
        if known not in self.judged:
            self.judged[known] = self._judge(condition, columns)
        return self.judged[known]

    def _judge(self, condition: Condition, columns: NDArray[np.int64]) -> Truth:
        if condition.parts:
            parts = [self.judge(part, columns) for part in condition.parts]
            if condition.kind == "not":
                return np.asarray(TRUE - parts[0], dtype=np.uint8)
            join = np.minimum if condition.kind == "all" else np.maximum
            found = parts[0]
            for part in parts[1:]:
                found = join(found, part)
            return found
        if condition.value != EACH and condition.value:
            columns = np.array([self.matcher.place_of[condition.value]])
        return self._judge_leaf(condition, columns)

    def _judge_leaf(self, leaf: Condition, columns: NDArray[np.int64]) -> Truth:
        threshold = self.matcher.threshold
        ratings = self.ratings[:, columns]
        missing = np.isnan(ratings)
        match leaf.kind:
            case "rating":
                return _decide((ratings >= leaf.low) & (ratings <= leaf.high), missing)
            case "expressed":
                return _decide(ratings >= threshold, missing)
            case "not_expressed":
                return _decide(ratings < threshold, missing)
            case "number_expressed":
                return self._count(leaf)
            case "words" | "pattern":
                holds = [self.look(leaf, row) != "" for row in range(self.n_posts)]
                return _decide(np.array(holds, dtype=bool).reshape(-1, 1), None)
            case "models_differ":
                return self._compare(leaf, columns)
            case "probability":
                found = self.get_probability(leaf, columns)
                return _decide(found < leaf.high, np.isnan(found))
            case _:
                found = self.get_spread(leaf, columns)
                limit = 0.0 if leaf.kind == "presence_varies" else leaf.low
                return _decide(found > limit, np.isnan(found))

    def _count(self, leaf: Condition) -> Truth:
        """How many values are expressed; what is missing may or may not be."""
        n_sure = (self.ratings >= self.matcher.threshold).sum(axis=1, keepdims=True)
        n_most = n_sure + np.isnan(self.ratings).sum(axis=1, keepdims=True)
        is_true = (n_sure >= leaf.low) & (n_most <= leaf.high)
        is_false = (n_most < leaf.low) | (n_sure > leaf.high)
        return _decide(is_true, ~is_true & ~is_false)

    def _compare(self, leaf: Condition, columns: NDArray[np.int64]) -> Truth:
        own = self.ratings[:, columns]
        if not self.chunk.others:
            return np.full(own.shape, UNKNOWN, dtype=np.uint8)
        said = np.stack([own, *(other[:, columns] for other in self.chunk.others)])
        missing = np.isnan(said)
        if leaf.of == PRESENCE:
            present = said >= self.matcher.threshold
            differ = (present & ~missing).any(axis=0) & (~present & ~missing).any(axis=0)
        else:
            high, low = (
                np.where(missing, -np.inf, said).max(axis=0),
                np.where(missing, np.inf, said).min(axis=0),
            )
            differ = (high - low >= leaf.low) & ~missing.all(axis=0)
        # Where those that are there do not differ, one that is missing might.
        return _decide(differ, ~differ & missing.any(axis=0))

    def get_probability(self, leaf: Condition, columns: NDArray[np.int64], rows: slice = EVERY) -> Floats:
        """Probability of the point nearest to the rating, or of what the rating says of presence; NaN for none."""
        ratings = self.ratings[rows, columns]
        if self.chunk.distributions is None:
            return np.full(ratings.shape, np.nan)
        chances = self.chunk.distributions[rows, columns]
        points, threshold = self.matcher.points, self.matcher.threshold
        if leaf.of == PRESENCE:
            present = chances[:, :, points >= threshold].sum(axis=2)
            found = np.where(ratings >= threshold, present, 1.0 - present)
        else:
            whole = np.nan_to_num(np.floor(ratings + 0.5), nan=points[0])
            nearest = np.clip(whole - points[0], 0, len(points) - 1).astype(np.int64)
            found = np.take_along_axis(chances, nearest[:, :, None], axis=2)[:, :, 0]
        found[np.isnan(ratings)] = np.nan
        return np.asarray(found, dtype=np.float64)

    def get_spread(self, leaf: Condition, columns: NDArray[np.int64], rows: slice = EVERY) -> Floats:
        """Standard deviation over samples; or 1 where they differ in presence, 0 where not. NaN below two samples."""
        samples = self.chunk.samples[:, rows, columns]
        read, n_read = ~np.isnan(samples), self.n_samples[rows, columns]
        if leaf.kind == "presence_varies":
            n_present = (samples >= self.matcher.threshold).sum(axis=0)
            found = ((n_present > 0) & (n_present < n_read)).astype(np.float64)
        else:
            away = np.where(read, samples - self.ratings[rows, columns], 0.0)
            with np.errstate(divide="ignore", invalid="ignore"):
                found = np.sqrt((away**2).sum(axis=0) / (n_read - 1))
        found[n_read < 2] = np.nan
        return np.asarray(found, dtype=np.float64)

    def look(self, leaf: Condition, row: int) -> str:
        """Return what a condition about text finds in a post; "" for nothing."""
        for side in (TEXT, CONTEXT) if leaf.within == BOTH else (leaf.within,):
            if leaf.kind == "words":
                places = find_words(self.spaced[side][row], self.matcher.words[leaf.words])
                if places:
                    return ", ".join(f"“{leaf.words[place]}”" for place in places[:MOST_SHOWN])
            elif found := _search(self.matcher.patterns[leaf.pattern], self.prepared[side][row]):
                return f"“{found}”"
        return ""

    def tell(self, rule: Rule, row: int, concerned: NDArray[np.int64]) -> str:
        """Return what was found in a post, condition by condition."""
        said = []
        for leaf in _list_telling(rule.when):
            told = self._tell_leaf(leaf, row, concerned)
            if told and told not in said:
                said.append(told)
        return "; ".join(said) or say_condition(rule.when, self.matcher.names)

    def _tell_leaf(self, leaf: Condition, row: int, concerned: NDArray[np.int64]) -> str:
        if leaf.kind in ("words", "pattern"):
            found = self.look(leaf, row)
            return (
                f"{leaf.within if leaf.within != BOTH else 'text or context'} holds {found}" if found else ""
            )
        if leaf.kind == "number_expressed":
            number = int((self.ratings[row] >= self.matcher.threshold).sum())
            return f"{number} values expressed, rule asks for {say_bounds(leaf)}"
        columns = concerned if leaf.value == EACH else np.array([self.matcher.place_of[leaf.value]])
        true = columns[self._judge_leaf_row(leaf, row, columns) == TRUE]
        told = [self._tell_value(leaf, row, int(column)) for column in true[:MOST_SHOWN]]
        more = [f"and {len(true) - MOST_SHOWN} more"] if len(true) > MOST_SHOWN else []
        return ", ".join(told + more)

    def _judge_leaf_row(self, leaf: Condition, row: int, columns: NDArray[np.int64]) -> Truth:
        every = np.arange(len(self.matcher.value_keys))
        known = (id(leaf), b"tell")
        if known not in self.judged:
            self.judged[known] = self._judge_leaf(leaf, every)
        return np.asarray(self.judged[known][row, columns], dtype=np.uint8)

    def _tell_value(self, leaf: Condition, row: int, column: int) -> str:
        key = self.matcher.value_keys[column]
        name, rating = self.matcher.names.get(key, key), self.ratings[row, column]
        one, here = np.array([column]), slice(row, row + 1)
        match leaf.kind:
            case "rating":
                return f"{name} {rating:.3g}, rule asks for {say_bounds(leaf)}"
            case "expressed" | "not_expressed":
                return f"{name} {rating:.3g}, {leaf.kind.replace('_', ' ')}"
            case "models_differ":
                said = [rating, *(other[row, column] for other in self.chunk.others)]
                shown = " and ".join("none" if math.isnan(each) else f"{each:.3g}" for each in said)
                return f"{name}: models say {shown}"
            case "probability":
                chance = self.get_probability(leaf, one, here)[0, 0]
                side = "presence" if rating >= self.matcher.threshold else "absence"
                what = f"{name}: its {side}" if leaf.of == PRESENCE else f"{name} {rating:.3g}"
                return f"{what} has probability {chance:.2f}, below {leaf.high:g}"
            case "spread":
                return f"{name}: spread over runs {self.get_spread(leaf, one, here)[0, 0]:.2f}, above {leaf.low:g}"
            case _:
                said = [each for each in self.chunk.samples[:, row, column] if not math.isnan(each)]
                return f"{name}: runs say {', '.join(f'{each:.3g}' for each in said)}"


def add_counts(counts: Sequence[Mapping[str, object]]) -> dict[str, object]:
    """Return the sum of what several matchers with the same rules counted.

    >>> add_counts([{"n": 1, "rules": {"a": {"n": 2}}}, {"n": 3, "rules": {"a": {"n": 4}}}])
    {'n': 4, 'rules': {'a': {'n': 6}}}
    """
    total: dict[str, object] = {}
    for each in counts:
        for name, found in each.items():
            before = total.get(name)
            if isinstance(found, Mapping):
                total[name] = (
                    add_counts([before, found]) if isinstance(before, Mapping) else add_counts([found])
                )
            elif isinstance(found, int):
                total[name] = found + (before if isinstance(before, int) else 0)
    return total


def _decide(is_true: NDArray[np.bool_], is_unknown: NDArray[np.bool_] | None) -> Truth:
    found = np.where(is_true, TRUE, FALSE).astype(np.uint8)
    if is_unknown is not None:
        found[is_unknown] = UNKNOWN
    return found


def _list_telling(condition: Condition) -> list[Condition]:
    """Return the conditions whose being true speaks for the whole: those under no "not"."""
    if condition.kind == "not":
        return []
    if not condition.parts:
        return [condition]
    return [leaf for part in condition.parts for leaf in _list_telling(part)]


def _search(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    if found is None:
        return ""
    shown = found[0] if len(found[0]) <= MOST_QUOTED else f"{found[0][: MOST_QUOTED - 1]}…"
    return shown or " "
