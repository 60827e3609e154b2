# syntax=docker/dockerfile:1
# The image that config/deploy runs: one static binary and nothing else, 32 MB.
#
#   docker build --tag ingressctl:0.1.0 --build-arg REVISION="$(git rev-parse HEAD)" .

FROM rust:1.95.0-slim-bookworm AS build
# The toolchain of the image, without what rust-toolchain.toml adds for
# development.
ENV RUSTUP_TOOLCHAIN=1.95.0
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends musl-tools \
    && rm -rf /var/lib/apt/lists/* \
    && rustup target add wasm32-wasip1 "$(uname -m)-unknown-linux-musl"
WORKDIR /src
COPY . .
# What `ingressctl --version` says, because there is no repository here.
ARG REVISION=unknown
ENV INGRESSCTL_COMMIT=${REVISION}
# Nothing that is built in depends on the machine or the time: the versions are
# those of Cargo.lock, the folder is the same everywhere.
ENV TARGET_CC=musl-gcc \
    CARGO_PROFILE_RELEASE_STRIP=symbols
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --locked --release --package ingressctl --target "$(uname -m)-unknown-linux-musl" \
    && cp "target/$(uname -m)-unknown-linux-musl/release/ingressctl" /ingressctl

FROM gcr.io/distroless/static-debian12:nonroot
ARG REVISION=unknown
LABEL org.opencontainers.image.title="ingressctl" \
      org.opencontainers.image.description="A Kubernetes Ingress for Envoy, as a Proxy-Wasm module: the controller, with the module in it" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /ingressctl /usr/local/bin/ingressctl
COPY LICENSE /usr/share/doc/ingressctl/
# What it has freed goes back at once: otherwise the controller's memory is what
# the heaviest change of the last minutes took.
ENV MIMALLOC_PURGE_DELAY=0
# By number, so that Kubernetes sees that it is not root.
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/ingressctl"]
CMD ["--help"]
