# quorate: `make quorum` starts a three-broker cluster, `make test` checks everything.
# Needed beforehand: make and Python 3.11+ with venv. Everything else goes into .venv.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

.PHONY: quorum test verify fix unit sim mutants brokers-sim live fuzz rolling matrix groups-soak bench clean
.DELETE_ON_ERROR:

quorum: $(VENV)/.installed          ## install what is missing and run a cluster on loopback
	@exec $(BIN)/quorate dev $(ARGS)

test: $(VENV)/.installed-dev        ## every check; the summary says whether any was left out
	@$(BIN)/python .ci/checks.py

verify: $(VENV)/.installed-dev      ## static checks only; changes nothing
	@$(BIN)/python .ci/checks.py format lint types imports

fix: $(VENV)/.installed-dev         ## reformat and repair what can be repaired
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

unit: $(VENV)/.installed-dev
	@$(BIN)/python .ci/checks.py unit

sim: $(VENV)/.installed-dev         ## SEEDS=how many, SECONDS=simulated length, SEED=one, TRACE=1 every event of it, SAVE=file for what a failure shrinks to, REPLAY=such a file, STATE=file of a long run
	@$(BIN)/python -m raftlog.testing \
		$(if $(SEEDS),--seeds $(SEEDS)) $(if $(SEED),--seed $(SEED)) $(if $(SECONDS),--seconds $(SECONDS)) \
		$(if $(TRACE),--trace) $(if $(SAVE),--save $(SAVE)) \
		$(if $(REPLAY),--replay $(REPLAY)) $(if $(STATE),--state $(STATE))

mutants: $(VENV)/.installed-dev     ## does the simulation catch every deliberate mistake? SEEDS=how many each may survive
	@$(BIN)/python -m tests.raftlog.sim.mutants $(if $(SEEDS),--seeds $(SEEDS)) $(NAMES)

brokers-sim: $(VENV)/.installed-dev ## whole brokers: SEEDS=how many of each scenario, SCENARIO=, SEED=
	@$(BIN)/python -m partitions.testing \
		$(if $(SEEDS),--seeds $(SEEDS)) $(if $(SEED),--seed $(SEED)) $(if $(SCENARIO),--scenario $(SCENARIO))

live: $(VENV)/.installed-dev        ## real processes, real clients
	@$(BIN)/python .ci/checks.py live

fuzz: $(VENV)/.installed-dev        ## hostile frames against three live brokers: FRAMES=how many, SEED=one
	@$(BIN)/python -m tests.live.fuzz \
		$(if $(FRAMES),--frames $(FRAMES)) $(if $(SEED),--seed $(SEED))

rolling: $(VENV)/.installed-dev     ## ROUNDS=10 rolling restarts under load; what producers and consumers notice
	@$(BIN)/python -m tests.live.rolling $(if $(ROUNDS),--rounds $(ROUNDS))

matrix: $(VENV)/.installed-dev      ## consumer groups of five client libraries, members that leave, are killed and stopped
	@$(BIN)/python -m pytest -q -m live tests/live/group_matrix.py

groups-soak: $(VENV)/.installed-dev ## consumer groups and administration while brokers are killed, stopped and drained: SECONDS=120, SEED=one
	@$(BIN)/python -m tests.live.soak $(if $(SECONDS),--seconds $(SECONDS)) $(if $(SEED),--seed $(SEED))

bench: $(VENV)/.installed           ## PARTS="produce latency consume idle groups connections members commits load"; figures beside a reference
	@$(BIN)/python -m bench.run $(PARTS)

clean:                              ## remove what the tools left behind, .venv included
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamps: a second run installs nothing unless pyproject.toml changed.
$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { echo "quorate needs Python 3.11 or newer: there is no '$(PYTHON)' (make PYTHON=/path/to/python3.11)"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("quorate needs Python 3.11 or newer: $(PYTHON) is " + sys.version.split()[0] + " (make PYTHON=/path/to/python3.11)")'
	@$(PYTHON) -m venv $(VENV) || { echo "could not make $(VENV): is the venv module installed (Debian: python3-venv)?"; exit 1; }

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	@echo "installing quorate and what it needs into $(VENV) (the first time only, about ten seconds)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml | $(BIN)/python
	@echo "installing quorate and the tools of its checks into $(VENV) (the first time only)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ $(VENV)/.installed
