"""What is wrong with a study file, all of it at once, before anything is stored."""

import datetime
from collections.abc import Iterable, Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models

from annotation.models import CompletionCode, Outcome, Post, Step, Study, ValueNode, ValueSystem
from annotation.tree.nodes import Branch, Leaf, TreeError, ValueTree

from .faults import Fault, StudyFileError
from .parts import PARTS, Outline
from .writing import MARK, SECTIONS, VERSION

POST_FIELDS = ("key", "text", "context", "metadata")
CONTEXT_FIELDS = ("kind", "text")
STEP_FIELDS = ("kind", "config")
MAX_STEPS = 1000
MAX_CONSENT_VERSION = 32_767


class Checker:
    """Looks at a whole file and collects every fault; what can be read of it is kept for the next look."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.data = data
        self.faults: list[Fault] = []
        self.fields: dict[str, Any] = {}
        self.tree: ValueTree | None = None
        self.unread: set[str] = set()

    def check(self) -> None:
        """Look at everything but the settings of the steps. Raises StudyFileError for another version's file."""
        self._check_version()
        known = [
            MARK,
            *SECTIONS,
            *("consent", "outcome_texts", "values", "steps", "codes"),
            *sorted(PARTS),
            "posts",
        ]
        self._check_names(self.data, known, "")
        for section, names in SECTIONS.items():
            self._check_section(section, names)
        self._check_limits()
        self._check_consent()
        self._check_outcome_texts()
        self._check_values()
        self._check_steps()
        self._check_codes()
        posts = self.data.get("posts", [])
        self.faults += find_post_faults(posts, "posts")
        self._check_parts(posts)

    def fault(self, place: str, problem: str) -> None:
        self.faults.append(Fault(place, problem))

    def _check_version(self) -> None:
        version = self.data.get(MARK)
        if isinstance(version, bool) or not isinstance(version, int) or version < 1:
            what = "is missing" if version is None else f"is {version!r:.40}"
            raise StudyFileError(
                [
                    Fault(
                        MARK,
                        f'it {what}: a study file says "{MARK}": {VERSION}; this is none, or not a whole one',
                    )
                ]
            )
        if version > VERSION:
            raise StudyFileError(
                [
                    Fault(
                        MARK,
                        f"this file is of version {version}, and this Parallax reads up to version {VERSION}; "
                        "bring Parallax up to date, or save the file with an older one",
                    )
                ]
            )

    def _check_names(self, data: Mapping[str, Any], known: Iterable[str], place: str) -> None:
        known = tuple(known)
        for name in data:
            if name not in known:
                self.fault(
                    f"{place}.{name}" if place else name,
                    f"there is no such entry here; there are {', '.join(known)}",
                )

    def _check_section(self, section: str, names: Mapping[str, str]) -> None:
        data = self.data.get(section, {})
        if not isinstance(data, dict):
            self.fault(section, f"it must be an object with {', '.join(names)}")
            return
        self._check_names(data, names, section)
        for name, field_name in names.items():
            place, field = f"{section}.{name}", Study._meta.get_field(field_name)
            if name in data:
                self._check_field(place, field, data[name])
            elif not field.has_default() and not field.null and not field.blank:
                self.fault(place, "it is missing")

    def _check_field(self, place: str, field: models.Field, value: Any) -> None:
        if problem := find_type_fault(field, value):
            self.fault(place, problem)
            return
        try:
            self.fields[field.name] = field.clean(value, None)
        except ValidationError as error:
            for message in error.messages:
                self.fault(place, message)

    def _check_limits(self) -> None:
        if {"estimated_minutes", "max_minutes"} <= set(self.fields):
            try:
                Study(
                    estimated_minutes=self.fields["estimated_minutes"], max_minutes=self.fields["max_minutes"]
                ).clean()
            except ValidationError as error:
                for message in error.messages:
                    self.fault("time.max_minutes", message)
        cap = self.fields.get("redundancy_cap")
        if cap is not None and cap < 1:
            self.fault("assignment.redundancy_cap", "it must be 1 or more, or null for no limit")

    def _check_consent(self) -> None:
        texts = self.data.get("consent", {})
        if not isinstance(texts, dict):
            self.fault("consent", "it must be an object with version, title, sections, agree and decline")
            return
        version = texts.get("version", 1)
        if (
            isinstance(version, bool)
            or not isinstance(version, int)
            or not 1 <= version <= MAX_CONSENT_VERSION
        ):
            self.fault("consent.version", f"it must be a whole number from 1 to {MAX_CONSENT_VERSION}")
        sections = texts.get("sections", [])
        if not isinstance(sections, list):
            self.fault("consent.sections", "it must be a list of objects with 'heading' and 'text'")
            return
        for i, part in enumerate(sections):
            if not isinstance(part, dict) or not isinstance(part.get("text"), str):
                self.fault(f"consent.sections[{i}]", "it must be an object with a 'text'")

    def _check_outcome_texts(self) -> None:
        pages = self.data.get("outcome_texts", {})
        if not isinstance(pages, dict):
            self.fault("outcome_texts", "it must be an object with 'title' and 'text' for each outcome")
            return
        self._check_names(pages, Outcome.values, "outcome_texts")
        for outcome, page in pages.items():
            if not isinstance(page, dict):
                self.fault(f"outcome_texts.{outcome}", "it must be an object with 'title' and 'text'")

    def _check_values(self) -> None:
        if "values" not in self.data:
            self.fault("values", "it is missing: the value system, as a tree")
            return
        try:
            tree = ValueTree.from_dict(self.data["values"])
        except TreeError as error:
            for fault in error.faults:
                self.fault("values", fault)
            return
        too_long = list(_find_long_texts(tree))
        self.faults += too_long
        if not too_long:
            self.tree = tree

    def _check_steps(self) -> None:
        steps = self.data.get("steps", [])
        if not isinstance(steps, list):
            self.fault("steps", "it must be a list of objects with 'kind' and 'config'")
            self.unread.add("steps")
            return
        if len(steps) > MAX_STEPS:
            self.fault("steps", f"there are {len(steps)}; at most {MAX_STEPS} can be stored")
        for i, step in enumerate(steps):
            if not isinstance(step, dict):
                self.fault(f"steps[{i}]", "it must be an object with 'kind' and 'config'")
                continue
            self._check_names(step, STEP_FIELDS, f"steps[{i}]")

    def _check_codes(self) -> None:
        codes = self.data.get("codes", {})
        if not isinstance(codes, dict):
            self.fault("codes", "it must be an object with a code for each outcome")
            return
        self._check_names(codes, Outcome.values, "codes")
        field = CompletionCode._meta.get_field("code")
        outcomes: dict[str, str] = {}
        for outcome, code in codes.items():
            place = f"codes.{outcome}"
            if not isinstance(code, str):
                self.fault(place, "it must be text")
                continue
            try:
                field.clean(code, None)
            except ValidationError:
                self.fault(place, f"{code!r:.60} must have 4 to 32 letters and digits, and nothing else")
            if code in outcomes:
                self.fault(
                    place, f"the code '{code}' is that of '{outcomes[code]}' already; give each its own"
                )
            outcomes.setdefault(code, outcome)

    def _check_parts(self, posts: Any) -> None:
        outline = Outline(
            frozenset(self.tree.value_keys) if self.tree else None,
            frozenset(list_keys(posts)),
        )
        if self.tree is None:
            self.unread.add("values")
        for key, part in sorted(PARTS.items()):
            faults = part.check(self.data[key], outline) if key in self.data else []
            self.faults += faults
            if faults:
                self.unread.add(key)


