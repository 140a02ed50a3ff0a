"""Who reads posts without knowing the rater: prompts, annotator models, their runs and every call they made."""

from django.conf import settings as installation
from django.db import models
from django.db.models import Q
from django.utils import timezone

from annotation.models import Post, Study
from modeling.fields import FloatVectorField

DOLLARS = {"max_digits": 14, "decimal_places": 6}


class PromptVersion(models.Model):
    """One version of what a model is asked. Never edited: a change is a new version."""

    class Purpose(models.TextChoices):
        VALUES = "values", "Values a post expresses"
        COMPREHENSIBILITY = "comprehensibility", "Whether a post can be understood"
        NSFW = "nsfw", "Whether a post is safe to show"

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="prompt_versions")
    purpose = models.CharField(max_length=20, choices=Purpose.choices)
    number = models.PositiveIntegerField()
    family = models.CharField(
        max_length=60,
        default="main",
        help_text="Versions that grew out of one another; test posts are opened once for each family.",
    )
    content = models.JSONField(help_text="A prompt's design: see modeling/prompts/design.py.")
    digest = models.CharField(max_length=64, help_text="Hash of the content.")
    note = models.CharField(max_length=200, blank=True, help_text="What was changed, and why.")
    created_by = models.ForeignKey(
        installation.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["study", "purpose", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["study", "purpose", "number"], name="prompt_number_once")
        ]

    def __str__(self) -> str:
        return f"{self.get_purpose_display()}, version {self.number}"


