"""How many raters per post? Answered from the stored report for whatever a researcher has in mind."""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import ceil, sqrt
from typing import Any

from django import forms
from django.contrib.admin.views.decorators import staff_member_required
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from annotation.fairness import SYMBOLS, format_money
from annotation.models import Study

from .results.frame import open_results, pick_figures

FIGURES = ("planning_consensus", "planning_precision")
FEWEST, MOST = 2, 20  # raters per post that reports have a row for
MOST_POSTS, MOST_EACH = 1_000_000, 2_000
MEDIAN, WORST = "median", "worst"
OBSERVED, BETWEEN, BEYOND = "observed", "interpolated", "extrapolated"
HEADINGS = {
    "The study": ("posts", "per_rater"),
    "Compare": ("fewest", "most"),
    "Pay": ("reward", "fee"),
    "At least this good": ("rho", "width", "values"),
}


class PlanForm(forms.Form):
    """What a researcher has in mind. Whatever is not in the address is as in the study."""

    use_required_attribute = False

    posts = forms.IntegerField(label="Posts", min_value=1, max_value=MOST_POSTS)
    per_rater = forms.IntegerField(label="Posts per rater", min_value=1, max_value=MOST_EACH)
    fewest = forms.IntegerField(label="Raters per post, from", min_value=FEWEST, max_value=MOST)
    most = forms.IntegerField(label="Raters per post, to", min_value=FEWEST, max_value=MOST)
    reward = forms.DecimalField(
        label="Reward per rater",
        required=False,
        min_value=0,
        max_value=10_000,
        decimal_places=2,
        help_text="Empty: no costs are shown.",
    )
    fee = forms.DecimalField(
        label="Platform’s fee, in %",
        required=False,
        min_value=0,
        max_value=500,
        decimal_places=2,
        help_text="Of the rewards, as in your contract; empty: none. Taxes come on top.",
    )
    rho = forms.FloatField(
        label="Rho with the others’ consensus",
        required=False,
        min_value=0,
        max_value=1,
        help_text="At least this, from 0 to 1.",
    )
    width = forms.FloatField(
        label="Width of alpha’s interval",
        required=False,
        min_value=0.001,
        max_value=2,
        help_text="At most this, from end to end: 0.2 is ±0.1.",
    )
    values = forms.ChoiceField(
        label="This width for",
        choices=[(MEDIAN, "the value in the middle"), (WORST, "every value")],
    )

    def __init__(self, data: Any, initial: dict[str, Any]) -> None:
        names = self.base_fields.keys()
        given = {name: data[name] for name in names if name in data}
        super().__init__({name: initial.get(name, "") for name in names} | given, auto_id="plan-%s")
        self.suggested_fee = initial["exact_fee"], initial["fee"]
        for field in self.fields.values():
            if isinstance(field, forms.IntegerField):  # floats and decimals are such fields too
                # Whatever was typed is shown again: a field for numbers would drop what is none.
                mode = "numeric" if type(field) is forms.IntegerField else "decimal"
                field.widget = forms.TextInput({"inputmode": mode, "autocomplete": "off"})
                what = "whole number" if mode == "numeric" else "number"
                field.error_messages |= dict.fromkeys(
                    ("required", "invalid", "min_value", "max_value"),
                    f"Give a {what} from {field.min_value:,} to {field.max_value:,}.",
                )

    def clean(self) -> dict[str, Any]:
        found = super().clean()
        if found.get("fewest") and found.get("most") and found["fewest"] > found["most"]:
            raise ValidationError({"most": "Give a number that is not below the one before it."})
        return found

    @property
    def groups(self) -> list[tuple[str, list[forms.BoundField]]]:
        """The fields under their headings."""
        return [(heading, [self[name] for name in names]) for heading, names in HEADINGS.items()]

    @property
    def exact_fee(self) -> Fraction:
        """The fee as a share: the report's own where the field still has what it suggested."""
        exact, shown = self.suggested_fee
        fee = self.cleaned_data["fee"]
        return Fraction(0) if fee is None else exact if str(fee) == shown else Fraction(fee) / 100


