"""Addresses of a rater's way."""

from django.urls import path

from .views import arrival
from .views import path as way

app_name = "annotation"

urlpatterns = [
    path("", arrival.arrive, name="arrival"),
    path("now/", way.resume, name="current_step"),
    path("step/<int:position>/", way.walk_step, name="step"),
    path("done/", way.finish, name="done"),
]
