"""Posts whose answers are known: practice that explains its mistakes, and the gate that stands before labeling.

A practice post knows its whole reading, question by question, with an explanation for each. A gate post knows
only whether it expresses one value. Both are data of a study, read with every fault named at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from annotation.tree.nodes import Branch, FaultReader, ValueTree
from annotation.tree.walk import Reading, WalkError, check, complete, missing, open_branches

ContextKind = Literal["", "reply", "quote"]

MAX_KEY_LENGTH = 100
_CONTEXT_KINDS: tuple[ContextKind, ...] = ("reply", "quote")
_POST_FIELDS = ("key", "text", "context")
_KNOWN_FIELDS = (*_POST_FIELDS, "marks", "ratings", "why")
_GATE_FIELDS = (*_POST_FIELDS, "value", "expresses")


class KnownPostError(ValueError):
    """Posts with known answers cannot be read; `faults` holds every reason, each with its place."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__(
            "The posts with known answers have faults:\n" + "\n".join(f"- {fault}" for fault in self.faults)
        )


@dataclass(frozen=True)
class KnownPost:
    """A practice post: what is shown, its right reading, and what to say where somebody reads it otherwise.

    `context_kind` and `context_text` are blank for a post that neither replies nor quotes. `marks` and
    `ratings` are a finished reading; `why` has an explanation for each of their keys.
    """

    key: str
    text: str
    context_kind: ContextKind
    context_text: str
    marks: Mapping[str, frozenset[str]]
    ratings: Mapping[str, int]
    why: Mapping[str, str]

    @property
    def reading(self) -> Reading:
        """The right answers as a finished reading."""
        return Reading(self.marks, self.ratings)

    @classmethod
    def from_dict(cls, tree: ValueTree, data: object) -> KnownPost:
        """Read a practice post.

        Parameters
        ----------
        tree : ValueTree
            The value system that the answers must fit.
        data : dict
            key; text; context (null, or {"kind": "reply" or "quote", "text"}); marks (branch key -> list of
            the child branches that are right, [] for none of these); ratings (value key -> integer of the
            tree's scale); why (branch or value key -> explanation). Exactly what is asked on the way through
            the right answers has an answer and a `why`.

        Raises
        ------
        KnownPostError
            With all faults of `data`. Whether the answers fit the tree is looked at once `marks` and
            `ratings` have the right shape.
        """
        reader = FaultReader()
        post = _read_known_post(reader, tree, data, _name_post(data, "post"))
        if reader.faults:
            raise KnownPostError(reader.faults)
        return post


@dataclass(frozen=True)
class GatePost:
    """A post of the gate: what is shown, and whether it `expresses` the value with the key `value`."""

    key: str
    text: str
    context_kind: ContextKind
    context_text: str
    value: str
    expresses: bool

    @classmethod
    def from_dict(cls, tree: ValueTree, data: object) -> GatePost:
        """Read a gate post: key, text and context as of `KnownPost`, value (its key), expresses (true, false).

        Raises KnownPostError with all faults of `data`.
        """
        reader = FaultReader()
        post = _read_gate_post(reader, tree, data, _name_post(data, "post"))
        if reader.faults:
            raise KnownPostError(reader.faults)
        return post


@dataclass(frozen=True)
class TrainingPlan:
    """The practice of a study; a rating is right within `tolerance` steps of the scale."""

    intro: str
    posts: tuple[KnownPost, ...]
    tolerance: int


@dataclass(frozen=True)
class GatingPlan:
    """The gate of a study; at least `threshold` posts must be read correctly to go on."""

    intro: str
    posts: tuple[GatePost, ...]
    threshold: int


@dataclass(frozen=True)
class Mistake:
    """One answer that differs from the known one: the branch's or value's key, and the explanation."""

    key: str
    kind: Literal["question", "rating"]
    why: str


def find_mistakes(tree: ValueTree, known: KnownPost, reading: Reading, tolerance: int) -> tuple[Mistake, ...]:
    """What the reading says otherwise than the known post, in reading order; empty when all of it is right.

    A question is right when exactly the known branches are marked, a rating when it lies within `tolerance`
    steps of the known one. What is not answered yet is no mistake (`walk.missing` names it), and nothing is
    judged below a branch that should not have been opened: the question above it is the mistake. The reading
    must have passed `walk.check`.
    """
    mistakes: list[Mistake] = []
    for branch in _rightly_open(tree, known, reading):
        if branch.key in reading.marks and reading.marks[branch.key] != known.marks[branch.key]:
            mistakes.append(Mistake(branch.key, "question", known.why[branch.key]))
        mistakes.extend(
            Mistake(leaf.key, "rating", known.why[leaf.key])
            for leaf in branch.child_leaves
            if leaf.key in reading.ratings
            and abs(reading.ratings[leaf.key] - known.ratings[leaf.key]) > tolerance
        )
    return tuple(mistakes)


