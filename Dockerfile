# One static binary in an empty image.
#   docker build -t rill .
# Alpine's libc is linked into the binary. Everything that the build needs is fetched by scripts/setup.
FROM rust:1-alpine AS build
RUN apk add --no-cache bash binaryen build-base curl nodejs npm openssl-dev openssl-libs-static perl python3
WORKDIR /rill
# It names the toolchain and the targets, which a layer of its own keeps.
COPY rust-toolchain.toml .
RUN rustup toolchain install
COPY . .
# The caches are not part of the image.
RUN --mount=type=cache,target=/root/.cache/rill \
    --mount=type=cache,target=/usr/local/cargo/registry \
    scripts/build && cp target/release/rill /rill.static && ! ldd /rill.static 2>/dev/null | grep -q '=>'
RUN mkdir -p /empty/data

FROM scratch
LABEL org.opencontainers.image.title="Rill" \
      org.opencontainers.image.description="A chat app whose replies appear as the model writes them" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build --chown=65532:65532 /empty/data /data
COPY --from=build /rill.static /rill
USER 65532:65532
# Only /data is written, also by temporary files, so the root may be read-only (docker run --read-only).
ENV RILL_DATA_DIR=/data TMPDIR=/data SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
VOLUME /data
EXPOSE 3000
# A process that does not answer is restarted by the orchestrator.
HEALTHCHECK --interval=30s --timeout=12s --start-period=10s --retries=3 CMD ["/rill", "health"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/rill"]
