PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
RUNS   ?= 1

.PHONY: demo test chaos soak check bench bench-peers clean

# One stamp per set of extras: a second run installs nothing.
$(VENV)/demo.ok: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[demo]'
	@touch $@

$(VENV)/dev.ok: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[demo,test,check]'
	@touch $@ $(VENV)/demo.ok

demo: $(VENV)/demo.ok          ## index the standard library while actors are killed
	$(BIN)/python -m examples.codesearch

test: $(VENV)/dev.ok           ## the whole suite, real processes included
	@$(BIN)/python -m compileall -q actors supervisor tests # children would compile them anew where Python writes no byte code
	$(BIN)/python -m pytest

chaos: $(VENV)/dev.ok          ## half an hour of faults, kills and hostile bytes; writes docs/explanation/reliability.md
	ACTORS_LONG=1 $(BIN)/python -m pytest -m "slow or chaos"

soak: $(VENV)/dev.ok           ## ten minutes of constant kills; writes its table there, too
	ACTORS_LONG=1 $(BIN)/python -m pytest tests/chaos/test_soak.py

check: $(VENV)/dev.ok          ## format, lint, types, floors
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/dev.ok          ## ours and the standard library, targets and all; writes docs/benchmarks.md
	$(BIN)/python -m benchmarks --runs $(RUNS)

bench-peers: $(VENV)/dev.ok    ## the same with peers from PyPI, each in an environment of its own
	$(BIN)/python -m benchmarks --peers

clean:
	rm -rf $(VENV) .venv-peers
