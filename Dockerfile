# The image: one static binary on an empty root. Built by Docker's classic builder and by BuildKit alike,
# without anything from a public registry when BUILD_IMAGE names a local image (scripts/toolchain-image makes one).

# Any image with cargo, cc and static glibc. Debian's, because its libc6-dev has libc.a.
ARG BUILD_IMAGE=rust:1-bookworm

FROM ${BUILD_IMAGE} AS build
# The classic builder keeps this stage as an image without a name: by this it can be found and removed.
LABEL stage=dnsgate-build
WORKDIR /src
# .dockerignore lets only the crate through: neither .git nor target/ reaches the daemon.
COPY . .
# crt-static links glibc into the binary, which a root without a loader needs. No path of this stage is in the binary, so that
# scripts/static makes the same one on another machine.
ENV RUSTFLAGS="-C target-feature=+crt-static --remap-path-prefix=/src=/dnsgate --remap-path-prefix=/usr/local/cargo=/cargo"
# `quick` is for a test of the image: see Cargo.toml.
ARG PROFILE=release
# No symbols and no line tables in the image: panics carry their place all the same, and it is a third of the size.
# (`quick` inherits that.)
ENV CARGO_PROFILE_RELEASE_STRIP=symbols CARGO_PROFILE_RELEASE_DEBUG=false
# The host's own triple, whatever the architecture. It is named because RUSTFLAGS would otherwise apply to procedural
# macros, too, which are shared objects and cannot be static.
RUN triple="$(rustc -vV | sed -n 's/^host: //p')" \
 && cargo build --profile "$PROFILE" --locked --bin dnsgate --target "$triple" \
 && mv "target/$triple/$PROFILE/dnsgate" /dnsgate \
 && rm -rf target # the classic builder would keep a gigabyte of it as a layer

# Nothing but the binary and the root certificates: no shell, no libc, no package to patch.
FROM scratch
ARG VERSION=unreleased
ARG REVISION=unknown
ARG SOURCE=unknown
LABEL org.opencontainers.image.title="dnsgate" \
      org.opencontainers.image.description="An in-VPC, egress-allowlisting DNS forwarder" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.source="$SOURCE"
# The certificates of upstreams over TLS are checked against these, unless the configuration gives an upstream a `ca_file`.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /dnsgate /dnsgate
# By number: there is no /etc/passwd here, and Kubernetes' runAsNonRoot can check only numbers.
USER 65532:65532
# Port 53 without root and without a capability: Docker sets net.ipv4.ip_unprivileged_port_start=0 in a container's
# network namespace (since 20.10; Kubernetes: securityContext.sysctls). A file capability would do less: the kernel
# refuses to execute such a file under --cap-drop ALL. With --network host it is the host's sysctl that counts: lower it
# there, or listen above 1023.
EXPOSE 53/udp 53/tcp 9153/tcp
# The verb, because there is no shell and no curl. Ready, not merely alive: it turns false when a drain begins.
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 \
    CMD ["/dnsgate", "healthcheck", "http://127.0.0.1:9153/readyz"]
ENTRYPOINT ["/dnsgate"]
# The admin pages listen on the container's every address, because who can reach them is settled by what is published.
# No configuration file: without one dnsgate serves Google APIs by the restricted VIP and refuses the rest.
CMD ["serve", "--listen", "0.0.0.0:53", "--admin", "0.0.0.0:9153"]
