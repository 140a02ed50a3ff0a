"""The one table."""

from django.db import models


class Answer(models.Model):
    """What one form brought."""

    ratings = models.JSONField()
    at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"Answer {self.pk}"