@dataclass(frozen=True)
class Option:
    """What so many raters per post take, and what they let one know; None where it is unknown."""

    raters_per_post: int
    raters: int
    cost: int | None  # minor units
    shown_cost: str
    rho: float | None
    rho_is: str  # where it comes from: one of the three below
    half_width_median: float | None
    half_width_worst: float | None
    worst_label: str
    reaches: bool | None = None  # what was wanted; None where nothing was

    @property
    def width_median(self) -> float | None:
        return None if self.half_width_median is None else 2 * self.half_width_median

    @property
    def width_worst(self) -> float | None:
        return None if self.half_width_worst is None else 2 * self.half_width_worst


@require_GET
@staff_member_required
def show_planning(request: HttpRequest, slug: str) -> HttpResponse:
    """Answer how many raters per post a study needs, and what they cost."""
    context = open_results(request, slug, "planning")
    study, measures = context["study"], context["people"]
    plan = measures["planning"] if measures else None
    form = PlanForm(request.GET, _suggest(study, plan))
    form.fields["reward"].label = f"Reward per rater, in {SYMBOLS[study.currency]}"
    options: list[Option] = []
    if form.is_valid():
        labels = {value["key"]: value["name"] for value in measures["values"]} if measures else {}
        options = list_options(form, plan, study.currency, labels)
    answer = find_answer(options, form, plan) if options else None
    figures = pick_figures([context["agreement"]], FIGURES)
    context |= {
        "plan": plan,
        "plan_form": form,
        "wanted": form.cleaned_data,
        "options": options,
        "answer": answer,
        "per_person": _speak_posts(form) if options else "",
        "has_costs": any(option.cost is not None for option in options),
        "has_numbers": any(
            option.rho is not None or option.half_width_median is not None for option in options
        ),
        "is_other_size": bool(plan and options and plan["n_posts"] != form.cleaned_data["posts"]),
        "observed_up_to": max(_find_observed(plan), default=None),
        "figures": [figures[key] for key in FIGURES if key in figures],
    }
    return render(request, "modeling/planning.html", context, status=200 if form.is_valid() else 422)


def _suggest(study: Study, plan: dict[str, Any] | None) -> dict[str, Any]:
    """Return what the form starts from: the report's facts, or the study's own settings."""
    found = plan or {}
    fee = Fraction(found["fee"]).limit_denominator(1000) if found.get("fee") is not None else None
    reward = found.get("reward") if found.get("reward") is not None else study.reward
    return {
        "posts": found.get("n_posts") or study.posts.filter(purpose="labeling").count() or "",
        "per_rater": found.get("posts_per_rater") or study.posts_per_rater,
        "fewest": FEWEST,
        "most": 12,
        "reward": "" if reward is None else f"{Decimal(reward) / 100:.2f}",
        "fee": "" if fee is None else f"{float(fee * 100):.4g}",
        "exact_fee": fee,
        "values": MEDIAN,
    }


def _speak_posts(form: PlanForm) -> str:
    posts, per_rater = form.cleaned_data["posts"], form.cleaned_data["per_rater"]
    return f"{min(posts, per_rater):,}"


