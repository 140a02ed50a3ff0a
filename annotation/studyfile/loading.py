"""From a study file to a study: all of it or nothing, always as a draft."""

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from django.db import IntegrityError, transaction

from annotation import steps
from annotation.models import CompletionCode, Post, Step, Study, StudyAccess, StudyEvent, ValueSystem
from annotation.selectors import get_tree
from annotation.services.access import give_access
from annotation.services.audit import log_event
from annotation.services.codes import fill_codes
from annotation.services.value_systems import save_value_system
from annotation.tree.nodes import TreeError, ValueTree

from .checking import Checker, find_step_fault
from .faults import Fault, StudyFileError
from .parts import PARTS
from .reading import find_unstorable
from .writing import dump

BATCH = 1000


@transaction.atomic
def load(
    data: Mapping[str, Any],
    *,
    slug: str | None = None,
    name: str | None = None,
    actor: Any = None,
    is_finished: bool = True,
    origin: str = "Made from a study file.",
) -> Study:
    """Make a study, as a draft, from what `annotation.studyfile.dump` returned or a file says.

    A value system that is there already, word for word, is used again; any other is stored anew, under a slug
    of its own where its slug is taken. Nothing that exists is changed.

    Parameters
    ----------
    data : the file's content
    slug, name : instead of the file's own
    actor : the account that does it and becomes the study's owner; None for a command
    is_finished : whether the steps' settings must be whole; a copy of a draft may have what the draft lacks
    origin : where it came from, for the audit log

    Raises
    ------
    StudyFileError
        With every fault of the file, each with its place; nothing is stored then. A file of a newer version of
        the schema has this one fault.
    """
    if unstorable := list(find_unstorable(dict(data))):
        raise StudyFileError(unstorable)
    data = _with_own_name(data, slug, name)
    checker = Checker(data)
    checker.check()
    faults = checker.faults
    wanted = checker.fields.get("slug")
    if Study.objects.filter(slug=wanted).exists():
        faults.append(_refuse_slug(wanted))
    faults += _find_faults_of_steps(data, checker, is_finished=is_finished)
    if faults:
        raise StudyFileError(faults)
    try:
        study = _build(data, checker)
    except IntegrityError as error:
        if not Study.objects.filter(slug=wanted).exists():
            raise
        raise StudyFileError([_refuse_slug(wanted)]) from error  # somebody else was faster
    if actor:
        give_access(study, actor, StudyAccess.Role.OWNER, actor=actor)
    n_posts = len(data.get("posts", []))
    log_event(study, StudyEvent.Action.CREATED, origin, actor=actor, detail={"posts": n_posts})
    return study


@transaction.atomic
def duplicate(study: Study, *, slug: str, name: str, actor: Any = None) -> Study:
    """Make a draft that is the same study under another name, with codes of its own, drawn at random.

    Raises StudyFileError as `load` does, when the slug is taken for instance.
    """
    data = dump(study, codes=False)
    copy = load(
        data, slug=slug, name=name, actor=actor, is_finished=False, origin=f"Copied from '{study.slug}'."
    )
    if study.completion_codes.exists():
        fill_codes(copy)
    return copy


def find_free_slug(wanted: str) -> str:
    """Return this slug, or the first of slug-2, slug-3 and so on, that no study has."""
    return next(slug for slug in _number(wanted) if not Study.objects.filter(slug=slug).exists())


def build_posts(study: Study, posts: Iterable[Mapping[str, Any]], purpose: str) -> Iterable[Post]:
    """Return rows, not stored yet, of posts as a file has them."""
    for post in posts:
        context = post.get("context") or {"kind": "", "text": ""}
        yield Post(
            study=study,
            key=post["key"],
            purpose=purpose,
            text=post["text"],
            context_kind=context["kind"],
            context_text=context["text"],
            metadata=post.get("metadata", {}),
        )


def _with_own_name(data: Mapping[str, Any], slug: str | None, name: str | None) -> dict[str, Any]:
    own = {key: text for key, text in (("slug", slug), ("name", name)) if text is not None}
    about = data.get("about", {})
    return {**data, "about": {**about, **own}} if own and isinstance(about, dict) else dict(data)


