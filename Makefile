# Two commands to start with: `make demo` and `make test`. Each does all of its own set-up.
PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: demo test chaos money simulate insurance-kill fuzz lint bench check lock clean services

demo: $(READY)
	$(BIN)/jingluo demo $(ARGS)

# Most tests that need an engine wait: three at a time keep two cores busy. A file's tests stay together.
# What failed is run once more, alone (tests/again.py). One after the other, and a file alone: `make test WORKERS=0 ARGS=tests/unit/test_mapping.py`.
WORKERS ?= 3
test: $(READY)
	bash deploy/services.sh start
	$(MAKE) --no-print-directory lint
	$(BIN)/python tests/again.py -n $(WORKERS) --dist loadfile $(ARGS)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/jingluo fmt --check

# Faults under load, seeded: `make chaos TRIALS=200 SEED=1`; one trial again: `make chaos SEED=20031 TRIALS=1`.
# Several at a time: `make chaos TRIALS=200 JOBS=3`.
TRIALS ?= 20
SEED   ?= 1
JOBS   ?= 1
chaos: $(READY)
	$(BIN)/python tests/chaos --trials $(TRIALS) --seed $(SEED) --jobs $(JOBS) $(if $(FAULT),--fault $(FAULT)) $(ARGS)

# The process that asks an insurance centre is killed as its request leaves: nothing is forgotten, or sent twice.
# On PostgreSQL: `make insurance-kill ARGS="--database postgresql://..."`.
TIMES ?= 200
insurance-kill: $(READY)
	PYTHONPATH=tests $(BIN)/python tests/contract/insurance_kill.py --times $(TIMES) --seed $(SEED) $(ARGS)

# Settlements in a simulated world, each by its seed: `make simulate SEEDS=10000`.
SEEDS ?= 10000
simulate: $(READY)
	$(BIN)/python -m tests.settlement --seeds $(SEEDS)
	$(BIN)/python -m tests.settlement.bugs

# Settlements over processes, whatever is killed, restarted and cut: all books agree. `make money SETTLEMENTS=500 SEED=1`.
SETTLEMENTS ?= 100
money: $(READY)
	$(BIN)/python tests/chaos/money.py --settlements $(SETTLEMENTS) --seed $(SEED)

# Every reader of a stranger's bytes, SECONDS each: `make fuzz SECONDS=600 ARGS=mllp`.
SECONDS ?= 60
fuzz: $(READY)
	$(BIN)/python tests/fuzz --seconds $(SECONDS) $(ARGS)

bench: $(READY)
	bash deploy/services.sh start
	$(BIN)/python -m bench $(ARGS)

services:
	bash deploy/services.sh start

# The locked set of every dependency, with hashes and without any registry's address.
lock: $(READY)
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --all-extras --group dev --universal --generate-hashes \
		--no-emit-index-url --no-header --no-annotate --quiet --upgrade -o requirements.lock

$(READY): requirements.lock pyproject.toml deploy/venv.sh
	PYTHON="$(PYTHON)" bash deploy/venv.sh $(VENV)
	touch $(READY)

clean:
	rm -rf $(VENV) var .mypy_cache .ruff_cache .pytest_cache .hypothesis
