PYTHON ?= python3
WORKERS ?= 2
BIN := .venv/bin

.PHONY: workbook notebooks check test test-real test-oldest test-colab lint bench report lab mutants clean

workbook: .venv/installed  ## execute what is missing of the quick sweep, print leaderboard and figures
	$(BIN)/python -m bioner_lib sweep quick --workers $(WORKERS) --retry-failed
	$(BIN)/python -m bioner_lib board

test: lint  ## lint and the tests; no network, no GPU
	$(BIN)/python -m pytest -q

check: lint  ## lint and the quick tests: no kernels, no second process, three minutes
	$(BIN)/python -m pytest -q -m "not real and not slow"

test-real: .venv/installed  ## the tests marked real too, against the folder in BIONER_MIRROR
	$(BIN)/python -m pytest -q -m "real or not real"

# TORCH=2.13.0 takes that version instead of the listed one, which may be a build of several GB
test-oldest:  ## the quick tests with the lowest versions that pyproject.toml allows
	OMP_NUM_THREADS=1 $(PYTHON) tests/environments.py oldest --torch "$(TORCH)"

test-colab:  ## the set-up cell and two notebooks with the versions of tests/colab.txt
	OMP_NUM_THREADS=1 $(PYTHON) tests/environments.py colab --torch "$(TORCH)"

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

CORPUS ?= ncbi-disease
PRECISION ?= auto
bench: .venv/installed  ## training and tagging against the stock tools, on a machine that is idle; ten minutes
	mkdir -p outputs
	$(BIN)/python -m papermill --cwd notebooks notebooks/85_throughput.ipynb outputs/85_throughput.ipynb \
		-p corpus $(CORPUS) -p precision $(PRECISION) -p limit 320 -p repeats 2
	$(BIN)/python -c "from bioner_lib.throughput import read_stored, summary; print(summary(read_stored()))"

report: .venv/installed  ## executed notebooks, leaderboard and figures as pages that open anywhere
	$(BIN)/python -m bioner_lib report

lab: .venv/installed  ## JupyterLab on the notebooks
	$(BIN)/jupyter lab --notebook-dir .

.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python >= 3.11 is needed: make PYTHON=python3.11"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf .venv
