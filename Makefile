# `make demo`, `make test`, and `make docs` (pages in build/docs). Each creates .venv when it is not there.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test docs clean
.DEFAULT_GOAL := demo

demo: demo/report.html
	@echo "The report is demo/report.html; rm -r demo to run the demo again."

demo/report.html: | .venv/.installed
	$(BIN)/uvlens demo --out demo

test: .venv/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --level error
	$(BIN)/pytest --numprocesses 2 --dist loadfile

docs: .venv/.installed-docs
	$(BIN)/codespell README.md CHANGELOG.md docs examples simulators uvlens
	$(BIN)/python -m sphinx -q -W --keep-going -d build/doctrees docs build/docs
	@echo "The pages begin at build/docs/index.html"

.venv/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "uvlens needs Python 3.11 or newer: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv .venv || { rm -rf .venv; echo "Creating .venv failed; on Debian: apt install python3-venv"; exit 1; }
	@touch $@

.venv/.installed: .venv/.created pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

.venv/.installed-test: .venv/.created pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@ .venv/.installed

.venv/.installed-docs: .venv/.created pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[docs]'
	@touch $@ .venv/.installed

clean:
	rm -rf .venv demo build dist
