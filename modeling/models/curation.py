"""From the feeds of people to the posts of a study: what was collected, what was dropped and why, what was drawn."""

from django.conf import settings as installation
from django.db import models
from django.db.models import Q
from django.utils import timezone

from annotation.models import Post, Study
from modeling.fields import FloatVectorField

from .annotators import AnnotatorModel, PromptVersion


class Curation(models.Model):
    """One way from feeds to posts: its settings, how far it has come, and what each stage kept."""

    class State(models.TextChoices):
        DRAFT = "draft", "Being prepared"
        RUNNING = "running", "Under way"
        STOPPED = "stopped", "Stopped"
        CANCELLED = "cancelled", "Cancelled"
        SAMPLED = "sampled", "Sample drawn"
        LOADED = "loaded", "Posts in the study"

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="curations")
    name = models.CharField(max_length=100)
    settings = models.JSONField(default=dict, help_text="See modeling/curation/settings.py.")
    seed = models.PositiveIntegerField(default=1)
    comprehensibility = models.ForeignKey(
        AnnotatorModel, on_delete=models.RESTRICT, null=True, blank=True, related_name="+"
    )
    nsfw = models.ForeignKey(
        AnnotatorModel, on_delete=models.RESTRICT, null=True, blank=True, related_name="+"
    )
    screening = models.ForeignKey(
        AnnotatorModel, on_delete=models.RESTRICT, null=True, blank=True, related_name="+"
    )
    state = models.CharField(max_length=10, choices=State.choices, default=State.DRAFT)
    problem = models.TextField(blank=True)
    funnel = models.JSONField(
        default=list, help_text="Of each stage: how many came, how many were dropped and why."
    )
    n_starts = models.PositiveSmallIntegerField(default=0)
    is_standin = models.BooleanField(default=False, help_text="A stage was decided by no real model.")
    created_by = models.ForeignKey(
        installation.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at", "-pk"]

    def __str__(self) -> str:
        return f"{self.name} for {self.study.slug}"


class FeedUpload(models.Model):
    """One file of feed posts: loaded whole or not at all."""

    curation = models.ForeignKey(Curation, on_delete=models.CASCADE, related_name="uploads")
    name = models.CharField(max_length=200)
    sha256 = models.CharField(max_length=64)
    counts = models.JSONField(
        default=dict, help_text="Rows read, posts and appearances added, rows refused by reason."
    )
    uploaded_by = models.CharField(max_length=150, blank=True)
    uploaded_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-uploaded_at", "-pk"]
        constraints = [models.UniqueConstraint(fields=["curation", "sha256"], name="feed_file_once")]

    def __str__(self) -> str:
        return self.name


class FeedPost(models.Model):
    """A post that stood in someone's feed, with what became of it."""

    curation = models.ForeignKey(Curation, on_delete=models.CASCADE, related_name="feed_posts")
    key = models.CharField(max_length=200)
    text = models.TextField(blank=True)
    context_kind = models.CharField(max_length=5, choices=Post.ContextKind.choices, blank=True, default="")
    context_text = models.TextField(blank=True, help_text="Empty where the other post was not in the feed.")
    metadata = models.JSONField(default=dict)
    language = models.CharField(max_length=10, blank=True)
    dropped_at = models.CharField(max_length=20, blank=True, help_text="The stage; empty while it is in.")
    reason = models.CharField(max_length=40, blank=True)
    detail = models.TextField(blank=True)
    comprehensibility = models.FloatField(null=True, blank=True)
    nsfw = models.FloatField(null=True, blank=True)
    screening = FloatVectorField(null=True)
    post = models.ForeignKey(
        Post, on_delete=models.SET_NULL, null=True, blank=True, related_name="feed_posts"
    )

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["curation", "key"], name="feed_post_key_once"),
            models.CheckConstraint(
                name="feed_post_dropped_for_a_reason",
                condition=Q(dropped_at="", reason="") | ~Q(dropped_at="") & ~Q(reason=""),
            ),
        ]
        indexes = [models.Index(fields=["curation", "dropped_at"], name="feed_post_by_fate")]

    def __str__(self) -> str:
        return f"{self.key}: {self.text[:60]}"


