# `make help` lists what there is. Every target can be run again.

.DEFAULT_GOAL := help
.PHONY: help run check test bench bench-flood bench-journeys bench-replay bench-shards bench-tails faults flips fuzz cuts kills journeys tools ui
CARGO ?= cargo
RECORDS ?= 300000
SPANS ?= $(RECORDS)
SEED ?= 1
SHARDS ?= 10,1000,10000

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## a small shop of services with the UI on http://127.0.0.1:7117
	$(CARGO) run --release -- demo

check: ## formatting, lints, the rules of the house and the quick tests: a minute or two
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) test --test tidy
	$(CARGO) test --workspace --exclude needle-fuzz --lib --bins

test: tools ui ## everything, with real SDKs, DuckDB and a browser; installs what it lacks; SEED=7 makes up other records
	PROPTEST_RNG_SEED=$(SEED) $(CARGO) test --workspace

bench: ## what a record and an answer cost, beside goals and a floor; RECORDS=2000000 SPANS=2400000 SEED=1 for the whole
	@$(CARGO) bench --bench figures -- --records $(RECORDS) --spans $(SPANS) --seed $(SEED)

cuts: ## 10,000 power cuts under the real storage, and failures of the disk; CUTS=10000 SEED=1 DURATION=600
	@CUTS=$(or $(CUTS),10000) SEED=$(SEED) DURATION=$(DURATION) $(CARGO) test --release --test cuts -- --nocapture --test-threads 1

kills: ## kill -9 of the program while it works, 1,000 times; KILLS=1000 SEED=1 DURATION=600
	@KILLS=$(or $(KILLS),1000) SEED=$(SEED) DURATION=$(DURATION) $(CARGO) test --release --test kills -- --nocapture

faults: ## the program on file systems that kill it, lose what was not synced, fail, are full or slow (as root); FAULTS=500 SEED=1 DURATION=600
	@FAULTS=$(or $(FAULTS),500) SEED=$(SEED) DURATION=$(DURATION) $(CARGO) test --release --test faults -- --nocapture --test-threads 1

bench-flood: ## what a quiet tenant notices of one that sends as fast as it can
	@$(CARGO) bench --bench figures -- --seed $(SEED) --flood

bench-journeys: ## what a journey costs among RECORDS logs and SPANS spans, and one of 100,000 spans and 1,000,000 logs
	@$(CARGO) bench --bench figures -- --records $(RECORDS) --spans $(SPANS) --seed $(SEED) --journey $(or $(JOURNEY),100000)

bench-replay: ## how soon a start with a log of LOG_MB accepts, and how soon all of it is found
	@LOG_MB=$(or $(LOG_MB),1000) $(CARGO) test --release --test faults -- --nocapture long_log

bench-shards: ## what an id costs over 10, 1,000 and 10,000 shards
	@$(CARGO) bench --bench figures -- --seed $(SEED) --shards $(SHARDS)

bench-tails: ## what 200 tails cost while RECORDS logs are sent, and how soon 50 are told
	@$(CARGO) bench --bench figures -- --records $(RECORDS) --seed $(SEED) --tails

flips: ## 10,000 damaged data folders: what the store makes of each; FLIPS=10000 SEED=1 DURATION=600
	@FLIPS=$(or $(FLIPS),10000) SEED=$(SEED) DURATION=$(DURATION) $(CARGO) test --test flips -- --nocapture

fuzz: ## hostile bytes for every reader, guided by the branches they take; TARGET=query RUNS=1000000 SEED=1 DURATION=600, INPUT=file
	@CARGO=$(CARGO) TARGET=$(TARGET) RUNS=$(RUNS) SEED=$(SEED) DURATION=$(DURATION) INPUT=$(INPUT) sh tests/fuzz/run.sh

journeys: ## how well journeys tell the truth about made-up requests; REQUESTS=1500 SEED=1, SHOW=3 draws the first that differ
	@REQUESTS=$(or $(REQUESTS),1500) SEED=$(SEED) SHOW=$(SHOW) $(CARGO) test --test journeys -- --nocapture --test-threads 1

tools: ## what the tests need of the system: Python with venv, Node.js, Chromium
	sh tests/tools.sh

ui: ## the browser UI: installed, checked, tested, built
	cd web/ui && npm ci && npm run check && npm test && npm run build
