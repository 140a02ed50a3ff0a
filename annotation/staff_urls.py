"""Addresses of the researchers' pages about a study's posts."""

from django.urls import path

from .views import posts

app_name = "posts"

urlpatterns = [
    path("", posts.list_uploads, name="uploads"),
    path("<int:pk>/", posts.show_upload, name="upload"),
    path("<int:pk>/layout/", posts.change_layout, name="layout"),
    path("<int:pk>/load/", posts.load, name="load"),
    path("<int:pk>/progress/", posts.show_progress, name="progress"),
    path("<int:pk>/reopen/", posts.reopen, name="reopen"),
    path("<int:pk>/again/", posts.load_again, name="again"),
    path("<int:pk>/discard/", posts.discard, name="discard"),
    path("<int:pk>/undo/", posts.undo, name="undo"),
    path("<int:pk>/refused.csv", posts.download_report, name="report"),
]
