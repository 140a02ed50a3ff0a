"""Who came, how far they are, and how they left."""

import uuid

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q

from .history import StudyVersion
from .studies import Outcome, Step, Study


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
        TEST = "test", "Test participant"

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

    @property
    def is_test(self) -> bool:
        return self.origin == Rater.Origin.TEST


class Enrollment(models.Model):
    """One person's way through one study."""

    class Phase(models.TextChoices):
        REHEARSAL = "rehearsal", "Rehearsal: never part of the data"
        PILOT = "pilot", "Pilot: kept apart from the data"
        LIVE = "live", "Live"

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="enrollments")
    rater = models.ForeignKey(Rater, on_delete=models.PROTECT, related_name="enrollments")
    phase = models.CharField(max_length=10, choices=Phase.choices, default=Phase.LIVE, editable=False)
    study_version = models.ForeignKey(
        StudyVersion,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
        help_text="The study's version when they came; empty before a launch and for imported ratings.",
    )
    prolific_study_id = models.CharField(max_length=64, blank=True)
    prolific_session_id = models.CharField(max_length=64, blank=True)
    outcome = models.CharField(max_length=20, choices=Outcome.choices, blank=True)
    started_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    timed_out_at = models.DateTimeField(
        null=True, blank=True, help_text="Set for good when the time ran out, also if they finished later."
    )

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


class Withdrawal(models.Model):
    """The proof that someone took everything back: when, and how much was erased; nothing about the person."""

    enrollment = models.OneToOneField(Enrollment, on_delete=models.CASCADE, related_name="withdrawal")
    at = models.DateTimeField(auto_now_add=True)
    erased = models.JSONField(help_text="Number of rows erased, by what they held.")

    def __str__(self) -> str:
        return f"{self.enrollment}: withdrew"


class Exclusion(models.Model):
    """That someone's answers are left out of analyses, and why. The answers stay."""

    enrollment = models.OneToOneField(Enrollment, on_delete=models.CASCADE, related_name="exclusion")
    reason = models.CharField(max_length=300)
    excluded_at = models.DateTimeField(auto_now_add=True)
    excluded_by = models.CharField(max_length=150, blank=True)

    def __str__(self) -> str:
        return f"{self.enrollment}: {self.reason}"
