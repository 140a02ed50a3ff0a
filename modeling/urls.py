"""Addresses of the researchers' dashboard."""

from django.urls import path

from .views import access, dashboard, data, erasing, launching, quality, rehearsal, versions, watch

app_name = "modeling"

urlpatterns = [
    path("", dashboard.list_studies, name="studies"),
    path("<slug:slug>/", dashboard.show_study, name="study"),
    path("<slug:slug>/watch/", watch.show_watch, name="watch"),
    path("<slug:slug>/people/", watch.show_people, name="people"),
    path("<slug:slug>/people/<uuid:pseudonym>/", watch.show_person, name="person"),
    path("<slug:slug>/agreement.svg", dashboard.draw_agreement, name="agreement_figure"),
    path("<slug:slug>/access/", access.show_access, name="access"),
    path("<slug:slug>/access/give/", access.give_role, name="give_role"),
    path("<slug:slug>/access/take/<int:user_id>/", access.take_role, name="take_role"),
    path("<slug:slug>/rehearse/", rehearsal.show_rehearsal, name="rehearsal"),
    path("<slug:slug>/rehearse/start/", rehearsal.start_participant, name="rehearsal_start"),
    path("<slug:slug>/rehearse/step/", rehearsal.preview, name="rehearsal_step"),
    path("<slug:slug>/rehearse/simulate/", rehearsal.simulate, name="rehearsal_simulate"),
    path("<slug:slug>/rehearse/erase/", rehearsal.erase, name="rehearsal_erase"),
    path("<slug:slug>/launch/", launching.check_and_launch, name="launch"),
    path("<slug:slug>/versions/", versions.list_versions, name="versions"),
    path("<slug:slug>/versions/changes/", versions.show_changes, name="version_changes"),
    path("<slug:slug>/versions/<int:number>/file/", versions.download_version, name="version_file"),
    path("<slug:slug>/data/", data.show_data, name="data"),
    path("<slug:slug>/data/make/", data.make_export, name="data_make"),
    path("<slug:slug>/data/keys/", data.download_keys, name="data_keys"),
    path("<slug:slug>/data/<int:number>/", data.download_export, name="data_download"),
    path("<slug:slug>/quality/", quality.show_quality, name="quality"),
    path("<slug:slug>/quality/compute/", quality.compute, name="quality_compute"),
    path("<slug:slug>/quality/exclude/", quality.exclude_rater, name="quality_exclude"),
    path("<slug:slug>/quality/include/", quality.include_rater, name="quality_include"),
    path("<slug:slug>/erase/", erasing.show_erasing, name="erase"),
    path("<slug:slug>/erase/person/", erasing.erase, name="erase_person"),
    path("<slug:slug>/erase/identities/", erasing.anonymize, name="erase_identities"),
]
