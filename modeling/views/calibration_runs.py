"""Models set to read the posts of an expert set: chosen, their cost shown, started."""

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.views.decorators import staff_member_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from annotation.errors import Refused
from annotation.permissions import Deed
from modeling.annotators.configs import AnnotatorRefused
from modeling.models import AnnotatorModel, AnnotatorRun, ExpertSet, PromptVersion
from modeling.refining.runs import name_line
from modeling.refining.starting import (
    discard_runs,
    list_post_ids,
    list_prompts,
    list_ready,
    list_templates,
    prepare_runs,
    start_runs,
)
from modeling.reports.names import SAYS_STANDIN

from .calibration import get_set, read_number


class RunsForm(forms.Form):
    """Which versions of the prompt which models are to read the development posts with."""

    use_required_attribute = False

    prompts = forms.ModelMultipleChoiceField(
        label="Versions of the prompt",
        queryset=PromptVersion.objects.none(),
        widget=forms.CheckboxSelectMultiple,
        help_text="Each is asked of every model ticked.",
        error_messages={"required": "Tick at least one version of the prompt."},
    )
    models = forms.MultipleChoiceField(
        label="Models",
        widget=forms.CheckboxSelectMultiple,
        help_text="Asked as their newest annotator model is: provider, temperature, examples, prices.",
        error_messages={"required": "Tick at least one model."},
    )
    samples = forms.IntegerField(
        label="Runs per post",
        required=False,
        min_value=1,
        max_value=20,
        help_text="Two or more show how stable a model is; they need a temperature above 0. Empty: as the model has "
        "it.",
    )
    temperature = forms.FloatField(
        label="Temperature",
        required=False,
        min_value=0,
        max_value=2,
        help_text="From 0 to 2. Empty: as the model has it.",
    )
    budget = forms.DecimalField(
        label="Budget of each run, in dollars",
        required=False,
        min_value=0,
        max_digits=13,
        decimal_places=6,
        help_text="A run stops before it spends more. Empty: no limit.",
    )
    with_test = forms.BooleanField(
        label="Read the test posts too",
        required=False,
        help_text="For when they are opened. Until then nothing is measured on them.",
    )

    def __init__(self, expert_set: ExpertSet, data: Any = None) -> None:
        super().__init__(data)
        self.templates = {str(each.pk): each for each in list_templates(expert_set)}
        self.fields["prompts"].queryset = list_prompts(expert_set)
        self.fields["prompts"].label_from_instance = _name_prompt
        self.fields["models"].choices = [(pk, _name_template(each)) for pk, each in self.templates.items()]

    def clean_budget(self) -> Any:
        budget = self.cleaned_data["budget"]
        if budget is not None and not budget:
            raise forms.ValidationError("A budget is above 0; leave it empty for none.")
        return budget


@require_http_methods(["GET", "POST"])
@staff_member_required
def make_runs(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Take which versions and models are to read a set, and make their runs ready, each with its cost."""
    study, expert_set = get_set(request, slug, pk, Deed.SET_UP)
    form = RunsForm(expert_set, request.POST or None)
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        try:
            made = prepare_runs(
                expert_set,
                list(given["prompts"]),
                [form.templates[key] for key in given["models"]],
                samples=given["samples"],
                temperature=given["temperature"],
                budget=given["budget"],
                with_test=given["with_test"],
                user=request.user,
            )
        except AnnotatorRefused as refusal:
            for field, fault in refusal.faults.items():
                form.add_error(field if field in form.fields else None, fault)
        except Refused as refusal:
            form.add_error(None, str(refusal))
        else:
            for line in made.skipped:
                messages.info(request, line)
            if made.runs:
                return _go_to_start(slug, pk, [run.pk for run in made.runs])
            return redirect("modeling:calibration", slug, pk)
    context = {
        "study": study,
        "expert_set": expert_set,
        "form": form,
        "n_posts": len(list_post_ids(expert_set)),
        "n_test": expert_set.items.filter(split="test").count(),
    }
    return render(request, "modeling/calibration_run.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "POST"])
@staff_member_required
def start(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Show what runs will cost; start all of them, or discard them."""
    study, expert_set = get_set(request, slug, pk, Deed.SET_UP)
    asked = request.POST if request.method == "POST" else request.GET
    numbers = [number for part in asked.get("runs", "").split(",") if (number := read_number(part))]
    if not numbers:
        messages.error(request, "Choose what is to be read first.")
        return redirect("modeling:calibration", slug, pk)
    runs = list_ready(expert_set, numbers)
    if not runs:
        raise Http404("There is no such run in this study.")
    if request.method == "POST":
        if "discard" in request.POST:
            messages.info(request, f"Discarded {discard_runs(runs):,} runs; nothing was asked.")
        else:
            for line in start_runs(
                [run for run in runs if run.state == AnnotatorRun.State.READY], request.user
            ):
                messages.error(request, line)
        back = "stability" if request.POST.get("back") == "stability" else "calibration"
        return redirect(f"modeling:{back}", slug, pk)
    context = {
        "study": study,
        "expert_set": expert_set,
        "runs": runs,
        "numbers": ",".join(str(run.pk) for run in runs),
        "ready": [run for run in runs if run.state == AnnotatorRun.State.READY],
        "cost": sum(float(run.estimate.get("cost", 0)) for run in runs),
        "cost_at_most": sum(float(run.estimate.get("cost_at_most", 0)) for run in runs),
        "standin": any(run.is_standin for run in runs),
        "back": "stability" if request.GET.get("back") == "stability" else "calibration",
        "standin_words": SAYS_STANDIN,
    }
    return render(request, "modeling/calibration_start.html", context)


def _name_prompt(prompt: PromptVersion) -> str:
    note = f": {prompt.note}" if prompt.note else ""
    return f"{prompt.family}, version {prompt.number}{note}"


def _name_template(annotator: AnnotatorModel) -> str:
    standin = " (stand-in)" if annotator.is_standin else ""
    runs = f", {annotator.samples} runs per post" if annotator.samples > 1 else ""
    return f"{name_line(annotator)} at {annotator.provider}{standin}, temperature {annotator.temperature:g}{runs}"


def _go_to_start(slug: str, pk: int, numbers: list[int]) -> HttpResponse:
    address = reverse("modeling:calibration_start", args=[slug, pk])
    return redirect(f"{address}?runs={','.join(map(str, numbers))}")
