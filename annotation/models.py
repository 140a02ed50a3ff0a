"""What a study asks, who came, what they were given and what they answered."""

import secrets
import uuid

from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator, RegexValidator
from django.db import models
from django.db.models import F, Q

from .fields import IntVectorField

KEY = RegexValidator(r"^[a-z0-9][a-z0-9_-]*$", "Use lower-case letters, digits, '-' and '_'.")


def draw_revision() -> int:
    """Return a number that no other state of a value system had: one that was rolled back, for instance."""
    return secrets.randbelow(2**31)


class ValueSystem(models.Model):
    """A tree of values and the scale its leaves are rated on."""

    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=200)
    version = models.PositiveIntegerField(default=1)
    description = models.TextField(blank=True)
    source = models.TextField(blank=True, help_text="Where the system was published.")
    scale_min = models.SmallIntegerField(default=0, help_text="The rating that means: not reflected at all.")
    scale_max = models.SmallIntegerField(default=6)
    shown_from = models.SmallIntegerField(
        default=1, help_text="The number shown to raters for the lowest rating."
    )
    low_label = models.CharField(max_length=200, help_text="Shown at the scale's low end.")
    high_label = models.CharField(max_length=200, help_text="Shown at the scale's high end.")
    revision = models.PositiveIntegerField(default=0, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(scale_min__lt=F("scale_max")), name="scale_has_two_ends"),
        ]

    def __str__(self) -> str:
        return f"{self.name} (version {self.version})"

    def save(self, *args, **kwargs) -> None:
        self.revision = draw_revision()
        if kwargs.get("update_fields") is not None:
            kwargs["update_fields"] = {*kwargs["update_fields"], "revision"}
        super().save(*args, **kwargs)

    @property
    def is_in_use(self) -> bool:
        """Whether people have entered a study on this system: what they answer follows its order and scale."""
        return Enrollment.objects.filter(study__value_system=self).exists()

    def clean(self) -> None:
        if self.pk and self.is_in_use:
            stored = ValueSystem.objects.get(pk=self.pk)
            if (stored.scale_min, stored.scale_max) != (self.scale_min, self.scale_max):
                raise ValidationError("The scale's ends cannot change: people have begun to rate on it.")