def count_raters(raters_per_post: int, n_posts: int, per_rater: int) -> int:
    """Return how many raters it takes that each post is rated so often; nobody rates a post twice.

    Examples
    --------
    >>> count_raters(6, 300, 20), count_raters(5, 10, 30)
    (90, 5)
    """
    return -(-raters_per_post * n_posts // min(per_rater, n_posts))


def compute_cost(n_raters: int, reward: int, fee: Fraction) -> int:
    """Return rewards and fee in minor units, rounded up to a whole one.

    Examples
    --------
    >>> compute_cost(90, 900, Fraction(1, 3))
    108000
    """
    return ceil(n_raters * reward * (1 + fee))


def list_options(
    form: PlanForm, plan: dict[str, Any] | None, currency: str, labels: dict[str, str]
) -> list[Option]:
    """Return an option for each number of raters per post that a valid form asks about.

    The intervals are the report's for as many posts as it has, scaled by the square root of the posts.
    """
    wanted = form.cleaned_data
    n_posts = wanted["posts"]
    usable = plan if plan and plan["rows"] else None
    rows = (
        {row["raters_per_post"]: row for row in usable["rows"] if row["posts"] == usable["n_posts"]}
        if usable
        else {}
    )
    observed = _find_observed(usable)
    stretch = sqrt(usable["n_posts"] / n_posts) if usable else 1.0
    reward = None if wanted["reward"] is None else int(wanted["reward"] * 100)
    options = []
    for raters_per_post in range(wanted["fewest"], wanted["most"] + 1):
        row = rows.get(raters_per_post, {})
        n_raters = count_raters(raters_per_post, n_posts, wanted["per_rater"])
        cost = None if reward is None else compute_cost(n_raters, reward, form.exact_fee)
        rho, median, worst = (row.get(key) for key in ("rho", "half_width_median", "half_width_worst"))
        median, worst = (None if half is None else half * stretch for half in (median, worst))
        options.append(
            Option(
                raters_per_post=raters_per_post,
                raters=n_raters,
                cost=cost,
                shown_cost="" if cost is None else format_money(cost, currency),
                rho=rho,
                rho_is=_tell_source(raters_per_post, observed),
                half_width_median=median,
                half_width_worst=worst,
                worst_label=labels.get(row.get("worst_value") or "", row.get("worst_value") or ""),
                reaches=_reaches(wanted, rho, median, worst),
            )
        )
    return options


def _find_observed(plan: dict[str, Any] | None) -> set[int]:
    """The numbers of raters per post that the study has groups for: one more than the others in a group."""
    return {point["size"] + 1 for point in plan["curve"] if point["observed"]} if plan else set()


def _tell_source(raters_per_post: int, observed: set[int]) -> str:
    if raters_per_post in observed:
        return OBSERVED
    return BETWEEN if min(observed, default=MOST) < raters_per_post < max(observed, default=0) else BEYOND


def _reaches(
    wanted: dict[str, Any], rho: float | None, median: float | None, worst: float | None
) -> bool | None:
    checks = []
    if wanted["rho"] is not None:
        checks.append(rho is not None and rho >= wanted["rho"])
    if wanted["width"] is not None:
        half = worst if wanted["values"] == WORST else median
        checks.append(half is not None and 2 * half <= wanted["width"])
    return all(checks) if checks else None


@dataclass(frozen=True)
class Answer:
    """The option that a page's first sentence is about, and what to say where none is enough."""

    option: Option
    is_enough: bool | None
    posts_for_width: int | None = None  # that would narrow the interval enough with as many raters per post
    is_rho_short: bool = False


def find_answer(options: list[Option], form: PlanForm, plan: dict[str, Any] | None) -> Answer:
    """Return the fewest raters per post that are enough; else the most that were asked about.

    Where nothing was wanted, it is as many as the study has now, or the nearest that was asked about.
    """
    wanted = form.cleaned_data
    if options[0].reaches is None:
        now = (plan or {}).get("raters_now") or options[0].raters_per_post
        return Answer(min(options, key=lambda option: abs(option.raters_per_post - now)), None)
    enough = next((option for option in options if option.reaches), None)
    if enough:
        return Answer(enough, True)
    last = options[-1]
    half = last.half_width_worst if wanted["values"] == WORST else last.half_width_median
    is_wide = wanted["width"] is not None and half is not None and 2 * half > wanted["width"]
    return Answer(
        last,
        False,
        posts_for_width=ceil(wanted["posts"] * (2 * half / wanted["width"]) ** 2) if is_wide else None,
        is_rho_short=wanted["rho"] is not None and (last.rho is None or last.rho < wanted["rho"]),
    )
