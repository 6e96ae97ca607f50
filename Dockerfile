# oncue as one process:
#   docker run --read-only --tmpfs /tmp -v state:/state -v ./my.yaml:/etc/oncue/playbook.yaml:ro oncue \
#     run --config /etc/oncue/playbook.yaml --brokers kafka:9092 --state /state
#
# `make image BASE=python:3.11-slim-bookworm@sha256:...` builds it on exactly one base; docs/deployment.md says where
# the digest is from. `make image-steps` does the same steps without a container engine.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
WORKDIR /src
COPY requirements-run.lock requirements-build.lock ./
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev
RUN python -m venv /opt/oncue \
    && /opt/oncue/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements-run.lock
# As a module: the programs of a copied environment start the Python of the first.
RUN cp -a /opt/oncue /opt/build && /opt/build/bin/python -m pip install --no-cache-dir --disable-pip-version-check \
    --no-compile --require-hashes -r requirements-build.lock
COPY pyproject.toml README.md LICENSE ./
COPY flows flows
COPY operators operators
COPY state state
COPY schemas schemas
RUN /opt/build/bin/python -m pip wheel --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir /wheels . \
    && /opt/oncue/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps /wheels/*.whl \
    && /opt/oncue/bin/pip uninstall --yes pip setuptools
COPY deploy/compiled.py deploy/
RUN /opt/build/bin/python deploy/compiled.py /opt/oncue/compiled

FROM ${BASE}
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin oncue \
    && install -d -o oncue -g oncue /state
COPY --from=build /opt/oncue /opt/oncue
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PYTHONPATH=/opt/oncue/compiled
USER 10001:10001
VOLUME /state
EXPOSE 2101 9464
STOPSIGNAL SIGTERM
ENTRYPOINT ["/opt/oncue/bin/oncue"]
CMD ["--help"]
