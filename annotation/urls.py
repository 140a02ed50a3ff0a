"""Addresses of a rater's way."""

from django.urls import path

from .views import arrival, leaving
from .views import path as way

app_name = "annotation"

urlpatterns = [
    path("", arrival.arrive, name="arrival"),
    path("now/", way.resume, name="current_step"),
    path("step/<int:position>/", way.walk_step, name="step"),
    path("step/<int:position>/draft/", way.keep_draft, name="draft"),
    path("done/", way.finish, name="done"),
    path("leave/", leaving.withdraw, name="withdraw"),
]