class ValueNode(models.Model):
    """A group of values, asked as a question, or a leaf, rated on the scale."""

    system = models.ForeignKey(ValueSystem, on_delete=models.CASCADE, related_name="nodes")
    parent = models.ForeignKey(
        "self", on_delete=models.CASCADE, null=True, blank=True, related_name="children"
    )
    position = models.PositiveSmallIntegerField(help_text="Order among the nodes of the same parent.")
    is_leaf = models.BooleanField(default=True, help_text="A leaf is a value; other nodes are groups.")
    key = models.CharField(max_length=80, validators=[KEY])
    name = models.CharField(max_length=200, help_text="The value's name in the literature.")
    label = models.CharField(max_length=200, help_text="The name shown to raters.")
    definition = models.TextField(blank=True)
    question = models.TextField(blank=True, help_text="Groups only: what is asked about what stands below.")
    help = models.TextField(blank=True, help_text="Groups only: a line of help under the question.")
    several = models.BooleanField(
        default=True, help_text="Groups only: whether several branches may be marked."
    )

    class Meta:
        ordering = ["system", "parent_id", "position"]
        constraints = [
            models.UniqueConstraint(fields=["system", "key"], name="value_key_once_per_system"),
            models.UniqueConstraint(
                fields=["system", "parent", "position"], name="value_position_once_per_parent"
            ),
            models.UniqueConstraint(fields=["system"], condition=Q(parent=None), name="one_root_per_system"),
            models.CheckConstraint(
                condition=Q(parent__isnull=False) | Q(is_leaf=False), name="root_is_a_group"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.label} ({self.key})"

    def save(self, *args, **kwargs) -> None:
        super().save(*args, **kwargs)
        ValueSystem.objects.filter(pk=self.system_id).update(revision=draw_revision())

    def delete(self, *args, **kwargs):
        ValueSystem.objects.filter(pk=self.system_id).update(revision=draw_revision())
        return super().delete(*args, **kwargs)

    def clean(self) -> None:
        if self.parent_id and self.parent.is_leaf:
            raise ValidationError(
                {"parent": f"'{self.parent.label}' is a value; only a group can have children."}
            )
        if self.parent_id and self.parent.system_id != self.system_id:
            raise ValidationError({"parent": "The parent belongs to another value system."})
        if not self.is_leaf and not self.question:
            raise ValidationError(
                {"question": "A group needs the question that is asked about its children."}
            )
        self._check_structure_is_free()

    def _check_structure_is_free(self) -> None:
        if not self.system_id or not self.system.is_in_use:
            return
        stored = (
            ValueNode.objects.filter(pk=self.pk)
            .values_list("parent_id", "position", "is_leaf", "key")
            .first()
        )
        if stored != (self.parent_id, self.position, self.is_leaf, self.key):
            raise ValidationError(
                "People have begun to answer on this system: wording may change, but no node can be "
                "added, moved or renamed. Make a new value system instead."
            )


class Study(models.Model):
    """One study: what is asked, of whom, how much."""

    class State(models.TextChoices):
        DRAFT = "draft", "Draft"
        LIVE = "live", "Live"
        CLOSED = "closed", "Closed"

    class Strategy(models.TextChoices):
        RANDOM = "random", "Random: any post, each as likely"
        BALANCED = "balanced", "Balanced: posts with the fewest raters first"
        FIXED = "fixed", "Fixed: everyone gets the same posts, in their order"

    slug = models.SlugField(unique=True, help_text="Part of the participant link.")
    name = models.CharField(max_length=200, help_text="For researchers.")
    title = models.CharField(max_length=200, help_text="Shown to participants.")
    welcome = models.TextField(blank=True, help_text="Shown on the first page.")
    state = models.CharField(max_length=10, choices=State.choices, default=State.DRAFT)
    value_system = models.ForeignKey(ValueSystem, on_delete=models.PROTECT, related_name="studies")
    value_keys = models.JSONField(
        editable=False, default=None, help_text="The frozen order of every rating vector."
    )
    posts_per_rater = models.PositiveSmallIntegerField(default=30, validators=[MinValueValidator(1)])
    strategy = models.CharField(max_length=10, choices=Strategy.choices, default=Strategy.RANDOM)
    redundancy_cap = models.PositiveIntegerField(
        null=True, blank=True, help_text="At most this many raters for a post; empty for no limit."
    )
    seed = models.PositiveIntegerField(default=1, help_text="Repeats the random choices of this study.")
    consent = models.JSONField(
        default=dict, help_text="Title, sections and the two answers of the consent page."
    )
    outcome_texts = models.JSONField(default=dict, blank=True, help_text="Title and text of each last page.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "studies"
        ordering = ["slug"]

    def __str__(self) -> str:
        return self.name

    def save(self, *args, **kwargs) -> None:
        if self.value_keys is None:
            from .selectors import get_tree  # reads models: only at call time

            self.value_keys = list(get_tree(self.value_system).value_keys)
        super().save(*args, **kwargs)


class Step(models.Model):
    """One station of a study's path; the kinds are registered in `annotation.steps`."""

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="steps")
    position = models.PositiveSmallIntegerField()
    kind = models.CharField(max_length=30)
    config = models.JSONField(default=dict, blank=True, help_text="What this kind of step needs to know.")

    class Meta:
        ordering = ["study", "position"]
        constraints = [
            models.UniqueConstraint(fields=["study", "position"], name="step_position_once_per_study")
        ]

    def __str__(self) -> str:
        return f"{self.position}. {self.kind}"


class Outcome(models.TextChoices):
    """Every way out of a study."""

    COMPLETED = "completed", "Completed"
    NO_CONSENT = "no_consent", "No consent"
    STUDY_FULL = "study_full", "Study full"


class CompletionCode(models.Model):
    """The code that tells Prolific how a participation ended."""

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="completion_codes")
    outcome = models.CharField(max_length=20, choices=Outcome.choices)
    code = models.CharField(max_length=32, validators=[RegexValidator(r"^[A-Za-z0-9]{4,32}$")])

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["study", "outcome"], name="one_code_per_outcome"),
            models.UniqueConstraint(fields=["study", "code"], name="no_code_for_two_outcomes"),
        ]

    def __str__(self) -> str:
        return f"{self.study.slug}: {self.get_outcome_display()}"


class Post(models.Model):
    """What is rated: its text and, for a reply or quote, the other post's text."""

    class Purpose(models.TextChoices):
        LABELING = "labeling", "Labeling"
        CALIBRATION = "calibration", "Calibration questionnaire"

    class ContextKind(models.TextChoices):
        NONE = "", "None"
        REPLY = "reply", "In reply to"
        QUOTE = "quote", "Quoting"

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="posts")
    key = models.CharField(max_length=200)
    purpose = models.CharField(max_length=12, choices=Purpose.choices, default=Purpose.LABELING)
    text = models.TextField(blank=True, help_text="Empty only for imported items without text.")
    context_kind = models.CharField(max_length=5, choices=ContextKind.choices, blank=True, default="")
    context_text = models.TextField(blank=True)
    metadata = models.JSONField(default=dict, blank=True, help_text="Never shown to raters.")

    class Meta:
        ordering = ["study", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["study", "key"], name="post_key_once_per_study"),
            models.CheckConstraint(
                condition=Q(context_kind="", context_text="") | ~Q(context_kind="") & ~Q(context_text=""),
                name="context_has_kind_and_text",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.key}: {self.text[:60]}"


