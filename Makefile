# From a fresh machine to green tests and a demo. Everything that is missing is made first; all of it
# is cached, so a second run starts at once. `make help` says what there is.

SHELL := /bin/bash
PYTHON := .venv/bin/python
LAB := $(PYTHON) -m tests.lab
DATAPATH ?= kernel
JOBS ?= 2
GROUT := $(if $(filter dpdk,$(DATAPATH)),--grout)
KEEP ?=
SHOW := $(if $(KEEP),--keep)
TERMINAL := $(if $(KEEP),--terminal)
LAB_CACHE := $(or $(DUALPATH_LAB_CACHE),/var/cache/dualpath/lab)
# What the demo needs, said before anything long begins. A run with the kernel datapath took 560 MB of
# memory; the VM of grout has 3072 MB. The trees of the cache are 1590 MB.
DEMO_MB := $(if $(filter dpdk,$(DATAPATH)),3100,600)
NEEDS = echo "demo: takes $(if $(filter dpdk,$(DATAPATH)),6,2) minutes; the first time more, to make root filesystems in $(LAB_CACHE)"; \
    free -m | awk '/^Mem/ { print "demo: needs $(DEMO_MB) MB of memory; free: " $$7 " MB" }'; \
    df -Pm /var | awk 'END { print "demo: needs 1600 MB of disk; free: " $$4 " MB" }'
export DEBIAN_FRONTEND := noninteractive

.DEFAULT_GOAL := help
.PHONY: help setup test test-all unit netns kube lab lab-shell demo man lint lock proto bench clean distclean
.NOTPARALLEL:

help: ## this
	@awk -F': .*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "JOBS=N              guests of the lab at once (default 2)"
	@echo "DATAPATH=kernel     what the demo forwards with: kernel, or dpdk (grout)"
	@echo "KEEP=1              end the demo in a shell, with commands to try"

setup: ## only make .venv (as root: install packages too)
	@.ci/setup

test: ## every check and every test; as root also those in namespaces and in the lab
	@.ci/setup
	@exec $(PYTHON) -m tests.everything --jobs $(JOBS)

test-all: ## test, and the long scenarios
	@.ci/setup
	@exec $(PYTHON) -m tests.everything --jobs $(JOBS) --all

unit: ## the tests that need no root (seconds)
	@.ci/setup
	@exec $(PYTHON) -m pytest -rfEs

netns: ## tests on this machine's kernel, in namespaces of their own (root)
	@.ci/setup
	@exec $(PYTHON) -m pytest -rfEs -m netns

kube: ## tests with a real Kubernetes API server, which is compiled once (root)
	@.ci/setup lab
	@exec $(PYTHON) -m pytest -rfEs -m kube tests/kube

lab: ## scenarios with real FRR (root)
	@.ci/setup lab
	@exec $(LAB) run --jobs $(JOBS) -rfEs

demo: ## the standard topology, pings, and FRR killed under them; KEEP=1 ends in a shell (root)
	@case "$(DATAPATH)" in \
	kernel|dpdk) ;; \
	*) echo "demo: there is no DATAPATH=$(DATAPATH); use kernel or dpdk." >&2; exit 2 ;; \
	esac
	@$(NEEDS)
	@.ci/setup lab
	@[ -t 1 ] || export NO_COLOR=1; \
	exec $(LAB) shell $(GROUT) $(TERMINAL) -c 'exec python -m tests.lab.demo $(DATAPATH) $(SHOW)'

lab-shell: ## a shell in the standard topology, with commands to try (root)
	@$(MAKE) --no-print-directory demo SHOW=--shell TERMINAL=--terminal

man: ## manual pages of the dualpath command, in build/man/man1
	@.ci/setup
	@exec $(PYTHON) -m controller.cli.manual build/man/man1

lint: ## ruff, and mypy --strict
	@.ci/setup
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m mypy

lock: ## write requirements-dev.txt again, after a change of dependencies (UPGRADE=1: newest versions)
	@.ci/setup
	@exec .ci/lock $(if $(UPGRADE),--upgrade)

proto: ## make the generated gRPC code again
	@.ci/setup
	@exec $(PYTHON) -m dualpath.pb.generate

bench: ## ratios, side by side on this machine (root)
	@.ci/setup
	@for bench in tests/bench/[a-z]*.py; do \
	    echo "== $$bench"; \
	    module=$${bench%.py}; $(PYTHON) -m "$${module//\//.}" || exit 1; \
	done

distclean: ## clean, and remove the lab's trees (root)
	@.ci/setup lab
	@$(LAB) clean
	@$(MAKE) --no-print-directory clean

clean: ## remove what was made in this checkout
	@rm -rf .venv build artefacts *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
