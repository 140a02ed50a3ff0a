"""How far people agree, with one another and with models: stored with figures."""

from django.db import models
from django.db.models import Q
from django.utils import timezone

from annotation.models import Study

from .fits import FitRun


class Report(models.Model):
    """The measures of a study at one moment, stored with their figures; pages only show them.

    An agreement report is about people alone, a comparison about annotator models and people: one of each for a study
    and inclusion rule, renewed in place. An evaluation report is about one fit. The others are about annotator models
    and experts: one for each subject, which stands in the place of an inclusion rule's key.
    """

    class Kind(models.TextChoices):
        AGREEMENT = "agreement", "Agreement of people"
        EVALUATION = "evaluation", "People and models"
        COMPARISON = "comparison", "Annotator models side by side"
        CALIBRATION = "calibration", "Prompts and models against experts"
        ERRORS = "errors", "Recurrent misattributions"
        STABILITY = "stability", "Repeated runs and paraphrased posts"
        STRUCTURE = "structure", "The circle of values, by who read"
        VERIFICATION = "verification", "What verification rules came to"
        ENCODER = "encoder", "An encoder taught by soft labels"
        TRANSFER = "transfer", "An encoder on other posts"

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="reports")
    kind = models.CharField(max_length=12, choices=Kind.choices)
    fit_run = models.OneToOneField(
        FitRun, on_delete=models.CASCADE, null=True, blank=True, related_name="report"
    )
    rule = models.JSONField(help_text="Who counts.")
    rule_key = models.CharField(
        max_length=60, help_text="Tells inclusion rules apart in addresses; or the subject, such as 'set-3'."
    )
    measures = models.JSONField()
    data_hash = models.CharField(max_length=64)
    code_version = models.CharField(max_length=64)
    created_at = models.DateTimeField(default=timezone.now)
    outdated_at = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text="When ratings that this report saw were taken back, erased or excluded.",
    )

    class Meta:
        ordering = ["-created_at", "-pk"]
        get_latest_by = ["created_at", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["study", "rule_key"],
                condition=Q(kind="agreement"),
                name="one_agreement_report_per_rule",
            ),
            models.UniqueConstraint(
                fields=["study", "rule_key"],
                condition=Q(kind="comparison"),
                name="one_comparison_per_rule",
            ),
            models.UniqueConstraint(
                fields=["study", "kind", "rule_key"],
                condition=~Q(kind__in=["agreement", "comparison", "evaluation"]),
                name="one_report_per_subject",
            ),
            models.CheckConstraint(
                condition=Q(kind="evaluation", fit_run__isnull=False)
                | ~Q(kind="evaluation") & Q(fit_run__isnull=True),
                name="evaluation_is_of_a_fit",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} in {self.study.slug}"


class ReportFigure(models.Model):
    """One figure of a report: its specification, its numbers as a table, and its drawings."""

    report = models.ForeignKey(Report, on_delete=models.CASCADE, related_name="figures")
    key = models.CharField(max_length=50)
    position = models.PositiveSmallIntegerField()
    title = models.CharField(max_length=200)
    caption = models.TextField(help_text="What is shown: n, the unit of resampling, what was left out.")
    spec = models.JSONField(help_text="Vega-Lite, with its data.")
    table = models.JSONField(help_text="Columns (key, label, kind) and rows of the numbers shown.")
    svg = models.TextField()
    pdf = models.BinaryField()
    png = models.BinaryField()

    class Meta:
        ordering = ["report", "position"]
        constraints = [models.UniqueConstraint(fields=["report", "key"], name="figure_once_per_report")]

    def __str__(self) -> str:
        return self.title


class ReportDocument(models.Model):
    """A study's findings as one document that stands by itself, made from its stored reports."""

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="documents")
    rule_key = models.CharField(max_length=16)
    sources = models.JSONField(help_text="The reports it shows: kind, data hash, code version, time.")
    html = models.TextField()
    pdf = models.BinaryField()
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-created_at", "-pk"]
        constraints = [
            models.UniqueConstraint(fields=["study", "rule_key"], name="one_document_per_study_and_rule")
        ]

    def __str__(self) -> str:
        return f"Document of {self.study.slug}"
