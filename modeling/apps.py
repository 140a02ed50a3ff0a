from django.apps import AppConfig


class ModelingConfig(AppConfig):
    """Personalization, scoring, agreement and the researchers' dashboard."""

    name = "modeling"

    def ready(self) -> None:
        from . import receivers  # noqa: F401 - connects them
