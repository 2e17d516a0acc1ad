# `make help` lists the targets. Everything real is in hack/; this file only
# names it.

SHELL := /bin/bash
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

# A Go that is installed but not on the PATH of a fresh machine's root.
export PATH := $(PATH):/usr/local/go/bin

lint_version := v2.15.0
lint := .cache/bin/golangci-lint-$(lint_version)

# make demo BACKEND=cephfs KEEP=1 SIZE=200000000 DIR=/big/disk/demo
BACKEND ?=
KEEP ?=
SIZE ?=
DIR ?=
demo_flags = $(if $(BACKEND),-backend=$(BACKEND)) $(if $(KEEP),-keep) $(if $(SIZE),-size=$(SIZE)) $(if $(DIR),-dir=$(DIR))

# make e2e RUN='reboot|clone'
RUN ?=

# make image BASE=debian:13-slim IMAGE=registry.example/sdp-csi TAG=v1
# make image BASE=localhost/sdp-base:12   (no registry in reach)
BASE ?= debian:12-slim
IMAGE ?= sdp-csi
TAG ?= dev

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' Makefile

.PHONY: build
build: ## Build the programs into bin/
	@hack/packages build
	hack/go build -o bin/ ./cmd/...

.PHONY: demo
demo: ## Show the main job on a real Ceph; BACKEND=cephfs, KEEP=1 leaves it running, SIZE= bytes of the model
	@hack/packages demo
	hack/go build -o bin/ ./cmd/... ./hack/demo
	bin/demo -repo=. $(demo_flags)

.PHONY: test
test: ## Run all tests, with the race detector, on a throwaway real Ceph
	@hack/packages test
	@unformatted=$$(gofmt -l cmd hack pkg tests) && [[ -z $$unformatted ]] || { echo "not formatted (make fmt):" $$unformatted; exit 1; }
	hack/go vet ./...
	hack/with-ceph hack/go test -race -p 2 -timeout 30m ./...

.PHONY: test-tenants
test-tenants: ## Try to cross the walls between tenants, on a throwaway real Ceph
	@hack/packages test
	hack/with-ceph hack/go test -race -count 1 -v -parallel 4 -timeout 30m ./tests/tenants/...

.PHONY: test-krbd
test-krbd: ## Test the kernel mapper in a virtual machine (SDP_SKIP_KRBD=1 skips it)
	@hack/krbd

.PHONY: e2e
e2e: ## Test the driver on a real Kubernetes and Ceph; RUN= picks cases (SDP_SKIP_E2E=1 skips it)
	@hack/e2e $(if $(RUN),-test.run 'TestEndToEnd/($(RUN))')

# bench runs one benchmark's package on a throwaway Ceph, with the programs of
# bin/, and writes its figures to bench/out.
bench = SDP_BIN=$(CURDIR)/bin SDP_BENCH_OUT=$(CURDIR)/bench/out hack/with-ceph \
	hack/go test -tags "$$(hack/ceph-tag),bench" -count 1 -v -timeout 60m

.PHONY: bench-clone
bench-clone: build ## Measure cloning and import against raw librbd; writes bench/out/clone.json
	@hack/packages test
	$(bench) ./tests/bench/clone

.PHONY: bench-node
bench-node: build ## Measure sharing a golden on one node; writes bench/out/node.json
	@hack/packages test
	$(bench) ./tests/bench/node

.PHONY: bench-cephfs
bench-cephfs: build ## Measure goldens in CephFS beside RBD; writes bench/out/cephfs.json
	@hack/packages test
	$(bench) ./tests/bench/cephfs

# make bench-coldstart RUN='cold|warm' WAYS=baked,rbd SIZE=200000000 ROUNDS=1
.PHONY: bench-coldstart
bench-coldstart: build ## Measure cold starts on Kubernetes and Knative; RUN=, WAYS=, SIZE=, ROUNDS=, CALLS=, RATE=
	@hack/coldstart

.PHONY: lint
lint: $(lint) ## Run the linters (golangci-lint, installed into .cache/bin)
	$(lint) run --build-tags "$$(hack/ceph-tag),krbd,bench,e2e"
	cd deploy/verify && $(CURDIR)/$(lint) run

$(lint):
	@hack/packages lint
	GOBIN=$(CURDIR)/.cache/bin go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(lint_version)
	mv .cache/bin/golangci-lint $@

.PHONY: fmt
fmt: ## Format the sources
	gofmt -w cmd deploy hack pkg tests

.PHONY: image
image: ## Build the container image with docker or buildah; BASE=, IMAGE=, TAG=
	@hack/image "$(IMAGE):$(TAG)" "$(BASE)"

.PHONY: verify-manifests
verify-manifests: build ## Render deploy/, hold it to the API's types and to the flags, the chart to the base, the examples to their platforms
	@unformatted=$$(gofmt -l deploy) && [[ -z $$unformatted ]] || { echo "not formatted (make fmt):" $$unformatted; exit 1; }
	cd deploy/verify && go vet ./... && SDP_CSI=$(CURDIR)/bin/sdp-csi SDPCTL=$(CURDIR)/bin/sdpctl go test -count 1 ./...

.PHONY: chart
chart: ## Write the Helm chart's templates of deploy/kubernetes
	cd deploy/verify && go run ./chart ..

.PHONY: clean
clean: ## Remove what was built, and the Ceph of hack/ceph up
	hack/ceph down
	rm -rf bin .cache
