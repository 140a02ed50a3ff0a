import os
from pathlib import Path

from django.apps import AppConfig
from django.conf import settings
from django.db.models.signals import post_migrate, pre_migrate


class ModelingConfig(AppConfig):
    """Personalization, scoring, agreement and the researchers' dashboard."""

    name = "modeling"

    def ready(self) -> None:
        from . import long_view, receivers  # noqa: F401 - the receivers connect themselves

        if not os.access(Path(__file__).parent / "stats", os.W_OK):
            # Compiled loops lie beside their source; in a container nobody may write there.
            os.environ.setdefault("NUMBA_CACHE_DIR", str(Path(settings.VAR_DIR) / "numba"))
        pre_migrate.connect(long_view.drop, sender=self)
        post_migrate.connect(long_view.create, sender=self)