class AnnotatorModel(models.Model):
    """Anything that maps a post to ratings without knowing the rater: one frozen configuration.

    A change is a new version under the same name.
    """

    class Kind(models.TextChoices):
        ZERO_SHOT = "zero_shot", "Language model, zero-shot"
        FEW_SHOT = "few_shot", "Language model, few-shot"
        FINE_TUNED = "fine_tuned", "Language model, fine-tuned"
        ENCODER = "encoder", "Local encoder"

    class ReplyFormat(models.TextChoices):
        SCHEMA = "schema", "JSON by a schema"
        JSON = "json", "Plain JSON"

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="annotators")
    name = models.CharField(max_length=100)
    version = models.PositiveIntegerField()
    kind = models.CharField(max_length=12, choices=Kind.choices)
    prompt = models.ForeignKey(
        PromptVersion, on_delete=models.RESTRICT, null=True, blank=True, related_name="annotators"
    )
    provider = models.CharField(max_length=40, blank=True, help_text="By its name in the environment.")
    model_name = models.CharField(max_length=200, blank=True, help_text="As the provider calls it.")
    temperature = models.FloatField(default=0)
    seed = models.PositiveIntegerField(null=True, blank=True)
    samples = models.PositiveSmallIntegerField(default=1, help_text="Runs per post.")
    max_output_tokens = models.PositiveIntegerField(default=2000)
    reply_format = models.CharField(max_length=8, choices=ReplyFormat.choices, default=ReplyFormat.SCHEMA)
    uses_logprobs = models.BooleanField(
        default=False, help_text="Ask for the probabilities of tokens: a distribution over ratings."
    )
    examples = models.JSONField(default=list, blank=True, help_text="Posts with the replies wanted of them.")
    input_price = models.DecimalField(**DOLLARS, default=0, help_text="Dollars per million tokens read.")
    output_price = models.DecimalField(**DOLLARS, default=0, help_text="Dollars per million tokens written.")
    batch_price_factor = models.DecimalField(
        max_digits=4, decimal_places=3, default="0.5", help_text="What a batch costs of the usual price."
    )
    trained_on = models.JSONField(default=list, blank=True, help_text="Posts whose ratings it has seen.")
    reads_out_of_fold = models.BooleanField(
        default=False,
        help_text="Of a post it was taught it says what a model says that was not taught this post.",
    )
    artefact = models.CharField(max_length=200, blank=True, help_text="A local model's file.")
    artefact_sha256 = models.CharField(max_length=64, blank=True)
    is_standin = models.BooleanField(
        default=False, editable=False, help_text="Its replies come from no real model."
    )
    digest = models.CharField(max_length=64, help_text="Hash of everything that decides a reply.")
    created_by = models.ForeignKey(
        installation.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now)
    retired_at = models.DateTimeField(null=True, blank=True, help_text="Not offered any more since then.")

    class Meta:
        ordering = ["study", "name", "-version"]
        constraints = [
            models.UniqueConstraint(fields=["study", "name", "version"], name="annotator_version_once"),
            models.CheckConstraint(
                name="annotator_is_local_or_asked",
                condition=Q(kind="encoder", prompt__isnull=True, provider="") & ~Q(artefact="")
                | ~Q(kind="encoder") & Q(prompt__isnull=False) & ~Q(provider="") & ~Q(model_name=""),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name}, version {self.version}"


class AnnotatorRun(models.Model):
    """One pass of an annotator model over some posts of a study, or over the feed posts of a curation."""

    class Mode(models.TextChoices):
        CALLS = "calls", "Call by call"
        BATCH = "batch", "As batches"

    class State(models.TextChoices):
        READY = "ready", "Not started"
        RUNNING = "running", "Under way"
        DONE = "done", "Done"
        STOPPED = "stopped", "Stopped"
        CANCELLED = "cancelled", "Cancelled"

    annotator = models.ForeignKey(AnnotatorModel, on_delete=models.CASCADE, related_name="runs")
    curation = models.ForeignKey(
        "Curation", on_delete=models.CASCADE, null=True, blank=True, related_name="runs"
    )
    selection = models.JSONField(default=dict, help_text="Which posts: see modeling/annotators/selecting.py.")
    is_preview = models.BooleanField(default=False)
    mode = models.CharField(max_length=5, choices=Mode.choices, default=Mode.CALLS)
    concurrency = models.PositiveSmallIntegerField(default=8, help_text="Calls at once.")
    budget = models.DecimalField(
        **DOLLARS, null=True, blank=True, help_text="Dollars; the run stops before it spends more."
    )
    estimate = models.JSONField(default=dict)
    reserved = models.DecimalField(
        **DOLLARS, default=0, help_text="Dollars that calls under way, or broken off, may cost."
    )
    spent = models.DecimalField(**DOLLARS, default=0)
    state = models.CharField(max_length=10, choices=State.choices, default=State.READY)
    problem = models.TextField(blank=True, help_text="Why it stopped.")
    n_starts = models.PositiveSmallIntegerField(default=0)
    is_standin = models.BooleanField(default=False, help_text="A reply came from no real model.")
    started_by = models.ForeignKey(
        installation.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at", "-pk"]
        get_latest_by = ["created_at", "pk"]

    def __str__(self) -> str:
        return f"Run {self.pk} of {self.annotator}"


class ProviderBatch(models.Model):
    """Many calls handed to a provider as one file, to be answered within a day."""

    run = models.ForeignKey(AnnotatorRun, on_delete=models.CASCADE, related_name="batches")
    number = models.PositiveIntegerField()
    provider = models.CharField(max_length=40)
    input_sha256 = models.CharField(max_length=64)
    n_calls = models.PositiveIntegerField()
    remote_file = models.CharField(max_length=200, blank=True)
    remote_id = models.CharField(max_length=200, blank=True)
    remote_state = models.CharField(max_length=40, blank=True)
    counts = models.JSONField(default=dict)
    problem = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["run", "number"]
        constraints = [models.UniqueConstraint(fields=["run", "number"], name="batch_number_once")]

    def __str__(self) -> str:
        return f"Batch {self.number} of run {self.run_id}"


class ModelCall(models.Model):
    """One question put to a provider, and all that came back. Whoever asks the same later finds it here."""

    class State(models.TextChoices):
        CLAIMED = "claimed", "Under way"
        ANSWERED = "answered", "Answered"
        FAILED = "failed", "Failed"

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="model_calls")
    request_hash = models.CharField(max_length=64, help_text="Of provider, model, messages and parameters.")
    provider = models.CharField(max_length=40)
    model_name = models.CharField(max_length=200)
    run = models.ForeignKey(
        AnnotatorRun,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="calls",
        help_text="The run that asked, and pays; another that asks the same has the answer free.",
    )
    repairs = models.ForeignKey(
        "self", on_delete=models.CASCADE, null=True, blank=True, related_name="repairs_by"
    )
    batch = models.ForeignKey(
        ProviderBatch, on_delete=models.SET_NULL, null=True, blank=True, related_name="calls"
    )
    state = models.CharField(max_length=10, choices=State.choices, default=State.CLAIMED)
    claimed_by = models.UUIDField(null=True, blank=True)
    claimed_until = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0, help_text="Requests sent.")
    reply = models.TextField(blank=True, help_text="What the model said, or the body that was no reply.")
    finish_reason = models.CharField(max_length=40, blank=True)
    served_model = models.CharField(max_length=200, blank=True)
    fingerprint = models.CharField(max_length=100, blank=True)
    logprobs = models.JSONField(null=True, blank=True)
    prompt_tokens = models.PositiveIntegerField(null=True, blank=True)
    completion_tokens = models.PositiveIntegerField(null=True, blank=True)
    cost = models.DecimalField(**DOLLARS, default=0, help_text="Dollars.")
    latency_seconds = models.FloatField(null=True, blank=True)
    fault = models.CharField(max_length=30, blank=True)
    reason = models.TextField(blank=True)
    is_standin = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now)
    answered_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["study", "request_hash"], name="same_question_once"),
            models.CheckConstraint(
                name="call_claimed_by_someone",
                condition=Q(state="claimed", claimed_by__isnull=False, claimed_until__isnull=False)
                | ~Q(state="claimed"),
            ),
            models.CheckConstraint(
                name="call_failed_with_reason", condition=~Q(state="failed") | ~Q(fault="")
            ),
        ]
        indexes = [models.Index(fields=["run"], condition=Q(state="claimed"), name="calls_under_way")]

    def __str__(self) -> str:
        return f"Call {self.pk}: {self.state}"


