"""Every address that Parallax serves."""

from django.contrib import admin
from django.urls import include, path

from jobs.health import healthz, readyz
from modeling.views.home import show_home

urlpatterns = [
    path("", show_home, name="home"),
    path("s/<slug:slug>/", include("annotation.urls")),
    path("dashboard/<slug:slug>/posts/", include("annotation.staff_urls")),
    path("dashboard/", include("modeling.urls")),
    path("", include("modeling.api.urls")),
    path("accounts/", include("config.accounts.urls")),
    path("admin/", admin.site.urls),
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
]
