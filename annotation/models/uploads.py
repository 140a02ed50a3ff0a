"""Files of posts that researchers upload."""

from django.db import models

from .studies import Study


class PostUpload(models.Model):
    """One file of posts: how it is to be read, and what became of it. All of its posts or none."""

    class State(models.TextChoices):
        MAPPING = "mapping", "Waits for its columns to be named"
        LOADING = "loading", "Is being loaded"
        LOADED = "loaded", "Loaded"
        REFUSED = "refused", "Refused"

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="post_uploads")
    name = models.CharField(max_length=200, help_text="Of the file, as it was uploaded.")
    stored_as = models.CharField(max_length=200, help_text="In the artefact storage.")
    sha256 = models.CharField(max_length=64)
    state = models.CharField(max_length=10, choices=State.choices, default=State.MAPPING)
    settings = models.JSONField(default=dict, help_text="Which column means what, and the filters.")
    counts = models.JSONField(default=dict, help_text="Rows read, posts added, rows refused by reason.")
    problem = models.TextField(blank=True, help_text="Why the file as a whole was refused.")
    report = models.CharField(
        max_length=200, blank=True, help_text="File of the refused rows, in the storage."
    )
    uploaded_at = models.DateTimeField(auto_now_add=True)
    uploaded_by = models.CharField(max_length=150, blank=True)

    class Meta:
        ordering = ["-uploaded_at", "-pk"]

    def __str__(self) -> str:
        return f"{self.name} for {self.study.slug}"
