# sdp-csi, sdpctl and sdp-export in one image, which serves all of the driver's
# modes. Build it with `make image`, or for several architectures with
# `docker buildx build --platform linux/amd64,linux/arm64 .`
#
# BASE brings the Ceph client libraries of its distribution. BUILDER is the
# same distribution with Go, so that both have the same Ceph.
ARG BASE=debian:12-slim
ARG BUILDER=golang:1.26-bookworm

# A build context named «programs» (hack/image makes one where no registry has
# a BUILDER) takes the place of this stage.
FROM ${BUILDER} AS programs
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates gcc libc6-dev librados-dev librbd-dev libcephfs-dev \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG TARGETARCH
ARG VERSION=dev
ARG REVISION=unknown
# The stage runs on the platform it compiles for: the Ceph libraries are C. The
# modules' list stays in the programs for those who make an SBOM of the image.
RUN GOARCH=${TARGETARCH} hack/go build -trimpath -o / \
    -ldflags="-s -w -X github.com/sdp-csi/sdp-csi/pkg/build.version=${VERSION} -X github.com/sdp-csi/sdp-csi/pkg/build.revision=${REVISION}" \
    ./cmd/sdp-csi ./cmd/sdpctl ./cmd/sdp-export

FROM ${BASE}
# What the programs run, and nothing else:
#   e2fsprogs (mkfs.ext4, resize2fs, debugfs), xfsprogs (mkfs.xfs)
#   rbd-nbd, ceph-fuse    the mappers of those names
#   mount                 ceph-fuse calls it to drop the kernel's names
#   kmod                  loads rbd and nbd
# Python comes with ceph-fuse for a script that nobody runs here. It goes by
# dpkg, so that the package list stays what the image really holds.
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
    ca-certificates librados2 librbd1 libcephfs2 e2fsprogs xfsprogs rbd-nbd ceph-fuse mount kmod \
 && dpkg --purge --force-depends $(dpkg-query -W -f '${Package}\n' | grep -E '^(lib)?python3|^media-types$') \
 && rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/* /usr/share/python3 /sbin/mount.fuse.ceph
COPY --from=programs sdp-csi sdpctl sdp-export /usr/local/bin/
COPY LICENSE /usr/share/doc/sdp-csi/copyright
# Nothing that is run may lack a library: a BASE of another Ceph than the
# programs' shows here, not on a node.
RUN sdp-csi --version && sdpctl version \
 && ! ldd /usr/local/bin/sdp-export "$(command -v rbd-nbd)" "$(command -v ceph-fuse)" "$(command -v mkfs.xfs)" | grep 'not found'
ARG VERSION=dev
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.title="sdp-csi" \
      org.opencontainers.image.description="CSI driver that gives functions copy-on-write clones of sealed data sets in Ceph" \
      org.opencontainers.image.source="https://github.com/sdp-csi/sdp-csi" \
      org.opencontainers.image.documentation="https://github.com/sdp-csi/sdp-csi/tree/main/docs" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
# The controllers need no privilege. Pods that mount say `runAsUser: 0`.
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/sdp-csi"]