def settled(tree: ValueTree, known: KnownPost, reading: Reading) -> frozenset[str]:
    """The keys of the branches whose question over child branches is answered as the known post says.

    The branches marked under a settled question may be shown; below any other question nothing may.
    """
    return frozenset(
        branch.key
        for branch in _rightly_open(tree, known, reading)
        if branch.key in reading.marks and reading.marks[branch.key] == known.marks[branch.key]
    )


def is_correct(tree: ValueTree, gate_post: GatePost, reading: Reading) -> bool:
    """Whether the value is rated above the scale's lowest exactly where the post expresses it.

    A value that was never asked, because no branch leads to it, counts as rated lowest. Raises WalkError for
    a reading that does not fit the tree or is not finished.
    """
    rating = complete(tree, reading).ratings[tree.value_keys.index(gate_post.value)]
    return (rating > tree.scale.min) == gate_post.expresses


def read_training_config(tree: ValueTree, config: object) -> TrainingPlan:
    """Read a training step: intro (may be blank), posts (see `KnownPost.from_dict`) and tolerance.

    The tolerance is counted in steps of the scale, from 0 to one less than the whole scale. Raises
    KnownPostError with all faults of the step and its posts.
    """
    reader = FaultReader()
    fields = reader.fields(config, ("intro", "posts", "tolerance"), "training")
    posts = _read_posts(reader, tree, fields, "training", _read_known_post)
    tolerance = reader.integer(fields, "tolerance", "training")
    n_steps = tree.scale.max - tree.scale.min
    if not 0 <= tolerance < n_steps:
        reader.fault("training", f"tolerance must lie between 0 and {n_steps - 1}; else no rating is wrong")
    intro = reader.text(fields, "intro", "training", blank=True)
    if reader.faults:
        raise KnownPostError(reader.faults)
    return TrainingPlan(intro=intro, posts=posts, tolerance=tolerance)


def read_gating_config(tree: ValueTree, config: object) -> GatingPlan:
    """Read a gating step: intro (may be blank), posts (see `GatePost.from_dict`) and threshold (1 to all).

    Raises KnownPostError with all faults of the step and its posts.
    """
    reader = FaultReader()
    fields = reader.fields(config, ("intro", "posts", "threshold"), "gating")
    posts = _read_posts(reader, tree, fields, "gating", _read_gate_post)
    n_faults_before = len(reader.faults)
    threshold = reader.integer(fields, "threshold", "gating")
    is_read = "threshold" in fields and len(reader.faults) == n_faults_before
    if is_read and posts and not 1 <= threshold <= len(posts):
        reader.fault("gating", f"threshold must lie between 1 and {len(posts)}, the number of posts")
    intro = reader.text(fields, "intro", "gating", blank=True)
    if reader.faults:
        raise KnownPostError(reader.faults)
    return GatingPlan(intro=intro, posts=posts, threshold=threshold)


def _rightly_open(tree: ValueTree, known: KnownPost, reading: Reading) -> Iterator[Branch]:
    rightly_open = {branch.key for branch in open_branches(tree, known.marks)}
    return (branch for branch in open_branches(tree, reading.marks) if branch.key in rightly_open)


# What cannot be read becomes a stand-in. The stand-ins never leave this module: any fault is raised.

_AnyPost = TypeVar("_AnyPost", KnownPost, GatePost)


def _read_posts(
    reader: FaultReader,
    tree: ValueTree,
    fields: dict[str, Any],
    place: str,
    read: Callable[[FaultReader, ValueTree, object, str], _AnyPost],
) -> tuple[_AnyPost, ...]:
    if "posts" not in fields:
        return ()
    if not isinstance(fields["posts"], list) or not fields["posts"]:
        reader.fault(place, "posts must be a list of at least one post")
        return ()
    places: dict[str, str] = {}
    posts = []
    for number, data in enumerate(fields["posts"], start=1):
        post_place = _name_post(data, f"{place} post {number}")
        post = read(reader, tree, data, post_place)
        if post.key and post.key in places:
            reader.fault(post_place, f"key {post.key!r} is taken by {places[post.key]}; choose another")
        places.setdefault(post.key, post_place)
        posts.append(post)
    return tuple(posts)


