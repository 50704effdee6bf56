# Greenroom. Paths are relative, so the repository may lie anywhere, spaces included.
#
#   make run     a running portal with a demo fleet      make run GREENROOM_PORT=8100 ARGS=--verbose
#   make test    the whole suite                         make test ARGS="tests/fleet -k heartbeat"
#   make check   formatting, types, layers, migrations, docs
#   make bench   measures, as in docs/benchmarks.md
#   make chaos   kills processes by the hundred
#   make clean   stops what runs and removes .venv, caches and .greenroom
#   make lock    new lock files from pyproject.toml

SHELL := /bin/sh
.SHELLFLAGS := -ec
PACKAGES := foundation tenancy fleet enrollment updates incidents insights workers portal agent
PY := .venv/bin/python
# Python to build .venv with; the newest that fits is found where it is not given.
PYTHON :=

.PHONY: run test check bench chaos clean lock
.DELETE_ON_ERROR:

run: .venv/greenroom-run.stamp
	@exec $(PY) manage.py run $(ARGS)

test: .venv/greenroom-test.stamp
	@exec $(PY) -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

check: .venv/greenroom-test.stamp
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy $(wildcard $(PACKAGES))
	.venv/bin/lint-imports
	$(PY) manage.py makemigrations --check --dry-run
	$(PY) manage.py settings_doc --check

bench: .venv/greenroom-test.stamp
	@exec $(PY) -m bench $(ARGS)

chaos: .venv/greenroom-test.stamp
	@exec env GREENROOM_CHAOS=1 $(PY) -m pytest -m chaos $(ARGS)

# The home of this folder alone: data kept elsewhere by GREENROOM_HOME stays.
clean:
	@if [ -x $(PY) ]; then for home in .greenroom .cache/test-services; do \
		[ ! -e $$home ] || GREENROOM_HOME=$$home $(PY) manage.py services remove; \
	done; fi
	rm -rf .venv .greenroom .cache .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

lock: .venv/greenroom-test.stamp
	$(PY) -m uv pip compile --quiet --universal --generate-hashes --python-version 3.11 \
		pyproject.toml -o requirements.lock
	$(PY) -m uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --extra dev \
		pyproject.toml -c requirements.lock -o requirements-dev.lock

# A .venv that a stamp says we made is made anew when the lock has changed; any other is completed.
.venv/greenroom-run.stamp: requirements.lock
	@if [ -e $@ ] || ! $(PY) -m pip --version >/dev/null 2>&1; then \
		old=; novenv=; \
		for python in "$(PYTHON)" python3.13 python3.12 python3.11 python3.14 python3 python; do \
			command -v "$$python" >/dev/null 2>&1 || continue; \
			if ! "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
				old="$$old $$("$$python" -c 'import sys; print("%s.%s" % sys.version_info[:2])' 2>/dev/null || :)"; \
			elif ! "$$python" -c 'import venv, ensurepip' 2>/dev/null; then \
				novenv=$${novenv:-$$("$$python" -c 'import sys; print("python%s.%s-venv" % sys.version_info[:2])')}; \
			else found=$$python; break; fi; \
		done; \
		if [ -z "$$found" ]; then \
			if [ -n "$$novenv" ]; then \
				echo "Greenroom needs Python's venv module: install the package $$novenv (Debian, Ubuntu)." >&2; \
			else \
				echo "Greenroom needs Python 3.11 or newer$${old:+ (found:$$old)}: install it, or name it as in: make run PYTHON=/path/to/python3.12" >&2; \
			fi; \
			exit 1; \
		fi; \
		echo "Making .venv with $$("$$found" --version)."; \
		rm -rf .venv; \
		"$$found" -m venv .venv; \
	fi
	@echo "Installing the packages of requirements.lock."
	@$(PY) -m pip install --disable-pip-version-check --no-input --require-hashes -r requirements.lock
	@touch $@

.venv/greenroom-test.stamp: .venv/greenroom-run.stamp requirements-dev.lock
	@echo "Installing the packages of requirements-dev.lock."
	@$(PY) -m pip install --disable-pip-version-check --no-input --require-hashes -r requirements-dev.lock
	@touch $@
