"""What language models are asked about posts: the prompts of a study, their versions, and a new version of one."""

import json
from dataclasses import replace
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.views.decorators import staff_member_required
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from annotation.models import Post, Study
from annotation.permissions import Deed, get_study, may
from modeling.annotators.prompts import get_design, read_prompt, save_prompt
from modeling.models import PromptVersion
from modeling.prompts.changes import compare_designs
from modeling.prompts.design import MAX_CHARACTERS, PURPOSES, VALUES, DesignError, PromptDesign
from modeling.prompts.rendering import PostText, build_response_format
from modeling.prompts.rendering import render as render_prompt
from modeling.refining.notes import Wording, draft_wording

LEADS = {
    "values": "Asks how much a post reflects each of the study’s values, all of them in one reply.",
    "comprehensibility": "Asks whether a post can be understood: a reason and a rating for each concept of a "
    "codebook, then a final rating.",
    "nsfw": "Asks whether a post is unsafe to show: a reason and a rating for each concept of a codebook, then a "
    "final rating.",
}
STANDS_IN = PostText("This study has no post yet. One will stand here, as the text of a post.")
SPEAKERS = {"system": "Instructions", "user": "The post"}
PREVIEW = "preview"
NEEDS_WORDS = {"required": "This cannot be empty: the model would have nothing to read here."}


class TextField(forms.CharField):
    """A text with the line breaks of a prompt, whichever a browser sends."""

    def __init__(self, *, rows: int = 0, **settings: Any) -> None:
        widget = forms.Textarea(attrs={"rows": rows}) if rows else forms.TextInput()
        super().__init__(max_length=MAX_CHARACTERS, widget=widget, error_messages=NEEDS_WORDS, **settings)

    def to_python(self, value: Any) -> str:
        return super().to_python(value).replace("\r\n", "\n")


