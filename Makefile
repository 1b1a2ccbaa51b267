# One name for each task; CI runs the same names. Everything happens inside .venv of this checkout.

PYTHON ?= $(shell for python in python3.11 python3; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& { echo $$python; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
PEERS := .venv-peers
INSTALLED := $(VENV)/.installed
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check --no-input
PYTEST := $(BIN)/python -m pytest
# What an order costs, counted and not timed: the same on every machine.
COUNTED := tests/unit/test_sign_cost.py tests/unit/test_core_cost.py tests/unit/test_feed_cost.py \
	tests/unit/test_atomics.py tests/unit/test_hot_kernels.py
# Ticks a second of the memo's benches: what the machine follows without taking ticks together.
FUSED_RATE ?= 1000
SHARED_RATE ?= 200
# The siege: how many rounds, of which seed (random if empty), or the one round to repeat.
ROUNDS ?= 100
SEED ?=
ROUND ?= 0

.DEFAULT_GOAL := help
.PHONY: help install demo test test-slow test-full bench bench-tiny bench-gate gate \
	bench-peers memo siege check lock clean

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

install: $(INSTALLED)  ## make .venv with the locked packages and halftick in it
	@:

$(INSTALLED): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: make PYTHON=path/to/python" >&2; exit 1; }
	@echo "installing into $(VENV) (once; about a minute) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

demo: install  ## play the recorded markets through the whole engine and show the report
	@$(BIN)/halftick demo

test: install  ## what a newcomer runs: everything but the slow tests
	@$(PYTEST) -m "not slow and not gate"

test-slow: install  ## the slow tests alone
	@$(PYTEST) -m "slow and not gate"

test-full: test test-slow  ## all tests

bench: install  ## measure and write the tables of bench/README.md; three minutes; read it before comparing
	@mkdir -p .benchmarks
	@$(PYTEST) bench --benchmark-enable --benchmark-columns=median,iqr,min,max,rounds \
		--benchmark-json=.benchmarks/last.json $(BENCH_ARGS)
	@$(BIN)/python bench/table.py .benchmarks/last.json

bench-tiny: install  ## run every bench once, as a test, without measuring
	@$(PYTEST) bench --benchmark-disable

bench-gate: install  ## fail where something became slower: counts, ratios, and BASE=HEAD~1 against this tree
	@$(PYTEST) -q $(COUNTED)
	@$(PYTEST) -q -m gate
	@PYTHONPATH=bench:tests $(BIN)/python bench/gate.py $(if $(BASE),--base-revision $(BASE)) $(GATE_ARGS)

gate: install  ## what bench-gate times, where others compute too: four minutes, only what fails twice fails
	@PYTHONPATH=bench:tests $(BIN)/python bench/gate.py --confirm --seconds-max 200 \
		$(if $(BASE),--base-revision $(BASE)) $(GATE_ARGS)

siege: install  ## nightly: ROUNDS=100 rounds of faults against real processes, SEED=…, ROUND=n repeats one
	@PYTHONPATH=tests $(BIN)/python -m siege --rounds $(ROUNDS) --round $(ROUND) \
		$(if $(SEED),--seed $(SEED)) $(SIEGE_ARGS)

memo: install  ## write ops/RUST_DECISION.md from a bench of each profile and a demo; five quiet minutes
	@mkdir -p .benchmarks
	@$(BIN)/halftick bench tick-to-trade --profile fused --rate $(FUSED_RATE) --json > .benchmarks/fused.json
	@$(BIN)/halftick bench tick-to-trade --profile shared --rate $(SHARED_RATE) --ticks 4000 \
		--json > .benchmarks/shared.json
	@$(BIN)/halftick demo --directory runs/memo > /dev/null
	@$(BIN)/halftick memo .benchmarks/fused.json .benchmarks/shared.json runs/memo

bench-peers: install $(PEERS)/.installed  ## measure what others would use beside us; four minutes
	@for peer in frame_decode ipc http_post stock_stack; do \
		PYTHONPATH=bench:tests $(PEERS)/bin/python bench/peers/$$peer.py || exit 1; done

# The peers' packages, and behind them this project's own environment.
$(PEERS)/.installed: bench/peers/requirements.lock $(INSTALLED)
	@echo "installing the peers into $(PEERS) ..."
	@$(BIN)/python -m venv --clear $(PEERS)
	@$(PEERS)/bin/python -m pip -qq --disable-pip-version-check --no-input install \
		--require-hashes -r bench/peers/requirements.lock
	@$(BIN)/python -c 'import site; print(f"import site; site.addsitedir({site.getsitepackages()[0]!r})")' \
		> $$($(PEERS)/bin/python -c 'import site; print(site.getsitepackages()[0])')/halftick-peers.pth
	@touch $@

check: install  ## lint, format, types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

lock: pyproject.toml  ## write requirements.lock anew (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-annotate --no-header --extra dev --extra demo pyproject.toml -o requirements.lock

clean:  ## remove the environment and everything derived, but not runs/
	rm -rf $(VENV) $(PEERS) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .benchmarks
	find . -name __pycache__ -prune -exec rm -rf {} +
