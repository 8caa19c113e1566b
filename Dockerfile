FROM rust:1.95-slim-bookworm AS build
# librdkafka is compiled from source (make, C++) and links the system's OpenSSL.
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ libssl-dev make pkg-config \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build

# The profile `dist` optimises the whole program at once: slower to build than `release`, some per cent faster to run.
# The dependencies in a layer of their own, built for an empty crate: a change under src/ does not build them again.
COPY Cargo.toml Cargo.lock ./
COPY .cargo .cargo
RUN mkdir src \
    && echo 'fn main() {}' >src/main.rs \
    && touch src/lib.rs \
    && cargo build --profile dist --locked --no-default-features \
    && rm -rf src

RUN cargo install --locked --root /usr/local cargo-cyclonedx@0.5.9

COPY . .
# cargo goes by modification times, and those of the sources may be older than the empty crate's.
RUN touch src/main.rs src/lib.rs \
    && cargo build --profile dist --locked --no-default-features
# What the program is made of, as CycloneDX.
RUN cargo cyclonedx --format json --no-default-features --override-filename sbom.cdx


FROM debian:bookworm-slim
# ca-certificates for TLS to Kafka, PostgreSQL and processors; tzdata because deadlines are civil time in the policy's zone.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates libssl3 tzdata \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --user-group --home-dir /var/lib/lacuna --shell /usr/sbin/nologin lacuna \
    && install --directory --owner=lacuna --group=lacuna --mode=700 /var/lib/lacuna
COPY --from=build /build/target/dist/lacuna /usr/local/bin/lacuna
COPY --from=build /build/sbom.cdx.json /usr/share/doc/lacuna/sbom.cdx.json

USER lacuna
# It writes nothing but to /var/lib/lacuna, so the rest can be read-only (docker run --read-only).
# /etc/lacuna: lacuna.toml (found without --config) and processors.toml. /var/lib/lacuna: the keyring, to be kept.
WORKDIR /etc/lacuna
VOLUME /var/lib/lacuna
EXPOSE 8080
ENTRYPOINT ["lacuna"]
CMD ["serve"]
