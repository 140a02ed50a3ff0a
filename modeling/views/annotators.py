"""Annotator models of a study: which there are, a new one, and one with its configuration, preview and runs."""

from typing import Any

from django import forms
from django.conf import settings as installation
from django.contrib import messages
from django.contrib.admin.views.decorators import staff_member_required
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django.views.decorators.vary import vary_on_headers
from django_htmx.http import HttpResponseClientRefresh

from annotation.errors import Refused
from annotation.models import Post, Study
from annotation.permissions import Deed, get_study, may
from modeling.annotators.configs import (
    DEFAULTS,
    AnnotatorRefused,
    create_annotator,
    describe,
    get_purpose,
    read_examples,
    retire,
)
from modeling.annotators.few_shot import build_examples
from modeling.annotators.prompts import get_design, get_prompt, read_prompt
from modeling.annotators.runs import create_run, start_run
from modeling.annotators.selecting import first_posts
from modeling.models import AnnotatorModel, AnnotatorRun, PromptVersion
from modeling.prompts.design import PURPOSES, DesignError
from modeling.prompts.rendering import PostText
from modeling.prompts.rendering import render as render_prompt

from .runs import PREVIEWED, RunForm, describe_preview, estimate_preview

Kind = AnnotatorModel.Kind
MADE_HERE = (Kind.ZERO_SHOT, Kind.FEW_SHOT, Kind.FINE_TUNED)  # a local encoder comes of teaching one
OFFERED_EXAMPLES = 40
PRICES = ("input_price", "output_price", "batch_price_factor")
SPEAKERS = {"system": "Instructions", "user": "A post", "assistant": "The reply wanted of it"}
STANDS_IN = PostText("This study has no post yet. One will stand here, as the text of a post.")
HEADINGS = {
    "What to ask": ("name", "kind", "provider", "model_name", "prompt"),
    "How to ask": ("temperature", "seed", "samples", "max_output_tokens", "reply_format", "uses_logprobs"),
    "What it costs": PRICES,
}


