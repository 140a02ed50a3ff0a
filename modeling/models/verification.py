"""Rules that say which readings an expert should look at, and what the expert said of them."""

from django.conf import settings as installation
from django.db import models
from django.db.models import Q
from django.utils import timezone

from annotation.models import Post, Study
from modeling.fields import FloatVectorField

from .annotators import AnnotatorRun
from .experts import ExpertSet


class RuleSet(models.Model):
    """One version of a study's verification rules. Never edited: a change is a new version under the name."""

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="rule_sets")
    name = models.CharField(max_length=100)
    number = models.PositiveIntegerField()
    rules = models.JSONField(help_text="See modeling/rules/language.py.")
    digest = models.CharField(max_length=64, help_text="Hash of the rules.")
    note = models.CharField(max_length=200, blank=True, help_text="What was changed, and why.")
    created_by = models.ForeignKey(
        installation.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["study", "name", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["study", "name", "number"], name="rule_set_number_once")
        ]

    def __str__(self) -> str:
        return f"{self.name}, version {self.number}"


class Verification(models.Model):
    """One version of rules held against one corpus as models read it, and the queue that came of it."""

    class State(models.TextChoices):
        READY = "ready", "Not started"
        RUNNING = "running", "Under way"
        DONE = "done", "Queue made"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="verifications")
    rule_set = models.ForeignKey(RuleSet, on_delete=models.RESTRICT, related_name="verifications")
    run = models.ForeignKey(AnnotatorRun, on_delete=models.CASCADE, related_name="verifications")
    other_run_ids = models.JSONField(
        default=list, help_text="Runs it is held against, where models disagree."
    )
    expert_set = models.ForeignKey(
        ExpertSet, on_delete=models.SET_NULL, null=True, blank=True, related_name="verifications"
    )
    threshold = models.PositiveSmallIntegerField(
        help_text="From which rating on a value counts as expressed."
    )
    corpus_sha256 = models.CharField(
        max_length=64, blank=True, help_text="Hash of the posts and of all that models said of them."
    )
    n_posts = models.PositiveIntegerField(default=0)
    counts = models.JSONField(
        default=dict, help_text="Posts that each rule flagged; posts without a reading."
    )
    state = models.CharField(max_length=10, choices=State.choices, default=State.READY)
    problem = models.TextField(blank=True)
    is_standin = models.BooleanField(default=False)
    created_by = models.ForeignKey(
        installation.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at", "-pk"]

    def __str__(self) -> str:
        return f"{self.rule_set} on run {self.run_id}"


class VerificationItem(models.Model):
    """One flagged post: by which rules, for which values, and what the model had said of it."""

    verification = models.ForeignKey(Verification, on_delete=models.CASCADE, related_name="items")
    post = models.ForeignKey(Post, on_delete=models.RESTRICT, related_name="+")
    position = models.PositiveIntegerField()
    reasons = models.JSONField(help_text="One per rule that flagged it: rule, values, what was found.")
    ratings = FloatVectorField(help_text="Of the model, in the study's order of values.")

    class Meta:
        ordering = ["verification", "position"]
        constraints = [
            models.UniqueConstraint(fields=["verification", "position"], name="verification_position_once"),
            models.UniqueConstraint(fields=["verification", "post"], name="verification_post_once"),
        ]

    def __str__(self) -> str:
        return f"{self.verification_id}: {self.position}"


class VerificationDecision(models.Model):
    """What an expert says of a flagged post, beside what the model said and never in its place."""

    class Verdict(models.TextChoices):
        CONFIRMED = "confirmed", "The model is right"
        CORRECTED = "corrected", "The model is wrong"
        UNSURE = "unsure", "Cannot be decided"

    item = models.ForeignKey(VerificationItem, on_delete=models.CASCADE, related_name="decisions")
    expert = models.ForeignKey(
        installation.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    name = models.CharField(max_length=150, help_text="The account's name, kept when the account goes.")
    number = models.PositiveSmallIntegerField(default=1)
    is_current = models.BooleanField(default=True)
    verdict = models.CharField(max_length=10, choices=Verdict.choices)
    ratings = FloatVectorField(null=True, help_text="The expert's own, where the model is wrong.")
    note = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["item", "name", "number"]
        constraints = [
            models.UniqueConstraint(fields=["item", "name", "number"], name="decision_number_once"),
            models.UniqueConstraint(
                fields=["item", "name"], condition=Q(is_current=True), name="one_current_decision_per_expert"
            ),
            models.CheckConstraint(
                name="corrected_with_ratings",
                condition=Q(verdict="corrected", ratings__isnull=False)
                | ~Q(verdict="corrected") & Q(ratings__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.item_id}: {self.verdict}"
