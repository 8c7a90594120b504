# One process image for serving, migrating and the operator's commands; docs/operations.md says how.

FROM python:3.13-slim-trixie AS base
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /opt/parasol

# The pages, built here: what is built is never committed.
FROM base AS pages
RUN python -m venv .venv
COPY requirements-web.lock ./
COPY api/web/ api/web/
WORKDIR /opt/parasol/api/web
RUN ./with-node npm ci --omit=dev && ./with-node node build.mjs

# The source tree, installed as in a checkout: migrations are read from it.
FROM base AS packages
COPY requirements.lock ./
RUN python -m venv --without-pip .venv \
    && pip --python .venv install --require-hashes --only-binary :all: -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY alembic/ alembic/
COPY schemas/ schemas/
COPY api/ api/
COPY --from=pages /opt/parasol/api/web/dist/ api/web/dist/
# Compiled here, as nothing can be written later; a start would take a second longer.
RUN pip --python .venv install --no-deps --no-build-isolation --editable . \
    && python -m compileall -q --invalidation-mode unchecked-hash alembic api schemas

FROM base
# A volume takes its owner and mode from this folder when it is first used.
RUN groupadd --gid 10001 parasol \
    && useradd --uid 10001 --gid parasol --no-create-home --shell /usr/sbin/nologin parasol \
    && install -d -m 0700 -o parasol -g parasol /var/lib/parasol
COPY --from=packages /opt/parasol/ ./
ENV PATH=/opt/parasol/.venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PARASOL_DATA=/var/lib/parasol \
    PARASOL_HOST=0.0.0.0 \
    PARASOL_PORT=8000
USER 10001:10001
VOLUME /var/lib/parasol
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=10s --start-period=90s \
    CMD ["python", "-ISc", "from http.client import HTTPConnection as C; from os import environ as e; c = C('127.0.0.1', int(e['PARASOL_PORT']), timeout=5); c.request('GET', '/readyz'); raise SystemExit(c.getresponse().status != 204)"]
ENTRYPOINT ["parasol"]
CMD ["serve", "--wait", "60"]
