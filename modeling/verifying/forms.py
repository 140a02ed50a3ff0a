"""What researchers fill in to have readings verified. A web process may import it."""

import json
from typing import Any

from django import forms

from annotation.models import Study
from modeling.models import AnnotatorRun, ExpertSet, VerificationItem
from modeling.rules.reading import KINDS, RulesRefused, load_json, read_rules
from modeling.tuning.usable_runs import list_runs

from .services import LONGEST_NOTE, NAME_LENGTH, NOTE_LENGTH, get_scale

LONGEST_RULES = 200_000  # characters
ORDER = ("key", "title", "why", "values", "when", *KINDS)  # of the fields of a rule and of a condition


class _OfRuns(forms.Form):
    """Fields that name runs, and from where on a value counts as expressed."""

    use_required_attribute = False

    run = forms.ModelChoiceField(queryset=AnnotatorRun.objects.none(), label="Run")
    other_runs = forms.ModelMultipleChoiceField(
        queryset=AnnotatorRun.objects.none(),
        required=False,
        label="Held against",
        help_text="Other runs over the same posts, for rules that ask whether models differ. The run itself does not "
        "count.",
        widget=forms.CheckboxSelectMultiple,
    )
    threshold = forms.IntegerField(label="Expressed from")

    def __init__(self, study: Study, *args: Any, **kwargs: Any) -> None:
        self.study = study
        super().__init__(*args, **kwargs)
        runs = list_runs(study)
        for name in ("run", "other_runs"):
            self.fields[name].queryset = runs
            self.fields[name].label_from_instance = name_run
        self.fields["run"].help_text = "Done runs about the study’s values, over its posts, newest first."
        self.fields["run"].empty_label = None
        self.fields["threshold"].widget = forms.TextInput({"inputmode": "numeric", "autocomplete": "off"})
        self.has_runs = runs.exists()

    def clean_threshold(self) -> int | None:
        """Refuse what is no rating above the lowest: everything would be expressed, or nothing."""
        given, (low, high) = self.cleaned_data["threshold"], get_scale(self.study)
        if given is not None and not low < given <= high:
            raise forms.ValidationError(f"A whole number from {low + 1} to {high}.")
        return given


class RulesForm(_OfRuns):
    """Rules as JSON under a name, and what a preview tries them on."""

    name = forms.CharField(
        max_length=NAME_LENGTH, help_text="Rules by a name that is there already get its next version."
    )
    note = forms.CharField(
        max_length=NOTE_LENGTH,
        required=False,
        help_text="What was changed, and why. It stays with the version.",
    )
    rules = forms.CharField(
        max_length=LONGEST_RULES,
        strip=False,
        help_text="A list of rules as JSON. Everything that is wrong with it is told when it is saved.",
        widget=forms.Textarea(
            {"rows": 26, "spellcheck": "false", "autocomplete": "off", "class": "rules-json"}
        ),
    )

    def __init__(self, study: Study, *args: Any, needs_run: bool = False, **kwargs: Any) -> None:
        super().__init__(study, *args, auto_id="rules-%s", **kwargs)
        low, _ = get_scale(study)
        self.fields["run"].required = needs_run
        self.fields["threshold"].required = needs_run
        self.fields["threshold"].initial = low + 2
        self.fields[
            "threshold"
        ].help_text = f"For the preview: the rating, above {low}, from which it is expressed."

    def clean_rules(self) -> Any:
        text = self.cleaned_data["rules"]
        try:
            rules = load_json(text)
            read_rules(rules, self.study.value_keys, get_scale(self.study))
        except RulesRefused as error:
            raise forms.ValidationError(error.faults) from error
        return rules


class VerificationForm(_OfRuns):
    """Which run is verified, against what, and what the decisions are measured by."""

    expert_set = forms.ModelChoiceField(
        queryset=ExpertSet.objects.none(),
        required=False,
        label="Expert set",
        empty_label="none: the effect on F1 is not measured",
        help_text="Its reference on development posts tells what the decisions change.",
    )

    field_order = ["run", "other_runs", "expert_set", "threshold"]

    def __init__(self, study: Study, *args: Any, **kwargs: Any) -> None:
        super().__init__(study, *args, auto_id="verify-%s", **kwargs)
        self.fields["expert_set"].queryset = study.expert_sets.all()
        self.fields["threshold"].required = False
        low, _ = get_scale(study)
        self.fields[
            "threshold"
        ].help_text = (
            f"From which rating a value counts as expressed. Empty: that of the expert set, else {low + 1}."
        )


class CorrectionForm:
    """What an expert wrote on the review page; every text is kept as it was written."""

    def __init__(self, item: VerificationItem, data: Any) -> None:
        self.keys = item.verification.study.value_keys
        self.texts = [str(data.get(f"rate-{key}", "")).strip() for key in self.keys]
        self.note = str(data.get("note", ""))[: LONGEST_NOTE + 1]
        low, high = get_scale(item.verification.study)
        self.errors: dict[str, str] = {}
        self.ratings: list[float] = []
        for key, text in zip(self.keys, self.texts, strict=True):
            if text.isascii() and text.isdecimal() and low <= int(text[:4]) <= high:
                self.ratings.append(float(text))
            else:
                self.ratings.append(float("nan"))
                if text:
                    self.errors[key] = f"A whole number from {low} to {high}, not “{text[:20]}”."


def name_run(run: AnnotatorRun) -> str:
    """Return what a run is called where one is chosen."""
    standin = " (stand-in)" if run.is_standin or run.annotator.is_standin else ""
    when = f", {run.finished_at:%d %b %Y}" if run.finished_at else ""
    return f"{run.annotator}, run {run.pk}{when}{standin}"


def write_json(rules: Any) -> str:
    """Return rules as they stand in the editor; a database may have lost the order of their fields."""
    return json.dumps(_order(rules), indent=2, ensure_ascii=False)


def _order(given: Any) -> Any:
    if isinstance(given, list):
        return [_order(each) for each in given]
    if isinstance(given, dict):
        names = sorted(given, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name))
        return {name: _order(given[name]) for name in names}
    return given