def _read_known_post(reader: FaultReader, tree: ValueTree, data: object, place: str) -> KnownPost:
    fields = reader.fields(data, _KNOWN_FIELDS, place)
    context_kind, context_text = _read_context(reader, fields, place)
    post = KnownPost(
        key=_read_key(reader, fields, place),
        text=reader.text(fields, "text", place),
        context_kind=context_kind,
        context_text=context_text,
        marks=_read_marks(reader, fields, place),
        ratings=_read_object(reader, fields, "ratings", place),
        why=_read_why(reader, fields, place),
    )
    if isinstance(fields.get("ratings"), dict) and _are_marks(fields.get("marks")):
        _check_answers(reader, tree, post, place)
    return post


def _read_gate_post(reader: FaultReader, tree: ValueTree, data: object, place: str) -> GatePost:
    fields = reader.fields(data, _GATE_FIELDS, place)
    context_kind, context_text = _read_context(reader, fields, place)
    value = reader.text(fields, "value", place)
    if value.strip() and value not in tree.value_keys:
        reader.fault(place, f"there is no value {value!r:.40}; the values are {', '.join(tree.value_keys)}")
    expresses = fields.get("expresses", False)  # a missing field is named once, by `fields`
    if not isinstance(expresses, bool):
        reader.fault(place, f"expresses must be true or false, not {expresses!r:.40}")
    return GatePost(
        key=_read_key(reader, fields, place),
        text=reader.text(fields, "text", place),
        context_kind=context_kind,
        context_text=context_text,
        value=value,
        expresses=bool(expresses),
    )


def _read_key(reader: FaultReader, fields: dict[str, Any], place: str) -> str:
    key = reader.key(fields, "key", place)
    if len(key) > MAX_KEY_LENGTH:
        reader.fault(place, f"key is too long; use at most {MAX_KEY_LENGTH} characters")
    return key


def _read_context(reader: FaultReader, fields: dict[str, Any], place: str) -> tuple[ContextKind, str]:
    if fields.get("context") is None:
        return "", ""
    context = reader.fields(fields["context"], ("kind", "text"), f"{place} > context")
    text = reader.text(context, "text", f"{place} > context")
    for kind in _CONTEXT_KINDS:
        if context.get("kind") == kind:
            return kind, text
    if "kind" in context:
        reader.fault(f"{place} > context", f'kind must be "reply" or "quote", not {context["kind"]!r:.40}')
    return "", text


def _read_object(reader: FaultReader, fields: dict[str, Any], name: str, place: str) -> dict[str, Any]:
    data = fields.get(name, {})
    if isinstance(data, dict):
        return data
    reader.fault(place, f"{name} must be an object, not {data!r:.40}")
    return {}


def _are_marks(data: object) -> bool:
    return isinstance(data, dict) and all(_is_list_of_keys(marked) for marked in data.values())


def _is_list_of_keys(data: object) -> bool:
    return isinstance(data, list) and all(isinstance(key, str) for key in data)


def _read_marks(reader: FaultReader, fields: dict[str, Any], place: str) -> dict[str, frozenset[str]]:
    marks: dict[str, frozenset[str]] = {}
    for key, marked in _read_object(reader, fields, "marks", place).items():
        if _is_list_of_keys(marked):
            marks[key] = frozenset(marked)
        else:
            reader.fault(f"{place} > marks", f"{key!r:.40} must have a list of keys, [] for none of these")
    return marks


def _read_why(reader: FaultReader, fields: dict[str, Any], place: str) -> dict[str, str]:
    why = _read_object(reader, fields, "why", place)
    return {key: reader.text(why, key, f"{place} > why") for key in why}


def _check_answers(reader: FaultReader, tree: ValueTree, post: KnownPost, place: str) -> None:
    try:
        check(tree, post.reading)
    except WalkError as error:
        for problem in error.problems:
            reader.fault(place, problem)
    for gap in missing(tree, post.reading):
        field = "marks" if gap.kind == "question" else "ratings"
        reader.fault(f"{place} > {field}", f"{gap.key!r} is asked, but has no known answer")
    asked = list(_asked_keys(tree, post))
    for key in asked:
        if key not in post.why:
            reader.fault(f"{place} > why", f"{key!r} is asked, but has no explanation")
    for key in post.why:
        if key not in asked:
            reader.fault(f"{place} > why", f"{key!r:.40} is never asked for this post; take it out")


def _asked_keys(tree: ValueTree, post: KnownPost) -> Iterator[str]:
    for branch in open_branches(tree, post.marks):
        if branch.child_branches:
            yield branch.key
        yield from (leaf.key for leaf in branch.child_leaves)


def _name_post(data: object, name: str) -> str:
    key = data.get("key") if isinstance(data, dict) else None
    return f"{name} {key[:40]!r}" if isinstance(key, str) and key.strip() else name