class AnnotatorForm(forms.Form):
    """One configuration. What is amiss in it is told by the service that makes it, field by field."""

    use_required_attribute = False

    name = forms.CharField(
        label="Name",
        max_length=100,
        help_text="A model by a name that is there already gets the next version of it.",
    )
    kind = forms.ChoiceField(
        label="Kind",
        choices=[(kind.value, kind.label) for kind in MADE_HERE],
        help_text="Few-shot models are shown examples with every post. Local encoders are made under Fine-tuning.",
    )
    provider = forms.ChoiceField(
        label="Provider", help_text="Servers are named by whoever runs this installation."
    )
    model_name = forms.CharField(
        label="Model",
        max_length=200,
        help_text="As its provider calls it, with the date of the version if it has one.",
    )
    prompt = forms.TypedChoiceField(
        label="Prompt",
        help_text="What is asked. The model keeps this version for good.",
    )
    temperature = forms.FloatField(
        label="Temperature", min_value=0, max_value=2, help_text="0 asks for the likeliest reply; at most 2."
    )
    seed = forms.IntegerField(
        label="Seed",
        required=False,
        min_value=0,
        max_value=2**31 - 1,
        help_text="Makes replies repeatable, as far as the provider can. Empty: none.",
    )
    samples = forms.IntegerField(
        label="Runs per post",
        min_value=1,
        max_value=20,
        help_text="Each is paid for. More than one needs a temperature.",
    )
    max_output_tokens = forms.IntegerField(
        label="Longest reply",
        min_value=16,
        max_value=100_000,
        help_text="In tokens. A longer reply is a failure.",
    )
    reply_format = forms.ChoiceField(
        label="Form of the reply",
        choices=AnnotatorModel.ReplyFormat.choices,
        help_text="Plain JSON is for servers that know no schema.",
    )
    uses_logprobs = forms.BooleanField(
        label="Ask for probabilities",
        required=False,
        help_text="A distribution over the scale instead of one number, where the provider offers it.",
    )
    input_price = forms.DecimalField(
        label="Price of reading",
        min_value=0,
        max_digits=13,
        decimal_places=6,
        help_text="Dollars per million tokens, from the provider’s price list.",
    )
    output_price = forms.DecimalField(
        label="Price of writing",
        min_value=0,
        max_digits=13,
        decimal_places=6,
        help_text="Dollars per million tokens. Without prices, a budget cannot hold.",
    )
    batch_price_factor = forms.DecimalField(
        label="Batches cost",
        min_value=0,
        max_digits=4,
        decimal_places=3,
        help_text="Of the usual price: 0.5 is half.",
    )
    examples = forms.ModelMultipleChoiceField(
        queryset=Post.objects.none(),
        required=False,
        label="Examples",
        help_text="For a few-shot model: each is sent with every post, with the rounded mean of its raters.",
        widget=forms.CheckboxSelectMultiple,
    )

    def __init__(
        self, study: Study, data: Any = None, *, older: AnnotatorModel | None = None, may_read: bool = False
    ) -> None:
        """`may_read` whether raters' answers may be shown, and so chosen as examples."""
        self.study, self.older, self.may_read = study, older, may_read
        self.unfound = 0
        self.newest, self.fault = _read_newest_prompts(study)
        super().__init__(data, initial=self._propose(), auto_id="annotator-%s")
        providers = installation.LLM_PROVIDERS.values()
        self.fields["provider"].choices = [
            (
                provider.name,
                f"{provider.name} (stand-in, no real model)" if provider.is_standin else provider.name,
            )
            for provider in providers
        ]
        stored = study.prompt_versions.order_by("purpose", "-number")
        # What nobody has used yet is not stored, and goes by what it is for.
        self.fields["prompt"].choices = [
            (prompt.pk or prompt.purpose, str(prompt))
            for prompt in [*(prompt for prompt in self.newest if prompt.pk is None), *stored]
        ]
        self.fields["prompt"].coerce = self._find_prompt
        self.fields["examples"].queryset = self._find_posts()
        for field in self.fields.values():
            if isinstance(field, forms.IntegerField):  # floats and decimals are such fields too
                # Whatever was typed is shown again: a field for numbers would drop what is none.
                mode = "numeric" if type(field) is forms.IntegerField else "decimal"
                field.widget = forms.TextInput({"inputmode": mode, "autocomplete": "off"})

    def _propose(self) -> dict[str, Any]:
        older = self.older
        if older is None:
            about_values = next((prompt.pk or prompt.purpose for prompt in self.newest), None)
            return {**DEFAULTS, "kind": Kind.ZERO_SHOT, "prompt": about_values, "examples": ()}
        fields = ("name", "kind", "provider", "model_name", "prompt", *DEFAULTS)
        shown = {example.post.text for example in read_examples(older)}
        ticked = list(
            self.study.posts.filter(text__in=shown, purpose=Post.Purpose.LABELING).values_list("pk", "text")
        )
        self.unfound = len(shown - {text for _, text in ticked})
        proposed = {field: getattr(older, field) for field in fields}
        proposed |= {"prompt": older.prompt_id, "examples": [pk for pk, _ in ticked] if self.may_read else ()}
        return proposed | {field: f"{getattr(older, field).normalize():f}" for field in PRICES}

    def _find_posts(self) -> Any:
        """Posts with the most ratings, and whatever is ticked already."""
        if not self.may_read:
            return Post.objects.none()
        posts = self.study.posts.filter(purpose=Post.Purpose.LABELING).exclude(text="")
        rated = (
            posts.annotate(n_ratings=Count("annotations"))
            .filter(n_ratings__gt=0)
            .order_by("-n_ratings", "pk")
        )
        kept = set(rated.values_list("pk", flat=True)[:OFFERED_EXAMPLES]) | set(
            self.initial.get("examples", ())
        )
        return posts.filter(pk__in=kept).order_by("pk")

    def _find_prompt(self, choice: str) -> PromptVersion:
        """Return the prompt that was chosen, storing one that was not used before."""
        if choice in PURPOSES:
            return get_prompt(self.study, choice)
        return self.study.prompt_versions.get(pk=choice)

    @property
    def groups(self) -> list[tuple[str, list[forms.BoundField]]]:
        """The fields under their headings."""
        return [(heading, [self[name] for name in names]) for heading, names in HEADINGS.items()]

    @property
    def offered(self) -> list[dict[str, Any]]:
        """Posts that may be examples, each with what its raters together saw in it."""
        if not self.newest:
            return []
        prompt = self.newest[0]
        design = get_design(prompt)
        labels = {concept.key: concept.label for concept in design.concepts}
        ticked = {str(getattr(pk, "pk", pk)) for pk in self["examples"].value() or ()}
        found = []
        for post in self.fields["examples"].queryset:
            try:
                ratings = build_examples(self.study, prompt, [post])[0].reply["ratings"]
            except Refused:
                continue
            seen = ", ".join(
                f"{labels[key]} {number}" for key, number in ratings.items() if number > design.numbers[0]
            )
            found.append({"post": post, "seen": seen or "no value", "is_ticked": str(post.pk) in ticked})
        return found

    def create(self, user: Any) -> AnnotatorModel | None:
        """Make what a valid form says; None, with the reasons beside the fields, if that cannot be."""
        given = dict(self.cleaned_data)
        posts = list(given.pop("examples"))
        trained_on = {post.pk for post in posts}
        older = self.older
        if older and given["kind"] == Kind.FINE_TUNED and given["model_name"] == older.model_name:
            trained_on |= set(older.trained_on)
        try:
            examples = build_examples(self.study, given["prompt"], posts) if posts else []
        except Refused as refusal:
            self.add_error("examples", str(refusal))
            return None
        try:
            return create_annotator(self.study, user=user, examples=examples, trained_on=trained_on, **given)
        except AnnotatorRefused as refusal:
            for name, fault in refusal.faults.items():
                self.add_error(name if name in self.fields else None, fault)
            return None


