# Shortcuts only: whatever these do, the commands below do it without make.

.DEFAULT_GOAL := help
.PHONY: help setup servers build run test test-all soak scale fuzz memcheck fmt lint bench instructions deny docs clean

# An environment may have a SERVER of its own, with another meaning.
ifneq ($(origin SERVER),command line)
SERVER :=
endif

# A cargo that scripts/setup has just installed is not on the path of this shell.
export PATH := $(PATH):$(or $(CARGO_HOME),$(HOME)/.cargo)/bin

help: ## List these
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s  %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install or name what is missing
	@scripts/setup '$(SERVER)'

servers: ## Fetch the servers that tests run against, into .servers
	@scripts/servers $$(scripts/servers)

build: setup ## Build the module: target/release/libtradebus.so
	cargo build --release
	@# One name for redis.conf and the tests, whatever the system calls a library.
	@if [ -f target/release/libtradebus.dylib ]; then ln -sf libtradebus.dylib target/release/libtradebus.so; fi

run: build ## Start a server and play a trading day on it; PORT=6379, ONCE=1 to end by itself, SERVER as below
	$(if $(SERVER),TRADEBUS_TEST_SERVER="$$(scripts/servers '$(SERVER)')") cargo run --release --example trading_day

test: build ## Run all tests, the live ones against a Redis and a Valkey, or SERVER=redis-7.0
	scripts/test $(if $(SERVER),'$(SERVER)')

test-all: build ## Run all tests, the live ones against all servers of `make servers`; write them into README.md
	scripts/test-all

soak: build ## Do to servers under load what production does, for SOAK_SECONDS=60; SERVER as above
	$(if $(SERVER),TRADEBUS_TEST_SERVER="$$(scripts/servers '$(SERVER)')") cargo test --test soak

scale: build ## Measure with millions of orders, events and symbols, and whether memory stays flat; takes a while
	$(if $(SERVER),TRADEBUS_TEST_SERVER="$$(scripts/servers '$(SERVER)')") cargo test --release --test scale

fuzz: setup ## Feed the core what nobody should send it, for a moment each; scripts/fuzz has more
	scripts/fuzz smoke

memcheck: setup ## Run the live tests with the servers under valgrind; takes an hour or two
	scripts/memcheck

fmt: ## Format the source
	cargo fmt --all
	cargo fmt --manifest-path fuzz/Cargo.toml

lint: setup ## Check format, lints and, where cargo-deny is installed, dependencies
	cargo fmt --all --check
	cargo fmt --manifest-path fuzz/Cargo.toml --check
	cargo clippy --workspace --all-targets -- -D warnings
	@if cargo deny --version >/dev/null 2>&1; then $(MAKE) --no-print-directory deny; \
	else echo "cargo-deny is not installed: dependencies are not checked"; fi

# Who measures has no need of the time that the optimiser takes for a client.
bench: export CARGO_PROFILE_BENCH_LTO = off
bench: build ## Measure publishing against MULTI and scripts, and bars; BENCH=growth or names of peers, cases, sweeps for a part
ifdef BENCH
	cargo bench --bench publish -- $(BENCH)
else
	cargo bench --bench publish
	cargo bench --bench conditions
endif

instructions: build ## Count instructions of a publish and a bar, fail above what is stored; UPDATE=1 stores them; SERVER as above
	scripts/instructions $(if $(SERVER),'$(SERVER)')

deny: ## Check licenses, advisories and sources of dependencies
	cargo deny --workspace check

docs: setup ## Build the API documentation: target/doc
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items

clean: ## Remove what was built
	cargo clean
