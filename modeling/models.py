"""What was fitted, what it predicts, and how well people agree with it."""

from django.db import models

from annotation.models import Enrollment, Post, Study

from .fields import FloatVectorField


class FitRun(models.Model):
    """One fit of a study's personalization, with all it takes to repeat it."""

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="fit_runs")
    key = models.CharField(
        max_length=64, unique=True, help_text="Hash of the study, its data and the settings."
    )
    settings = models.JSONField()
    data_hash = models.CharField(max_length=64)
    code_version = models.CharField(max_length=64)
    consensus_name = models.CharField(max_length=80)
    holdout_post_ids = models.JSONField()
    feature_names = models.JSONField()
    notes = models.JSONField(help_text="What the model could see, and what stood in for what.")
    n_raters = models.PositiveIntegerField()
    n_annotations = models.PositiveIntegerField()
    has_simulated = models.BooleanField()
    artefact = models.CharField(
        max_length=200, help_text="File of the held-out predictions, in the artefact storage."
    )
    artefact_sha256 = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)
    outdated_at = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text="When ratings that this fit saw were taken back, erased or excluded.",
    )

    class Meta:
        ordering = ["-created_at", "-pk"]
        get_latest_by = ["created_at", "pk"]

    def __str__(self) -> str:
        return f"Fit {self.pk} of {self.study.slug}"


class PostScore(models.Model):
    """What an annotator model says of a post, in the study's order of values."""

    fit_run = models.ForeignKey(FitRun, on_delete=models.CASCADE, related_name="post_scores")
    post = models.ForeignKey(Post, on_delete=models.CASCADE, related_name="scores")
    scores = FloatVectorField()
    is_out_of_fold = models.BooleanField(
        help_text="A post to fit to, predicted by a model that did not see it."
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["fit_run", "post"], name="one_score_per_post_and_fit")]

    def __str__(self) -> str:
        return f"{self.fit_run}: post {self.post_id}"


class EvaluationReport(models.Model):
    """The measures of a study at one moment, stored; the dashboard only shows it."""

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="evaluation_reports")
    fit_run = models.OneToOneField(FitRun, on_delete=models.CASCADE, related_name="report")
    measures = models.JSONField()
    figure_svg = models.TextField(help_text="Agreement of people with people and with models, drawn.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at", "-pk"]
        get_latest_by = ["created_at", "pk"]

    def __str__(self) -> str:
        return f"Report {self.pk} of {self.study.slug}"


class ImportRecord(models.Model):
    """That a study's ratings came from files, and from which."""

    study = models.OneToOneField(Study, on_delete=models.CASCADE, related_name="import_record")
    digest = models.CharField(
        max_length=64, help_text="Hash of what the files say, whatever their lines' order."
    )
    files = models.JSONField(help_text="Name and SHA-256 of each file.")
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"Import of {self.study.slug}"


class QualityFlag(models.Model):
    """One documented sign that someone may not have answered with care; never an exclusion by itself."""

    enrollment = models.ForeignKey(Enrollment, on_delete=models.CASCADE, related_name="quality_flags")
    rule = models.CharField(max_length=40)
    number = models.FloatField(help_text="What was measured of this person.")
    limit = models.FloatField(help_text="From where on the rule speaks.")
    flagged_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["enrollment", "rule"]
        constraints = [
            models.UniqueConstraint(fields=["enrollment", "rule"], name="flag_once_per_person_and_rule")
        ]

    def __str__(self) -> str:
        return f"{self.enrollment}: {self.rule}"


class DataExport(models.Model):
    """One archive of a study's data: where it is and what is in it."""

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="data_exports")
    artefact = models.CharField(max_length=200, help_text="The archive, in the artefact storage.")
    sha256 = models.CharField(max_length=64)
    n_bytes = models.BigIntegerField()
    counts = models.JSONField(help_text="Rows of each table.")
    inclusion = models.JSONField(help_text="The rule by which people are in it.")
    asked_by = models.CharField(max_length=150, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at", "-pk"]

    def __str__(self) -> str:
        return f"Export {self.pk} of {self.study.slug}"
