"""Addresses of the researchers' dashboard."""

from django.urls import path

from .views import dashboard

app_name = "modeling"

urlpatterns = [
    path("", dashboard.list_studies, name="studies"),
    path("<slug:slug>/", dashboard.show_study, name="study"),
    path("<slug:slug>/agreement.svg", dashboard.draw_agreement, name="agreement_figure"),
]
