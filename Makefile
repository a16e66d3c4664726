PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

.PHONY: demo test chaos check bench clean

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
	$(BIN)/python -m pytest

chaos: $(VENV)/dev.ok          ## minutes of SIGKILLs on a tree of thirty actors and on random traffic
	ACTORS_LONG=1 $(BIN)/python -m pytest -m slow

check: $(VENV)/dev.ok          ## format, lint, types, floors
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/dev.ok          ## ratios against the raw pipe and stock queues, one run
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV)
