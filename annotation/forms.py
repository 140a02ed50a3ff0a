"""What raters send, read back into the tree's terms; every refusal stands beside its field."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from django import forms
from django.http import QueryDict
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from annotation.attention.grid import GridCheck
from annotation.attention.number_image import parse_number
from annotation.tree.closing import Closing, ask_again, close, find_closings, keep_open
from annotation.tree.nodes import UNSTORABLE, Branch, Leaf, ValueTree
from annotation.tree.walk import Missing, Reading, WalkError, check, missing, open_branches

NONE_OF_THESE = "none"
MAX_RATIONALE = 5000
MISSING = {
    "question": gettext_lazy("Please mark at least one, or 'None of these'."),
    "rating": gettext_lazy("Please choose a number."),
}
NUMBER = re.compile("-?[0-9]{1,5}")


class ConsentForm(forms.Form):
    consent = forms.ChoiceField(
        choices=[("yes", "yes"), ("no", "no")],
        error_messages=dict.fromkeys(
            ("required", "invalid_choice"), gettext_lazy("Please choose one of the two answers.")
        ),
    )


class NumberCheckForm(forms.Form):
    """The number read off an image, in whatever digits people type."""

    seen = forms.CharField(
        max_length=40, error_messages={"required": gettext_lazy("Please type the number you see.")}
    )

    def __init__(self, data: QueryDict | None = None, *, draft: QueryDict | None = None) -> None:
        super().__init__(data, initial={"seen": draft.get("seen", "")} if draft else None)

    def clean_seen(self) -> int:
        number = parse_number(self.cleaned_data["seen"])
        if number is None:
            raise forms.ValidationError(_("Please type the number in digits."))
        return number


class GridCheckForm(forms.Form):
    """A grid of which each row has one answer."""

    prefix = "row"  # a row's key may be the name of a field that every page has

    def __init__(
        self, check: GridCheck, data: QueryDict | None = None, *, draft: QueryDict | None = None
    ) -> None:
        kept = {row.key: draft.get(f"{self.prefix}-{row.key}") for row in check.rows} if draft else None
        super().__init__(data, initial=kept)
        missing = gettext_lazy("Please choose an answer.")
        for row in check.rows:
            self.fields[row.key] = forms.ChoiceField(
                label=row.text,
                choices=[(option.value, option.label) for option in check.options],
                widget=forms.RadioSelect,
                error_messages={"required": missing, "invalid_choice": missing},
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
    closings: list[Closing]


class ReadingForm:
    """A rater's answers about one post: branches that were marked, values that were rated.

    Unfinished answers are no fault while branches are still being opened (`reveal`); at a submit each
    open question without an answer is. A mark that was taken back from a branch with ratings is set again
    and asked about (`closings`), as often as it takes; what was answered below it goes only when `close` says so.

    `held` names branches whose question was answered but whose children are not shown yet.
    """

    def __init__(self, tree: ValueTree, data: QueryDict | None = None) -> None:
        self.tree = tree
        self.errors: dict[str, str] = {}
        self.problems: list[str] = []
        self.closings: tuple[Closing, ...] = ()
        self.held: frozenset[str] = frozenset()
        self.has_opened = False
        data = data if data is not None else QueryDict()
        self._has_answered_closing = "close" in data or "keep" in data
        self.shown = frozenset(data.getlist("shown"))
        rationale = data.get("rationale", "").replace("\r\n", "\n")
        self.has_unstorable = bool(UNSTORABLE.search(rationale))
        self.rationale = UNSTORABLE.sub("\ufffd", rationale)  # the rest can be shown again
        self.reading = Reading(dict(self._read_marks(data)), dict(self._read_ratings(data)))
        self._close_or_ask(data)

    def _read_marks(self, data: QueryDict) -> Iterator[tuple[str, frozenset[str]]]:
        for name in data:
            if not name.startswith("open-"):
                continue
            key, chosen = name.removeprefix("open-"), frozenset(data.getlist(name))
            if NONE_OF_THESE in chosen and len(chosen) > 1:
                self.errors[key] = _("Please choose either 'None of these' or one or more of the others.")
            yield key, chosen - {NONE_OF_THESE}

    def _read_ratings(self, data: QueryDict) -> Iterator[tuple[str, int]]:
        for name in data:
            if not name.startswith("rate-"):
                continue
            key, text = name.removeprefix("rate-"), data[name]
            if NUMBER.fullmatch(text):
                yield key, int(text)
            else:
                self.problems.append(_("One of the ratings was not a number of the scale."))

    def _close_or_ask(self, data: QueryDict) -> None:
        """Close what the rater agreed to close; keep open, and ask about, what would lose ratings."""
        keys = [branch.key for branch in self.tree.branches if branch is not self.tree.root]
        to_close = data.getlist("close")
        for key in keys:
            if key in to_close:
                self._close(key, data)
        taken_back = find_closings(self.tree, self.reading)
        self.reading = keep_open(self.tree, self.reading, taken_back)
        closings = {closing.branch.key: closing for closing in taken_back}
        for key in keys:
            is_unanswered = f"instead-{key}" in data and key not in to_close + data.getlist("keep")
            if is_unanswered and key not in closings:
                closings[key] = ask_again(self.tree, self.reading, key, _read_wanted(key, data))
        self.closings = tuple(closings[key] for key in keys if closings.get(key))

    def _close(self, key: str, data: QueryDict) -> None:
        """Close a branch and, where its mark had been set again to ask, mark what was chosen in its place."""
        question = self.tree.parent(key)
        was_marked = key in self.reading.marks.get(question.key, ())
        self.reading = close(self.tree, self.reading, key)
        if not was_marked or f"instead-{key}" not in data:
            return
        wanted = _read_wanted(key, data)
        marks = dict(self.reading.marks)
        left = marks.pop(question.key)
        if question.several and left:
            marks[question.key] = left
        elif wanted is not None:
            marks[question.key] = wanted - {key}
        self.reading = Reading(marks, self.reading.ratings)

    @property
    def is_on_the_way(self) -> bool:
        """Whether this asks, or answers, what is to become of a branch: no submit yet."""
        return self._has_answered_closing or bool(self.closings)

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
            self.errors["rationale"] = _("Please shorten this to %(n)s characters.") % {
                "n": number_format(MAX_RATIONALE, force_grouping=True)
            }
        if self.has_unstorable:
            self.errors["rationale"] = _(
                "This contained a character that cannot be stored; \ufffd stands in its place now."
            )
        return not (self.errors or self.problems or self.has_opened or self.is_on_the_way)

    def _branch_of(self, gap: Missing) -> Branch:
        return self.tree.branch(gap.key) if gap.kind == "question" else self.tree.parent(gap.key)

    def _keep_what_fits(self) -> None:
        """Name what does not fit the tree and go on with the rest, so nothing typed is lost."""
        try:
            check(self.tree, self.reading)
        except WalkError:
            fitting = self._fitting()
            self.problems.append(
                _(
                    "Some answers did not belong to what is open below, so they were left out and nothing was "
                    "saved yet. Please check the page and submit again."
                )
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
        self.errors.clear()

    @property
    def sections(self) -> list[Section]:
        shown = {key: marked for key, marked in self.reading.marks.items() if key not in self.held}
        return [self._section(branch) for branch in open_branches(self.tree, shown)]

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
            closings=[closing for closing in self.closings if closing.parent == branch.key],
        )

    def _row(self, leaf: Leaf) -> Row:
        chosen = self.reading.ratings.get(leaf.key)
        scale = self.tree.scale
        return Row(
            leaf=leaf,
            levels=[(level, scale.shown(level), level == chosen) for level in scale.levels],
            error=self.errors.get(leaf.key, ""),
        )


def _read_wanted(key: str, data: QueryDict) -> frozenset[str] | None:
    """Return what had been chosen in place of a branch that was asked about; None for no answer at all."""
    wanted = frozenset(data.getlist(f"instead-{key}")) - {""}
    return wanted - {NONE_OF_THESE} if wanted else None
