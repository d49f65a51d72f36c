# What a developer and CI call. Every target first makes sure that the tools are there (tools/bootstrap).

PYTHON_IN_VENV := .venv/bin/python
LOCKER := build/lock-venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header

.PHONY: help setup check test verifier release release-check release-arm64 release-reproduce demo docs bench lock clean

help:
	@echo 'make setup     install what is missing: Debian packages, virtual environment, locked packages'
	@echo 'make check     style, types, layers, docstrings'
	@echo 'make test      check, then all tests'
	@echo 'make verifier  freeze the verifier into dist/<os>-<arch>/'
	@echo 'make release   the same for any Linux of this kind, into dist/release/ (a C compiler run: half an hour)'
	@echo 'make release-check  show that the release needs nothing of its host, with what it needs installed first'
	@echo 'make release-arm64  the release for 64-bit ARM, frozen under qemu, and the same kit replayed by both'
	@echo 'make release-reproduce  build the release again in other surroundings and compare every byte'
	@echo 'make demo      a scan from record to replay, on this machine'
	@echo 'make docs      write docs/reason-codes.md and the JSON Schemas from the code'
	@echo 'make bench     the benchmarks'
	@echo 'make lock      write requirements/*.txt anew (UPGRADE=--upgrade for newer versions)'
	@echo 'make clean     remove what was built'

setup:
	@tools/bootstrap

check: setup
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports --no-cache
	.venv/bin/interrogate --quiet .

test: check
	@tools/bootstrap --tests
	$(PYTHON_IN_VENV) -m pytest -n 2

verifier: setup
	$(PYTHON_IN_VENV) -m builder.freeze --out dist

release: setup
	$(PYTHON_IN_VENV) -m tools.release --out dist/release

release-check: setup
	@tools/bootstrap --release
	STELLA_RELEASE=$(CURDIR)/dist/release $(PYTHON_IN_VENV) -m pytest tests/release

release-arm64: setup
	@tools/bootstrap --release
	$(PYTHON_IN_VENV) -m tools.release --machine aarch64 --out dist/release
	STELLA_RELEASE=$(CURDIR)/dist/release $(PYTHON_IN_VENV) -m pytest tests/release/test_other_machines.py

release-reproduce: setup
	$(PYTHON_IN_VENV) -m tools.release.reproduce

demo:
	@tools/bootstrap --demo
	$(PYTHON_IN_VENV) examples/demo.py

docs: setup
	$(PYTHON_IN_VENV) -m tools.write_docs

bench: setup
	for each in bench/bench_*.py; do $(PYTHON_IN_VENV) $$each || exit 1; done

lock: setup
	[ -x build/lock-venv/bin/uv ] || { $(PYTHON_IN_VENV) -m venv build/lock-venv && build/lock-venv/bin/python -m pip install --quiet uv==0.13.8; }
	$(LOCKER) $(UPGRADE) requirements/dev.in --output-file requirements/dev.txt
	for each in runtime freeze release; do $(LOCKER) $(UPGRADE) --constraints requirements/dev.txt requirements/$$each.in --output-file requirements/$$each.txt || exit 1; done

clean:
	rm -rf build dist demo .hypothesis .mypy_cache .ruff_cache .import_linter_cache *.egg-info
	find . -name __pycache__ -not -path './.venv/*' -exec rm -rf {} +
