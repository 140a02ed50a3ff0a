"""The value tree: groups that are asked as questions, values that are rated, and the scale of the ratings.

A value system is data. It is read from a dict (as JSON gives it) with every fault named at once, and
written back to the very same dict. Nothing here knows how many values there are or how deep they lie.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

KEY_PATTERN = re.compile(r"[a-z0-9][a-z0-9_-]*")
RESERVED_KEYS = frozenset({"none"})  # the answer "none of these"
MAX_DEPTH = 50  # far above any real system, far below the interpreter's limit on recursion
MAX_NUMBER = 32_767  # ratings are stored as 16-bit integers

UNSTORABLE = re.compile("[\x00\ud800-\udfff]")  # PostgreSQL takes neither NUL nor half a surrogate pair
_SYSTEM_FIELDS = ("slug", "version", "name", "description", "source", "scale", "root")
_SCALE_FIELDS = ("min", "max", "shown_from", "low", "high")
_LEAF_FIELDS = ("key", "name", "label", "definition")
_BRANCH_FIELDS = (*_LEAF_FIELDS, "question", "help", "answers", "children")


class TreeError(ValueError):
    """A value system cannot be read; `faults` holds every reason, each with its place."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("The value system has faults:\n" + "\n".join(f"- {fault}" for fault in self.faults))


@dataclass(frozen=True)
class Scale:
    """The integer scale of all ratings of a system, and how it is shown to people.

    Ratings run from `min` to `max`; people see them counted from `shown_from`. `low` and `high` are the
    wording of the two ends.
    """

    min: int
    max: int
    shown_from: int
    low: str
    high: str

    @property
    def levels(self) -> range:
        """Every rating of the scale, lowest first."""
        return range(self.min, self.max + 1)

    def shown(self, rating: int) -> int:
        """The number that people see for a rating. Raises ValueError for a rating outside the scale."""
        if rating not in self.levels:
            raise ValueError(f"rating {rating!r} is outside the scale; use {self.min} to {self.max}")
        return rating - self.min + self.shown_from


@dataclass(frozen=True)
class Leaf:
    """A value that is rated. `name` is the theory's name, `label` what raters see."""

    key: str
    name: str
    label: str
    definition: str


@dataclass(frozen=True)
class Branch:
    """A group, and the question asked over its children; `several` is whether more than one may be marked.

    Child branches are marked, child leaves are rated. A branch may have both kinds of children.
    """

    key: str
    name: str
    label: str
    definition: str
    question: str
    help: str
    several: bool
    children: tuple[Branch | Leaf, ...]

    @property
    def child_branches(self) -> tuple[Branch, ...]:
        """The children that can be marked, in order."""
        return tuple(child for child in self.children if isinstance(child, Branch))

    @property
    def child_leaves(self) -> tuple[Leaf, ...]:
        """The children that are rated, in order."""
        return tuple(child for child in self.children if isinstance(child, Leaf))


