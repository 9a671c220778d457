# Two commands for a newcomer: `make demo` and `make test`. Written for GNU make 3.81, which macOS still ships.

PYTHON ?= python3
DEMO := build/demo
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
INSTALL_PROJECT := $(PIP) install --no-deps --no-build-isolation --editable .

RUN_DEMO := $(BIN)/callimport run sample_data/calls.csv sample_data/messy.csv \
	--profile canonical --destination sandbox --state-dir $(DEMO)/state \
	--leads sample_data/leads.csv --timezone America/Toronto --rate 5700/min --rejects $(DEMO)/rejects.csv

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-all test-browser fuzz check coverage bench recordings simulate crash kill baseline blackbox timings lock clean

help: ## what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

# .DELETE_ON_ERROR takes the interpreter away again where venv stopped half-way, so that the next try starts over.
$(BIN)/python:
	@command -v '$(PYTHON)' >/dev/null || { echo "$(PYTHON) not found: install Python 3.11 or newer, or name it with make PYTHON=/path/to/python3" >&2; exit 1; }
	@'$(PYTHON)' -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$$('$(PYTHON)' --version 2>&1) is too old: callimport needs Python 3.11 or newer; name one with make PYTHON=python3.12" >&2; exit 1; }
	@'$(PYTHON)' -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) cannot make a virtual environment: install its venv module (Debian and Ubuntu: apt install python3-venv)" >&2; exit 1; }
	@'$(PYTHON)' -m venv --clear .venv

# One .venv serves the demo and the tests; what each needs is remembered by its own stamp, the second holding the first.
.venv/runtime.stamp: $(BIN)/python requirements.txt pyproject.toml
	@echo 'installing callimport into .venv'
	@$(PIP) install --require-hashes --requirement requirements.txt
	@$(INSTALL_PROJECT)
	@touch $@

.venv/dev.stamp: $(BIN)/python requirements.txt requirements-dev.txt pyproject.toml
	@echo 'installing callimport and what its tests need into .venv'
	@$(PIP) install --require-hashes --requirement requirements-dev.txt
	@$(INSTALL_PROJECT)
	@touch .venv/runtime.stamp $@

# Exit code 3 is "finished, some rows rejected": what a file with broken rows must end with, and nothing else will do. The
# same rows rejected again are no news: 0.
demo: .venv/runtime.stamp ## rehearse an import of sample_data against a CRM on this machine
	@set -eu; \
	rm -rf $(DEMO); mkdir -p $(DEMO); \
	echo '== A rehearsal CRM starts on this machine. It allows 6000 requests a minute where the real one allows 200,'; \
	echo '== so that the demo takes seconds.'; \
	$(BIN)/callimport sandbox --state-dir $(DEMO)/state --seed sample_data/crm.json --limit 6000 --window 60 --quiet & \
	sandbox=$$!; \
	trap 'kill $$sandbox 2>/dev/null || true; wait $$sandbox 2>/dev/null || true' EXIT; \
	trap 'exit 130' INT; trap 'exit 143' TERM; \
	tries=0; \
	until test -s $(DEMO)/state/sandbox.json; do \
		kill -0 $$sandbox 2>/dev/null || { echo 'the rehearsal CRM stopped before it was ready; its message stands above' >&2; exit 1; }; \
		test $$tries -lt 150 || { echo 'the rehearsal CRM was not ready after 30 seconds' >&2; exit 1; }; \
		tries=$$((tries + 1)); sleep 0.2; \
	done; \
	import_sample() { \
		expected=$$1; shift; code=0; $(RUN_DEMO) "$$@" || code=$$?; \
		test $$code -eq $$expected || { echo "the import ended with exit code $$code; $$expected was expected" >&2; exit 1; }; \
	}; \
	echo; echo '== The import: every valid row goes to the CRM, every broken row of messy.csv is rejected with its reason.'; \
	import_sample 3; \
	echo; echo '== The same import again: nothing is sent twice.'; \
	import_sample 0 --force; \
	echo; echo 'ledger:  under $(DEMO)/state (its path stands at the start of the run above)'; \
	echo 'rejects: $(DEMO)/rejects.csv (to be mended in a spreadsheet and fed in again)'

test: check ## install what the tests need, then run the whole gate

check: .venv/dev.stamp ## the gate: format, lint, import contract, types, tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile

test-browser: .venv/dev.stamp ## look at the pages in a headless Chromium (Debian: apt install chromium chromium-driver)
	$(BIN)/python -m pytest tests/browser

test-all: check fuzz simulate crash kill ## everything: the gate, the fuzzers, the longer simulations, the browser
	@if command -v chromedriver >/dev/null; then $(MAKE) test-browser; \
	else echo 'NOT RUN: the browser tests. Install chromedriver (make help says how), then run make test-browser.' >&2; fi

fuzz: .venv/dev.stamp ## play 3,000 mutated files, 500 hostile answers and 1,000 flipped bits; SEED=n plays the same ones again
	$(BIN)/python -m tests.fuzz.files --count $(or $(FILES),3000) $(if $(SEED),--seed $(SEED))
	$(BIN)/python -m tests.fuzz.answers --count $(or $(ANSWERS),500) $(if $(SEED),--seed $(SEED))
	$(BIN)/python -m tests.fuzz.ledger_bits --count $(or $(BITS),1000) $(if $(SEED),--seed $(SEED))

