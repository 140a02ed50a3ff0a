"""PURE. Patterns whose search cannot run away: a small part of regular expressions, with a bound on the ways to match.

Python's engine goes back and tries again wherever something may be repeated, so nested repetitions take longer than
anybody waits. Here only a single character, class or escape may be repeated, and the number of ways in which the
whole pattern can be laid on a place of a text is counted before it is ever used: alternatives add up, what follows
one another multiplies. With that number and the length of the text bounded, so is the time spent on a post.
"""

from __future__ import annotations

import re
import unicodedata
import warnings

MOST_CHARACTERS = 200  # of a pattern
MOST_REPEATS = 100  # of one character: what * and + stand for at most
MOST_WAYS = 20_000  # in which a pattern can be laid on one place of a text
MOST_TEXT = 4_000  # characters of a text that are searched; what comes after is not looked at
MOST_DEPTH = 10  # groups in one another
_CLASSES = "dwsDWSbB"
_REPEAT = re.compile(r"\{(\d{1,4})(,?)(\d{0,4})\}")


class PatternRefused(ValueError):
    """A pattern that is none, or that might take too long; the message says how to mend it."""


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Return a pattern ready to search texts that `prepare` made, without regard to case.

    Raises
    ------
    PatternRefused
        If it is too long, holds anything but characters, classes, escapes, groups, alternatives, ends of lines and
        repetitions of single characters, or can match in too many ways.

    Examples
    --------
    >>> bool(compile_pattern(r"not .{0,20}fair").search("That is NOT at all fair."))
    True
    >>> compile_pattern("(a+)+b")
    Traceback (most recent call last):
    modeling.rules.patterns.PatternRefused: at character 5, a group is repeated; repeat single characters only
    """
    if len(pattern) > MOST_CHARACTERS:
        raise PatternRefused(f"it has {len(pattern):,} characters; at most {MOST_CHARACTERS} are taken")
    if not pattern.strip():
        raise PatternRefused("it is empty")
    reader = _Reader(prepare(pattern))
    written, ways = reader.read_alternatives(0)
    if reader.at < len(reader.text):
        raise reader.refuse("a ')' closes no group; write '\\)' for the character")
    if ways > MOST_WAYS:
        raise PatternRefused(
            f"it can match in {ways:,} ways at one place, more than {MOST_WAYS:,}; give repetitions an end, such as "
            "{0,20}, or make several rules of it"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = re.compile(written, re.IGNORECASE)
    except (re.error, FutureWarning) as error:
        raise PatternRefused(f"it cannot be read: {error}") from error
    if found.search(""):
        raise PatternRefused("it matches every text, even an empty one; ask for at least one character")
    return found


def prepare(text: str) -> str:
    """Return a text as patterns search it: in one form of Unicode, and cut.

    >>> prepare("ﬁne")
    'fine'
    """
    return unicodedata.normalize("NFKC", text[:MOST_TEXT])


class _Reader:
    """Reads a pattern from left to right, writing it anew with an end for every repetition."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def refuse(self, why: str) -> PatternRefused:
        return PatternRefused(f"at character {self.at + 1}, {why}")

    def read_alternatives(self, depth: int) -> tuple[str, int]:
        if depth > MOST_DEPTH:
            raise self.refuse(f"groups stand more than {MOST_DEPTH} deep in one another")
        branches, ways = [], 0
        while True:
            branch, of_branch = self._read_sequence(depth)
            branches.append(branch)
            ways += of_branch
            if self._peek() != "|":
                return "|".join(branches), ways
            self.at += 1

    def _read_sequence(self, depth: int) -> tuple[str, int]:
        parts, ways = [], 1
        while self._peek() not in ("", "|", ")"):
            part, of_part, is_single = self._read_item(depth)
            repeat, of_repeat = self._read_repeat(is_single)
            parts.append(part + repeat)
            # An optional group is there, in one of its ways, or it is not.
            ways *= of_part + 1 if repeat == "?" and not is_single else of_part * of_repeat
        return "".join(parts), ways

    def _read_item(self, depth: int) -> tuple[str, int, bool]:
        """Return an item as it is written, its ways, and whether it is a single character that may be repeated."""
        character = self._peek()
        if character == "(":
            return self._read_group(depth)
        if character == "[":
            return self._read_class(), 1, True
        if character == "\\":
            return self._read_escape()
        if character in "*+?{":
            raise self.refuse(f"nothing stands before '{character}'; write '\\{character}' for the character")
        self.at += 1
        return character, 1, character not in "^$"

    def _read_group(self, depth: int) -> tuple[str, int, bool]:
        self.at += 1
        if self._peek() == "?":
            if self.text[self.at : self.at + 2] != "?:":
                raise self.refuse("only plain groups are taken: '(...)' or '(?:...)'")
            self.at += 2
        inner, ways = self.read_alternatives(depth + 1)
        if self._peek() != ")":
            raise self.refuse("a group is not closed; write '\\(' for the character")
        self.at += 1
        return f"(?:{inner})", ways, False

    def _read_class(self) -> str:
        begin = self.at
        self.at += 1
        if self._peek() == "^":
            self.at += 1
        if self._peek() == "]":
            self.at += 1
        while self._peek() != "]":
            if not self._peek():
                raise self.refuse("a '[' is not closed by ']'; write '\\[' for the character")
            self.at += 2 if self._peek() == "\\" else 1
        self.at += 1
        return self.text[begin : self.at]

    def _read_escape(self) -> tuple[str, int, bool]:
        escaped = self.text[self.at + 1 : self.at + 2]
        if not escaped:
            raise self.refuse("a '\\' ends it; write '\\\\' for the character")
        if escaped.isdigit():
            raise self.refuse("it refers back to a group, which is not taken")
        if escaped.isalpha() and escaped not in _CLASSES:
            raise self.refuse(f"'\\{escaped}' is not taken; of letters only {', '.join(_CLASSES)} are")
        self.at += 2
        return f"\\{escaped}", 1, escaped not in "bB"

    def _read_repeat(self, is_single: bool) -> tuple[str, int]:
        character = self._peek()
        if not character or character not in "*+?{":
            return "", 1
        if character == "{":
            found = _REPEAT.match(self.text, self.at)
            if found is None:
                raise self.refuse("a '{' begins no repetition such as {2,5}; write '\\{' for the character")
            least = int(found[1])
            most = int(found[3]) if found[3] else MOST_REPEATS if found[2] else least
            written = f"{{{least},{most}}}"
            length = len(found[0])
        else:
            least, most = {"*": (0, MOST_REPEATS), "+": (1, MOST_REPEATS), "?": (0, 1)}[character]
            written = "?" if character == "?" else f"{{{least},{most}}}"
            length = 1
        if not is_single and written != "?":
            raise self.refuse("a group is repeated; repeat single characters only")
        if not least <= most <= MOST_REPEATS:
            raise self.refuse(f"repetitions go from a lower to a higher number, at most {MOST_REPEATS}")
        self.at += length
        if self._peek() and self._peek() in "*+?{":
            raise self.refuse("a repetition is itself repeated; take one of the two away")
        return written, most - least + 1

    def _peek(self) -> str:
        return self.text[self.at : self.at + 1]
