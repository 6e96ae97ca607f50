# oncue as one process: `docker run oncue run --config /etc/oncue/playbook.yaml --brokers kafka:9092 --state /state`
FROM python:3.11-slim AS build
WORKDIR /src
COPY requirements.lock pyproject.toml README.md LICENSE ./
COPY flows flows
COPY operators operators
COPY state state
COPY schemas schemas
RUN python -m venv /opt/oncue \
    && /opt/oncue/bin/pip install --no-cache-dir --require-hashes -r requirements.lock \
    && /opt/oncue/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.11-slim
RUN useradd --uid 10001 --no-create-home oncue && install -d -o oncue /state
COPY --from=build /opt/oncue /opt/oncue
USER oncue
VOLUME /state
STOPSIGNAL SIGTERM
ENTRYPOINT ["/opt/oncue/bin/oncue"]
CMD ["--help"]
