"""What experts say of posts, and what they say together: the measure of annotator models and of prompts."""

from django.conf import settings as installation
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

from annotation.models import Post, Study
from modeling.fields import FloatVectorField


class ExpertSet(models.Model):
    """Posts that experts label without seeing what models say, dealt once into development and test."""

    class Form(models.TextChoices):
        FLAT = "flat", "All values on one page"
        TREE = "tree", "Step by step through the tree"

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="expert_sets")
    name = models.CharField(max_length=100)
    form = models.CharField(max_length=4, choices=Form.choices, default=Form.FLAT)
    guidance = models.TextField(blank=True, help_text="What experts read above each post.")
    threshold = models.PositiveSmallIntegerField(
        help_text="From which rating on a value counts as expressed."
    )
    n_experts = models.PositiveSmallIntegerField(
        default=2, validators=[MinValueValidator(1)], help_text="How many label each post."
    )
    test_share = models.FloatField(
        default=0.5, validators=[MinValueValidator(0), MaxValueValidator(1)], help_text="Of the posts."
    )
    seed = models.PositiveIntegerField(default=1, help_text="Deals posts into development and test.")
    created_by = models.ForeignKey(
        installation.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now)
    closed_at = models.DateTimeField(
        null=True, blank=True, help_text="No label is taken any more since then."
    )

    class Meta:
        ordering = ["-created_at", "-pk"]
        constraints = [models.UniqueConstraint(fields=["study", "name"], name="expert_set_name_once")]

    def __str__(self) -> str:
        return self.name


class ExpertItem(models.Model):
    """One post of a set, at its place, in the one split it was dealt to."""

    class Split(models.TextChoices):
        DEVELOPMENT = "development", "Development"
        TEST = "test", "Test"

    expert_set = models.ForeignKey(ExpertSet, on_delete=models.CASCADE, related_name="items")
    post = models.ForeignKey(Post, on_delete=models.RESTRICT, related_name="expert_items")
    position = models.PositiveIntegerField()
    split = models.CharField(max_length=11, choices=Split.choices)

    class Meta:
        ordering = ["expert_set", "position"]
        constraints = [
            models.UniqueConstraint(fields=["expert_set", "position"], name="expert_position_once"),
            models.UniqueConstraint(fields=["expert_set", "post"], name="expert_post_once"),
        ]

    def __str__(self) -> str:
        return f"{self.expert_set}: {self.position}"


class ExpertLabel(models.Model):
    """What one expert says of one post. A second label takes the place of the first, which is kept."""

    class Source(models.TextChoices):
        PAGE = "page", "Given on the page"
        FILE = "file", "From a file"

    item = models.ForeignKey(ExpertItem, on_delete=models.CASCADE, related_name="labels")
    expert = models.CharField(max_length=150, help_text="The account's name, or the name in a file.")
    labeler = models.ForeignKey(
        installation.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    number = models.PositiveSmallIntegerField(default=1, help_text="Counts this expert's labels of the post.")
    is_current = models.BooleanField(default=True)
    ratings = FloatVectorField(help_text="In the study's order of values; NaN where none was given.")
    walk = models.JSONField(default=dict, blank=True, help_text="The answers, where the tree was walked.")
    note = models.TextField(blank=True)
    source = models.CharField(max_length=4, choices=Source.choices, default=Source.PAGE)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["item", "expert", "number"]
        constraints = [
            models.UniqueConstraint(fields=["item", "expert", "number"], name="expert_label_number_once"),
            models.UniqueConstraint(
                fields=["item", "expert"], condition=Q(is_current=True), name="one_current_label_per_expert"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.item_id}: {self.expert}"


class ExpertResolution(models.Model):
    """What was settled where experts differ. Their labels stay; a later resolution keeps the earlier one."""

    item = models.ForeignKey(ExpertItem, on_delete=models.CASCADE, related_name="resolutions")
    number = models.PositiveSmallIntegerField(default=1)
    is_current = models.BooleanField(default=True)
    ratings = FloatVectorField(help_text="NaN where the experts' own labels decide.")
    note = models.TextField(blank=True)
    resolved_by = models.ForeignKey(
        installation.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    resolver = models.CharField(max_length=150, help_text="The account's name, kept when the account goes.")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["item", "number"]
        constraints = [
            models.UniqueConstraint(fields=["item", "number"], name="resolution_number_once"),
            models.UniqueConstraint(
                fields=["item"], condition=Q(is_current=True), name="one_current_resolution"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.item_id}: {self.number}"


class SplitOpening(models.Model):
    """That the test posts were opened for a family of prompts: once, by whom, for which runs."""

    expert_set = models.ForeignKey(ExpertSet, on_delete=models.CASCADE, related_name="openings")
    family = models.CharField(max_length=110, help_text="Of prompts, or of a local encoder by its name.")
    run_ids = models.JSONField(default=list, help_text="The runs that were scored on the test posts.")
    reason = models.TextField(blank=True)
    opened_by = models.ForeignKey(
        installation.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    opener = models.CharField(max_length=150, help_text="The account's name, or 'command'.")
    opened_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["expert_set", "opened_at"]
        constraints = [
            models.UniqueConstraint(fields=["expert_set", "family"], name="test_opened_once_per_family")
        ]

    def __str__(self) -> str:
        return f"{self.expert_set}: {self.family}"


class Paraphrase(models.Model):
    """The same post in other words, for models only: who reads well says the same of both."""

    original = models.ForeignKey(Post, on_delete=models.RESTRICT, related_name="paraphrases")
    variant = models.OneToOneField(Post, on_delete=models.CASCADE, related_name="paraphrase_of")
    number = models.PositiveSmallIntegerField()

    class Meta:
        ordering = ["original", "number"]
        constraints = [
            models.UniqueConstraint(fields=["original", "number"], name="paraphrase_number_once"),
        ]

    def __str__(self) -> str:
        return f"{self.original_id} in other words, {self.number}"
