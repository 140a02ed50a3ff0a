"""What researchers fill in: a new set, one post's ratings, a resolution, a file, an opening."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django import forms
from django.http import QueryDict

from annotation.forms import NUMBER, ReadingForm
from annotation.models import Study
from annotation.selectors import get_tree
from annotation.tree.nodes import UNSTORABLE, Leaf, ValueTree
from modeling.models import AnnotatorRun, ExpertLabel, ExpertSet

from .services import (
    LARGEST_SEED,
    LONGEST_NAME,
    LONGEST_NOTE,
    LONGEST_REASON,
    MOST_EXPERTS,
    get_family,
)

ALL, DRAWN, CHOSEN = "all", "drawn", "chosen"
WHICH = (
    (ALL, "All that people label"),
    (DRAWN, "Drawn at random"),
    (CHOSEN, "Chosen by their keys"),
)
MAX_FILE = 2_000_000  # about 40,000 labels of 19 values: some seconds
REST = "rest"  # the button that gives what is left the lowest rating


GROUPS = {
    "What experts do": ("name", "form", "threshold", "n_experts", "guidance"),
    "Which posts": ("which", "number", "with_corpus", "keys"),
    "Development and test": ("test_share", "seed"),
}


class SetForm(forms.Form):
    """A new set. What the study itself rules out is told by the service that makes it."""

    use_required_attribute = False

    name = forms.CharField(label="Name", max_length=LONGEST_NAME, help_text="Such as “Spring, first 200”.")
    form = forms.ChoiceField(
        label="How experts answer",
        choices=ExpertSet.Form.choices,
        help_text="The tree asks for groups first, as raters are asked; values of groups that are not marked count "
        "as not reflected.",
    )
    threshold = forms.IntegerField(label="Expressed from")
    n_experts = forms.IntegerField(
        label="Experts per post",
        min_value=1,
        max_value=MOST_EXPERTS,
        help_text="A post is complete when so many have labeled it. With one there is no disagreement to see.",
    )
    which = forms.ChoiceField(label="Posts", choices=WHICH, help_text="Posts without text cannot be labeled.")
    number = forms.IntegerField(
        label="How many to draw", required=False, min_value=1, help_text="Only for a draw at random."
    )
    with_corpus = forms.BooleanField(
        label="Also posts that only models read",
        required=False,
        help_text="For all posts and for a draw. By their keys such posts can be chosen in any case.",
    )
    test_share = forms.FloatField(
        label="Share for the test",
        min_value=0,
        max_value=1,
        help_text="From 0 to 1. Prompts are calibrated on the other posts; the test posts are opened once for each "
        "family of prompts.",
    )
    seed = forms.IntegerField(
        label="Seed",
        min_value=0,
        max_value=LARGEST_SEED,
        help_text="Decides which posts are drawn, their order, and which are for the test.",
    )
    keys = forms.CharField(
        label="Keys of the posts",
        required=False,
        widget=forms.Textarea({"rows": 4, "spellcheck": "false"}),
        help_text="One on each line. Only for chosen posts.",
    )
    guidance = forms.CharField(
        label="What experts read above each post",
        required=False,
        max_length=LONGEST_NOTE,
        widget=forms.Textarea({"rows": 4}),
        help_text="Such as the rules your codebook gives. May be left empty.",
    )

    def __init__(self, study: Study, data: Any = None) -> None:
        scale = get_tree(study.value_system).scale
        middle = scale.min + (scale.max - scale.min + 1) // 2
        super().__init__(
            data,
            initial={
                "n_experts": 2,
                "test_share": 0.5,
                "seed": study.seed,
                "threshold": middle,
                "which": ALL,
                "form": ExpertSet.Form.FLAT,
            },
            auto_id="expert-%s",
        )
        self.fields["threshold"].help_text = (
            f"The rating, from {scale.min + 1} to {scale.max}, from which a value counts as expressed. Ratings run "
            f"from {scale.min} to {scale.max}. Every precision, recall and F1 is at this threshold; it stays."
        )
        for name in ("threshold", "n_experts", "number", "test_share", "seed"):
            mode = "decimal" if name == "test_share" else "numeric"
            # Whatever was typed is shown again: a field for numbers would drop what is none.
            self.fields[name].widget = forms.TextInput({"inputmode": mode, "autocomplete": "off"})

    def clean(self) -> dict[str, Any]:
        found = super().clean()
        if found.get("which") == DRAWN and found.get("number") is None and "number" not in self.errors:
            self.add_error("number", "Say how many to draw.")
        if found.get("which") == CHOSEN and not found.get("keys", "").split():
            self.add_error("keys", "Give the key of at least one post.")
        return found

    @property
    def grouped(self) -> list[tuple[str, list[forms.BoundField]]]:
        """The fields as they stand on the page."""
        return [(heading, [self[name] for name in names]) for heading, names in GROUPS.items()]

    @property
    def as_arguments(self) -> dict[str, Any]:
        """What `create_set` takes, of a valid form."""
        found = dict(self.cleaned_data)
        which, number, keys = found.pop("which"), found.pop("number"), found.pop("keys")
        lines = [line.strip() for line in keys.splitlines() if line.strip()]
        return found | {"posts": {ALL: None, DRAWN: number, CHOSEN: lines}[which]}


@dataclass(frozen=True)
class Level:
    """One rating that can be chosen."""

    rating: int
    is_chosen: bool


@dataclass(frozen=True)
class ValueRow:
    """One value with its scale, and what is amiss with its answer."""

    leaf: Leaf
    levels: tuple[Level, ...]
    error: str


class FlatForm:
    """All values of the study on one page, in the tree's groups. Every value needs a rating, or the rest as one.

    Ratings are shown as they are stored, not counted as raters see them: thresholds and files count alike.
    """

    def __init__(
        self, tree: ValueTree, data: QueryDict | None = None, *, label: ExpertLabel | None = None
    ) -> None:
        self.tree = tree
        self.errors: dict[str, str] = {}
        self.problems: list[str] = []
        self.ratings = dict(_read_ratings(tree, data) if data is not None else _read_label(tree, label))
        self.note = _read_note(data, label)
        self.takes_rest = data is not None and REST in data
        self.rest = (
            tuple(key for key in tree.value_keys if key not in self.ratings) if self.takes_rest else ()
        )

    def is_valid(self) -> bool:
        """Check the answers for a submit, filling `errors` by the value's key."""
        if not self.takes_rest:
            missing = [key for key in self.tree.value_keys if key not in self.ratings]
            self.errors |= dict.fromkeys(missing, "Choose a rating.")
        if fault := find_fault_of_note(self.note):
            self.errors["note"] = fault
        return not self.errors

    @property
    def vector(self) -> tuple[float, ...]:
        """The ratings in the order of values; what was left is rated lowest."""
        lowest = self.tree.scale.min
        return tuple(float(self.ratings.get(key, lowest)) for key in self.tree.value_keys)

    @property
    def groups(self) -> list[tuple[str, list[ValueRow]]]:
        """The values under the label of the branch they hang on, in the tree's order."""
        return [
            (branch.label, [self._row(leaf) for leaf in branch.child_leaves])
            for branch in self.tree.branches
            if branch.child_leaves
        ]

    @property
    def n_open(self) -> int:
        """How many values have no rating yet."""
        return len(self.tree.value_keys) - len(self.ratings)

    def _row(self, leaf: Leaf) -> ValueRow:
        chosen = self.ratings.get(leaf.key)
        levels = tuple(Level(level, level == chosen) for level in self.tree.scale.levels)
        return ValueRow(leaf, levels, self.errors.get(leaf.key, ""))


