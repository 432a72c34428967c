# The verbs of this project. `make` alone lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
INVENTORY ?= inventories/local
NAME ?= coursehub
CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/coursehub
export PATH := $(PATH):$(CURDIR)/.venv/bin:/usr/sbin:/sbin
export PYTHONDONTWRITEBYTECODE := 1
PLAY := .venv/bin/ansible-playbook -i $(INVENTORY)
TARBALL = build/coursehub-jupyterhub-$(shell sed -n 's/^version: //p' galaxy.yml).tar.gz

.PHONY: help up down status test unit integration lint scenario bench lab build docs setup setup-dev installed

help: ## list the verbs
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:[^#]*## /\t/' | expand -t 14

up: setup ## stand up a hub on this machine
	$(PLAY) playbooks/site.yml

down: setup ## remove the hub, its cluster and every disk in it; what was built stays in the cache
	$(PLAY) playbooks/teardown.yml -e coursehub_confirm_removal=$(NAME)

status: setup ## tell what runs, what does not, and why
	@$(PLAY) playbooks/status.yml | grep -vE '^(PLAY|TASK|ok:|included:|Phases:|localhost +:|$$)'

lab: setup ## build all that the lab is made of, with no cluster
	cd lab && ../.venv/bin/python -m builder --cache $(CACHE)

test: ## lint, unit tests, and the whole on a cluster of its own
	@# The first two keep a core busy each; the third one waits most of its time.
	$(MAKE) --jobs=3 lint unit integration
	PYTEST_ADDOPTS='-m "not slow"' $(MAKE) scenario S='default disks faults'

setup:
	@python3 scripts/setup.py runtime

setup-dev:
	@python3 scripts/setup.py dev

lint: setup-dev ## ansible-lint, yamllint, ruff, mypy, ansible-test sanity
	scripts/lint

unit: setup-dev ## fast tests of what thinks
	.venv/bin/python -m pytest tests/unit

integration: setup-dev ## tests against real parts that need no cluster
	.venv/bin/python -m pytest tests/integration --durations=15

S ?= default
scenario: installed ## a Molecule scenario on a cluster of its own, S=<name>
	rm -f build/reports/*.log
	@# A run that was cut off, or a machine that restarted, leaves a record of a cluster that is no more.
	.venv/bin/molecule destroy --scenario-name=default
	@# What failed stands last, where one looks first.
	.venv/bin/molecule test $(addprefix --scenario-name=,$(S)) || \
	  { grep -hE '^(E  |FAILED|ERROR)' build/reports/*.log | tail -n 40; exit 1; }

B ?= setup
bench: setup-dev ## a benchmark, B=<name>; writes build/bench/<name>.json
	.venv/bin/python -m bench.$(B)

build: setup-dev ## the collection's tarball, in build/
	.venv/bin/ansible-galaxy collection build --force --output-path build

installed: build
	.venv/bin/ansible-galaxy collection install --force --no-deps --offline --collections-path build/installed $(TARBALL)

docs: setup-dev ## the roles' tables of variables, and the changelog
	.venv/bin/python scripts/role_docs.py
