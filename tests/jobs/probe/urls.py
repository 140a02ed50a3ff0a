from django.urls import path

from jobs.health import healthz, readyz

urlpatterns = [path("healthz", healthz), path("readyz", readyz)]
