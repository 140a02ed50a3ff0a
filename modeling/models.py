"""What was fitted, what it predicts, and how well people agree with it."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from annotation.models import Enrollment, Post, Study

from .fields import FloatVectorField


class FitRun(models.Model):
    """One fit of a study's personalization, with all it takes to repeat it."""

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="fit_runs")
    key = models.CharField(
        max_length=64, unique=True, help_text="Hash of the study, its data and the settings."
    )
    settings = models.JSONField()
    method = models.CharField(
        max_length=20, default="forest", help_text="What the personalized predictions come from."
    )
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


class FittedFile(models.Model):
    """One file of a fit that predictions are made from: plain arrays, checked when they are loaded."""

    fit_run = models.ForeignKey(FitRun, on_delete=models.CASCADE, related_name="files")
    role = models.CharField(max_length=100, help_text="What of the fit it holds, such as one value's forest.")
    name = models.CharField(max_length=200, help_text="File in the artefact storage.")
    sha256 = models.CharField(max_length=64)
    n_bytes = models.PositiveBigIntegerField()
    feature_names = models.JSONField(default=list)
    versions = models.JSONField(default=dict, help_text="Of the libraries it was fitted with.")

    class Meta:
        ordering = ["fit_run", "role"]
        constraints = [models.UniqueConstraint(fields=["fit_run", "role"], name="one_file_per_role_of_fit")]

    def __str__(self) -> str:
        return f"{self.fit_run}: {self.role}"


class ModelCard(models.Model):
    """What a fit was made of, how well it does and for whom, and what it must not be used for."""

    fit_run = models.OneToOneField(FitRun, on_delete=models.CASCADE, related_name="card")
    content = models.JSONField(help_text="What the card says, for programs.")
    html = models.TextField()
    pdf = models.BinaryField()
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"Card of {self.fit_run}"


class Prediction(models.Model):
    """What one person is predicted to see in one post, in the study's order of values; recent ones only.

    Predictions of all posts for all raters are files, see `ScoreRun`.
    """

    # A check of each row against each of these tables would take most of the time of writing many; whoever writes
    # has made sure of them and holds them. Of people the check stays, for the sake of erasures.
    fit_run = models.ForeignKey(
        FitRun, on_delete=models.CASCADE, db_constraint=False, db_index=False, related_name="predictions"
    )
    enrollment = models.ForeignKey(Enrollment, on_delete=models.CASCADE, related_name="predictions")
    post = models.ForeignKey(Post, on_delete=models.CASCADE, db_constraint=False, related_name="predictions")
    ratings = FloatVectorField()
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["fit_run", "enrollment", "post"], name="one_prediction_per_rater_post_and_fit"
            )
        ]

    def __str__(self) -> str:
        return f"{self.fit_run}: post {self.post_id} for {self.enrollment_id}"


class ScoreRun(models.Model):
    """All posts of a study for all of its raters by one fit: a matrix per value, in files."""

    fit_run = models.ForeignKey(FitRun, on_delete=models.CASCADE, related_name="score_runs")
    key = models.CharField(
        max_length=64, unique=True, help_text="Hash of the fit, the posts and the settings."
    )
    value_keys = models.JSONField()
    n_posts = models.PositiveIntegerField()
    n_raters = models.PositiveIntegerField()
    dtype = models.CharField(max_length=10)
    scale = models.FloatField(help_text="What a stored byte is divided by; 1 for floats.")
    axes = models.CharField(max_length=200, help_text="File of the ids of rows (raters) and columns (posts).")
    axes_sha256 = models.CharField(max_length=64)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-created_at", "-pk"]
        get_latest_by = ["created_at", "pk"]

    def __str__(self) -> str:
        return f"Scores {self.pk} by {self.fit_run}"


class ScoreFile(models.Model):
    """A piece of one value's matrix: all raters by some of the posts."""

    score_run = models.ForeignKey(ScoreRun, on_delete=models.CASCADE, related_name="files")
    value_key = models.CharField(max_length=100)
    first_post = models.PositiveIntegerField(help_text="The column of the matrix at which it begins.")
    n_posts = models.PositiveIntegerField()
    name = models.CharField(max_length=200)
    sha256 = models.CharField(max_length=64)
    n_bytes = models.PositiveBigIntegerField()

    class Meta:
        ordering = ["score_run", "value_key", "first_post"]
        constraints = [
            models.UniqueConstraint(fields=["score_run", "value_key", "first_post"], name="score_piece_once")
        ]

    def __str__(self) -> str:
        return f"{self.score_run}: {self.value_key} from post {self.first_post}"


class ApiToken(models.Model):
    """A key to one study's predictions for a program. Only its hash is stored."""

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=100, help_text="What it is for.")
    digest = models.CharField(max_length=64, unique=True, help_text="SHA-256 of the token.")
    hint = models.CharField(max_length=8, help_text="Its first characters, to tell tokens apart.")
    requests_per_minute = models.PositiveIntegerField(default=600)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at", "-pk"]

    def __str__(self) -> str:
        return f"{self.name} ({self.hint}…) of {self.study.slug}"


class Report(models.Model):
    """The measures of a study at one moment, stored with their figures; pages only show them.

    An agreement report is about people alone, one for each study and inclusion rule, renewed in place. An
    evaluation report is about one fit.
    """

    class Kind(models.TextChoices):
        AGREEMENT = "agreement", "Agreement of people"
        EVALUATION = "evaluation", "People and models"

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="reports")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    fit_run = models.OneToOneField(
        FitRun, on_delete=models.CASCADE, null=True, blank=True, related_name="report"
    )
    rule = models.JSONField(help_text="Who counts.")
    rule_key = models.CharField(max_length=16, help_text="Tells inclusion rules apart in addresses.")
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
            models.CheckConstraint(
                condition=Q(kind="evaluation", fit_run__isnull=False)
                | Q(kind="agreement", fit_run__isnull=True),
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
