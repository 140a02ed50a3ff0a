"""What `manage.py check --deploy` says of the researchers' accounts."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Tags, Warning, register


@register(Tags.security, deploy=True)
def check_second_factor(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Warn where a password alone opens the data."""
    if settings.REQUIRE_MFA:
        return []
    return [
        Warning(
            "REQUIRE_MFA is off: a password alone opens the dashboard and the admin.",
            hint="Leave the variable out in production, or set REQUIRE_MFA=1.",
            id="accounts.W001",
        )
    ]
