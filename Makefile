# From a fresh machine to green tests and a demo. Everything that is missing is made first; all of it
# is cached, so a second run starts at once. `make help` says what there is.

SHELL := /bin/bash
PYTHON := .venv/bin/python
LAB := $(PYTHON) -m tests.lab
DATAPATH ?= kernel
JOBS ?= 2
GROUT := $(if $(filter dpdk,$(DATAPATH)),--grout)
export DEBIAN_FRONTEND := noninteractive

.DEFAULT_GOAL := help
.PHONY: help setup test test-all unit netns lab demo lint lock proto bench clean distclean
.NOTPARALLEL:

help: ## this
	@awk -F': .*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "JOBS=N              guests of the lab at once (default 2)"
	@echo "DATAPATH=kernel     what the demo forwards with: kernel, or dpdk (grout)"

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

lab: ## scenarios with real FRR (root)
	@.ci/setup lab
	@exec $(LAB) run --jobs $(JOBS) -rfEs

demo: ## the standard topology, pings, and an FRR that is killed under them (root)
	@case "$(DATAPATH)" in \
	kernel|dpdk) ;; \
	*) echo "demo: there is no DATAPATH=$(DATAPATH); use kernel or dpdk." >&2; exit 2 ;; \
	esac
	@.ci/setup lab
	@[ -t 1 ] || export NO_COLOR=1; exec $(LAB) shell $(GROUT) -c 'exec python -m tests.lab.demo $(DATAPATH)'

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
