"""What was fitted, and what it predicts."""

from django.conf import settings
from django.db import models
from django.utils import timezone

from annotation.models import Enrollment, Post, Study
from modeling.fields import FloatVectorField


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
    annotator_run = models.ForeignKey(
        "AnnotatorRun",
        on_delete=models.RESTRICT,
        null=True,
        blank=True,
        related_name="fit_runs",
        help_text="Whose readings are the consensus; none where it comes from the texts or from raters.",
    )
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
