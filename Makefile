# Every command that people and CI run. `make help` lists them.

.DEFAULT_GOAL := help
SHELL := /usr/bin/env bash

.PHONY: help demo test format lint doc deny unit fuzz bench

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## Set everything up and show pods that are instances of a simulated data centre, and machines that are nodes
	hack/demo

test: format lint doc deny unit fuzz ## Run every check and every test, as CI does

format: ## Check the formatting
	cargo fmt --all --check

lint: ## Check with clippy, warnings denied
	cargo clippy --workspace --all-targets --locked -- -D warnings

doc: ## Build the API documentation, warnings denied
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items --locked

deny: ## Check licences, sources and banned crates of all dependencies
	hack/cargo-deny check --hide-inclusion-graph bans licenses sources

unit: ## Run the test suites
	cargo test --workspace --locked

fuzz: ## Fuzz every parser for a few seconds each; SECONDS_EACH=600 for longer
	hack/fuzz --seconds $(or $(SECONDS_EACH),10)

bench: ## Measure what docs/benchmarks.md reports
	cargo bench --workspace --locked
