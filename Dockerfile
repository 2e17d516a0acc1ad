# sdp-csi, sdpctl and sdp-export in one image, which serves both of the
# driver's modes. Build it with `make image`.
#
# BASE brings the Ceph client libraries of its distribution. BUILDER is the
# same distribution with Go, so that both have the same Ceph.
ARG BASE=debian:12-slim
ARG BUILDER=golang:1.26-bookworm

FROM ${BUILDER} AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates gcc libc6-dev librados-dev librbd-dev libcephfs-dev \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG TARGETARCH
RUN GOARCH=${TARGETARCH} hack/go build -trimpath -ldflags='-s -w' -o /out/ ./cmd/sdp-csi ./cmd/sdpctl ./cmd/sdp-export

FROM ${BASE}
# e2fsprogs, xfsprogs: make and grow file systems. rbd-nbd, fuse3: the mappers
# of those names. kmod: loads rbd.
RUN apt-get update \
 && apt-get install -y --no-install-recommends \
    ca-certificates librados2 librbd1 libcephfs2 e2fsprogs xfsprogs rbd-nbd fuse3 kmod \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /out/ /usr/local/bin/
COPY LICENSE /usr/share/doc/sdp-csi/LICENSE
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="sdp-csi" \
      org.opencontainers.image.description="CSI driver that gives functions copy-on-write clones of sealed data sets in Ceph" \
      org.opencontainers.image.source="https://github.com/sdp-csi/sdp-csi" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# Mounting needs root, so the node's pods run as root; the controller's pods
# set a user of their own.
ENTRYPOINT ["/usr/local/bin/sdp-csi"]
