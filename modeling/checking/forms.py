"""What researchers fill in to have a classifier checked."""

from typing import Any

from django import forms

from modeling.models import Curation

from .services import MOST_EACH, PURPOSES, WORDS, find_reader, suggest_threshold

HIGHEST = 3  # of a codebook's scale


class CheckForm(forms.Form):
    """Which classifier, how many posts, and what counts as yes."""

    use_required_attribute = False

    purpose = forms.ChoiceField(
        label="Classifier",
        choices=[(purpose.value, purpose.label) for purpose in PURPOSES],
        help_text="A post counts as yes when it is comprehensible, or when it is not safe to show.",
    )
    threshold = forms.FloatField(
        label="Yes from",
        required=False,
        min_value=0,
        max_value=HIGHEST,
        help_text=f"Final rating, 0 to {HIGHEST}. Empty: as the curation itself decided.",
    )
    n_each = forms.IntegerField(
        label="Posts of either decision",
        min_value=1,
        max_value=MOST_EACH,
        help_text="As many with yes as with no; all of them where there are fewer. The published study took 100.",
    )
    seed = forms.IntegerField(
        min_value=0,
        max_value=2**31 - 1,
        help_text="Decides which posts are drawn, their order, the balanced samples and the intervals.",
    )

    def __init__(self, curation: Curation, data: Any = None) -> None:
        self.curation = curation
        super().__init__(data, initial={"n_each": 100, "seed": curation.seed, "purpose": PURPOSES[0]})
        for name in ("threshold", "n_each", "seed"):
            mode = "decimal" if name == "threshold" else "numeric"
            # Whatever was typed is shown again: a field for numbers would drop what is none.
            self.fields[name].widget = forms.TextInput({"inputmode": mode, "autocomplete": "off"})

    @property
    def decided(self) -> list[str]:
        """The classifiers that have decided something, with the threshold that the curation used."""
        return [
            f"{WORDS[purpose][0]}: from {suggest_threshold(self.curation, purpose):g}, by {run.annotator}"
            for purpose in PURPOSES
            if (run := find_reader(self.curation, purpose))
        ]

    def clean(self) -> dict[str, Any]:
        found = super().clean()
        purpose = found.get("purpose")
        if purpose and found.get("threshold") is None and "threshold" not in self.errors:
            found["threshold"] = suggest_threshold(self.curation, purpose)
        return found
