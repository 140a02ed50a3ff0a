from django.apps import AppConfig


class ModelingConfig(AppConfig):
    """Personalization, scoring, agreement and the researchers' dashboard."""

    name = "modeling"