def find_type_fault(field: models.Field, value: Any) -> str:
    """Return what is wrong with the sort of a value for a field of a study; '' when nothing is."""
    if value is None:
        return "" if field.null else "it cannot be null"
    if isinstance(field, models.BooleanField):
        return "" if isinstance(value, bool) else f"it must be true or false, not {value!r:.40}"
    if isinstance(field, models.IntegerField):
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        return "" if is_whole else f"it must be a whole number, not {value!r:.40}"
    if not isinstance(value, str):
        return f"it must be text, not {value!r:.40}"
    if isinstance(field, models.DateField):
        try:
            datetime.date.fromisoformat(value)
        except ValueError:
            return f"it must be a day such as 2027-12-31, not {value!r:.40}"
    return ""


def find_post_faults(posts: Any, place: str, taken: Iterable[str] = ()) -> list[Fault]:
    """Return every fault of a list of posts; `taken` are keys that other posts of the study have."""
    if not isinstance(posts, list):
        return [Fault(place, "it must be a list of objects with 'key' and 'text'")]
    faults: list[Fault] = []
    places = dict.fromkeys(taken, "another post of the study")
    longest = Post._meta.get_field("key").max_length
    for i, post in enumerate(posts):
        here = f"{place}[{i}]"
        if not isinstance(post, dict):
            faults.append(Fault(here, "it must be an object with 'key' and 'text'"))
            continue
        faults += [
            Fault(f"{here}.{name}", f"there is no such entry here; there are {', '.join(POST_FIELDS)}")
            for name in post
            if name not in POST_FIELDS
        ]
        key = post.get("key")
        if not isinstance(key, str) or not key.strip() or len(key) > longest:
            faults.append(Fault(f"{here}.key", f"it must be text of 1 to {longest} characters"))
        elif key in places:
            faults.append(
                Fault(f"{here}.key", f"{key!r} is the key of {places[key]} already; keys are used once")
            )
        else:
            places[key] = here
        if not isinstance(post.get("text"), str):
            faults.append(Fault(f"{here}.text", "it must be text"))
        if not isinstance(post.get("metadata", {}), dict):
            faults.append(Fault(f"{here}.metadata", "it must be an object"))
        faults += _find_context_faults(post.get("context"), f"{here}.context")
    return faults


