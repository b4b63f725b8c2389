# One command for each thing a person does here.  Needs Python 3.11+ with pip and venv, make, git.
# Everything is installed into .venv; a stamp file there remembers what has been done.

DEVICE ?= cpu
PYTHON ?= $(firstword $(foreach p,python3 python3.13 python3.12 python3.11,$(shell \
	$(p) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(p))))
VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/stamps
PIP := $(BIN)/python -m pip install --disable-pip-version-check
OUTPUT := demo-output
FIND_OPENCL := $(BIN)/python -c 'import flambeau; flambeau.empty(0, device="opencl")'

.PHONY: help demo test test-compiled test-deep lint bench generate docs clean
help:
	@echo "make demo [DEVICE=cpu]  train a small network on handwritten digits"
	@echo "make test               the whole test suite"
	@echo "make test-compiled      compile the core and test it"
	@echo "make test-deep          the same with many more generated cases"
	@echo "make lint               style, types, import contracts"
	@echo "make bench              side by side with torch: writes docs/benchmarks.md"
	@echo "make generate           write the reference, type stubs and the page on parity anew"
	@echo "make docs               build the documentation into site/"
	@echo "make clean              remove what these made"

demo: $(STAMPS)/demo
	@echo "==> devices"
	@$(BIN)/flambeau devices
	@echo "==> training on $(DEVICE)"
	@$(BIN)/python examples/demo_digits.py --device $(DEVICE) --output $(OUTPUT)

test: $(STAMPS)/dev
	@$(MAKE) --no-print-directory $(STAMPS)/opencl || echo "no OpenCL here: its tests are skipped"
	@if [ -z "$(CPU_IS_PROVED)" ]; then \
		echo "==> conformance of the cpu backend"; $(BIN)/flambeau conformance cpu; fi
	@if [ -e $(STAMPS)/opencl ] && [ -z "$(OPENCL_IS_PROVED)" ]; then \
		echo "==> conformance of the opencl backend, primitives in single precision"; \
		$(BIN)/flambeau conformance opencl --level 1 -k float32; fi
	@echo "==> tests"
	@$(BIN)/python -m pytest -q

test-compiled: $(STAMPS)/dev
	@echo "==> compiling the core"
	@$(PIP) -e ".[compiled]"
	@$(BIN)/python -m flambeau.compile_core
	@echo "==> tests of the core, compiled"
	@FLAMBEAU_COMPILED=1 $(BIN)/python -m pytest -q tests/unit/autograd tests/unit/nn tests/unit/ops \
		tests/unit/optim tests/unit/data $(wildcard tests/unit/test_*.py)

test-deep: $(STAMPS)/dev
	@echo "==> conformance of the cpu backend, deep"
	@$(BIN)/flambeau conformance cpu --deep
	@$(MAKE) --no-print-directory $(STAMPS)/opencl $(STAMPS)/oclgrind
	@echo "==> conformance of the opencl backend, deep"
	@$(BIN)/flambeau conformance opencl --deep
	@echo "==> kernels under a simulator that reports races and accesses out of bounds"
	@FLAMBEAU_OPENCL_DEVICE=oclgrind OCLGRIND_DATA_RACES=1 OCLGRIND_LOG=$(STAMPS)/oclgrind.log \
		$(BIN)/flambeau conformance opencl --level 1 -k float32
	@! grep -i "race\|invalid" $(STAMPS)/oclgrind.log
	@echo "==> tests, deep"
	@HYPOTHESIS_PROFILE=deep $(BIN)/python -m pytest -q

lint: $(STAMPS)/dev
	@echo "==> style"
	@$(BIN)/ruff check .
	@echo "==> types"
	@$(BIN)/mypy
	@echo "==> import contracts"
	@$(BIN)/python -m pytest -q tests/unit/test_import_contracts.py

bench: $(STAMPS)/torch $(STAMPS)/demo
	@echo "==> side by side with torch"
	@$(BIN)/python benchmarks/report.py

generate: $(STAMPS)/dev
	@$(BIN)/python -m generate

docs: $(STAMPS)/docs
	@echo "==> documentation"
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "site/index.html"

clean:
	rm -rf $(VENV) $(OUTPUT) site

# ---- the environment -----------------------------------------------------------------------
$(STAMPS)/venv:
	@test -n "$(PYTHON)" || { echo "flambeau needs Python 3.11 or later: make PYTHON=/path/to/python"; exit 1; }
	@echo "==> environment: $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/base: $(STAMPS)/venv pyproject.toml
	@echo "==> installing flambeau"
	@$(PIP) -e .
	@touch $@

$(STAMPS)/demo $(STAMPS)/dev $(STAMPS)/docs: $(STAMPS)/%: $(STAMPS)/base
	@echo "==> installing what 'make $*' needs"
	@$(PIP) -e ".[$*]"
	@touch $@

# A driver for the CPU comes from PyPI where there is none; it is x86-64 only.
$(STAMPS)/opencl: $(STAMPS)/base
	@echo "==> installing what the opencl backend needs"
	@$(PIP) -e ".[opencl]"
	@$(FIND_OPENCL) 2>/dev/null || $(PIP) intel-opencl-rt intel-cmplr-lib-rt || true
	@$(FIND_OPENCL) || { echo "no OpenCL driver was found, and none could be installed"; exit 1; }
	@touch $@

# A device that simulates kernels and finds races and accesses out of bounds.
$(STAMPS)/oclgrind: $(STAMPS)/opencl
	@echo "==> installing oclgrind"
	@$(PIP) "pyopencl[oclgrind]"
	@touch $@

# Compiles CUDA C without a GPU.
$(STAMPS)/nvrtc: $(STAMPS)/dev
	@echo "==> installing NVIDIA's compiler"
	@$(PIP) "nvidia-cuda-nvrtc-cu12==12.*"
	@touch $@

$(STAMPS)/torch: $(STAMPS)/dev
	@echo "==> installing torch, to compare with"
	@$(PIP) torch==2.13.0
	@touch $@
