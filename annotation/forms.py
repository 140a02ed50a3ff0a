"""What raters send, read back into the tree's terms; every refusal stands beside its field."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from django import forms
from django.http import QueryDict

from annotation.tree.nodes import UNSTORABLE, Branch, Leaf, ValueTree
from annotation.tree.walk import Missing, Reading, WalkError, check, missing, open_branches

NONE_OF_THESE = "none"
MAX_RATIONALE = 5000
MISSING = {"question": "Please mark at least one, or 'None of these'.", "rating": "Please choose a number."}
NUMBER = re.compile("-?[0-9]{1,5}")


class ConsentForm(forms.Form):
    consent = forms.ChoiceField(
        choices=[("yes", "yes"), ("no", "no")],
        error_messages=dict.fromkeys(("required", "invalid_choice"), "Please choose one of the two answers."),
    )


@dataclass(frozen=True)
class Option:
    """One branch that can be marked."""

    key: str
    label: str
    definition: str
    is_marked: bool


@dataclass(frozen=True)
class Row:
    """One value with its scale."""

    leaf: Leaf
    levels: list[tuple[int, int, bool]]  # rating, number shown, chosen
    error: str


@dataclass(frozen=True)
class Section:
    """One open branch as it stands on the page."""

    branch: Branch
    options: list[Option]
    is_none_marked: bool
    rows: list[Row]
    error: str


class ReadingForm:
    """A rater's answers about one post: branches that were marked, values that were rated.

    Unfinished answers are no fault while branches are still being opened (`reveal`); at a submit each
    open question without an answer is.
    """

    def __init__(self, tree: ValueTree, data: QueryDict | None = None) -> None:
        self.tree = tree
        self.errors: dict[str, str] = {}
        self.problems: list[str] = []
        self.has_opened = False
        data = data if data is not None else QueryDict()
        self.shown = frozenset(data.getlist("shown"))
        rationale = data.get("rationale", "").replace("\r\n", "\n")
        self.has_unstorable = bool(UNSTORABLE.search(rationale))
        self.rationale = UNSTORABLE.sub("\ufffd", rationale)  # the rest can be shown again
        self.reading = Reading(dict(self._read_marks(data)), dict(self._read_ratings(data)))

    def _read_marks(self, data: QueryDict) -> Iterator[tuple[str, frozenset[str]]]:
        for name in data:
            if not name.startswith("open-"):
                continue
            key, chosen = name.removeprefix("open-"), frozenset(data.getlist(name))
            if NONE_OF_THESE in chosen and len(chosen) > 1:
                self.errors[key] = "Please choose either 'None of these' or one or more of the others."
            yield key, chosen - {NONE_OF_THESE}

    def _read_ratings(self, data: QueryDict) -> Iterator[tuple[str, int]]:
        for name in data:
            if not name.startswith("rate-"):
                continue
            key, text = name.removeprefix("rate-"), data[name]
            if NUMBER.fullmatch(text):
                yield key, int(text)
            else:
                self.problems.append("One of the ratings was not a number of the scale.")

    def is_valid(self) -> bool:
        """Check the answers for a submit, filling `errors` (by node key) and `problems`.

        What was never on the page is no error yet: `has_opened` says that there is more to answer.
        """
        self._keep_what_fits()
        for gap in missing(self.tree, self.reading):
            if self._branch_of(gap).key not in self.shown:
                self.has_opened = True
            else:
                self.errors.setdefault(gap.key, MISSING[gap.kind])
        if len(self.rationale) > MAX_RATIONALE:
            self.errors["rationale"] = f"Please shorten this to {MAX_RATIONALE:,} characters."
        if self.has_unstorable:
            self.errors["rationale"] = (
                "This contained a character that cannot be stored; \ufffd stands in its place now."
            )
        return not self.errors and not self.problems and not self.has_opened

    def _branch_of(self, gap: Missing) -> Branch:
        return self.tree.branch(gap.key) if gap.kind == "question" else self.tree.parent(gap.key)

    def _keep_what_fits(self) -> None:
        """Name what does not fit the tree and go on with the rest, so nothing typed is lost."""
        try:
            check(self.tree, self.reading)
        except WalkError:
            fitting = self._fitting()
            self.problems.append(
                "Some answers did not belong to what is open below, so they were left out and nothing was "
                "saved yet. Please check the page and submit again."
            )
            self.reading = fitting

    def _fitting(self) -> Reading:
        levels = self.tree.scale.levels
        marks: dict[str, frozenset[str]] = {}
        for branch in self.tree.branches:
            marked = self.reading.marks.get(branch.key)
            known = {child.key for child in branch.child_branches}
            if known and marked is not None and marked <= known and (branch.several or len(marked) <= 1):
                marks[branch.key] = marked
        opened = {branch.key for branch in open_branches(self.tree, marks)}
        marks = {key: marked for key, marked in marks.items() if key in opened}
        ratings = {
            leaf.key: self.reading.ratings[leaf.key]
            for branch in open_branches(self.tree, marks)
            for leaf in branch.child_leaves
            if self.reading.ratings.get(leaf.key) in levels
        }
        return Reading(marks, ratings)

    def reveal(self) -> None:
        """Take the answers as they are, on the way; keep what still belongs to an open branch."""
        self.reading = self._fitting()
        self.problems.clear()

    @property
    def sections(self) -> list[Section]:
        return [self._section(branch) for branch in open_branches(self.tree, self.reading.marks)]

    def _section(self, branch: Branch) -> Section:
        marked = self.reading.marks.get(branch.key)
        return Section(
            branch=branch,
            options=[
                Option(child.key, child.label, child.definition, child.key in (marked or ()))
                for child in branch.child_branches
            ],
            is_none_marked=marked is not None and not marked,
            rows=[self._row(leaf) for leaf in branch.child_leaves],
            error=self.errors.get(branch.key, ""),
        )

    def _row(self, leaf: Leaf) -> Row:
        chosen = self.reading.ratings.get(leaf.key)
        scale = self.tree.scale
        return Row(
            leaf=leaf,
            levels=[(level, scale.shown(level), level == chosen) for level in scale.levels],
            error=self.errors.get(leaf.key, ""),
        )