@dataclass(frozen=True)
class ValueTree:
    """A value system: its scale and its tree. The depth-first order of the leaves is the value order."""

    slug: str
    name: str
    version: int
    description: str
    source: str
    scale: Scale
    root: Branch

    @cached_property
    def leaves(self) -> tuple[Leaf, ...]:
        """The values in value order."""
        return tuple(node for node in _walk(self.root) if isinstance(node, Leaf))

    @cached_property
    def value_keys(self) -> tuple[str, ...]:
        """The keys of the values in value order: the order of every rating vector."""
        return tuple(leaf.key for leaf in self.leaves)

    @cached_property
    def branches(self) -> tuple[Branch, ...]:
        """The branches depth-first, the root first."""
        return tuple(node for node in _walk(self.root) if isinstance(node, Branch))

    @cached_property
    def depth(self) -> int:
        """The number of branches above the deepest value, the root counted: 1 for a flat system."""
        return _depth(self.root)

    def branch(self, key: str) -> Branch:
        """The branch with this key. Raises KeyError when there is none."""
        return self._branch_by_key[key]

    def leaf(self, key: str) -> Leaf:
        """The value with this key. Raises KeyError when there is none."""
        return self._leaf_by_key[key]

    def parent(self, key: str) -> Branch | None:
        """The branch above a branch or value; None for the root. Raises KeyError for an unknown key."""
        return self._parent_by_key[key]

    @classmethod
    def from_dict(cls, data: object) -> ValueTree:
        """Read a value system as `to_dict` writes it.

        Parameters
        ----------
        data : dict
            slug, version, name, description, source, scale (min, max, shown_from, low, high) and root. A
            branch has key, name, label, definition, question, help, answers ("several" or "one") and
            children; a leaf has the first four alone. Keys are unique in the whole tree. Only
            `description`, `source`, a branch's `help` and the root's `definition` may be blank.

        Raises
        ------
        TreeError
            With all faults of `data`, not just the first, each with its place in the tree.
        """
        reader = FaultReader()
        fields = reader.fields(data, _SYSTEM_FIELDS, "value system")
        tree = cls(
            slug=reader.key(fields, "slug", "value system"),
            name=reader.text(fields, "name", "value system"),
            version=reader.integer(fields, "version", "value system"),
            description=reader.text(fields, "description", "value system", blank=True),
            source=reader.text(fields, "source", "value system", blank=True),
            scale=reader.scale(fields),
            root=reader.root(fields),
        )
        if "version" in fields and tree.version < 1:
            reader.fault("value system", "version must be 1 or more")
        if reader.faults:
            raise TreeError(reader.faults)
        return tree

    @classmethod
    def flat(
        cls, slug: str, value_keys: Sequence[str], scale: Scale, labels: Mapping[str, str] | None = None
    ) -> ValueTree:
        """A system of values without groups, for ratings that were imported and not collected here.

        The values stand in the order given. `labels` gives names by key; a key without one is its own name.
        Raises TreeError for bad or repeated keys, for no key at all, for a blank label and for a bad scale.
        """
        labels = labels or {}
        root_key = "root"
        while root_key in value_keys:  # the group of all may not take a value's key
            root_key += "_"
        values = [
            {"key": key, "name": label, "label": label, "definition": "Imported without a definition."}
            for key, label in ((key, labels.get(key, key)) for key in value_keys)
        ]
        root = {
            "key": root_key,
            "name": "All values",
            "label": "All values",
            "definition": "",
            "question": "How much does it reflect each of these values?",
            "help": "",
            "answers": "several",
            "children": values,
        }
        return cls.from_dict(
            {
                "slug": slug,
                "version": 1,
                "name": slug,
                "description": "Values of imported ratings, without groups.",
                "source": "",
                "scale": asdict(scale),
                "root": root,
            }
        )

    def to_dict(self) -> dict[str, Any]:
        """The system as plain data, ready for JSON; `from_dict` gives an equal tree back."""
        return {
            "slug": self.slug,
            "version": self.version,
            "name": self.name,
            "description": self.description,
            "source": self.source,
            "scale": asdict(self.scale),
            "root": _node_to_dict(self.root),
        }

    @cached_property
    def _branch_by_key(self) -> dict[str, Branch]:
        return {branch.key: branch for branch in self.branches}

    @cached_property
    def _leaf_by_key(self) -> dict[str, Leaf]:
        return {leaf.key: leaf for leaf in self.leaves}

    @cached_property
    def _parent_by_key(self) -> dict[str, Branch | None]:
        parents: dict[str, Branch | None] = {self.root.key: None}
        parents.update((child.key, branch) for branch in self.branches for child in branch.children)
        return parents


def _walk(node: Branch | Leaf) -> Iterator[Branch | Leaf]:
    yield node
    if isinstance(node, Branch):
        for child in node.children:
            yield from _walk(child)


def _depth(branch: Branch) -> int:
    return 1 + max((_depth(child) for child in branch.child_branches), default=0)


def _node_to_dict(node: Branch | Leaf) -> dict[str, Any]:
    data: dict[str, Any] = {name: getattr(node, name) for name in _LEAF_FIELDS}
    if isinstance(node, Branch):
        data["question"] = node.question
        data["help"] = node.help
        data["answers"] = "several" if node.several else "one"
        data["children"] = [_node_to_dict(child) for child in node.children]
    return data