class RaterQuerySet(models.QuerySet):
    """Raters, whose origin no update of many rows changes either."""

    def update(self, **kwargs) -> int:
        if "origin" in kwargs:
            raise ValidationError(ORIGIN_STAYS)
        return super().update(**kwargs)


ORIGIN_STAYS = "Where a rater came from cannot change: simulated data stays marked."


class Rater(models.Model):
    """A person who annotates, or one that was simulated."""

    class Origin(models.TextChoices):
        PROLIFIC = "prolific", "Prolific"
        IMPORTED = "imported", "Imported"
        SIMULATED = "simulated", "Simulated"

    origin = models.CharField(max_length=10, choices=Origin.choices)
    external_id = models.CharField(max_length=200, help_text="The id given by the origin.")
    pseudonym = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)

    objects = RaterQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["origin", "external_id"], name="rater_once_per_origin")
        ]

    def __str__(self) -> str:
        return f"{self.get_origin_display()} rater {str(self.pseudonym)[:8]}"

    def save(self, *args, **kwargs) -> None:
        if self.pk and Rater.objects.filter(pk=self.pk).exclude(origin=self.origin).exists():
            raise ValidationError(ORIGIN_STAYS)
        super().save(*args, **kwargs)

    @property
    def is_simulated(self) -> bool:
        return self.origin == Rater.Origin.SIMULATED


class Enrollment(models.Model):
    """One person's way through one study."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="enrollments")
    rater = models.ForeignKey(Rater, on_delete=models.PROTECT, related_name="enrollments")
    prolific_study_id = models.CharField(max_length=64, blank=True)
    prolific_session_id = models.CharField(max_length=64, blank=True)
    outcome = models.CharField(max_length=20, choices=Outcome.choices, blank=True)
    started_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["study", "rater"], name="one_enrollment_per_person_and_study"),
            models.CheckConstraint(
                condition=Q(outcome="", finished_at=None) | ~Q(outcome="") & Q(finished_at__isnull=False),
                name="finished_exactly_with_an_outcome",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.rater} in {self.study.slug}"


class StepCompletion(models.Model):
    """The fact that someone finished a step."""

    enrollment = models.ForeignKey(Enrollment, on_delete=models.CASCADE, related_name="step_completions")
    step = models.ForeignKey(Step, on_delete=models.PROTECT)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["enrollment", "step"], name="step_completed_once")]

    def __str__(self) -> str:
        return f"{self.enrollment}: {self.step}"


class ConsentRecord(models.Model):
    """What someone answered on the consent page, and to which version of it."""

    enrollment = models.OneToOneField(Enrollment, on_delete=models.CASCADE, related_name="consent_record")
    given = models.BooleanField()
    version = models.PositiveIntegerField()
    at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.enrollment}: {'consented' if self.given else 'declined'}"


class Assignment(models.Model):
    """A post given to someone."""

    class Status(models.TextChoices):
        OPEN = "open", "Open"
        SUBMITTED = "submitted", "Submitted"
        RELEASED = "released", "Released"

    enrollment = models.ForeignKey(Enrollment, on_delete=models.CASCADE, related_name="assignments")
    post = models.ForeignKey(Post, on_delete=models.PROTECT, related_name="assignments")
    position = models.PositiveSmallIntegerField(help_text="1 for the first post this person was given.")
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.OPEN)
    assigned_at = models.DateTimeField(auto_now_add=True)
    submitted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["enrollment", "position"]
        constraints = [
            models.UniqueConstraint(fields=["enrollment", "post"], name="post_once_per_enrollment"),
            models.UniqueConstraint(fields=["enrollment", "position"], name="assignment_position_once"),
            models.UniqueConstraint(
                fields=["enrollment"], condition=Q(status="open"), name="one_open_assignment_at_a_time"
            ),
        ]
        indexes = [models.Index(fields=["post", "status"])]

    def __str__(self) -> str:
        return f"{self.enrollment}: post {self.post_id} ({self.status})"


class Annotation(models.Model):
    """One rater's finished reading of one post.

    `ratings` follows the study's frozen `value_keys`; `codes` says of each entry whether it was
    chosen, implied by an unopened branch or not shown (`annotation.tree.walk`).
    """

    enrollment = models.ForeignKey(Enrollment, on_delete=models.CASCADE, related_name="annotations")
    post = models.ForeignKey(Post, on_delete=models.PROTECT, related_name="annotations")
    assignment = models.OneToOneField(
        Assignment, on_delete=models.CASCADE, null=True, blank=True, help_text="Empty for imported ratings."
    )
    ratings = IntVectorField()
    codes = IntVectorField()
    opened = models.JSONField(default=list, help_text="Keys of the groups that were opened.")
    rationale = models.TextField(blank=True)
    submitted_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["enrollment", "post"], name="one_annotation_per_person_and_post")
        ]

    def __str__(self) -> str:
        return f"{self.enrollment}: {self.post.key}"
