"""What experts say of single posts: labels, given blind, and what is settled where they differ."""

from typing import Any

from django.contrib import messages
from django.contrib.admin.views.decorators import staff_member_required
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods

from annotation.errors import Refused
from annotation.models import Study
from annotation.selectors import get_tree
from modeling.experts import services, standing
from modeling.experts.forms import FlatForm, ResolveForm, WalkForm
from modeling.models import ExpertItem, ExpertLabel, ExpertSet

from .experts import get_set_to_work_on

LONGEST_PLACE = 6  # digits


@require_http_methods(["GET", "POST"])
@staff_member_required
def label(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Show one post to an expert, without what models or others said of it, and take their ratings."""
    study, expert_set = get_set_to_work_on(request, slug, pk)
    name = request.user.get_username()
    if expert_set.closed_at and request.method == "GET":
        messages.info(request, "The set is closed; no label is taken any more.")
        return redirect("modeling:expert_set", study.slug, expert_set.pk)
    asked = request.POST.get("post", "") if request.method == "POST" else request.GET.get("post", "")
    place = _read_place(asked)
    if request.method == "POST" and place is None:
        raise BadRequest("A label is of a post by its place.")
    waiting = standing.list_waiting(expert_set, name)
    place = place or (waiting[0] if waiting else None)
    item = expert_set.items.select_related("post", "expert_set__study").filter(position=place).first()
    if item is None:
        return redirect("modeling:expert_set", study.slug, expert_set.pk)
    current = ExpertLabel.objects.filter(item=item, expert=name, is_current=True).first()
    tree = get_tree(study.value_system)
    form_class = FlatForm if expert_set.form == ExpertSet.Form.FLAT else WalkForm
    data = request.POST if request.method == "POST" else None
    form = form_class(tree, data, label=current)
    status, problem = 200, ""
    if request.method == "POST":
        if form.is_valid():
            try:
                _store(request, item, form)
            except Refused as refusal:
                status, problem = 422, str(refusal)
            else:
                return _go_on(study, expert_set, name, item.position)
        elif form.errors or form.problems:
            status = 422
    context = _describe(study, expert_set, item, form, current, name)
    return render(request, "modeling/expert_label.html", context | {"problem": problem}, status=status)


@require_GET
@staff_member_required
def list_disagreements(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """List the posts that all have labeled and on which they differ: open ones first."""
    study, expert_set = get_set_to_work_on(request, slug, pk)
    context: dict[str, Any] = {"study": study, "expert_set": expert_set, "lines": [], "problem": ""}
    context["sees_labels"] = standing.may_see_labels(expert_set, request.user)
    if context["sees_labels"]:
        try:
            found = standing.list_standings(expert_set, with_posts=True)
        except Refused as refusal:
            found, context["problem"] = [], str(refusal)
        leaves = get_tree(study.value_system).leaves
        disputed = [each for each in found if each.disputed and each.is_complete]
        context["n_short"] = sum(bool(each.disputed) and not each.is_complete for each in found)
        context["n_open"] = sum(bool(each.n_open) for each in disputed)
        context["lines"] = [
            {
                "standing": each,
                "values": [(leaves[value].label, value in _list_open(each)) for value in each.disputed],
            }
            for each in sorted(disputed, key=lambda each: (not each.n_open, each.item.position))
        ]
    return render(request, "modeling/expert_disagreements.html", context)


@require_http_methods(["GET", "POST"])
@staff_member_required
def resolve(request: HttpRequest, slug: str, pk: int, position: int) -> HttpResponse:
    """Show what every expert said of a post, side by side, and take what is settled."""
    study, expert_set = get_set_to_work_on(request, slug, pk)
    items = expert_set.items.select_related("post", "expert_set__study").filter(position=position)
    item = get_object_or_404(items)
    if not standing.may_see_labels(expert_set, request.user):
        return redirect("modeling:expert_disagreements", study.slug, expert_set.pk)
    try:
        (found,) = standing.list_standings(expert_set, expert_set.items.filter(pk=item.pk))
    except Refused as refusal:
        messages.warning(request, str(refusal))
        return redirect("modeling:expert_set", study.slug, expert_set.pk)
    if not found.is_complete:
        messages.info(request, f"Post {position} is not labeled by all yet; nothing of it is shown before.")
        return redirect("modeling:expert_disagreements", study.slug, expert_set.pk)
    tree = get_tree(study.value_system)
    stored = found.resolution.ratings if found.resolution else None
    form = ResolveForm(tree, found.disputed, request.POST if request.method == "POST" else None, stored)
    status, problem = 200, ""
    if request.method == "POST":
        status = 422
        if form.is_valid():
            try:
                services.resolve(item, form.vector, form.note, request.user)
            except Refused as refusal:
                problem = str(refusal)
            else:
                return _go_to_next_open(request, study, expert_set, position)
    context = {
        "study": study,
        "expert_set": expert_set,
        "item": item,
        "post": item.post,
        "standing": found,
        "form": form,
        "problem": problem,
        "rows": _tabulate(tree, expert_set, found, form),
        "history": list(item.resolutions.filter(is_current=False)),
        "is_frozen": item.split == standing.Split.TEST and expert_set.openings.exists(),
        "has_changed": bool(
            found.resolution and any(each.created_at > found.resolution.created_at for each in found.labels)
        ),
    }
    return render(request, "modeling/expert_resolve.html", context, status=status)


def _store(request: HttpRequest, item: ExpertItem, form: FlatForm | WalkForm) -> None:
    if isinstance(form, FlatForm):
        services.store_label(
            item, expert_user=request.user, ratings=form.vector, rest=form.rest, note=form.note
        )
    else:
        services.store_label(item, expert_user=request.user, walk=form.reading, note=form.note)


def _go_on(study: Study, expert_set: ExpertSet, name: str, after: int) -> HttpResponse:
    """The next post that waits for this expert: after this place, else from the first."""
    waiting = standing.list_waiting(expert_set, name)
    following = next((place for place in waiting if place > after), waiting[0] if waiting else None)
    if following is None:
        return redirect("modeling:expert_set", study.slug, expert_set.pk)
    address = reverse("modeling:expert_label", args=[study.slug, expert_set.pk])
    return redirect(f"{address}?post={following}")


def _describe(
    study: Study,
    expert_set: ExpertSet,
    item: ExpertItem,
    form: FlatForm | WalkForm,
    current: ExpertLabel | None,
    name: str,
) -> dict[str, Any]:
    own = list(standing.list_own(expert_set, name))
    waiting = standing.list_waiting(expert_set, name)
    return {
        "study": study,
        "expert_set": expert_set,
        "item": item,
        "post": item.post,
        "form": form,
        "scale": form.tree.scale,
        "current": current,
        "is_from_file": bool(current and current.source == ExpertLabel.Source.FILE),
        "before": max((place for place in own if place < item.position), default=None),
        "after": min((place for place in [*own, *waiting] if place > item.position), default=None),
        "n_own": len(own),
        "n_total": len(own) + len(waiting),
    }


def _list_open(found: standing.Standing) -> list[int]:
    return [value for value, is_open in enumerate(found.settled.is_open) if is_open]


def _tabulate(
    tree: Any, expert_set: ExpertSet, found: standing.Standing, form: ResolveForm
) -> list[dict[str, Any]]:
    """Every value that somebody rated above the lowest, with everybody's rating; those in dispute come with a field."""
    rows = []
    for value, leaf in enumerate(tree.leaves):
        given = [each.ratings[value] for each in found.labels]
        is_disputed = value in found.disputed
        if not is_disputed and not any(rating > tree.scale.min for rating in given):
            continue
        rows.append(
            {
                "leaf": leaf,
                "cells": [
                    {
                        "rating": None if rating != rating else int(rating),
                        "is_on": rating >= expert_set.threshold,
                    }
                    for rating in given
                ],
                "is_disputed": is_disputed,
                "is_open": found.settled.is_open[value],
                "how": found.settled.how[value],
                "reference": None
                if found.settled.ratings[value] != found.settled.ratings[value]
                else int(found.settled.ratings[value]),
                "chosen": form.ratings.get(leaf.key),
                "levels": tree.scale.levels,
            }
        )
    return sorted(rows, key=lambda row: not row["is_disputed"])


def _go_to_next_open(request: HttpRequest, study: Study, expert_set: ExpertSet, after: int) -> HttpResponse:
    found = standing.list_standings(expert_set)
    is_frozen = expert_set.openings.exists()
    left = [
        each.item.position
        for each in found
        if each.n_open and each.is_complete and not (is_frozen and each.item.split == standing.Split.TEST)
    ]
    messages.info(request, f"Post {after} is settled as you said.")
    following = next((place for place in left if place > after), left[0] if left else None)
    if following is None or following == after:
        return redirect("modeling:expert_disagreements", study.slug, expert_set.pk)
    return redirect("modeling:expert_resolve", study.slug, expert_set.pk, following)


def _read_place(written: str) -> int | None:
    return (
        int(written) if written.isascii() and written.isdecimal() and len(written) <= LONGEST_PLACE else None
    )