class WalkForm(ReadingForm):
    """The study's own way through the tree, with ratings shown as they are stored, and a note."""

    def __init__(
        self, tree: ValueTree, data: QueryDict | None = None, *, label: ExpertLabel | None = None
    ) -> None:
        shown_as_stored = replace(tree, scale=replace(tree.scale, shown_from=tree.scale.min))
        super().__init__(shown_as_stored, data if data is not None else _as_answers(label))
        self.note = _read_note(data, label)
        if data is None:
            self.reveal()

    def is_valid(self) -> bool:
        if self.is_on_the_way:  # asks, or answers, what is to become of a branch
            self.reveal()
            return False
        is_whole = super().is_valid()
        if fault := find_fault_of_note(self.note):
            self.errors["note"] = fault
        return is_whole and not self.errors


class ResolveForm:
    """One rating for each value that experts differ on; one left empty stays open."""

    def __init__(
        self, tree: ValueTree, disputed: Sequence[int], data: QueryDict | None, stored: Sequence[float] | None
    ) -> None:
        self.tree, self.disputed = tree, disputed
        self.errors: dict[str, str] = {}
        if data is not None:
            self.ratings = dict(_read_ratings(tree, data))
            self.note = data.get("note", "").replace("\r\n", "\n")
        else:
            self.ratings = {
                tree.value_keys[value]: int(stored[value])
                for value in disputed
                if stored is not None and stored[value] == stored[value]
            }
            self.note = ""

    def is_valid(self) -> bool:
        keys = {self.tree.value_keys[value] for value in self.disputed}
        self.ratings = {key: rating for key, rating in self.ratings.items() if key in keys}
        if not self.ratings:
            self.errors["ratings"] = "Choose a rating for at least one of the values."
        if fault := find_fault_of_note(self.note):
            self.errors["note"] = fault
        return not self.errors

    @property
    def vector(self) -> tuple[float, ...]:
        """One rating for each value, NaN where nothing is settled."""
        return tuple(float(self.ratings.get(key, "nan")) for key in self.tree.value_keys)


