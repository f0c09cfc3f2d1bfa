# make run    serve the demo cluster on loopback      make check  static checks and socket-free tests
# make test   all tests but those of test-cluster     make bench  figures, side by side with peers (ARGS=--quick)
# make test-cluster   the pod on a real one-node Kubernetes      make fuzz   an hour of it
# make faults   what dies around the pod, side by side with peers (ARGS=--short: ours alone)
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LINT := --line-length 100 --target-version py311

export PYTHONDONTWRITEBYTECODE := 1

.PHONY: run test test-cluster check bench faults fuzz clean tools

run: $(VENV)/installed
	@manifests/demo/run.sh $(BIN)

test: tools check
	$(BIN)/python -m pytest tests --ignore=tests/core --ignore=tests/cluster --ignore=tests/faults

test-cluster: $(VENV)/tested tools
	$(BIN)/python -m pytest tests/cluster -s

check: $(VENV)/tested
	$(BIN)/ruff format $(LINT) --check --diff .
	$(BIN)/ruff check $(LINT) --select E,F,W,I,B,UP,SIM,C4,PIE,RET,PTH,N,RUF \
		--config 'lint.pep8-naming.extend-ignore-names=["*Service","*Received","*Connection*","*Producing","*Made","*Lost","*Protocol","*Exceeded","doRead","setTcp*","getHandle","callLater","getChildWithDefault","putChild","isLeaf","gotLength","handleContentChunk","setResponseCode","setHeader","notifyFinish","registerProducer","unregisterProducer","*Later","callFromThread","checkPersistence"]' .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m pytest -q tests/core

tools:
	@tests/setup-tools.sh

bench: $(VENV)/tested tools
	$(BIN)/python -m tests.bench $(ARGS)

faults: $(VENV)/tested tools
	$(BIN)/python -m tests.faults $(ARGS)

fuzz: $(VENV)/tested
	$(BIN)/python -m tests.fuzz all --seconds 3600 --seed 0

clean:
	rm -rf $(VENV) *.egg-info build .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The product alone, and with what its tests need.
$(VENV)/installed: setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable .
	touch $@

$(VENV)/tested: $(VENV)/installed
	$(BIN)/pip install --quiet --editable '.[test]'
	touch $@
