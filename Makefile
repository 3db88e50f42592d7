# `make help` lists what there is. Every target can be run again.

.DEFAULT_GOAL := help
.PHONY: help run check test bench tools ui
CARGO ?= cargo

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## a small shop of services with the UI on http://127.0.0.1:7117
	$(CARGO) run --release -- demo

check: ## formatting, lints, the rules of the house and the quick tests: a minute or two
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) test --test tidy
	$(CARGO) test --workspace --lib --bins

test: tools ui ## everything, with real SDKs, DuckDB and a browser; installs what it lacks
	$(CARGO) test --workspace

bench: ## what a record costs in CPU and bytes, beside a floor of the same run
	$(CARGO) bench --bench ingest

tools: ## what the tests need of the system: Python with venv, Node.js, Chromium
	sh tests/tools.sh

ui: ## the browser UI: installed, checked, tested, built
	cd web/ui && npm ci && npm run check && npm test && npm run build