def _read_newest_prompts(study: Study) -> tuple[list[PromptVersion], str]:
    """Return the newest prompt for each purpose, the one about values first; or why there can be none."""
    try:
        return [read_prompt(study, purpose) for purpose in PURPOSES], ""
    except DesignError as error:
        return [], str(error)


@require_GET
@staff_member_required
def list_annotators(request: HttpRequest, slug: str) -> HttpResponse:
    """List the newest version of each annotator model, and folded what is not offered any more."""
    study = get_study(request.user, slug, Deed.SEE)
    rows = list(study.annotators.select_related("prompt").order_by("name", "-version"))
    last_runs = {
        run.annotator_id: run
        for run in AnnotatorRun.objects.filter(annotator__study=study, is_preview=False).order_by(
            "created_at", "pk"
        )
    }
    current: dict[str, dict[str, Any]] = {}
    retired = []
    for row in rows:
        line = {"annotator": row, "facts": describe(row), "run": last_runs.get(row.pk)}
        if row.retired_at is not None:
            retired.append(line)
        elif row.name in current:
            current[row.name]["older"].append(row)
        else:
            current[row.name] = line | {"older": []}
    context = {
        "study": study,
        "annotators": list(current.values()),
        "retired": retired,
        "may_set_up": may(request.user, study, Deed.SET_UP),
    }
    return render(request, "modeling/annotators.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@staff_member_required
def make_annotator(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the form for a new annotator model, from an older one if it is named; make it."""
    study = get_study(request.user, slug, Deed.SET_UP)
    may_read = may(request.user, study, Deed.EXPORT)
    asked = request.GET.get("from", "")
    older = None
    if asked.isascii() and asked.isdigit() and len(asked) < 10:
        older = get_object_or_404(study.annotators.exclude(kind=Kind.ENCODER), pk=int(asked))
    data = request.POST if request.method == "POST" else None
    form = AnnotatorForm(study, data, older=older, may_read=may_read)
    if request.method == "POST" and form.is_valid() and (annotator := form.create(request.user)):
        messages.success(request, f"{annotator} is there. Preview it before it reads many posts.")
        return redirect("modeling:annotator", study.slug, annotator.pk)
    context = {
        "study": study,
        "form": form,
        "older": older,
        "may_read": may_read,
        "has_providers": bool(installation.LLM_PROVIDERS),
    }
    return render(request, "modeling/annotator_new.html", context, status=422 if form.is_bound else 200)


@require_GET
@staff_member_required
@vary_on_headers("HX-Request")
def show_annotator(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Show one; to htmx, its preview, and a fresh page once that has ended."""
    study, annotator = _get(request, slug, pk, Deed.SEE)
    preview = describe_preview(annotator)
    if request.htmx:
        if not preview["is_busy"]:
            return HttpResponseClientRefresh()
        return render(
            request, "modeling/_annotator_preview.html", {"study": study, "annotator": annotator, **preview}
        )
    return _show(request, study, annotator, RunForm(annotator))


@require_POST
@staff_member_required
def preview(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Have a model read a few posts."""
    study, annotator = _get(request, slug, pk, Deed.SET_UP)
    try:
        run = create_run(
            annotator, selection=first_posts(study, PREVIEWED), user=request.user, is_preview=True
        )
        start_run(run, request.user)
    except Refused as refusal:
        messages.error(request, str(refusal))
    return redirect("modeling:annotator", study.slug, annotator.pk)


@require_POST
@staff_member_required
def make_run(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Store a run that is not started, so that its page can say what it would cost."""
    study, annotator = _get(request, slug, pk, Deed.SET_UP)
    form = RunForm(annotator, request.POST)
    if form.is_valid() and (run := form.create(request.user)):
        return redirect("modeling:run", study.slug, run.pk)
    return _show(request, study, annotator, form, status=422)


@require_POST
@staff_member_required
def retire_annotator(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Offer a model no more; what it read stays."""
    study, annotator = _get(request, slug, pk, Deed.SET_UP)
    retire(annotator, request.user)
    return redirect("modeling:annotators", study.slug)


def _get(request: HttpRequest, slug: str, pk: int, deed: Deed) -> tuple[Study, AnnotatorModel]:
    study = get_study(request.user, slug, deed)
    return study, get_object_or_404(study.annotators.select_related("prompt", "study"), pk=pk)


def _show(
    request: HttpRequest, study: Study, annotator: AnnotatorModel, form: RunForm, status: int = 200
) -> HttpResponse:
    may_set_up = may(request.user, study, Deed.SET_UP)
    is_askable = may_set_up and annotator.retired_at is None
    runs = annotator.runs.filter(is_preview=False).select_related("curation", "started_by")
    context = {
        "study": study,
        "annotator": annotator,
        "facts": describe(annotator),
        "turns": _read_messages(study, annotator),
        "runs": list(runs[:50]),
        "form": form if is_askable else None,
        "may_set_up": may_set_up,
        "is_askable": is_askable,
        "is_values": get_purpose(annotator) == PromptVersion.Purpose.VALUES,
        "versions": study.annotators.filter(name=annotator.name).exclude(pk=annotator.pk),
        **describe_preview(annotator),
    }
    if is_askable:
        context["preview_estimate"] = estimate_preview(annotator)
    return render(request, "modeling/annotator.html", context, status=status)


def _read_messages(study: Study, annotator: AnnotatorModel) -> list[dict[str, str]]:
    """Return what the model is sent, with the study's first post."""
    if annotator.prompt is None:
        return []
    post = study.posts.filter(purpose=Post.Purpose.LABELING).exclude(text="").order_by("pk").first()
    kind = post.context_kind if post and post.context_text else ""
    shown = PostText(post.text, kind, post.context_text) if post else STANDS_IN
    try:
        rendered = render_prompt(
            get_design(annotator.prompt),
            shown,
            examples=read_examples(annotator),
            reply_format=annotator.reply_format,
        )
    except ValueError:  # a stored prompt that is none any more
        return []
    return [{"speaker": SPEAKERS[turn["role"]], "content": turn["content"]} for turn in rendered]