@dataclass
class FaultReader:
    """Reads a system to its end, whatever is wrong with it, and collects the faults on the way.

    What cannot be read becomes a stand-in ("" or 0). The stand-ins never leave `from_dict`, which raises
    when there is any fault.
    """

    faults: list[str] = field(default_factory=list)
    places: dict[str, str] = field(default_factory=dict)

    def fault(self, place: str, problem: str) -> None:
        self.faults.append(f"{place}: {problem}")

    def fields(self, data: object, expected: Sequence[str], place: str) -> dict[str, Any]:
        if not isinstance(data, dict):
            self.fault(place, f"must be an object with the fields {', '.join(expected)}")
            return {}
        for name in expected:
            if name not in data:
                self.fault(place, f"{name} is missing")
        for name in data:
            if name not in expected:
                self.fault(place, f"unknown field {name!r}; the fields are {', '.join(expected)}")
        return data

    def text(self, fields: dict[str, Any], name: str, place: str, *, blank: bool = False) -> str:
        if name not in fields:
            return ""  # a missing field is named once, by `fields`
        text = fields[name]
        if not isinstance(text, str):
            self.fault(place, f"{name} must be text, not {text!r:.40}")
            return ""
        if not blank and not text.strip():
            self.fault(place, f"{name} is blank; write the wording")
        if UNSTORABLE.search(text):
            self.fault(place, f"{name} contains a character that cannot be stored; write it anew")
        return text

    def integer(self, fields: dict[str, Any], name: str, place: str) -> int:
        if name not in fields:
            return 0
        number = fields[name]
        if not isinstance(number, int) or isinstance(number, bool):
            self.fault(place, f"{name} must be a whole number, not {number!r:.40}")
            return 0
        if abs(number) > MAX_NUMBER:
            self.fault(place, f"{name} must lie between -{MAX_NUMBER} and {MAX_NUMBER}")
            return 0
        return number

    def key(self, fields: dict[str, Any], name: str, place: str) -> str:
        key = self.text(fields, name, place)
        if key.strip() and not KEY_PATTERN.fullmatch(key):
            self.fault(
                place,
                f"{name} {key!r:.40} must consist of a-z, 0-9, _ and -, and begin with a letter or digit",
            )
        return key

    def scale(self, system: dict[str, Any]) -> Scale:
        if "scale" not in system:
            return Scale(0, 0, 0, "", "")
        n_faults_before = len(self.faults)
        fields = self.fields(system["scale"], _SCALE_FIELDS, "scale")
        scale = Scale(
            min=self.integer(fields, "min", "scale"),
            max=self.integer(fields, "max", "scale"),
            shown_from=self.integer(fields, "shown_from", "scale"),
            low=self.text(fields, "low", "scale"),
            high=self.text(fields, "high", "scale"),
        )
        if len(self.faults) == n_faults_before and scale.min >= scale.max:
            self.fault("scale", f"min ({scale.min}) must be below max ({scale.max})")
        return scale

    def root(self, system: dict[str, Any]) -> Branch:
        if "root" not in system:
            return Branch("", "", "", "", "", "", True, ())
        root = self.branch(system["root"], "root", level=1)
        if not any(isinstance(node, Leaf) for node in _walk(root)):
            self.fault("root", "the tree holds no value; add at least one leaf")
        return root

    def branch(self, data: object, place: str, level: int) -> Branch:
        fields = self.fields(data, _BRANCH_FIELDS, place)
        return Branch(
            key=self.node_key(fields, place),
            name=self.text(fields, "name", place),
            label=self.text(fields, "label", place),
            definition=self.text(fields, "definition", place, blank=level == 1),
            question=self.text(fields, "question", place),
            help=self.text(fields, "help", place, blank=True),
            several=self.several(fields, place),
            children=self.children(fields, place, level),
        )

    def leaf(self, data: object, place: str) -> Leaf:
        fields = self.fields(data, _LEAF_FIELDS, place)
        return Leaf(
            key=self.node_key(fields, place),
            name=self.text(fields, "name", place),
            label=self.text(fields, "label", place),
            definition=self.text(fields, "definition", place),
        )

    def children(self, fields: dict[str, Any], place: str, level: int) -> tuple[Branch | Leaf, ...]:
        if "children" not in fields:
            return ()
        children = fields["children"]
        if not isinstance(children, list):
            self.fault(place, f"children must be a list, not {children!r:.40}")
            return ()
        if not children:
            self.fault(place, "children is empty; a branch needs at least one child")
        if level == MAX_DEPTH and any(_is_branch(child) for child in children):
            self.fault(place, f"the tree is too deep; at most {MAX_DEPTH} branches may stand above a value")
            return ()
        return tuple(
            self.branch(child, f"{place} > {_name_in_place(child, number)}", level + 1)
            if _is_branch(child)
            else self.leaf(child, f"{place} > {_name_in_place(child, number)}")
            for number, child in enumerate(children, start=1)
        )

    def node_key(self, fields: dict[str, Any], place: str) -> str:
        key = self.key(fields, "key", place)
        if key in RESERVED_KEYS:
            self.fault(place, f"key {key!r} is reserved; choose another")
        if key and key in self.places:
            self.fault(
                place, f"key {key!r} is taken by {self.places[key]}; keys are unique in the whole tree"
            )
        self.places.setdefault(key, place)
        return key

    def several(self, fields: dict[str, Any], place: str) -> bool:
        answers = fields.get("answers", "several")  # a missing field is named once, by `fields`
        if answers not in ("several", "one"):
            self.fault(place, f'answers must be "several" or "one", not {answers!r:.40}')
        return bool(answers == "several")


def _is_branch(data: object) -> bool:
    return isinstance(data, dict) and any(name in data for name in _BRANCH_FIELDS[len(_LEAF_FIELDS) :])


def _name_in_place(data: object, number: int) -> str:
    key = data.get("key") if isinstance(data, dict) else None
    return key[:40] if isinstance(key, str) and key.strip() else f"child {number}"
