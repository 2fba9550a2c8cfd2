PYTHON ?= python3
WORKERS ?= 2
BIN := .venv/bin

.PHONY: workbook notebooks test test-real lint lab mutants clean

workbook: .venv/installed  ## execute what is missing of the quick sweep, print leaderboard and figures
	$(BIN)/python -m bioner_lib sweep quick --workers $(WORKERS) --retry-failed
	$(BIN)/python -m bioner_lib board

test: lint  ## lint and the tests; no network, no GPU
	$(BIN)/python -m pytest -q

test-real: .venv/installed  ## the tests marked real too, against the folder in BIONER_MIRROR
	$(BIN)/python -m pytest -q -m "real or not real"

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

notebooks: .venv/installed  ## execute the notebooks on the sample and write their outputs into them
	$(BIN)/python .ci/notebooks.py $(NOTEBOOKS)

MUTANTS ?= *
mutants: .venv/installed  ## mutate the core and see which tests notice; hours; MUTANTS='*[49]' takes a fifth
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[mutation]'
	OMP_NUM_THREADS=1 $(BIN)/mutmut run '$(MUTANTS)'
	$(BIN)/mutmut results

lab: .venv/installed  ## JupyterLab on the notebooks
	$(BIN)/jupyter lab --notebook-dir .

.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python >= 3.11 is needed: make PYTHON=python3.11"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf .venv
