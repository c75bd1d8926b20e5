# The course's commands. GNU make 3.81 is enough (macOS has it); everything is installed in .venv/ and nowhere else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help setup lab test lint bench site clean
help:
	@echo "make lab     open the course in JupyterLab"
	@echo "make test    lint, types, every test, the lessons, nbgrader's flow and a browser"
	@echo "make bench   measure"
	@echo "make site    the lessons as web pages, in build/site"
	@echo "make setup   only install, in $(VENV)/"

setup: $(STAMP)

# uv itself comes from the lock file too, by pip, with its hash; then uv installs the rest (seconds, not minutes).
$(STAMP): requirements.lock pyproject.toml
	@python=; for p in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11; do \
	  if $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python=$$p; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "Python 3.11 or newer is missing. Debian: apt-get install python3 python3-venv; macOS: brew install python; or: make setup PYTHON=/path/to/python3" >&2; exit 1; \
	fi; \
	if ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
	  rm -rf $(VENV); echo "Setting up $(VENV) with $$($$python --version)"; \
	  if ! $$python -m venv $(VENV); then \
	    rm -rf $(VENV); echo "Python's venv module is missing. Debian: apt-get install python3-venv" >&2; exit 1; \
	  fi; \
	fi
	@awk '/^[^ #]/ { on = /^uv==/ } on' requirements.lock > $(VENV)/uv.lock
	@$(BIN)/python -m pip --quiet --disable-pip-version-check --no-cache-dir install --require-hashes -r $(VENV)/uv.lock
	@UV_CACHE_DIR=$(VENV)/.uv-cache $(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	@UV_CACHE_DIR=$(VENV)/.uv-cache $(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $(STAMP)

lab: setup
	@$(BIN)/python -m course lab

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/mypy k8s_core course

test: lint
	@$(BIN)/python tests/network/iptables.py
	@$(BIN)/python tests/course/walls.py
	@$(BIN)/python tests/course/browser.py
	@$(BIN)/python -m course build --check
	@$(BIN)/python -m pytest -q -p no:cacheprovider -n logical --dist loadfile --nbval --nbval-sanitize-with tests/nbval-sanitize.cfg tests notebooks/*.ipynb

bench: setup
	@$(BIN)/python -m benchmarks

site: setup
	@$(BIN)/python -m course site

clean:
	rm -rf $(VENV) .course build
