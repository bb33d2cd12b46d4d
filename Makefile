# What people and CI do here; each chore is a script in scripts/.

VENV := .venv
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help demo test check setup

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: setup ## the app at http://127.0.0.1:7860
	@scripts/demo

test: setup ## the whole test suite; ARGS="-k pata" runs a part of it
	@scripts/test $(ARGS)

check: setup ## lint, format and types
	@scripts/check

setup: $(READY) ## the environment in .venv alone; PYTHON=/path/to/python3.12 chooses the interpreter

$(READY): requirements.txt constraints.txt pyproject.toml setup.py scripts/setup
	@scripts/setup
	@touch $@
