# Needs Python 3.11 or later and make; everything else is fetched into .venv by `make setup`.
SHELL := /bin/bash
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: help setup demo serve test judge check docs card benchmark

help:
	@echo "make demo       read a made-up exam end to end; results in demo-out"
	@echo "make serve      run the node with config.yaml, on loopback"
	@echo "make test       run the tests (as root on Debian or Ubuntu it installs the peers they talk to)"
	@echo "make judge      show the outside judges the whole matrix of result objects (some 25 minutes)"
	@echo "make check      style, types and import rules"
	@echo "make docs       write docs/configuration.md and docs/conformance.md anew"
	@echo "make card       make docs/card.png anew"
	@echo "make benchmark  print the measurements of benchmarks/"

setup: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt scripts/setup.sh
	scripts/setup.sh

demo: setup
	$(BIN)/mammo-node demo --out demo-out

serve: setup
	$(BIN)/mammo-node serve --config config.yaml

test: setup
	scripts/peers.sh
	$(BIN)/python -m pytest -n 2 --dist loadfile

judge: setup
	scripts/peers.sh
	MAMMO_NODE_WHOLE_MATRIX=1 $(BIN)/python -m pytest tests/peers/test_judges.py

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

docs: setup
	PYTHONPATH=. $(BIN)/python scripts/settings_reference.py
	PYTHONPATH=. $(BIN)/python scripts/conformance_statement.py

card: setup
	folder=$$(mktemp -d) && trap 'rm -r "$$folder"' EXIT && $(BIN)/mammo-node simulate-exam --seed 5 \
		--lesion spiculated_mass --side L --patient-name 'Sætherås^Ánná Đuŋŋá' --out "$$folder/exam" && \
	$(BIN)/mammo-node render "$$folder/exam" --result summary_sc --out "$$folder/card" && \
	$(BIN)/python -c 'import sys; from PIL import Image; \
		Image.open(sys.argv[1]).resize((1200, 900)).save("docs/card.png", optimize=True)' "$$folder"/card/*/*.png

benchmark: setup
	@for each in $(wildcard benchmarks/[a-z]*.py); do echo "== $$each"; PYTHONPATH=. $(BIN)/python "$$each" || exit 1; done