def _refuse_slug(slug: str) -> Fault:
    return Fault("about.slug", f"there is a study '{slug}' already; choose another slug")


def _find_faults_of_steps(data: Mapping[str, Any], checker: Checker, *, is_finished: bool) -> list[Fault]:
    """The settings of steps are judged in a study: one is made, looked at and taken back."""
    if "steps" in checker.unread:
        return []
    faults: list[Fault] = []
    with transaction.atomic():
        study = Study.objects.create(
            slug=f"checked-{secrets.token_hex(12)}",
            value_system=_provide_value_system(checker.tree) if checker.tree else _build_blank_system(),
            value_keys=list(checker.tree.value_keys) if checker.tree else [],
            posts_per_rater=checker.fields.get("posts_per_rater", 1),
        )
        for key, part in PARTS.items():
            if key in data and key not in checker.unread:
                part.load(study, data[key])
        for i, entry in enumerate(data.get("steps", [])):
            if not isinstance(entry, dict):
                continue  # named already
            faults += _find_faults_of_step(study, i, entry, checker.unread, is_finished=is_finished)
        transaction.set_rollback(True)
    return faults


def _find_faults_of_step(
    study: Study, i: int, entry: dict[str, Any], unread: set[str], *, is_finished: bool
) -> list[Fault]:
    if problem := find_step_fault(entry):
        return [Fault(f"steps[{i}]", problem)]
    kind = steps.KINDS.get(entry["kind"])
    if kind is None:
        return [
            Fault(
                f"steps[{i}].kind",
                f"there is no kind of step {entry['kind']!r}; there are {', '.join(steps.KINDS)}",
            )
        ]
    step = Step.objects.create(study=study, position=i + 1, kind=kind.key, config=entry.get("config", {}))
    if not is_finished or unread.intersection(kind.reads):
        return []
    return [
        Fault(f"steps[{i}].config", f"step {i + 1}, {kind.label}: {fault}")
        for fault in kind.find_setting_faults(step)
    ]


def _build(data: Mapping[str, Any], checker: Checker) -> Study:
    assert checker.tree is not None  # noqa: S101 - a file without a value system has faults
    with transaction.atomic():
        study = Study.objects.create(
            **checker.fields,
            value_system=_provide_value_system(checker.tree),
            value_keys=list(checker.tree.value_keys),
            consent=data.get("consent", {}),
            outcome_texts=data.get("outcome_texts", {}),
        )
    Step.objects.bulk_create(
        Step(study=study, position=position, kind=step["kind"], config=step.get("config", {}))
        for position, step in enumerate(data.get("steps", []), start=1)
    )
    CompletionCode.objects.bulk_create(
        CompletionCode(study=study, outcome=outcome, code=code)
        for outcome, code in data.get("codes", {}).items()
    )
    Post.objects.bulk_create(
        build_posts(study, data.get("posts", []), Post.Purpose.LABELING), batch_size=BATCH
    )
    for key, part in PARTS.items():
        if key in data:
            part.load(study, data[key])
    return study


def _provide_value_system(tree: ValueTree) -> ValueSystem:
    """Return the stored system that is this one word for word, or store it where no other stands."""
    for slug in _number(tree.slug):
        own = replace(tree, slug=slug)
        system = ValueSystem.objects.filter(slug=slug).first()
        if system is None:
            return save_value_system(own)
        if _is(system, own):
            return system
    raise AssertionError("there is always a next number")


def _is(system: ValueSystem, tree: ValueTree) -> bool:
    try:
        return get_tree(system) == tree
    except TreeError:
        return False


def _build_blank_system() -> ValueSystem:
    """A stand-in while the file's own cannot be read: no step that needs values is looked at."""
    slug = f"checked-{secrets.token_hex(12)}"
    return ValueSystem.objects.create(slug=slug, name=slug, low_label=slug, high_label=slug)


def _number(slug: str) -> Iterable[str]:
    longest = Study._meta.get_field("slug").max_length
    yield slug
    number = 2
    while True:
        ending = f"-{number}"
        yield slug[: longest - len(ending)] + ending
        number += 1
