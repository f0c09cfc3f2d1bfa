# make run    serve the demo cluster on loopback      make check  static checks and socket-free tests
# make test   all tests but those of test-cluster     make test-cluster  the pod on a real one-node Kubernetes
# make bench  figures, side by side with peers        make bench-quick   the same in two minutes, rougher
# make faults what dies around the pod, beside peers (ARGS=--short: ours alone)
# make soak   twenty minutes of everything at once    make fuzz          an hour of it
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LINT := --line-length 100 --target-version py311

PYTEST := $(BIN)/python -m pytest --durations=15
ELSEWHERE := $(addprefix --ignore=tests/,core cluster)
# Of the tests that mostly wait more may run at once than there are processors.
WORKERS ?= 3

export PYTHONDONTWRITEBYTECODE := 1

.PHONY: run test test-together test-alone test-cluster check bench bench-quick faults soak fuzz clean tools
# What measures must not run beside anything, whatever -j says.
.NOTPARALLEL:

run: $(VENV)/installed
	@manifests/demo/run.sh $(BIN)

test: check test-together test-alone

# Hundreds of processes are started, which would compile what they import each time.
test-together: $(VENV)/tested tools
	$(BIN)/python -m compileall -q kubedns dnsmasq_py sidecar
	$(PYTEST) tests $(ELSEWHERE) -m 'not alone' -n $(WORKERS) --dist loadscope --no-loadscope-reorder

test-alone: $(VENV)/tested tools
	$(PYTEST) tests $(ELSEWHERE) -m alone

test-cluster: $(VENV)/tested tools
	$(PYTEST) tests/cluster -s

check: $(VENV)/tested
	$(BIN)/ruff format $(LINT) --check --diff .
	$(BIN)/ruff check $(LINT) --select E,F,W,I,B,UP,SIM,C4,PIE,RET,PTH,N,RUF \
		--config 'lint.pep8-naming.extend-ignore-names=["*Service","*Received","*Connection*","*Producing","*Made","*Lost","*Protocol","*Exceeded","doRead","setTcp*","getHandle","callLater","getChildWithDefault","putChild","isLeaf","gotLength","handleContentChunk","setResponseCode","setHeader","notifyFinish","registerProducer","unregisterProducer","*Later","callFromThread","checkPersistence"]' .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(PYTEST) -q tests/core -n logical --dist worksteal

tools:
	@tests/setup-tools.sh

bench: $(VENV)/tested tools
	$(BIN)/python -m tests.bench $(ARGS)

bench-quick: $(VENV)/tested tools
	$(BIN)/python -m tests.bench --quick $(ARGS)

faults: $(VENV)/tested tools
	$(BIN)/python -m tests.faults $(ARGS)

soak: $(VENV)/tested tools
	$(BIN)/python -m tests.soak $(ARGS)

fuzz: $(VENV)/tested
	$(BIN)/python -m tests.fuzz all --seconds 3600 --seed 0

clean:
	rm -rf $(VENV) *.egg-info build .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The product alone, and with what its tests need.
$(VENV)/installed: setup.cfg setup.py kubedns/_batch.c kubedns/_ring.c kubedns/_ring.h pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable .
	touch $@

$(VENV)/tested: $(VENV)/installed
	$(BIN)/pip install --quiet --editable '.[test]'
	touch $@
