"""Addresses of the scoring API, of its reference, and of the page on which a study's tokens are made."""

from django.urls import path

from . import pages, staff
from .endpoints import ENDPOINTS

app_name = "api"

urlpatterns = [
    path("api/", pages.show_reference, name="reference"),
    path("api/v1/openapi.json", pages.show_document, name="openapi"),
    *(path(f"api/v1/{each.name}", each.as_view(), name=each.name) for each in ENDPOINTS),
    path("api/v1/", pages.refuse_address, name="root"),
    path("api/<path:rest>", pages.refuse_address, name="elsewhere"),
    path("dashboard/<slug:slug>/api/", staff.show_tokens, name="tokens"),
    path("dashboard/<slug:slug>/api/make/", staff.make_token, name="token_make"),
    path("dashboard/<slug:slug>/api/<int:pk>/revoke/", staff.revoke, name="token_revoke"),
]
