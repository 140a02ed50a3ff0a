"""Soft labels, the local encoders that are taught by them, and how well these carry over to other posts."""

from django.conf import settings as installation
from django.db import models
from django.utils import timezone

from annotation.models import Study

from .annotators import AnnotatorModel
from .experts import ExpertSet


class Work(models.TextChoices):
    """How far a piece of work is."""

    READY = "ready", "Not started"
    RUNNING = "running", "Under way"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


class SoftLabelSet(models.Model):
    """For each post and value a distribution over the scale, source by source, with the weights that say whose."""

    State = Work

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="soft_label_sets")
    name = models.CharField(max_length=100)
    number = models.PositiveIntegerField()
    settings = models.JSONField(help_text="Sources and weights: see modeling/softlabels/settings.py.")
    counts = models.JSONField(
        default=dict, help_text="Posts, and of each source: posts it has, values it lacks."
    )
    data_hash = models.CharField(max_length=64, blank=True)
    artefact = models.CharField(max_length=200, blank=True)
    artefact_sha256 = models.CharField(max_length=64, blank=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.READY)
    problem = models.TextField(blank=True)
    is_standin = models.BooleanField(default=False)
    outdated_at = models.DateTimeField(
        null=True, blank=True, help_text="When ratings it holds were taken back, erased or excluded."
    )
    created_by = models.ForeignKey(
        installation.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["study", "name", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["study", "name", "number"], name="soft_labels_number_once")
        ]

    def __str__(self) -> str:
        return f"{self.name}, version {self.number}"


class EncoderTraining(models.Model):
    """A local encoder taught by soft labels, beside its twin taught by hard ones."""

    State = Work

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="encoder_trainings")
    name = models.CharField(max_length=100, help_text="Of the annotator model that it makes.")
    soft_labels = models.ForeignKey(SoftLabelSet, on_delete=models.RESTRICT, related_name="trainings")
    expert_set = models.ForeignKey(
        ExpertSet,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="trainings",
        help_text="On whose development posts it is judged; none of its posts is taught.",
    )
    settings = models.JSONField(
        help_text="Kind, loss, folds, seed and so on: see modeling/encoders/settings.py."
    )
    post_ids = models.JSONField(default=list, help_text="Posts it was taught.")
    data_hash = models.CharField(max_length=64, blank=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.READY)
    problem = models.TextField(blank=True)
    is_standin = models.BooleanField(default=False)
    outdated_at = models.DateTimeField(null=True, blank=True)
    annotator = models.OneToOneField(
        AnnotatorModel, on_delete=models.SET_NULL, null=True, blank=True, related_name="taught_by"
    )
    created_by = models.ForeignKey(
        installation.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at", "-pk"]

    def __str__(self) -> str:
        return f"{self.name} for {self.study.slug}"


class TransferCheck(models.Model):
    """An encoder taught the posts of one source and judged on those of another."""

    State = Work

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="transfer_checks")
    soft_labels = models.ForeignKey(SoftLabelSet, on_delete=models.RESTRICT, related_name="transfer_checks")
    settings = models.JSONField(
        help_text="The encoder's settings, and by which column of the posts sources are told apart."
    )
    data_hash = models.CharField(max_length=64, blank=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.READY)
    problem = models.TextField(blank=True)
    is_standin = models.BooleanField(default=False)
    outdated_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(
        installation.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at", "-pk"]

    def __str__(self) -> str:
        return f"Transfer check {self.pk} in {self.study.slug}"
