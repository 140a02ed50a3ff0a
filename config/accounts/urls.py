"""Addresses of logging in and of one's own account: of allauth's pages, those that are used here."""

from allauth.account import views as account
from allauth.mfa.base import views as mfa
from allauth.mfa.recovery_codes import views as recovery_codes
from allauth.mfa.totp import views as totp
from django.urls import path
from django.views.decorators.cache import never_cache

PAGES = [
    ("", mfa.index, "mfa_index"),
    ("login/", account.login, "account_login"),
    ("login/code/", mfa.authenticate, "mfa_authenticate"),
    ("logout/", account.logout, "account_logout"),
    ("inactive/", account.account_inactive, "account_inactive"),
    ("confirm/", account.reauthenticate, "account_reauthenticate"),
    ("confirm/code/", mfa.reauthenticate, "mfa_reauthenticate"),
    ("password/", account.password_change, "account_change_password"),
    ("app/", totp.activate_totp, "mfa_activate_totp"),
    ("app/remove/", totp.deactivate_totp, "mfa_deactivate_totp"),
    ("recovery-codes/", recovery_codes.view_recovery_codes, "mfa_view_recovery_codes"),
    ("recovery-codes/new/", recovery_codes.generate_recovery_codes, "mfa_generate_recovery_codes"),
    ("recovery-codes/file/", recovery_codes.download_recovery_codes, "mfa_download_recovery_codes"),
]
# Keys and codes stay in no browser's cache.
urlpatterns = [path(address, never_cache(view), name=name) for address, view, name in PAGES]
