# syntax=docker/dockerfile:1
ARG PYTHON=python:3.11-slim-bookworm

FROM ${PYTHON} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
COPY requirements.txt requirements-build.txt ./
RUN python -m venv /opt/guard \
    && /opt/guard/bin/pip install --require-hashes -r requirements.txt \
    && python -m pip install --require-hashes -r requirements-build.txt
COPY pyproject.toml README.md LICENSE ./
COPY app ./app
COPY deploy ./deploy
RUN python -m pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
    && /opt/guard/bin/pip install --no-deps --no-index /wheels/*.whl \
    && /opt/guard/bin/pip uninstall --yes pip setuptools \
    && /usr/local/bin/python -m compileall -q /opt/guard

FROM ${PYTHON}
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="netpol-guard" \
      org.opencontainers.image.description="Keeps IOMETE's required network flows possible" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"
COPY --from=build /opt/guard /opt/guard
ENV PATH=/opt/guard/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# A number, so that `runAsNonRoot` can be checked without looking into the image.
USER 65532:65532
EXPOSE 8443 8080
ENTRYPOINT ["netpol-guard"]
CMD ["serve"]
