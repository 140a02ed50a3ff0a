from django.apps import AppConfig
from django.db.models.signals import post_migrate, pre_migrate


class ModelingConfig(AppConfig):
    """Personalization, scoring, agreement and the researchers' dashboard."""

    name = "modeling"

    def ready(self) -> None:
        from . import long_view, receivers  # noqa: F401 - the receivers connect themselves

        pre_migrate.connect(long_view.drop, sender=self)
        post_migrate.connect(long_view.create, sender=self)
