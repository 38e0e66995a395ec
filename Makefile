# Commands of the project; README.md shows how they are used. CARGO_TARGET_DIR chooses another target folder.
# ALWAYS --release --workspace: features then unify in one way, and wasmtime is compiled once.

export PATH := $(PATH):$(or $(CARGO_HOME),$(HOME)/.cargo)/bin

PLUGINS := -p text -p json -p geo -p stats
WASM := cargo build --profile plugin --target wasm32-wasip2

.PHONY: demo build plugins examples conformance test test-spark bench fmt setup clean
.DEFAULT_GOAL := build

demo: setup build plugins   ## two pipelines on real input; PORT=8080 for another port
	@python3 scripts/demo.py

build: setup                ## the program, in target/release/millstream
	cargo build --release --workspace

plugins: setup              ## the stock plugins, in target/wasm32-wasip2/plugin/
	$(WASM) $(PLUGINS)

examples: build             ## the example operators of all languages, in plugins/examples/*/build/; installs toolchains
	@scripts/examples.sh build

conformance: examples       ## the example operators of all languages, held to the same cases, rows and faults
	cargo test --release --workspace --test conformance

test:                       ## everything: format, lints, unit tests in every language, whole-system tests
	@scripts/setup.sh test
	cargo fmt --all --check
	$(WASM) $(PLUGINS) -p hostile -p tally -p tally-next
	cargo clippy --release --workspace --all-targets -- -D warnings
	cargo build --release --workspace
	@scripts/examples.sh test build
	cargo test --release --workspace

test-spark: build plugins   ## the same windows and joins in Apache Spark: finals must be equal
	@scripts/test-spark.sh

bench: plugins examples     ## the benchmarks behind docs/benchmarks.md
	$(or $(CARGO_TARGET_DIR),target)/release/millstream-benches

fmt:
	cargo fmt --all

setup:                      ## installs what is missing
	@scripts/setup.sh

clean:
	cargo clean
	rm -rf .demo
