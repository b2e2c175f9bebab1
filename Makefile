PYTHON ?= python3
EXTRA ?= cpu
VENV ?= .venv
BIN := $(VENV)/bin
MODELS_FROM ?=
SOAK_S ?= 3600
SOURCES := runtime bench tests docs/examples

.DEFAULT_GOAL := help
.PHONY: help install run test test-slow soak check bench proto docs wheel clean

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(VENV)/.installed ## a virtual environment with everything (EXTRA=cpu|cuda|cann)

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[$(EXTRA),demo,plot,dev]'
	touch $@

run: install ## serve, send a photograph over gRPC and HTTP, stay up (MODELS_FROM=DIR)
	@$(BIN)/python docs/examples/first_verdict.py $(if $(MODELS_FROM),--models $(MODELS_FROM))

test: install ## the tests, minus the slow ones
	$(BIN)/python -m pytest -m "not slow"

test-slow: install ## the slow tests
	$(BIN)/python -m pytest -m slow

soak: install ## the frame queue under stalls and crashes for SOAK_S seconds (3600)
	LIVEGATE_SOAK_S=$(SOAK_S) $(BIN)/python -m pytest -q -s -m slow -k soak tests/e2e/test_frame_queue_kills.py

check: install ## lint, types, layers, generated files: what CI runs before the tests
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python .ci/generated.py --check
	@if command -v cc >/dev/null; then \
	  cc -std=c11 -Wall -Wextra -Werror -Iproto -fsyntax-only docs/examples/frame_producer.c && echo "frame_producer.c compiles"; \
	else echo "no C compiler: docs/examples/frame_producer.c was not compiled"; fi

bench: install ## served against in-process throughput (MODELS_FROM=DIR)
	$(BIN)/livegate bench serving $(if $(MODELS_FROM),--models $(MODELS_FROM))

proto docs: install ## write the generated files again: gRPC stubs, error table, configuration keys
	$(BIN)/python .ci/generated.py

wheel: install ## build the wheel into dist/
	rm -rf dist
	$(BIN)/python -m build --wheel --outdir dist

clean: ## remove what the targets above made
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
