# From a fresh machine to green tests and a demo. Each target first installs and builds what is missing.
# Results are cached, so a second run starts quickly. `make help` lists the targets.

SHELL := /bin/bash
PYTHON := .venv/bin/python
LAB := $(PYTHON) -m tests.lab
BENCH = $(PYTHON) -m tests.bench --json build/bench/$(shell date -u +%Y%m%dT%H%M%SZ).json
DATAPATH ?= kernel
JOBS ?= 2
GROUT := $(if $(filter dpdk,$(DATAPATH)),--grout)
KEEP ?=
FIGURES ?= $(wildcard docs/bench/*.json)
SEED ?= 1
STEPS ?= 20
PICTURES ?=
PLAN ?=
SHRINK ?=
SHOW := $(if $(KEEP),--keep)
TERMINAL := $(if $(KEEP),--terminal)
LAB_CACHE := $(or $(DUALPATH_LAB_CACHE),/var/cache/dualpath/lab)
# The demo prints its needs before anything long starts. Measured: 560 MB of memory with the kernel
# datapath; the VM for grout has 3072 MB; the root filesystems in the cache take 1590 MB.
DEMO_MB := $(if $(filter dpdk,$(DATAPATH)),3100,600)
NEEDS = echo "demo: takes $(if $(filter dpdk,$(DATAPATH)),6,2) minutes; the first time more, to make root filesystems in $(LAB_CACHE)"; \
    free -m | awk '/^Mem/ { print "demo: needs $(DEMO_MB) MB of memory; free: " $$7 " MB" }'; \
    df -Pm /var | awk 'END { print "demo: needs 1600 MB of disk; free: " $$4 " MB" }'
export DEBIAN_FRONTEND := noninteractive

.DEFAULT_GOAL := help
.PHONY: help setup test test-all unit netns kube images ui site deb wheel release lab lab-shell demo man lint lock proto bench bench-all bench-quick bench-plots clean distclean
.NOTPARALLEL:

help: ## list the targets
	@awk -F': .*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "JOBS=N              lab guests to run in parallel (default 2)"
	@echo "DATAPATH=kernel     datapath of the demo: kernel, or dpdk (grout)"
	@echo "RELEASES=...        Debian releases for \`make deb\`, such as \"bookworm trixie sid\""
	@echo "FIGURES=...         JSON files of \`make bench\` to draw (default: those in docs/bench)"
	@echo "KEEP=1              after the demo, open a shell with commands to try"

setup: ## create .venv; as root, also install packages
	@.ci/setup

test: ## run all checks and tests; as root also those in namespaces and in the lab
	@.ci/setup
	@exec $(PYTHON) -m tests.everything --jobs $(JOBS)

test-all: ## run test, and the long scenarios
	@.ci/setup
	@exec $(PYTHON) -m tests.everything --jobs $(JOBS) --all

unit: ## run the tests that need no root
	@.ci/setup
	@exec $(PYTHON) -m pytest -rfEs

netns: ## run tests on this machine's kernel, in their own namespaces (root)
	@.ci/setup
	@exec $(PYTHON) -m pytest -rfEs -m netns

kube: ## run tests with a real Kubernetes API server, which is compiled once (root)
	@.ci/setup lab
	@exec $(PYTHON) -m pytest -rfEs -m kube tests/kube

images: ## build the container images with buildah, and try them with podman (root)
	@.ci/setup images
	@$(PYTHON) -m deploy.images.build
	@exec $(PYTHON) -m pytest -rfEs -m images tests/images

ui: ## try the page in Chromium; PICTURES=1 renews docs/pictures (root)
	@.ci/setup ui
	@exec $(if $(PICTURES),env UPDATE_PICTURES=1) $(PYTHON) -m pytest -rfEs -m ui tests/ui

site: ## make the documentation as a site, in build/site
	@.ci/setup site
	@NO_MKDOCS_2_WARNING=1 $(PYTHON) -m mkdocs build
	@echo "site: open build/site/index.html"

deb: ## build the Debian package, for RELEASES (default: this machine's), and install it (root)
	@.ci/setup lab
	@packaging/build-deb $(RELEASES)
	@exec $(PYTHON) -m pytest -rfEs -m packages tests/packages

wheel: ## build the wheel, and install it on each supported Python that this machine has
	@.ci/setup
	@exec $(PYTHON) -m pytest -rfEs -m wheel tests/packages

release: ## put wheel, sdist, Debian packages for RELEASES, SBOM and checksums into build/release (root)
	@.ci/setup lab
	@rm -rf build/deb
	@packaging/build-deb $(RELEASES)
	@exec $(PYTHON) -m deploy.release

lab: ## run scenarios with real FRR (root)
	@.ci/setup lab
	@exec $(LAB) run --jobs $(JOBS) -rfEs

demo: ## start a topology, ping, and kill FRR meanwhile; KEEP=1 opens a shell then (root)
	@case "$(DATAPATH)" in \
	kernel|dpdk) ;; \
	*) echo "demo: unknown DATAPATH=$(DATAPATH); use kernel or dpdk." >&2; exit 2 ;; \
	esac
	@$(NEEDS)
	@.ci/setup lab
	@[ -t 1 ] || export NO_COLOR=1; \
	exec $(LAB) shell $(GROUT) $(TERMINAL) -c 'exec python -m tests.lab.demo $(DATAPATH) $(SHOW)'

.PHONY: chaos
chaos: ## faults by SEED (or PLAN), STEPS of them, under traffic, on DATAPATH; SHRINK=1, BRIDGED=1 (root)
	@.ci/setup lab
	@exec $(LAB) shell $(if $(BRIDGED),--mode straight,$(GROUT)) --timeout 7200 -c "exec python -m tests.lab.chaos --datapath $(DATAPATH) \
	    --seed $(SEED) --steps $(STEPS) $(if $(PLAN),--plan '$(PLAN)') $(if $(SHRINK),--shrink) $(if $(BRIDGED),--bridged)"

lab-shell: ## open a shell in the demo's topology, with commands to try (root)
	@$(MAKE) --no-print-directory demo SHOW=--shell TERMINAL=--terminal

man: ## write manual pages of the dualpath command to build/man/man1
	@.ci/setup
	@exec $(PYTHON) -m controller.cli.manual build/man/man1

lint: ## run ruff, and mypy --strict
	@.ci/setup
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m mypy

lock: ## update requirements*.txt after a change of dependencies (UPGRADE=1: newest versions)
	@.ci/setup
	@exec .ci/lock $(if $(UPGRADE),--upgrade)

proto: ## generate the gRPC code
	@.ci/setup
	@exec $(PYTHON) -m dualpath.pb.generate

bench: ## measure speed beside references, in about 15 minutes; JSON in build/bench (root)
	@.ci/setup bench
	@exec $(BENCH)

bench-all: ## run bench at all sizes, with more turns (root)
	@.ci/setup bench
	@exec $(BENCH) --all

bench-quick: ## run what CI measures, and print the trend since docs/bench (root)
	@.ci/setup bench
	@exec $(BENCH) --quick --compare $(wildcard docs/bench/quick-*.json)

bench-plots: ## draw how cost grows, from FIGURES, into docs/pictures
	@.ci/setup plots
	@exec build/plots/bin/python -m tests.bench.plots $(FIGURES)

distclean: ## run clean, and remove the lab's root filesystems (root)
	@.ci/setup lab
	@$(LAB) clean
	@$(MAKE) --no-print-directory clean

clean: ## remove everything generated in this checkout
	@rm -rf .venv build artefacts *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