# The rules one by one, each by its own tests: what the whole import happens to pass through does not count.
COVERING := $(filter-out %/test_locking.py,$(wildcard tests/unit/ledger/test_*.py)) $(patsubst %,tests/unit/%.py, \
	cli/test_doctor_checks cli/test_export cli/test_find cli/test_last_run cli/test_probe core/test_clock \
	core/test_normal_form crm/test_circuit_breaker crm/test_client crm/test_failure_budget crm/test_rate_limit \
	crm/test_retry crm/test_upload load/test_adopt load/test_canary load/test_deliver load/test_heartbeat \
	load/test_lost_ledger_check load/test_pilot load/test_reconcile load/test_recordings load/test_updates \
	load/test_verify)

coverage: .venv/dev.stamp ## that every branch of what decides about sending is walked by a test
	@mkdir -p build
	$(BIN)/python -m coverage run -m pytest -q $(COVERING)
	$(BIN)/python -m coverage report

bench: .venv/dev.stamp ## how much of the configured rate a run uses, and what a million rows cost
	$(BIN)/python -m tests.benchmarks.rate
	$(BIN)/python -m tests.benchmarks.size

recordings: .venv/dev.stamp ## a thousand recordings of 2 MB, killed in the middle: make recordings COUNT=1000 MB=2 KILLS=3
	$(BIN)/python -m tests.benchmarks.recordings --count $(or $(COUNT),1000) --megabytes $(or $(MB),2) --kills $(or $(KILLS),3)

simulate: .venv/dev.stamp ## crashes and faults in virtual time: make simulate SEEDS=10000 JOBS=2 PROFILE=all, or SEED=n
	$(BIN)/python -m tests.simulation $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),1000)) \
		$(if $(JOBS),--jobs $(JOBS)) $(if $(PROFILE),--profile $(PROFILE))

crash: .venv/dev.stamp ## die at every point there is, come back, and end where nobody died (minutes)
	$(BIN)/python -m tests.crash

kill: .venv/dev.stamp ## kill the real command for real: make kill KILLS=200
	$(BIN)/python -m tests.crash.kills --kills $(or $(KILLS),20)

# The baseline: the program as it was at one commit, installed as a wheel in an environment of its own under build/. It
# shares no file with the working tree. So the black box still sees a fault that enters both the program and its tests.
BASELINE_COMMIT := 53fd062707ab1c41fbaf0411b9533e3efc4b3c29
BASELINE := build/baseline
# Another commit makes another stamp, so that nobody compares with an old environment.
BASELINE_STAMP := $(BASELINE)/$(BASELINE_COMMIT).stamp
BASELINE_PIP := $(BASELINE)/bin/python -m pip --disable-pip-version-check --quiet

$(BASELINE_STAMP): | $(BIN)/python
	@git cat-file -e '$(BASELINE_COMMIT)^{commit}' 2>/dev/null || { \
		echo 'commit $(BASELINE_COMMIT) is not in this clone, so the baseline cannot be built.' >&2; \
		echo 'Fetch it: git fetch --unshallow, or git fetch origin $(BASELINE_COMMIT)' >&2; exit 1; }
	@echo 'building the baseline from commit $(BASELINE_COMMIT) in $(BASELINE)'
	@rm -rf $(BASELINE)
	@$(BIN)/python -m venv $(BASELINE)
	@mkdir $(BASELINE)/source
	@git archive --format=tar --output=$(BASELINE)/source.tar $(BASELINE_COMMIT)
	@tar -xf $(BASELINE)/source.tar -C $(BASELINE)/source
	@$(BASELINE_PIP) install --require-hashes --requirement $(BASELINE)/source/requirements.txt
	@$(BASELINE_PIP) wheel --no-deps --no-build-isolation --wheel-dir $(BASELINE)/wheel $(BASELINE)/source
	@$(BASELINE_PIP) install --no-deps $(BASELINE)/wheel/*.whl
	@rm -rf $(BASELINE)/source $(BASELINE)/source.tar
	@touch $@

$(BASELINE)/bin/callimport: $(BASELINE_STAMP) ;

baseline: .venv/dev.stamp $(BASELINE_STAMP) ## compare with the baseline: all records, then 20 black-box stories (minutes)
	$(BIN)/python -m tests.baseline
	$(BIN)/python -m tests.blackbox --seeds $(or $(SEEDS),20)

blackbox: .venv/dev.stamp $(BASELINE_STAMP) ## play whole imports against the CRM of the baseline: make blackbox SEEDS=20, or SEED=5
	$(BIN)/python -m tests.blackbox $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),20)) $(if $(JOBS),--jobs $(JOBS))

timings: .venv/dev.stamp $(BASELINE_STAMP) ## compare time and memory with the baseline: make timings ROWS=1000000
	$(BIN)/python -m tests.benchmarks.against_baseline $(if $(ROWS),--rows $(ROWS))

# Locks hold for every platform and name no index, so that each machine installs from the one it trusts; the hashes
# see to it that it is the same file. `make lock UPGRADE=--upgrade` takes newer releases.
LOCK := build/lock/bin/uv --no-config pip compile pyproject.toml --quiet --universal --python-version 3.11 \
	--generate-hashes --custom-compile-command 'make lock' $(UPGRADE)

lock: build/lock/bin/uv ## make the lock files anew after a change of dependencies
	$(LOCK) --extra sandbox --group build --output-file requirements.txt
	$(LOCK) --extra sandbox --group dev --constraint requirements.txt --output-file requirements-dev.txt

build/lock/bin/uv:
	@'$(PYTHON)' -m venv --clear build/lock
	@build/lock/bin/python -m pip --disable-pip-version-check --quiet install uv

clean: ## remove .venv and everything that was made
	rm -rf .venv build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find pipeline schemas sample_data tests -name __pycache__ -type d -prune -exec rm -rf {} +