class PromptForm(forms.Form):
    """The wording of a prompt, one field for each text. What is rated, and on which numbers, stays as it is."""

    use_required_attribute = False

    instructions = TextField(
        label="Instructions",
        rows=9,
        help_text="The task, in the words the model reads first. The concepts and the scale follow by themselves.",
    )
    closing = TextField(
        label="Closing words",
        rows=5,
        required=False,
        help_text="What stands after the scale. May be empty.",
    )
    asks_why = forms.BooleanField(
        label="Ask for a reason",
        required=False,
        help_text="Before the ratings the model says in a few sentences why. The pages on errors show it; each reply "
        "becomes longer, and costs more.",
    )
    family = forms.CharField(
        label="Family",
        required=False,
        max_length=60,
        help_text="Versions that grow out of one another. Test posts are opened once for each family; another "
        "name begins a new line of wording. Empty: as it is.",
    )
    note = forms.CharField(
        label="What you changed, and why",
        required=False,
        max_length=200,
        help_text="Stands beside the version in the list.",
    )
    example = forms.IntegerField(
        label="Example post",
        required=False,
        min_value=1,
        help_text="The number of a post of this study, to show how the prompt reads. Not part of the prompt.",
    )
    base = forms.IntegerField(widget=forms.HiddenInput)

    def __init__(
        self, prompt: PromptVersion, example: int, data: Any = None, wording: Wording | None = None
    ) -> None:
        self.design = get_design(prompt)
        self.newest = prompt.number
        super().__init__(
            data,
            initial={
                "instructions": self.design.instructions,
                "closing": wording.closing if wording else self.design.closing,
                "asks_why": self.design.asks_why,
                "family": prompt.family,
                "note": wording.note if wording else "",
                "base": prompt.number,
                "example": example,
            },
        )
        if (
            self.design.is_codebook
        ):  # which asks for reasons anyway, and whose readings no experts are asked about
            del self.fields["asks_why"], self.fields["family"]
        for number, concept in enumerate(self.design.concepts):
            self._add_text(f"label_{number}", "Name", concept.label, "As the model reads it.")
            self._add_text(
                f"definition_{number}", "Definition", concept.definition, "What the concept means.", rows=3
            )
            if self.design.is_codebook:
                for end, word in (("low", "lowest"), ("high", "highest")):
                    label = f"{end.capitalize()} end"
                    text = f"What a post with the {word} rating is like; both ends or neither."
                    self._add_text(
                        f"{end}_{number}", label, getattr(concept, end), text, rows=2, required=False
                    )
        for place, point in enumerate(self.design.scale):
            is_end = place in (0, len(self.design.scale) - 1)
            text = "What this number means." + ("" if is_end else " May be empty.")
            self._add_text(f"point_{place}", str(point.number), point.label, text, required=is_end)

    def _add_text(self, name: str, label: str, initial: str, help_text: str, **settings: Any) -> None:
        self.fields[name] = TextField(label=label, initial=initial, help_text=help_text, **settings)

    @property
    def concepts(self) -> list[tuple[str, list[forms.BoundField]]]:
        """Each concept's key with its fields."""
        names = ("label", "definition", "low", "high")
        return [
            (key, [self[f"{name}_{number}"] for name in names if f"{name}_{number}" in self.fields])
            for number, key in enumerate(self.design.keys)
        ]

    @property
    def points(self) -> list[forms.BoundField]:
        """The fields of the scale."""
        return [self[f"point_{place}"] for place in range(len(self.design.scale))]

    def clean(self) -> dict[str, Any]:
        given = self.cleaned_data
        for number in range(len(self.design.concepts)):
            low, high = f"low_{number}", f"high_{number}"
            if low in given and high in given and bool(given[low]) != bool(given[high]):
                self.add_error(high if given[low] else low, "Describe both ends of the scale or neither.")
        if given.get("base") != self.newest:
            self.add_error(
                None,
                f"Somebody saved version {self.newest} while you were writing. What you wrote is still here: “Show how "
                "it reads” tells what differs from that version; saving now makes the next one.",
            )
            self.data = self.data.copy()  # what is saved once more is meant to follow that version
            self.data["base"] = str(self.newest)
        if not self.errors:
            try:
                self.worded = PromptDesign.from_dict(self._word().to_dict())
            except DesignError as error:
                raise ValidationError(list(error.faults)) from error
        return given

    def _word(self) -> PromptDesign:
        given = self.cleaned_data
        concepts = tuple(
            replace(
                concept,
                **{
                    name: given[f"{name}_{number}"]
                    for name in ("label", "definition", "low", "high")
                    if f"{name}_{number}" in given
                },
            )
            for number, concept in enumerate(self.design.concepts)
        )
        scale = tuple(
            replace(point, label=given[f"point_{place}"]) for place, point in enumerate(self.design.scale)
        )
        return replace(
            self.design,
            instructions=given["instructions"],
            concepts=concepts,
            scale=scale,
            closing=given["closing"],
            asks_why=given.get("asks_why", False),
        )


