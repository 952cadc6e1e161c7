# Everything sets itself up: a virtual environment in .venv, the build tools, the extension in release mode.
# Needs Python 3.11+ and a Rust toolchain.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := bash
PYTHON ?= python3
# SLOW=1 runs the slow tests too; ARGS are handed on to pytest or to the demo.
SLOW ?=
ARGS ?=

BIN := .venv/bin
DEPS := .venv/.dependencies
BUILT := .venv/.built
# The same interpreter for maturin and for cargo, or each would rebuild what the other built.
export PYO3_PYTHON := $(CURDIR)/.venv/bin/python
SOURCES := Cargo.toml Cargo.lock $(shell find rust data -type f 2>/dev/null)

$(DEPS): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo 'Python 3.11 or newer is needed; name it with PYTHON=...' >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet 'maturin>=1.9,<2' --group test --group lint --group bench
	@touch $@

$(BUILT): $(DEPS) $(SOURCES)
	@command -v cargo >/dev/null || { echo 'A Rust toolchain is needed: https://rustup.rs' >&2; exit 1; }
	VIRTUAL_ENV='$(CURDIR)/.venv' $(BIN)/maturin develop --release
	@touch $@

.PHONY: help
help: ## Show this list.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  %-16s %s\n", $$1, $$2 }'

.PHONY: demo
demo: $(BUILT) ## Replay a bundled crash day through three shapes of protocol: who pays?
	$(BIN)/underwater demo $(ARGS)

.PHONY: build
build: $(BUILT) ## Build the extension into .venv, in release mode.

.PHONY: test
test: test-rust test-python ## Run all tests; SLOW=1 for the slow ones too.

.PHONY: test-rust
test-rust: $(DEPS) ## Run the tests of the engine, with the features that the extension is built with.
	cargo test --release --workspace --features underwater-python/extension-module --quiet

.PHONY: test-python
test-python: $(BUILT) ## Run the tests of the package; ARGS='-k name' chooses.
	$(BIN)/pytest $(if $(SLOW),-m 'slow or not slow') $(ARGS)

.PHONY: check
check: lint-rust lint-python lint-stubs ## Run all that reads the code without running it.

.PHONY: lint-rust
lint-rust: $(DEPS) ## Check format and lints of the Rust code.
	cargo fmt --all --check
	cargo clippy --release --workspace --all-targets --quiet -- -D warnings

.PHONY: lint-python
lint-python: $(BUILT) ## Check format, lints and types of the Python code.
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	MYPYPATH=python:benches:benches/peers $(BIN)/mypy benches/*.py benches/peers/*.py

.PHONY: lint-stubs
lint-stubs: $(BUILT) ## Check that the stubs tell the truth about the extension.
	$(BIN)/stubtest underwater._core

.PHONY: format
format: $(DEPS) ## Format all code.
	cargo fmt --all
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

.PHONY: bench
bench: $(BUILT) ## Run the benchmarks and print the table of targets; SLOW=1 for the long rows too.
	$(BIN)/pytest benches -o addopts='' -o timeout=3600 -m '$(if $(SLOW),slow or not slow,not slow)' --figures .benchmarks/figures.md $(ARGS)

.PHONY: bench-workloads
bench-workloads: $(BUILT) ## Write the inputs of the Rust benchmarks; SLOW=1 for the large tape too.
	$(BIN)/python benches/workloads.py $(if $(SLOW),--slow)

.PHONY: bench-rust
bench-rust: bench-workloads ## Measure the stages of the engine with criterion; ARGS='index' chooses.
	cargo bench --package underwater-engine --bench stages --bench search $(if $(ARGS),-- '$(ARGS)')
	$(BIN)/python benches/exponents.py .benchmarks/rust.md

.PHONY: bench-peers
bench-peers: $(BUILT) ## Compare tick rates with hftbacktest, nautilus_trader and lrvx, each in an environment of its own.
	$(BIN)/python benches/peers/run.py .venv-peers --figures .benchmarks/peers.md

.PHONY: clean
clean: ## Remove all that was built or written.
	rm -rf .venv .venv-peers target out dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
	find python tests -name __pycache__ -o -name '_core*.so' | xargs rm -rf
