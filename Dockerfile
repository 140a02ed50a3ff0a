# The image of every process: web server, worker, clock and one-off commands. See docs/deployment.md.

FROM python:3.11-slim AS packages
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/venv
COPY requirements.txt .
RUN /opt/venv/bin/pip install --require-hashes -r requirements.txt

FROM python:3.11-slim
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin parallax
COPY --from=packages /opt/venv /opt/venv
WORKDIR /app
COPY . .
RUN /opt/venv/bin/python -m config.translations compile
RUN mkdir -p /app/var /data/artefacts && chown parallax:parallax /app/var /data/artefacts
USER parallax
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 VAR_DIR=/app/var ARTEFACT_DIR=/data/artefacts PORT=8000
# A key for this command alone: without one, a real key would be made and baked into the image.
RUN SECRET_KEY=only-for-the-build python manage.py collectstatic --no-input
# From here on nothing starts without the production settings.
ENV PRODUCTION=1
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=6s --start-period=30s --retries=3 \
    CMD python -c "import os, urllib.request as r; r.urlopen(r.Request('http://127.0.0.1:' + os.environ['PORT'] + '/healthz', headers={'Host': os.environ['ALLOWED_HOSTS'].split(',')[0].strip().lstrip('.')}), timeout=5)"
CMD ["gunicorn", "config.wsgi:application"]