@require_safe
@staff_member_required
def list_prompts(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the prompts of a study with all their versions, the newest first."""
    study = get_study(request.user, slug)
    faults: list[str] = []
    versions = list(study.prompt_versions.select_related("created_by").defer("content"))
    try:
        newest = [read_prompt(study, purpose) for purpose in PURPOSES]
        versions = [prompt for prompt in newest if prompt.pk is None] + versions
    except DesignError as error:
        faults = list(error.faults)
    prompts = [
        {
            "purpose": purpose,
            "label": PromptVersion.Purpose(purpose).label,
            "lead": LEADS[purpose],
            "versions": [version for version in versions if version.purpose == purpose],
        }
        for purpose in PURPOSES
    ]
    context = {"study": study, "prompts": prompts, "faults": faults}
    return render(
        request, "modeling/prompts.html", context | {"may_edit": may(request.user, study, Deed.SET_UP)}
    )


@require_safe
@staff_member_required
def show_prompt(request: HttpRequest, slug: str, purpose: str, number: int) -> HttpResponse:
    """Show one version as the model gets it, and what differs from the version before."""
    study = get_study(request.user, slug)
    newest = _get_newest(study, purpose)
    prompt = newest
    if number != newest.number:
        prompt = get_object_or_404(study.prompt_versions, purpose=purpose, number=number)
    design = get_design(prompt)
    context = {
        "study": study,
        "prompt": prompt,
        "newest": newest,
        "annotators": prompt.annotators.order_by("name", "version") if prompt.pk else [],
        "reply_form": json.dumps(build_response_format(design, "schema"), indent=2),
        "may_edit": may(request.user, study, Deed.SET_UP),
        **_compare(prompt, design),
        **_read_with_example(study, design, request.GET.get("example")),
    }
    if context["n_posts"] > 1:
        context["next_example"] = context["example"] % context["n_posts"] + 1
    return render(request, "modeling/prompt.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@staff_member_required
def edit_prompt(request: HttpRequest, slug: str, purpose: str) -> HttpResponse:
    """Show the newest version to be worded anew; store what was worded as the next version."""
    study = get_study(request.user, slug, Deed.SET_UP)
    newest = _get_newest(study, purpose)
    if request.method != "POST":
        wording = _draft(request, study, newest)
        form = PromptForm(newest, 1, wording=wording)
        return _render_form(request, study, newest, form, form.design, wording=wording)
    form = PromptForm(newest, 1, request.POST)
    if not form.is_valid():
        return _render_form(request, study, newest, form, form.design, status=422)
    if PREVIEW in request.POST:
        return _render_form(request, study, newest, form, form.worded, is_preview=True)
    given = form.cleaned_data
    prompt = save_prompt(
        study, form.worded, note=given["note"], family=given.get("family") or None, user=request.user
    )
    if prompt.number == newest.number:
        messages.info(request, f"Nothing was changed: version {newest.number} has these very words.")
        return redirect("modeling:prompt_edit", study.slug, purpose)
    messages.success(
        request, f"Saved as version {prompt.number}. Annotator models keep the version they were made with."
    )
    return redirect("modeling:prompt", study.slug, purpose, prompt.number)


def _draft(request: HttpRequest, study: Study, newest: PromptVersion) -> Wording | None:
    """Return what the version begins with that is to answer the errors of a run, where the address names one."""
    named = [request.GET.get(name, "") for name in ("set", "run")]
    if newest.purpose != VALUES or not all(
        number.isascii() and number.isdigit() and len(number) < 10 for number in named
    ):
        return None
    return draft_wording(study, newest, int(named[0]), int(named[1]))


def _get_newest(study: Study, purpose: str) -> PromptVersion:
    if purpose not in PURPOSES:
        raise Http404("There is no such prompt.")
    try:
        return read_prompt(study, purpose)
    except DesignError as error:
        raise Http404("No prompt can be made for this study’s value system.") from error


def _render_form(
    request: HttpRequest,
    study: Study,
    newest: PromptVersion,
    form: PromptForm,
    shown: PromptDesign,
    *,
    is_preview: bool = False,
    wording: Wording | None = None,
    status: int = 200,
) -> HttpResponse:
    example = form["example"].value()
    context = {
        "study": study,
        "prompt": newest,
        "form": form,
        "lead": LEADS[newest.purpose],
        "is_preview": is_preview,
        "wording": wording,
        **_read_with_example(study, shown, str(example)),
    }
    if is_preview:
        context["changes"] = compare_designs(form.design, shown)
    else:
        context |= _compare(newest, form.design)
    return render(request, "modeling/prompt_edit.html", context, status=status)


def _compare(prompt: PromptVersion, design: PromptDesign) -> dict[str, Any]:
    before = (
        prompt.study.prompt_versions.filter(purpose=prompt.purpose, number__lt=prompt.number)
        .order_by("-number")
        .first()
    )
    return {"before": before, "changes": compare_designs(get_design(before), design) if before else []}


def _read_with_example(study: Study, design: PromptDesign, asked: str | None) -> dict[str, Any]:
    """Return the messages about the post of this number, counted from 1; about the first for any other number."""
    posts = study.posts.filter(purpose=Post.Purpose.LABELING).order_by("pk")
    n_posts = posts.count()
    number = int(asked) if asked and asked.isascii() and asked.isdigit() and len(asked) < 10 else 1
    number = number if 1 <= number <= n_posts else 1
    post = posts[number - 1] if n_posts else None
    shown = PostText(post.text, post.context_kind, post.context_text) if post else STANDS_IN
    turns = [
        {"speaker": SPEAKERS[message["role"]], "content": message["content"]}
        for message in render_prompt(design, shown)
    ]
    return {"turns": turns, "example": number if post else None, "n_posts": n_posts}