class FeedAppearance(models.Model):
    """That a post stood in one person's feed, and in which of the two."""

    class Source(models.TextChoices):
        FOLLOWING = "following", "Following"
        FOR_YOU = "for_you", "For you"

    curation = models.ForeignKey(Curation, on_delete=models.CASCADE, related_name="appearances")
    feed_post = models.ForeignKey(FeedPost, on_delete=models.CASCADE, related_name="appearances")
    owner = models.CharField(max_length=100, help_text="A pseudonym.")
    group = models.CharField(max_length=50, blank=True, help_text="The owner's quota group.")
    source = models.CharField(max_length=10, choices=Source.choices)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["feed_post", "owner", "source"], name="appearance_once")
        ]

    def __str__(self) -> str:
        return f"{self.feed_post_id} in {self.source} of {self.owner}"


class CurationDraw(models.Model):
    """One draw of the stratified sample: for this owner and value, this post."""

    curation = models.ForeignKey(Curation, on_delete=models.CASCADE, related_name="draws")
    number = models.PositiveIntegerField(help_text="In the order of drawing.")
    owner = models.CharField(max_length=100)
    value_key = models.CharField(max_length=100)
    source = models.CharField(max_length=10, choices=FeedAppearance.Source.choices)
    is_extra = models.BooleanField(
        default=False, help_text="Drawn to make up for an under-filled quota group."
    )
    feed_post = models.ForeignKey(FeedPost, on_delete=models.CASCADE, related_name="draws")

    class Meta:
        ordering = ["curation", "number"]
        constraints = [models.UniqueConstraint(fields=["curation", "number"], name="draw_number_once")]

    def __str__(self) -> str:
        return f"{self.owner}: {self.value_key}"


class ClassifierCheck(models.Model):
    """Researchers label a balanced sample of what a classifier decided, without seeing what it said."""

    curation = models.ForeignKey(Curation, on_delete=models.CASCADE, related_name="checks")
    purpose = models.CharField(max_length=20, choices=PromptVersion.Purpose.choices)
    threshold = models.FloatField(help_text="From which final rating on the classifier says yes.")
    n_each = models.PositiveIntegerField(default=100, help_text="Posts with yes, and as many with no.")
    seed = models.PositiveIntegerField(default=1)
    closed_at = models.DateTimeField(null=True, blank=True)
    results = models.JSONField(default=dict)
    created_by = models.ForeignKey(
        installation.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-created_at", "-pk"]

    def __str__(self) -> str:
        return f"Check of {self.get_purpose_display().lower()} in {self.curation}"


class CheckItem(models.Model):
    """One post of a check, at its place."""

    classifier_check = models.ForeignKey(ClassifierCheck, on_delete=models.CASCADE, related_name="items")
    feed_post = models.ForeignKey(FeedPost, on_delete=models.CASCADE, related_name="+")
    position = models.PositiveIntegerField()
    is_predicted = models.BooleanField(help_text="Whether the classifier said yes.")

    class Meta:
        ordering = ["classifier_check", "position"]
        constraints = [
            models.UniqueConstraint(fields=["classifier_check", "position"], name="check_position_once"),
            models.UniqueConstraint(fields=["classifier_check", "feed_post"], name="check_post_once"),
        ]

    def __str__(self) -> str:
        return f"{self.classifier_check_id}: {self.position}"


class CheckLabel(models.Model):
    """What one researcher says of one post."""

    item = models.ForeignKey(CheckItem, on_delete=models.CASCADE, related_name="labels")
    labeler = models.ForeignKey(installation.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    is_positive = models.BooleanField()
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["item", "labeler"], name="one_label_per_item_and_person")
        ]

    def __str__(self) -> str:
        return f"{self.item_id}: {self.labeler_id}"
