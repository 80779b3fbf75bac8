# The front for every chore. `make` alone lists them. It needs Go, and for the
# race detector a C compiler; `make test` gets the rest.

STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK = golang.org/x/vuln/cmd/govulncheck@v1.9.0

# Settings, as in `make run ARGS="--redis 127.0.0.1:6379"`.
ARGS     ?=
BENCH    ?= .
FUZZTIME ?= 10s
DURATION ?= 10m

# The output of `comet version`. k8s/base and the chart name the image of VERSION.
VERSION = 0.1.0
COMMIT := $(shell git rev-parse HEAD 2>/dev/null)
DATE   := $(shell TZ=UTC git log -1 --format=%cd --date=format-local:%Y-%m-%dT%H:%M:%SZ 2>/dev/null)
IMAGE   = docker.io/library/comet:$(VERSION)
STAMP   = -X main.version=$(VERSION) -X main.commit=$(COMMIT) -X main.date=$(DATE)

.DEFAULT_GOAL := help
.NOTPARALLEL: # what `test` asks for has an order
.PHONY: help run build install generate image release test test-all test-k8s test-failure test-chat test-clients check vulncheck bench comparison yardstick fuzz screenshots mutants redis programs module tidy clean go compiler

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-12s  %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: go ## the demo: three nodes on http://127.0.0.1:8080 (ARGS="--redis …")
	go run ./cmd/comet demo $(ARGS)

build: go ## build bin/comet
	go build -trimpath -ldflags '-s -w $(STAMP)' -o bin/comet ./cmd/comet

PREFIX ?= /usr/local
install: build ## bin/comet to /usr/local/bin (PREFIX=~/.local: for one user)
	@mkdir -p '$(DESTDIR)$(PREFIX)/bin' 2>/dev/null && test -w '$(DESTDIR)$(PREFIX)/bin' || { \
		echo '$(DESTDIR)$(PREFIX)/bin is not writable: make install PREFIX=$$HOME/.local, or sudo install bin/comet $(PREFIX)/bin' >&2; exit 1; }
	install -m 755 bin/comet '$(DESTDIR)$(PREFIX)/bin/comet'

image: go ## the container image as bin/comet-VERSION.tar, for amd64 and arm64; needs no Docker
	@for arch in amd64 arm64; do \
		CGO_ENABLED=0 GOOS=linux GOARCH=$$arch go build -trimpath -ldflags '-s -w $(STAMP)' -o bin/$$arch/comet ./cmd/comet || exit 1; \
	done
	@cd k8s && go run ./image -name $(IMAGE) -version $(VERSION) -commit '$(COMMIT)' -date '$(DATE)' \
		-out ../bin/comet-$(VERSION).tar ../bin/amd64/comet ../bin/arm64/comet
	@echo 'bin/comet-$(VERSION).tar holds $(IMAGE). Load it where it is to run:'
	@echo '  ctr -n k8s.io images import bin/comet-$(VERSION).tar   # kind: kind load image-archive, Docker: docker load -i'

PLATFORMS = linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64

release: image ## what a release consists of, in bin/release: archives for Linux, macOS and Windows, image, SBOM, checksums
	@rm -rf bin/release && mkdir -p bin/release
	@for platform in $(PLATFORMS); do \
		os=$${platform%/*}; arch=$${platform#*/}; exe=; \
		if [ $$os = windows ]; then exe=.exe; fi; \
		folder=comet-$(VERSION)-$$os-$$arch; \
		mkdir bin/release/$$folder && cp LICENSE README.md CHANGELOG.md bin/release/$$folder && \
		CGO_ENABLED=0 GOOS=$$os GOARCH=$$arch go build -trimpath -ldflags '-s -w $(STAMP)' -o bin/release/$$folder/comet$$exe ./cmd/comet && \
		tar -C bin/release -czf bin/release/$$folder.tar.gz $$folder && rm -r bin/release/$$folder || exit 1; \
	done
	@cp bin/comet-$(VERSION).tar bin/comet-$(VERSION).tar.spdx.json bin/release
	@cd bin/release && sha256sum * > SHA256SUMS && cat SHA256SUMS

# comet.js is in the tree as it is served; a test says when it is not what its sources make.
generate: go ## make comet.js again from gateway/web/cometjs/src
	go generate ./gateway/web/cometjs

# -count=1: what a test finds out about redis-server and other programs, Go's cache
# does not know. The timeout is a package's, only against hanging.
RACE = -race -count=1 -p 2 -parallel 6
TEST = CGO_ENABLED=1 go run ./internal/testrun $(RACE) -timeout 15m
# Connections that are not parked have no fast path at the door.
PORTABLE = $(RACE) -timeout 15m ./gateway -portable -skip 'TestFastPath$$|OnFastPath$$'

# The package that takes longest comes first.
ALL = ./pubsub/redisbroker ./...

test: takes-5m go compiler redis check ## the checks, and every test but the large ones, with the race detector (5 minutes)
	$(TEST) $(ALL)

test-all: takes-20m go compiler programs check ## all that CI runs: with browsers, load balancers, broken clusters, Kubernetes (20 minutes)
	COMET_TEST_ALL=1 $(TEST) $(ALL) -- $(PORTABLE)
	@COMET_TEST_ALL=1 $(MAKE) --no-print-directory test-k8s

takes-%:
	@echo 'This takes about $* on two quiet cores, and more the first time, when all is compiled.'

