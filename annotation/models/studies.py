"""What a study asks, of whom, in which steps; its posts and completion codes."""

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import pgettext_lazy

from annotation.timing import allowed_minutes

from .values import ValueSystem


def check_language(code: str) -> None:
    """Refuse what Django has no name for."""
    if code not in dict(settings.LANGUAGES):
        raise ValidationError(f"'{code}' is not the code of a language, such as 'en' or 'de'.")


class Study(models.Model):
    """One study: what is asked, of whom, how much."""

    class State(models.TextChoices):
        DRAFT = "draft", "Draft"
        PILOT = "pilot", "Pilot"
        LIVE = "live", "Live"
        PAUSED = "paused", "Paused"
        CLOSED = "closed", "Closed"

    TAKES_PEOPLE = (State.PILOT, State.LIVE)

    class Currency(models.TextChoices):
        GBP = "GBP", "£"
        USD = "USD", "$"

    class Strategy(models.TextChoices):
        RANDOM = "random", "Random: any post, each as likely"
        BALANCED = "balanced", "Balanced: posts with the fewest raters first"
        FIXED = "fixed", "Fixed: everyone gets the same posts, in their order"

    class AttentionConsequence(models.TextChoices):
        NOTE = "note", "Note it; the rater goes on"
        END = "end", "End the study for the rater"

    slug = models.SlugField(unique=True, help_text="Part of the participant link.")
    name = models.CharField(max_length=200, help_text="For researchers.")
    title = models.CharField(max_length=200, help_text="Shown to participants.")
    welcome = models.TextField(blank=True, help_text="Shown on the first page.")
    state = models.CharField(max_length=10, choices=State.choices, default=State.DRAFT)
    value_system = models.ForeignKey(ValueSystem, on_delete=models.PROTECT, related_name="studies")
    value_keys = models.JSONField(
        editable=False, default=None, help_text="The frozen order of every rating vector."
    )
    posts_per_rater = models.PositiveSmallIntegerField(default=30, validators=[MinValueValidator(1)])
    strategy = models.CharField(max_length=10, choices=Strategy.choices, default=Strategy.RANDOM)
    redundancy_cap = models.PositiveIntegerField(
        null=True, blank=True, help_text="At most this many raters for a post; empty for no limit."
    )
    seed = models.PositiveIntegerField(default=1, help_text="Repeats the random choices of this study.")
    consent = models.JSONField(
        default=dict, help_text="Title, sections and the two answers of the consent page."
    )
    outcome_texts = models.JSONField(default=dict, blank=True, help_text="Title and text of each last page.")
    language = models.CharField(
        max_length=10,
        default="en",
        validators=[check_language],
        help_text="The language of the buttons and messages; the study's own texts are yours.",
    )
    estimated_minutes = models.PositiveSmallIntegerField(
        default=45, validators=[MinValueValidator(1)], help_text="As announced at Prolific."
    )
    max_minutes = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        help_text="After this many minutes someone counts as timed out and their open post goes to others; "
        "empty for Prolific's own limit. They may still finish, and are marked.",
    )
    attention_limit = models.PositiveSmallIntegerField(
        default=2,
        validators=[MinValueValidator(1)],
        help_text="Failing this many attention checks has the consequence.",
    )
    attention_consequence = models.CharField(
        max_length=4,
        choices=AttentionConsequence.choices,
        default=AttentionConsequence.NOTE,
    )
    collects_paradata = models.BooleanField(
        default=True,
        help_text="Note when pages were shown and answered, changes of answers, and time spent elsewhere. "
        "The consent page says so.",
    )
    reward = models.PositiveIntegerField(
        null=True, blank=True, help_text="What a participant is paid, in pence or cents, as at Prolific."
    )
    currency = models.CharField(max_length=3, choices=Currency.choices, default=Currency.GBP)
    target_participants = models.PositiveIntegerField(
        null=True, blank=True, help_text="How many should complete the study: the places at Prolific."
    )
    retain_until = models.DateField(
        null=True,
        blank=True,
        help_text="Personal data is to be erased by this day; reminders come before it.",
    )
    current_version = models.ForeignKey(
        "StudyVersion", on_delete=models.SET_NULL, null=True, blank=True, editable=False, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "studies"
        ordering = ["slug"]

    def __str__(self) -> str:
        return self.name

    def save(self, *args, **kwargs) -> None:
        if self.value_keys is None:
            from annotation.selectors import get_tree  # reads models: only at call time

            self.value_keys = list(get_tree(self.value_system).value_keys)
        super().save(*args, **kwargs)

    def clean(self) -> None:
        least = allowed_minutes(self.estimated_minutes or 1)
        if self.max_minutes is not None and self.max_minutes < least:
            raise ValidationError(
                {
                    "max_minutes": f"Prolific lets people take {least} minutes for this estimate; not less here."
                }
            )

    @property
    def takes_people(self) -> bool:
        """Whether someone new may come in."""
        return self.state in self.TAKES_PEOPLE

    @property
    def allowed_minutes(self) -> int:
        """Minutes from someone's arrival until they count as timed out; never fewer than at Prolific."""
        return max(self.max_minutes or 0, allowed_minutes(self.estimated_minutes or 1))


class Step(models.Model):
    """One station of a study's path; the kinds are registered in `annotation.steps`."""

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="steps")
    position = models.PositiveSmallIntegerField()
    kind = models.CharField(max_length=30)
    config = models.JSONField(default=dict, blank=True, help_text="What this kind of step needs to know.")

    class Meta:
        ordering = ["study", "position"]
        constraints = [
            models.UniqueConstraint(fields=["study", "position"], name="step_position_once_per_study")
        ]

    def __str__(self) -> str:
        return f"{self.position}. {self.kind}"


