"""The kinds of steps a study's path can be made of.

A new kind is one module with a view, one template and one `register` call in its app's `ready`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from django.utils.module_loading import import_string

from .models import Enrollment, Step


def enter_without_preparation(enrollment: Enrollment, step: Step) -> None:
    """Most steps need nothing when someone comes to them."""


def get_only_item(enrollment: Enrollment, step: Step) -> str:
    """Most steps are one page."""
    return ""


def find_no_faults(step: Step) -> list[str]:
    """A kind that has no settings has none that could be wrong."""
    return [f"it has no setting '{key}'" for key in step.config]


@dataclass(frozen=True)
class StepKind:
    """How one kind of step looks, begins and is checked.

    Paths name functions, loaded at first use: `view_path` a ``view(request, enrollment, step)``; `enter_path`
    a function of (enrollment, step) that prepares the step inside the transaction that opens it; `item_path` one of
    (enrollment, step) that says which post or question of the step is open, as a short text; `faults_path` one of
    (step) that returns, in words, what is wrong with its settings; `settings_path` one of (step) that looks at
    them alone, whatever the study has or lacks yet, where that is less. `reads` names the parts of a study file
    without which the settings cannot be judged.
    """

    key: str
    label: str
    view_path: str
    enter_path: str = "annotation.steps.enter_without_preparation"
    item_path: str = "annotation.steps.get_only_item"
    faults_path: str = "annotation.steps.find_no_faults"
    settings_path: str = ""
    reads: tuple[str, ...] = ()

    @property
    def view(self) -> Callable:
        return import_string(self.view_path)

    @property
    def enter(self) -> Callable[[Enrollment, Step], None]:
        return import_string(self.enter_path)

    @property
    def get_item(self) -> Callable[[Enrollment, Step], str]:
        return import_string(self.item_path)

    @property
    def find_faults(self) -> Callable[[Step], list[str]]:
        return import_string(self.faults_path)

    @property
    def find_setting_faults(self) -> Callable[[Step], list[str]]:
        return import_string(self.settings_path or self.faults_path)


KINDS: dict[str, StepKind] = {}


def register(kind: StepKind) -> None:
    """Make a kind of step known. Raises ValueError when another one has its key."""
    if KINDS.setdefault(kind.key, kind) != kind:
        raise ValueError(f"the step kind {kind.key!r} is registered already")


def register_own_kinds() -> None:
    views, faults = "annotation.views", "annotation.launch"
    register(StepKind("consent", "Consent", f"{views}.consent.answer_consent"))
    for key, label in (("instructions", "Instructions"), ("debrief", "Debrief")):
        register(StepKind(key, label, f"{views}.text.read_text", faults_path=f"{faults}.find_text_faults"))
    register(
        StepKind(
            "attention_check",
            "Attention check",
            f"{views}.attention.answer_check",
            faults_path=f"{faults}.find_attention_faults",
        )
    )
    register(
        StepKind(
            "training",
            "Training",
            f"{views}.training.practise",
            item_path="annotation.selectors.get_training_item",
            faults_path=f"{faults}.find_training_faults",
            reads=("values",),
        )
    )
    register(
        StepKind(
            "gating",
            "Gating",
            f"{views}.gating.pass_gate",
            item_path="annotation.selectors.get_gating_item",
            faults_path=f"{faults}.find_gating_faults",
            reads=("values",),
        )
    )
    register(
        StepKind(
            "labeling",
            "Labeling",
            f"{views}.labeling.label_post",
            enter_path="annotation.services.assign_next_post",
            item_path="annotation.selectors.get_labeling_item",
            faults_path=f"{faults}.find_labeling_faults",
            settings_path=f"{faults}.find_labeling_setting_faults",
        )
    )
