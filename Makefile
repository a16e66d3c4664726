PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
RUNS   ?= 1
SUITE  ?= tests/supervisor/testing tests/processes/test_fates.py tests/test_examples_quickstart.py docs/how-to/testing.md
# How many processes run tests side by side; most tests wait for processes of their own.
TESTS  ?= 4

.PHONY: compiled demo test chaos soak sweep cluster check bench bench-peers docs wheel pyright pythons crossings clean

# One stamp per set of extras: a second run installs nothing.
$(VENV)/demo.ok: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[demo]'
	@touch $@

$(VENV)/dev.ok: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[demo,test,check]'
	@touch $@ $(VENV)/demo.ok

# Byte code, as an installed package has it: without it each child compiles its imports anew where Python writes none.
compiled: $(VENV)/dev.ok
	@$(BIN)/python -m compileall -q actors supervisor benchmarks tests

$(VENV)/docs.ok: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	@touch $@

demo: $(VENV)/demo.ok          ## index the standard library while actors are killed
	$(BIN)/python -m examples.codesearch

test: compiled                 ## the whole suite, real processes included
	$(BIN)/python -m pytest -n $(TESTS) --dist worksteal --ignore tests/cluster --ignore tests/alone
	$(BIN)/python -m pytest tests/alone tests/cluster

chaos: compiled                ## half an hour of faults, kills and hostile bytes; writes docs/explanation/reliability.md
	ACTORS_LONG=1 $(BIN)/python -m pytest -m "slow or chaos"

soak: compiled                 ## ten minutes of constant kills; writes its table there, too
	ACTORS_LONG=1 $(BIN)/python -m pytest tests/chaos/test_soak.py

sweep: compiled                ## each call of the operating system fails, at every place; writes its table there, too
	ACTORS_LONG=1 $(BIN)/python -m pytest tests/faults/test_sweep.py -k every_call

cluster: compiled              ## five minutes of kills and cuts over three machines in network namespaces (root, Ray)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check '.[ray]'
	$(BIN)/python -m tests.cluster.namespaces

pythons:                       ## the whole suite on each CPython there is; writes its table into docs/how-to/where-it-runs.md
	TESTS=$(TESTS) $(PYTHON) -m tests.pythons $(PYTHONS)

crossings:                     ## beside servers, debuggers and other tools; writes its table into docs/how-to/where-it-runs.md
	@test -x .venv-crossings/bin/python || $(PYTHON) -m venv .venv-crossings
	@.venv-crossings/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[test,crossings]'
	ACTORS_CROSSINGS=1 .venv-crossings/bin/python -m pytest tests/crossings

check: $(VENV)/dev.ok          ## format, lint, types, floors
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

pyright: $(VENV)/dev.ok        ## the public types, by another checker
	$(BIN)/pyright --pythonpath $(BIN)/python

wheel: $(VENV)/dev.ok          ## the wheel, in an empty environment with the sources out of the way; SUITE=tests for all
	rm -rf build/wheel && mkdir -p build/wheel/suite
	$(BIN)/python -m build --outdir build/wheel/dist
	$(PYTHON) -m venv build/wheel/venv
	build/wheel/venv/bin/python -m pip install --quiet --disable-pip-version-check "$$(ls build/wheel/dist/*.whl)[demo,test]"
	cp -r tests examples docs benchmarks pyproject.toml Makefile *.md build/wheel/suite
	cd build/wheel/suite && env -u PYTHONPATH ../venv/bin/python -m pytest $(SUITE)

bench: compiled                ## ours and the standard library, targets and all; writes docs/benchmarks.md
	$(BIN)/python -m benchmarks --runs $(RUNS)

bench-peers: compiled          ## the same with peers from PyPI, each in an environment of its own
	$(BIN)/python -m benchmarks --peers

docs: $(VENV)/docs.ok         ## the site, in build/site; a warning is an error
	$(BIN)/sphinx-build -q -W --keep-going -b html docs build/site
	@echo "build/site/index.html"

clean:
	rm -rf $(VENV) .venv-peers .venv-crossings build/pythons