class Outcome(models.TextChoices):
    """Every way out of a study."""

    COMPLETED = "completed", pgettext_lazy("outcome", "Completed")
    NO_CONSENT = "no_consent", pgettext_lazy("outcome", "No consent")
    FAILED_ATTENTION = "failed_attention", pgettext_lazy("outcome", "Failed attention checks")
    SCREENED_OUT = "screened_out", pgettext_lazy("outcome", "Screened out")
    STUDY_FULL = "study_full", pgettext_lazy("outcome", "Study full")
    TIMED_OUT = "timed_out", pgettext_lazy("outcome", "Timed out")
    WITHDREW = "withdrew", pgettext_lazy("outcome", "Withdrew")


class CompletionCode(models.Model):
    """The code that tells Prolific how a participation ended."""

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="completion_codes")
    outcome = models.CharField(max_length=20, choices=Outcome.choices)
    code = models.CharField(max_length=32, validators=[RegexValidator(r"^[A-Za-z0-9]{4,32}$")])

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["study", "outcome"], name="one_code_per_outcome"),
            models.UniqueConstraint(fields=["study", "code"], name="no_code_for_two_outcomes"),
        ]

    def __str__(self) -> str:
        return f"{self.study.slug}: {self.get_outcome_display()}"


class Post(models.Model):
    """What is rated: its text and, for a reply or quote, the other post's text."""

    class Purpose(models.TextChoices):
        LABELING = "labeling", "Labeling"
        CALIBRATION = "calibration", "Calibration questionnaire"
        CORPUS = "corpus", "Read by models only"
        PARAPHRASE = "paraphrase", "Another post in other words, for models only"

    class ContextKind(models.TextChoices):
        NONE = "", "None"
        REPLY = "reply", "In reply to"
        QUOTE = "quote", "Quoting"

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="posts")
    key = models.CharField(max_length=200)
    purpose = models.CharField(max_length=12, choices=Purpose.choices, default=Purpose.LABELING)
    text = models.TextField(blank=True, help_text="Empty only for imported items without text.")
    context_kind = models.CharField(max_length=5, choices=ContextKind.choices, blank=True, default="")
    context_text = models.TextField(blank=True)
    metadata = models.JSONField(default=dict, blank=True, help_text="Never shown to raters.")

    class Meta:
        ordering = ["study", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["study", "key"], name="post_key_once_per_study"),
            models.CheckConstraint(
                condition=Q(context_kind="", context_text="") | ~Q(context_kind="") & ~Q(context_text=""),
                name="context_has_kind_and_text",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.key}: {self.text[:60]}"
