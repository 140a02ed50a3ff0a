"""What a study was at each moment, and who changed it: rows that are written once and never edited."""

from django.conf import settings
from django.db import models

from .studies import Study


class StudyVersion(models.Model):
    """A study as it was frozen: what raters met under this number, and the hash that names it."""

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    digest = models.CharField(
        max_length=64, help_text="SHA-256 over the content, the posts and the version of the code."
    )
    content = models.JSONField(help_text="The study as in its file, without the posts.")
    post_digests = models.JSONField(help_text="SHA-256 of each post, by its key.")
    code_version = models.CharField(max_length=64)
    made_at = models.DateTimeField(auto_now_add=True)
    made_by = models.CharField(max_length=150, blank=True, help_text="Empty for a command.")
    reason = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["study", "number"]
        constraints = [
            models.UniqueConstraint(fields=["study", "number"], name="version_number_once_per_study")
        ]

    def __str__(self) -> str:
        return f"{self.study.slug} version {self.number}"


class StudyEvent(models.Model):
    """One entry of the audit log. It stays when the study or the account goes."""

    class Action(models.TextChoices):
        CREATED = "created", "Created"
        CHANGED = "changed", "Changed"
        STATE = "state", "Moved to another state"
        VERSION = "version", "Frozen as a version"
        ACCESS = "access", "Access given or taken"
        POSTS = "posts", "Posts added or removed"
        REHEARSAL = "rehearsal", "Rehearsed"
        EXCLUSION = "exclusion", "Excluded or taken back in"
        EXPORT = "export", "Exported"
        ERASURE = "erasure", "Erased"
        RETENTION = "retention", "Retention"

    study = models.ForeignKey(Study, on_delete=models.SET_NULL, null=True, related_name="events")
    study_slug = models.CharField(max_length=50)
    at = models.DateTimeField(auto_now_add=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    actor_name = models.CharField(
        max_length=150, help_text="Kept when the account goes; 'command' for a command."
    )
    action = models.CharField(max_length=10, choices=Action.choices)
    summary = models.CharField(max_length=300, help_text="What was done, in words, without personal data.")
    reason = models.CharField(max_length=300, blank=True)
    detail = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ["-at", "-pk"]
        indexes = [models.Index(fields=["study", "-at"])]

    def __str__(self) -> str:
        return f"{self.study_slug}: {self.summary}"
