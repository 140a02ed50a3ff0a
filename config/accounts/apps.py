from django.apps import AppConfig
from django.contrib import admin


class AccountsConfig(AppConfig):
    """Researchers' accounts: one door for dashboard and admin, with a second factor and a throttle."""

    name = "config.accounts"

    def ready(self) -> None:
        from allauth.account.decorators import secure_admin_login

        from . import checks, receivers  # noqa: F401 - they register themselves

        admin.site.login = secure_admin_login(admin.site.login)
