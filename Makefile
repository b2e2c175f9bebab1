PYTHON ?= python3
EXTRA ?= cpu
VENV ?= .venv
BIN := $(VENV)/bin
MODELS_FROM ?=
BENCH ?=
SOAK := test_soak_with_stalls_and_crashes
SOAK_S ?= 3600
RELOADS ?= 1000
SOURCES := runtime bench tests docs/examples models/training
MODEL ?=
CONFIG ?= full
DATA ?= ../shared/training
WORK ?= build/training
PHOTOGRAPHS ?=
NOBODY ?=
TORCH ?= torch==2.13.*
REFERENCE_PACK = $(if $(MODELS_FROM),--models '$(MODELS_FROM)' --pack reference)
RECIPE = $(BIN)/python -m livegate_training
RECIPE_FOLDERS = --data '$(DATA)' --work '$(WORK)' $(if $(MODELS_FROM),--reference '$(MODELS_FROM)') $(if $(PHOTOGRAPHS),--photographs '$(PHOTOGRAPHS)')

.DEFAULT_GOAL := help
.PHONY: help install run test test-slow soak soak-reloads check bench bench-full bench-peers kernels proto docs wheel clean train evaluate-models

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(VENV)/.installed ## a virtual environment with everything (EXTRA=cpu|cuda|cann)

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[$(EXTRA),demo,plot,dev]'
	touch $@

run: install ## serve, send a photograph over gRPC and HTTP, stay up (MODELS_FROM=DIR: with the reference pack from there)
	@$(BIN)/python docs/examples/first_verdict.py $(REFERENCE_PACK)

test: install ## the tests, minus the slow ones
	@# Half of them start servers, and wait for them.
	@$(BIN)/python .ci/side_by_side.py $(BIN)/python -m pytest -m "not slow" --ignore tests/e2e \
	  -- $(BIN)/python -m pytest -m "not slow" tests/e2e

test-slow: $(VENV)/.kernels $(VENV)/.torch ## the slow tests; they train, in seconds, and compile kernels
	@# The soak's five minutes are waiting, and the others keep one core busy each.
	@$(BIN)/python .ci/side_by_side.py \
	  $(BIN)/python -m pytest -m slow -k 'not $(SOAK)' --ignore tests/packaging --ignore tests/unit \
	  -- $(BIN)/python -m pytest -m slow tests/packaging tests/unit \
	  -- $(BIN)/python -m pytest -m slow -k $(SOAK)

soak: install ## the frame queue under stalls and crashes for SOAK_S seconds (3600)
	LIVEGATE_SOAK_S=$(SOAK_S) $(BIN)/python -m pytest -q -s -m slow -k soak tests/e2e/test_frame_queue_kills.py

soak-reloads: install ## hot reloads of the reference models under load, RELOADS times (1000)
	LIVEGATE_RELOADS=$(RELOADS) $(BIN)/python -m pytest -q -s -m slow -k soak tests/e2e/test_reload.py

check: install ## lint, types, layers, generated files: what CI runs before the tests
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python .ci/generated.py --check
	@if command -v cc >/dev/null; then \
	  cc -std=c11 -Wall -Wextra -Werror -Iproto -fsyntax-only docs/examples/frame_producer.c && echo "frame_producer.c compiles"; \
	else echo "no C compiler: docs/examples/frame_producer.c was not compiled"; fi

bench: install ## the standard set of figures, under ten minutes (MODELS_FROM=DIR: the reference pack; docs/bench.md)
	$(BIN)/livegate bench standard $(REFERENCE_PACK) $(BENCH)

bench-full: install ## every scenario with every system, more than an hour (BENCH='--json FILE': more flags)
	$(BIN)/livegate bench full $(REFERENCE_PACK) $(BENCH)

bench-peers: install ## the same work served by other runtimes (MODELS_FROM=DIR; BENCH='--json FILE'; docs/peers.md)
	$(BIN)/python .ci/peers.py
	$(BIN)/livegate bench peers $(REFERENCE_PACK) $(BENCH)

$(VENV)/.kernels: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --editable '.[$(EXTRA),kernels]'
	touch $@

kernels: $(VENV)/.kernels ## the CUDA kernels for every GPU into kernels/*.fatbin, with nvcc from the package index
	$(BIN)/python .ci/kernels.py

$(VENV)/.torch: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet '$(TORCH)'
	touch $@

train: $(VENV)/.torch ## one of our own networks: MODEL=lg_detect|lg_face|lg_silent [CONFIG=tiny] [DATA=DIR] [WORK=DIR] [PHOTOGRAPHS=DIR]
	$(RECIPE) train $(MODEL) --config $(CONFIG) $(RECIPE_FOLDERS)

evaluate-models: $(VENV)/.torch ## our own networks next to the reference models (as above; NOBODY=DIR: more faceless pictures)
	$(RECIPE) judge $(if $(MODEL),$(MODEL),all) --config $(CONFIG) $(RECIPE_FOLDERS) $(if $(NOBODY),--nobody $(NOBODY))

proto docs: install ## write the generated files again: gRPC stubs, error table, configuration keys
	$(BIN)/python .ci/generated.py

wheel: install ## build the wheel into dist/
	rm -rf dist
	$(BIN)/python -m build --wheel --outdir dist

clean: ## remove what the targets above made
	rm -rf $(VENV) dist build kernels/*.fatbin .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
