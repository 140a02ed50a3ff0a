"""The job row is the truth; a broker message is only a hint that there is one."""

from django.db import models
from django.db.models import F, Q
from django.utils import timezone


class Job(models.Model):
    """A piece of slow work, asked for once, done once in effect.

    A job may be a whole that waits for its parts, which are jobs themselves.
    """

    class State(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        WAITING = "waiting", "waiting for its parts"
        DONE = "done"
        FAILED = "failed"
        CANCELLED = "cancelled"

    UNFINISHED_STATES = (State.QUEUED, State.RUNNING, State.WAITING)
    STOPPED_STATES = (State.FAILED, State.CANCELLED)
    FINAL_STATES = (State.DONE, *STOPPED_STATES)

    kind = models.CharField(max_length=100, help_text="Names the handler.")
    key = models.CharField(max_length=255, unique=True, help_text="The same key is never done twice.")
    payload = models.JSONField(default=dict, blank=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    whole = models.ForeignKey(
        "self",
        models.CASCADE,
        null=True,
        blank=True,
        related_name="parts",
        db_index=False,  # the constraint below begins with it
        help_text="The job this one is a part of.",
    )
    round = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="Of a part: in which of its whole's rounds it was asked for last."
    )
    place = models.PositiveIntegerField(
        null=True, blank=True, help_text="Of a part: its place among those of the same round, from 0."
    )
    rounds = models.PositiveSmallIntegerField(
        default=0, help_text="Of a whole: how often it has asked for parts."
    )
    attempts = models.PositiveSmallIntegerField(default=0)
    max_attempts = models.PositiveSmallIntegerField(default=5)
    not_before = models.DateTimeField(null=True, blank=True, help_text="Wait after a failed try.")
    resend_at = models.DateTimeField(default=timezone.now, help_text="When the sweep sends another hint.")
    lease_token = models.UUIDField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    progress_done = models.PositiveIntegerField(default=0)
    progress_total = models.PositiveIntegerField(default=0)
    progress_note = models.CharField(max_length=200, blank=True)
    error = models.TextField(blank=True, help_text="Why the last try failed.")
    result = models.JSONField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    queued_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at", "-pk"]
        constraints = [
            models.CheckConstraint(
                name="job_leased_while_running",
                condition=Q(state="running", lease_token__isnull=False, lease_until__isnull=False)
                | (~Q(state="running") & Q(lease_token__isnull=True, lease_until__isnull=True)),
            ),
            models.CheckConstraint(
                name="job_finished_in_final_state",
                condition=Q(state__in=["done", "failed", "cancelled"], finished_at__isnull=False)
                | Q(state__in=["queued", "running", "waiting"], finished_at__isnull=True),
            ),
            models.CheckConstraint(
                name="job_failed_with_reason", condition=~Q(state="failed") | ~Q(error="")
            ),
            models.CheckConstraint(
                name="job_attempts_bounded",
                condition=Q(attempts__lte=F("max_attempts"), max_attempts__gte=1),
            ),
            models.CheckConstraint(
                name="job_waits_for_parts", condition=~Q(state="waiting") | Q(rounds__gte=1)
            ),
            models.CheckConstraint(
                name="job_part_has_place",
                condition=Q(whole__isnull=True, round__isnull=True, place__isnull=True)
                | Q(whole__isnull=False, round__gte=1, place__isnull=False),
            ),
            models.CheckConstraint(
                name="job_not_its_own_part", condition=Q(whole__isnull=True) | ~Q(whole=F("id"))
            ),
            models.UniqueConstraint(fields=["whole", "round", "place"], name="job_part_place"),
        ]
        indexes = [
            models.Index(fields=["resend_at"], condition=Q(state="queued"), name="job_queued"),
            models.Index(fields=["lease_until"], condition=Q(state="running"), name="job_running"),
            models.Index(fields=["queued_at"], condition=Q(state="waiting"), name="job_waiting"),
            models.Index(
                fields=["whole"],
                condition=Q(whole__isnull=False, state__in=["queued", "running", "waiting"]),
                name="job_part_unfinished",
            ),
            models.Index(fields=["kind", "-created_at"], name="job_kind"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.key} ({self.state})"

    @property
    def is_final(self) -> bool:
        return self.state in self.FINAL_STATES


class Heartbeat(models.Model):
    """When something that ought to happen regularly last did."""

    name = models.CharField(max_length=100, unique=True)
    at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"{self.name} at {self.at:%Y-%m-%d %H:%M:%S}"