class LabelFileForm(forms.Form):
    """A file of labels."""

    use_required_attribute = False

    file = forms.FileField(
        label="File of labels",
        help_text=f"CSV, at most {MAX_FILE // 1_000_000} MB. All of it is taken, or nothing.",
        error_messages={"required": "Choose a file first.", "empty": "The file is empty."},
        max_length=None,
        widget=forms.ClearableFileInput({"accept": ".csv,.tsv,.txt,.jsonl,.parquet,.gz"}),
    )
    revise = forms.BooleanField(
        label="Labels of the file take the place of earlier ones",
        required=False,
        help_text="Where an expert has labeled a post otherwise before. The earlier label is kept with its number. "
        "Without this, such a line is a fault.",
    )

    def clean_file(self) -> Any:
        file = self.cleaned_data["file"]
        if file.size > MAX_FILE:
            raise forms.ValidationError(
                f"The file has {file.size:,} bytes; at most {MAX_FILE:,} are taken here. Use the command 'experts'."
            )
        return file


class OpeningForm(forms.Form):
    """Runs whose test posts are to be scored, all of one family, and why now."""

    use_required_attribute = False

    runs = forms.MultipleChoiceField(
        label="Runs to score",
        widget=forms.CheckboxSelectMultiple,
        help_text="All of one family. Whatever is not chosen now can never be scored on these test posts.",
        error_messages={"required": "Choose at least one run."},
    )
    reason = forms.CharField(
        label="Why now",
        max_length=LONGEST_REASON,
        widget=forms.TextInput({"autocomplete": "off"}),
        help_text="Kept for good with who opened them and when, such as “calibration is over, version 6 is final”.",
        error_messages={"required": "Say why: the reason is kept with the opening."},
    )

    def __init__(self, runs: Sequence[AnnotatorRun], data: Any = None) -> None:
        self.by_pk = {str(run.pk): run for run in runs}
        super().__init__(data, auto_id="opening-%s")
        self.fields["runs"].choices = [
            (str(run.pk), f"Run {run.pk}, {run.annotator} ({get_family(run.annotator)})") for run in runs
        ]

    def clean_runs(self) -> list[AnnotatorRun]:
        chosen = [self.by_pk[pk] for pk in self.cleaned_data["runs"]]
        families = sorted({get_family(run.annotator) for run in chosen})
        if len(families) > 1:
            raise forms.ValidationError(
                f"These are of several families, {' and '.join(families)}; open the test posts for one at a time."
            )
        return chosen


def find_fault_of_note(note: str) -> str:
    """Return what keeps a note from being stored; "" when nothing does."""
    if len(note) > LONGEST_NOTE:
        return f"Shorten this to {LONGEST_NOTE:,} characters; it has {len(note):,}."
    return "This holds a character that cannot be stored." if UNSTORABLE.search(note) else ""


def _read_note(data: QueryDict | None, label: ExpertLabel | None) -> str:
    if data is not None:
        return data.get("note", "").replace("\r\n", "\n")
    return label.note if label else ""


def _read_ratings(tree: ValueTree, data: Mapping[str, Any]) -> Iterable[tuple[str, int]]:
    for key in tree.value_keys:
        text = data.get(f"rate-{key}", "")
        if NUMBER.fullmatch(text) and int(text) in tree.scale.levels:
            yield key, int(text)


def _read_label(tree: ValueTree, label: ExpertLabel | None) -> Iterable[tuple[str, int]]:
    for key, rating in zip(tree.value_keys, label.ratings if label else (), strict=False):
        if rating == rating:
            yield key, int(rating)


def _as_answers(label: ExpertLabel | None) -> QueryDict:
    """A stored walk as the form sends it; nothing for a label that did not come through the tree."""
    answers = QueryDict(mutable=True)
    if label is None:
        return answers
    for key, marked in label.walk.get("marks", {}).items():
        answers.setlist(f"open-{key}", marked or ["none"])
    for key, rating in label.walk.get("ratings", {}).items():
        answers[f"rate-{key}"] = str(rating)
    return answers
