"""What people were given, what they answered, and what they had begun to answer."""

from django.db import models
from django.db.models import Q

from annotation.fields import IntVectorField

from .history import StudyVersion
from .people import Enrollment
from .studies import Post, Step


class Assignment(models.Model):
    """A post given to someone."""

    class Status(models.TextChoices):
        OPEN = "open", "Open"
        SUBMITTED = "submitted", "Submitted"
        RELEASED = "released", "Released"

    enrollment = models.ForeignKey(Enrollment, on_delete=models.CASCADE, related_name="assignments")
    step = models.ForeignKey(Step, on_delete=models.PROTECT, related_name="assignments")
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
    study_version = models.ForeignKey(
        StudyVersion, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    submitted_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["enrollment", "post"], name="one_annotation_per_person_and_post")
        ]

    def __str__(self) -> str:
        return f"{self.enrollment}: {self.post.key}"


class Attempt(models.Model):
    """One answer to a question with a known answer: of the training, a gate or an attention check."""

    enrollment = models.ForeignKey(Enrollment, on_delete=models.CASCADE, related_name="attempts")
    step = models.ForeignKey(Step, on_delete=models.PROTECT)
    item = models.CharField(max_length=100, help_text="Which post or question of the step.")
    answers = models.JSONField()
    is_right = models.BooleanField()
    study_version = models.ForeignKey(
        StudyVersion, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["enrollment", "pk"]
        indexes = [models.Index(fields=["enrollment", "step", "item"])]

    def __str__(self) -> str:
        return f"{self.enrollment}: {self.item} ({'right' if self.is_right else 'wrong'})"


class GateDecision(models.Model):
    """Whether someone passed a gate or an attention check: decided once, with the reason."""

    enrollment = models.ForeignKey(Enrollment, on_delete=models.CASCADE, related_name="gate_decisions")
    step = models.ForeignKey(Step, on_delete=models.PROTECT)
    passed = models.BooleanField()
    reason = models.CharField(max_length=200)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["enrollment", "step"], name="gate_decided_once")]

    def __str__(self) -> str:
        return f"{self.enrollment}: {self.step} {'passed' if self.passed else 'failed'}"


class Draft(models.Model):
    """The answers of an open page as they were last changed; gone when the page is submitted."""

    enrollment = models.ForeignKey(Enrollment, on_delete=models.CASCADE, related_name="drafts")
    step = models.ForeignKey(Step, on_delete=models.CASCADE)
    item = models.CharField(max_length=100, blank=True, help_text="Which post or question of the step.")
    fields = models.TextField(help_text="The form's fields, as a browser sends them.")
    page = models.CharField(max_length=64, help_text="The page that sent them, so that an older save waits.")
    number = models.PositiveIntegerField(help_text="The how-manieth save of that page.")
    saved_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["enrollment", "step"], name="one_draft_per_step")]

    def __str__(self) -> str:
        return f"{self.enrollment}: draft of {self.step}"


class PageVisit(models.Model):
    """Paradata: when a page was shown and answered and what happened on it, apart from the answers."""

    enrollment = models.ForeignKey(Enrollment, on_delete=models.CASCADE, related_name="page_visits")
    step = models.ForeignKey(Step, on_delete=models.PROTECT)
    item = models.CharField(max_length=100, blank=True)
    shown_at = models.DateTimeField(help_text="The server's clock.")
    answered_at = models.DateTimeField(auto_now_add=True, help_text="The server's clock.")
    client = models.JSONField(default=dict, help_text="What the browser noted; empty without scripts.")

    class Meta:
        ordering = ["enrollment", "pk"]

    def __str__(self) -> str:
        return f"{self.enrollment}: {self.step} {self.item}"