class ModelReading(models.Model):
    """What an annotator model said of one post, once: ratings, or the fault for which there are none.

    `ratings` are in the study's order of values for a prompt about values; the one final rating for a codebook.
    `detail` holds reasons and distributions over the scale.
    """

    run = models.ForeignKey(AnnotatorRun, on_delete=models.CASCADE, related_name="readings")
    post = models.ForeignKey(
        Post, on_delete=models.CASCADE, null=True, blank=True, related_name="model_readings"
    )
    feed_post = models.ForeignKey(
        "FeedPost", on_delete=models.CASCADE, null=True, blank=True, related_name="model_readings"
    )
    sample = models.PositiveSmallIntegerField(default=0)
    call = models.ForeignKey(
        ModelCall, on_delete=models.CASCADE, null=True, blank=True, related_name="readings"
    )
    ratings = FloatVectorField(null=True)
    detail = models.JSONField(default=dict)
    fault = models.CharField(max_length=30, blank=True)
    reason = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["run", "post", "sample"], name="one_reading_per_post_and_sample"),
            models.UniqueConstraint(
                fields=["run", "feed_post", "sample"], name="one_reading_per_feed_post_and_sample"
            ),
            models.CheckConstraint(
                name="reading_of_one_post",
                condition=Q(post__isnull=False, feed_post__isnull=True)
                | Q(post__isnull=True, feed_post__isnull=False),
            ),
            models.CheckConstraint(
                name="reading_has_ratings_or_fault",
                condition=Q(ratings__isnull=False, fault="") | Q(ratings__isnull=True) & ~Q(fault=""),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.run_id}: {self.post_id or self.feed_post_id} #{self.sample}"


class ProviderPace(models.Model):
    """How fast a provider may be asked: one row for all processes of an installation."""

    provider = models.CharField(max_length=40, unique=True)
    requests_at = models.DateTimeField(default=timezone.now, help_text="When the requests asked for are due.")
    tokens_at = models.DateTimeField(default=timezone.now, help_text="When the tokens asked for are due.")
    paused_until = models.DateTimeField(null=True, blank=True, help_text="The provider asked to wait.")

    def __str__(self) -> str:
        return self.provider


class FineTuning(models.Model):
    """A model taught what people together see in posts, from the set they agree on most."""

    class State(models.TextChoices):
        READY = "ready", "Not started"
        RUNNING = "running", "Under way"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="fine_tunings")
    base = models.ForeignKey(
        AnnotatorModel,
        on_delete=models.RESTRICT,
        null=True,
        blank=True,
        related_name="fine_tunings",
        help_text="Whose prompt, provider and settings the result has; none for a local encoder.",
    )
    name = models.CharField(max_length=100, help_text="Of the annotator model that it makes.")
    base_model = models.CharField(
        max_length=200, blank=True, help_text="What is tuned, by the provider's name."
    )
    settings = models.JSONField(help_text="How the consensus set is drawn, seed, epochs.")
    post_ids = models.JSONField(default=list)
    data_hash = models.CharField(max_length=64, blank=True)
    artefact = models.CharField(
        max_length=200, blank=True, help_text="The examples, in the artefact storage."
    )
    artefact_sha256 = models.CharField(max_length=64, blank=True)
    training_price = models.DecimalField(
        **DOLLARS, default=0, help_text="Dollars per million tokens trained on."
    )
    budget = models.DecimalField(**DOLLARS, null=True, blank=True)
    estimate = models.JSONField(default=dict)
    state = models.CharField(max_length=10, choices=State.choices, default=State.READY)
    problem = models.TextField(blank=True)
    remote_file = models.CharField(max_length=200, blank=True)
    remote_id = models.CharField(max_length=200, blank=True)
    remote_state = models.CharField(max_length=40, blank=True)
    events = models.JSONField(default=list)
    trained_tokens = models.PositiveBigIntegerField(null=True, blank=True)
    cost = models.DecimalField(**DOLLARS, default=0)
    annotator = models.OneToOneField(
        AnnotatorModel, on_delete=models.SET_NULL, null=True, blank=True, related_name="made_by"
    )
    is_standin = models.BooleanField(default=False)
    created_by = models.ForeignKey(
        installation.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at", "-pk"]

    def __str__(self) -> str:
        return f"{self.name} for {self.study.slug}"
