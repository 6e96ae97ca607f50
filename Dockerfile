# oncue as one process:
#   docker run -v state:/state oncue run --config /etc/oncue/playbook.yaml --brokers kafka:9092 --state /state
FROM python:3.11-slim AS build
WORKDIR /src
COPY requirements.lock requirements-run.lock pyproject.toml README.md LICENSE ./
RUN python -m venv /opt/build && /opt/build/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY flows flows
COPY operators operators
COPY state state
COPY schemas schemas
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
    && python -m venv /opt/oncue \
    && /opt/oncue/bin/pip install --no-cache-dir --require-hashes -r requirements-run.lock \
    && /opt/oncue/bin/pip install --no-cache-dir --no-deps /wheels/*.whl

FROM python:3.11-slim
RUN useradd --uid 10001 --no-create-home oncue && install -d -o oncue /state
COPY --from=build /opt/oncue /opt/oncue
USER oncue
VOLUME /state
STOPSIGNAL SIGTERM
ENTRYPOINT ["/opt/oncue/bin/oncue"]
CMD ["--help"]
