"""The kinds of steps a study's path can be made of.

A new kind is one module with a view, one template and one `register` call in its app's `ready`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from django.utils.module_loading import import_string

from .models import Enrollment, Step


def enter_without_preparation(enrollment: Enrollment, step: Step) -> None:
    """Most steps need nothing when someone comes to them."""


@dataclass(frozen=True)
class StepKind:
    """How one kind of step looks and begins.

    `view_path` names ``view(request, enrollment, step)``, loaded at first use; `enter_path` names a
    function of (enrollment, step) that prepares the step inside the transaction that opens it.
    """

    key: str
    label: str
    view_path: str
    enter_path: str = "annotation.steps.enter_without_preparation"

    @property
    def view(self) -> Callable:
        return import_string(self.view_path)

    @property
    def enter(self) -> Callable[[Enrollment, Step], None]:
        return import_string(self.enter_path)


KINDS: dict[str, StepKind] = {}


def register(kind: StepKind) -> None:
    """Make a kind of step known. Raises ValueError when another one has its key."""
    if KINDS.setdefault(kind.key, kind) != kind:
        raise ValueError(f"the step kind {kind.key!r} is registered already")


def register_own_kinds() -> None:
    register(StepKind("consent", "Consent", "annotation.views.consent.answer_consent"))
    register(
        StepKind(
            "labeling",
            "Labeling",
            "annotation.views.labeling.label_post",
            "annotation.services.assign_next_post",
        )
    )