def _find_context_faults(context: Any, place: str) -> list[Fault]:
    if context is None:
        return []
    kinds = [kind for kind in Post.ContextKind.values if kind]
    if (
        isinstance(context, dict)
        and set(context) == set(CONTEXT_FIELDS)
        and context["kind"] in kinds
        and isinstance(context["text"], str)
        and context["text"]
    ):
        return []
    return [Fault(place, f"it must be null, or an object with a 'kind' ({' or '.join(kinds)}) and a 'text'")]


def list_keys(posts: Any) -> list[str]:
    """Return the keys of a list of posts, as far as it can be read."""
    if not isinstance(posts, list):
        return []
    return [post["key"] for post in posts if isinstance(post, dict) and isinstance(post.get("key"), str)]


def _find_long_texts(tree: ValueTree) -> Iterable[Fault]:
    """A value system's names and keys go into columns of a certain length."""
    texts = {
        "slug": ("slug", tree.slug),
        "name": ("name", tree.name),
        "scale.low": ("low_label", tree.scale.low),
        "scale.high": ("high_label", tree.scale.high),
    }
    for name, (field, text) in texts.items():
        yield from _find_long(f"values.{name}", ValueSystem, field, text)
    nodes: tuple[Branch | Leaf, ...] = (*tree.branches, *tree.leaves)
    for node in nodes:
        for field in ("key", "name", "label"):
            yield from _find_long(f"values > {node.key:.40}", ValueNode, field, getattr(node, field))


def _find_long(place: str, model: type[models.Model], field: str, text: str) -> Iterable[Fault]:
    longest = model._meta.get_field(field).max_length
    if longest and len(text) > longest:
        yield Fault(place, f"{field} has {len(text)} characters; at most {longest} can be stored")


def find_step_fault(step: Any) -> str:
    """Return why a step cannot be stored at all; '' when it can."""
    longest = Step._meta.get_field("kind").max_length
    kind = step.get("kind") if isinstance(step, dict) else None
    if not isinstance(kind, str) or not 1 <= len(kind) <= longest:
        return "'kind' must name a kind of step"
    if not isinstance(step.get("config", {}), dict):
        return "'config' must be an object: { ... }"
    return ""