# A module of its own: what it needs of Kubernetes and Helm is no part of Comet.
test-k8s: go redis ## the manifests, the chart and the image, without a cluster (the first time it compiles for minutes)
	go build -o bin/testrun ./internal/testrun
	cd k8s && go vet ./... && go run $(STATICCHECK) ./... && ../bin/testrun -logs ../bin/test ./...

# A failing round says how to run its schedule again; -artifacts keeps the logs of its nodes.
test-failure: go compiler redis ## the failure suite, longer (DURATION=10m; ARGS="-failure.seed=7 -failure.redis=cluster")
	COMET_TEST_ALL=1 CGO_ENABLED=1 go test -race -count=1 -v -timeout 0 -run TestFailures ./gateway/failure -failure.duration=$(DURATION) $(ARGS)

# Real browsers on three nodes, which die, lose Redis and the network.
test-chat: go programs ## the chat through every trouble, longer (DURATION=10m)
	COMET_TEST_ALL=1 CGO_ENABLED=1 go test -race -count=1 -v -timeout 0 -run 'TestChat$$' ./cmd/comet -chat.duration=$(DURATION)

# test-all runs it too. The Go clients are a module of their own; npm installs the others by package-lock.json.
test-clients: go compiler programs ## the clients that people have, of npm and Go, over two nodes with cuts (ARGS=-update writes the table of docs/clients.md)
	cd gateway/clienttest/goclients && go vet ./...
	COMET_TEST_ALL=1 CGO_ENABLED=1 go test -race -count=1 -v -timeout 15m ./gateway/clienttest $(ARGS)

check: go ## gofmt, go vet (also for macOS and Windows) and staticcheck
	@files=$$("$$(go env GOROOT)/bin/gofmt" -l .) || exit 1; \
	if [ -n "$$files" ]; then \
		echo "Not formatted, run \`make tidy\`:" >&2; echo "$$files" >&2; exit 1; \
	fi
	go vet ./...
	GOOS=darwin go vet ./...
	GOOS=windows go vet ./...
	go run $(STATICCHECK) ./...
	cd gateway/web/cometjs/bundle && go vet ./... && go run $(STATICCHECK) ./...

# Not part of check: it needs the database at https://vuln.go.dev.
vulncheck: go ## known weaknesses of what Comet uses (needs the network)
	go run $(GOVULNCHECK) ./...

bench: go ## all benchmarks, or those that match (BENCH=Publish)
	go test -run '^$$' -bench '$(BENCH)' -benchmem ./...

comparison: go ## Comet beside Nchan on the same Redis, as a table (needs nginx and libnginx-mod-nchan; 10 minutes)
	go run ./bench/comparison -rounds 3 $(ARGS)

yardstick: comparison ## another name of comparison

fuzz: go ## each fuzz test for a short time (FUZZTIME=10s)
	@packages=$$(go list ./...) || exit 1; \
	for package in $$packages; do \
		list=$$(go test -list '^Fuzz' "$$package") || { echo "$$list" >&2; exit 1; }; \
		for target in $$(echo "$$list" | grep '^Fuzz'); do \
			echo "$$package $$target"; \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "$$package" || exit 1; \
		done; \
	done

# The pages are real: three nodes, a Redis and clients that talk, for a minute.
screenshots: go programs ## take the pictures of docs/images again (2 minutes)
	COMET_TEST_ALL=1 go test -count=1 -run 'Test(Dashboard|Chat)Pictures' ./cmd/comet -pictures "$$(pwd)/docs/images"

mutants: go ## take each delivery rule out and see the model test fail (1 minute)
	COMET_TEST_ALL=1 go test -run TestModelNotices -timeout 20m ./pubsub

redis: ## install redis-server, which the tests need, where it is missing (apt-get)
	@command -v redis-server >/dev/null || sh internal/testenv/install.sh redis-server

programs: go ## install what test-all needs, where it is missing: Chromium, nginx, HAProxy, Node and more (apt-get)
	@missing=$$(go run ./internal/testenv/missing) && sh internal/testenv/install.sh $$missing

# PATH on the command line of make is also what its recipes search: find the one that
# make was started with.
STARTED_PATH = $(shell p=$$PATH; PATH=/usr/bin:/bin; if [ -r /proc/$$PPID/environ ]; then tr '\0' '\n' < /proc/$$PPID/environ | sed -n 's/^PATH=//p'; else echo "$$p"; fi)

module: ## give the module another path, in all files (PATH=example.com/you/comet)
	@PATH='$(STARTED_PATH)' go run ./internal/modulepath '$(if $(filter command line,$(origin PATH)),$(PATH))'

tidy: go ## format all code and tidy go.mod
	"$$(go env GOROOT)/bin/gofmt" -w .
	go mod tidy

clean: ## remove what these targets and the Go tool leave in the tree
	rm -rf bin
	find . -type f \( -name '*.test' -o -name '*.out' -o -name '*.prof' \) -not -path './.git/*' -delete

go:
	@command -v go >/dev/null || { echo 'Comet is built with Go, which is not installed: https://go.dev/doc/install' >&2; exit 1; }

compiler: go
	@set -- $$(go env CC); command -v "$$1" >/dev/null || { \
		echo "The race detector needs a C compiler, and $$1 is not installed. Install it, then try again:" >&2; \
		echo '  Debian, Ubuntu   sudo apt-get install gcc libc6-dev' >&2; \
		echo '  Fedora           sudo dnf install gcc' >&2; \
		echo '  macOS            xcode-select --install' >&2; \
		exit 1; \
	}
