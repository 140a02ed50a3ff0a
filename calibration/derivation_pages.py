"""What the admin's pages about deriving calibration questions ask and show."""

from typing import Any

from django import forms
from django.db.models import QuerySet

from annotation.models import Study

from .deriving import METHOD_LABELS, DerivationSettings

MOST_QUESTIONS = 200
MOST_AXES = 50
PLOT_HEIGHT, BAR_WIDTH, BAR_GAP = 120, 10, 4
SHOWN_LENGTHS = (1, 2, 3, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50)


class DerivationForm(forms.Form):
    """How questions are to be chosen, and from which pre-study."""

    study = forms.ModelChoiceField(
        Study.objects.none(),
        label="Pre-study",
        help_text="A study in which everyone who completed it rated every value of the same posts.",
    )
    method = forms.ChoiceField(choices=METHOD_LABELS.items(), widget=forms.RadioSelect, initial="eigenrater")
    n_questions = forms.IntegerField(
        label="Number of questions", initial=25, min_value=1, max_value=MOST_QUESTIONS
    )
    most_per_post = forms.IntegerField(
        label="Questions per post, at most", required=False, min_value=1, help_text="Empty for no limit."
    )
    every_value = forms.BooleanField(label="Ask about each value at least once", required=False)
    leave_out_incomplete = forms.BooleanField(
        label="Leave out raters who did not rate everything",
        required=False,
        help_text="Otherwise a single gap is refused, with how many there are.",
    )
    compare = forms.BooleanField(
        label="Compare the methods on held-out raters and posts",
        required=False,
        help_text="Takes a minute or more. A worker does it; this page can be left.",
    )

    def __init__(self, *args, studies: QuerySet[Study], **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.fields["study"].queryset = studies

    def read_settings(self) -> DerivationSettings:
        """Return what was chosen. The comparison is seeded with the study's own seed."""
        data = dict(self.cleaned_data)
        seed = data.pop("study").seed
        return DerivationSettings(**data, seed=seed)


class TargetForm(forms.Form):
    """Which study is to ask the questions."""

    target = forms.ModelChoiceField(
        Study.objects.none(),
        label="Study",
        help_text=(
            "It asks these questions instead of those it asks now, and gets the posts. It must take no people at the "
            "moment, and nobody may have answered its calibration questions."
        ),
    )

    def __init__(self, *args, studies: QuerySet[Study], **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.fields["target"].queryset = studies


def build_preview(result: dict[str, Any]) -> dict[str, Any]:
    """Return what the preview's template shows of a derivation."""
    scree = result["scree"][:MOST_AXES]
    step = BAR_WIDTH + BAR_GAP
    bars = [
        {
            "x": axis * step,
            "y": round(PLOT_HEIGHT * (1 - share / scree[0]), 1),
            "height": round(PLOT_HEIGHT * share / scree[0], 1),
            "is_used": axis < len(result["questions"]),
            "says": f"Axis {axis + 1}: {share:.1%}",
        }
        for axis, share in enumerate(scree)
    ]
    questions = [
        question
        | {
            "criterion": f"{question['criterion']:.4f}",
            "captured": f"{question['captured']:.1%}",
            "explained": f"{question['explained']:.1%}",
        }
        for question in result["questions"]
    ]
    return {
        "result": result,
        "bars": bars,
        "bar_width": BAR_WIDTH,
        "plot_width": len(bars) * step,
        "plot_height": PLOT_HEIGHT,
        "questions": questions,
        "explained_in_all": f"{result['explained_in_all']:.1%}",
        "comparison": tabulate(result["comparison"]) if result["comparison"] else None,
    }


def tabulate(comparison: dict[str, Any]) -> dict[str, Any]:
    """Return a comparison as rows of text, one for each method and some lengths."""
    shown = {*SHOWN_LENGTHS, comparison["longest"]}
    return {
        "consensus_rho": describe(comparison["consensus_rho"]),
        "consensus_error": describe(comparison["consensus_error"]),
        "rows": [
            (step["method"], step["n_questions"], describe(step["gain"], "+"), describe(step["error"]))
            for step in comparison["steps"]
            if step["n_questions"] in shown
        ],
        "verdicts": [
            f"With {verdict['n_questions']} questions, a questionnaire that adapts to the answers "
            f"{'wins' if verdict['is_won'] else 'does not win'} against '{verdict['rival']}': rho "
            f"{describe(verdict['gain'], '+')}, error {describe(verdict['error'], '+')}."
            for verdict in comparison["verdicts"]
        ],
        "longest": comparison["longest"],
        "n_undefined": comparison["n_undefined"],
    }


def describe(estimate: dict[str, Any], sign: str = "") -> str:
    """Return an estimate with its interval; '-' where there is none."""
    numbers = (estimate["mean"], estimate["low"], estimate["high"])
    if None in numbers:
        return "-" if estimate["mean"] is None else f"{estimate['mean']:{sign}.4f}"
    mean, low, high = (f"{number:{sign}.4f}" for number in numbers)
    return f"{mean} ({low} to {high})"
