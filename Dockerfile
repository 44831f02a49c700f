# syntax=docker/dockerfile:1
# A tag, for no digest of this image could be looked up where this was written. Whoever publishes pins it:
# --build-arg PYTHON=python@sha256:...
ARG PYTHON=python:3.11.14-slim-bookworm

FROM ${PYTHON} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
COPY requirements.txt requirements-build.txt ./
RUN python -m venv /opt/guard \
    && /opt/guard/bin/pip install --no-compile --require-hashes -r requirements.txt \
    && python -m pip install --require-hashes -r requirements-build.txt
COPY pyproject.toml README.md LICENSE ./
COPY app ./app
COPY deploy ./deploy
RUN python -m pip wheel --no-deps --no-build-isolation --no-index --wheel-dir /wheels . \
    && /opt/guard/bin/pip install --no-compile --no-deps --no-index /wheels/*.whl \
    && /opt/guard/bin/python -m pip uninstall --yes setuptools pip \
    && rm -rf /opt/guard/bin/pip* /opt/guard/bin/[Aa]ctivate* \
    && python -m compileall -q --invalidation-mode unchecked-hash \
        -x 'kubernetes/(aio|client/(api|models))/' /opt/guard

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
