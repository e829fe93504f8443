# Targets for development and CI. `make` lists them.
#
# Requires Rust (stable, with rustfmt and clippy), Python 3.11 or later with venv, and make. Every target installs its
# other tools on first use, at pinned versions, into the git-ignored folder .tools/.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

PYTHON ?= python3
ARCH ?= x86_64
FUNCTIONS_PROFILE := release

# CI requires an up-to-date Cargo.lock; local builds may update it.
LOCKED := $(if $(CI),--locked)
BUILD_PATH := PATH="$(CURDIR)/.tools/build/bin:$$PATH"
SAM := SAM_CLI_TELEMETRY=0 .tools/sam/bin/sam

##@ Use

.PHONY: help
help: ## List the targets
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@/ { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z0-9-]+:.*## / { printf "  %-20s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@printf '\n'

# Link-time optimisation takes most of the time of a build, and the demonstration does not measure speed.
.PHONY: demo
demo: FUNCTIONS_PROFILE := quick
demo: build-functions setup ## Deploy and replicate on a local AWS emulator (DEMO_KEEP=1 keeps it running)
	cargo run $(LOCKED) --package s3ferry-tests --bin demo

.PHONY: invoke
invoke: build setup ## Run a function locally on one sample: make invoke EVENT=events/x.json
	@test -n "$(EVENT)" || { echo "make invoke: name an event, for example EVENT=$$(ls events/*.json | head -n 1)" >&2; exit 2; }
	cargo run $(LOCKED) --package s3ferry-tests --bin invoke -- "$(EVENT)"

.PHONY: deploy
deploy: check-deploy-parameters build .tools/sam/.installed ## Build, then deploy both stacks of s3ferry.toml to AWS (see docs/MIGRATION.md)
	$(call sam-deploy,destination,$(DEPLOY_DESTINATION))
	$(call sam-deploy,source,$(DEPLOY_SOURCE))

##@ Build

.PHONY: setup
setup: .tools/build/.installed .tools/sam/.installed .tools/ministack/.installed .tools/moto/.installed .tools/sim-clients/.installed ## Install the pinned tools into .tools/

.PHONY: build
build: build-functions build-cli s3sim ## Build the functions, the CLI and s3sim

.PHONY: build-cli
build-cli: ## Build the CLI into target/release/s3ferry
	cargo build $(LOCKED) --release --package s3ferry-cli

.PHONY: build-functions
build-functions: .tools/build/.installed ## Build the functions into target/lambda/ (ARCH=arm64 for Graviton, never run)
	@case "$(ARCH)" in x86_64|arm64) ;; *) echo "make build-functions: ARCH=$(ARCH) is not supported: use x86_64 or arm64" >&2; exit 2;; esac
	$(BUILD_PATH) cargo lambda build $(LOCKED) --profile $(FUNCTIONS_PROFILE) --package s3ferry-functions \
	  $(if $(filter arm64,$(ARCH)),--arm64,--x86-64)

# One folder per architecture: target/lambda/ has the functions that `make deploy` and `make test` use.
.PHONY: build-functions-x86_64 build-functions-arm64
build-functions-x86_64 build-functions-arm64: build-functions-%: .tools/build/.installed
	$(if $(filter arm64,$*),rustup target add aarch64-unknown-linux-gnu)
	$(BUILD_PATH) cargo lambda build $(LOCKED) --release --package s3ferry-functions --lambda-dir target/lambda-$* \
	  $(if $(filter arm64,$*),--arm64,--x86-64)

DIST_ARCHITECTURES ?= x86_64

.PHONY: dist
dist: $(addprefix build-functions-,$(DIST_ARCHITECTURES)) build-cli ## Assemble dist/, which deploys without Rust (DIST_ARCHITECTURES="x86_64 arm64")
	$(PYTHON) scripts/dist.py --dist dist --cli target/release/s3ferry --archives target/dist \
	  $(foreach architecture,$(DIST_ARCHITECTURES),--functions $(architecture)=target/lambda-$(architecture))

.PHONY: s3sim
s3sim: ## Build the S3 simulator into target/release/s3sim
	cargo build $(LOCKED) --release --package s3ferry-testkit --features sim --bin s3sim

.PHONY: clean
clean: ## Remove build outputs
	cargo clean
	rm -rf .aws-sam infra/.aws-sam dist

.PHONY: clean-tools
clean-tools: ## Remove the installed tools
	rm -rf .tools

##@ Check

CHECKS := format clippy docs dependencies spelling templates workflows

.PHONY: check
check: ## Run all checks except advisories, and summarize the results
	@failed=0; report=""; \
	for name in $(CHECKS); do \
	  printf '\n== %s\n' "$$name"; \
	  if $(MAKE) --no-print-directory "check-$$name"; then verdict=passed; else verdict=FAILED; failed=1; fi; \
	  report+="$$(printf '  %-8s %s' "$$verdict" "$$name")"$$'\n'; \
	done; \
	if command -v cargo-machete >/dev/null; then \
	  printf '\n== unused dependencies\n'; \
	  if cargo machete; then verdict=passed; else verdict=FAILED; failed=1; fi; \
	  report+="$$(printf '  %-8s unused dependencies' "$$verdict")"$$'\n'; \
	else \
	  report+='  skipped  unused dependencies: cargo-machete is not installed'$$'\n'; \
	fi; \
	report+='  skipped  advisories: they need the network; run make check-advisories'$$'\n'; \
	printf '\nmake check\n%s' "$$report"; \
	exit "$$failed"

.PHONY: check-format
check-format: ## Check the formatting
	cargo fmt --all -- --check

.PHONY: check-clippy
check-clippy: ## Lint all code; warnings are errors
	cargo clippy $(LOCKED) --workspace --all-targets -- -D warnings
	cargo clippy $(LOCKED) --package s3ferry-cli --no-default-features -- -D warnings

.PHONY: check-docs
check-docs: ## Build the API documentation; warnings are errors
	RUSTDOCFLAGS="-D warnings" cargo doc $(LOCKED) --workspace --no-deps

.PHONY: check-dependencies
check-dependencies: .tools/build/.installed ## Check bans, licences and sources of all dependencies
	$(BUILD_PATH) cargo deny $(LOCKED) check --hide-inclusion-graph bans licenses sources

.PHONY: check-advisories
check-advisories: .tools/build/.installed ## Check dependencies for known vulnerabilities (needs the network)
	$(BUILD_PATH) cargo deny $(LOCKED) check advisories

.PHONY: check-spelling
check-spelling: .tools/build/.installed ## Check the spelling
	$(BUILD_PATH) typos

.PHONY: check-templates
check-templates: .tools/sam/.installed ## Lint the templates with cfn-lint and sam validate
	.tools/sam/bin/cfn-lint infra/destination.yaml infra/source.yaml
	$(SAM) validate --lint --region us-east-1 --template-file infra/destination.yaml
	$(SAM) validate --lint --region us-east-1 --template-file infra/source.yaml

.PHONY: check-workflows
check-workflows: .tools/workflows/.installed ## Check the workflows: schema, pinned actions, permissions
	.tools/workflows/bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	.tools/workflows/bin/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	.tools/workflows/bin/zizmor --offline --quiet .github/workflows

.PHONY: format
format: ## Format the code
	cargo fmt --all

##@ Test

# The build of the tests includes the CLI. A build of its own would compile the SDKs a second time.
.PHONY: test
test: build-functions s3sim setup ## Run every test: unit, contract, templates, end to end, documentation
	S3FERRY_BIN="$(CURDIR)/target/debug/s3ferry" $(BUILD_PATH) cargo nextest run $(LOCKED) --workspace
	cargo test $(LOCKED) --workspace --doc

# Debian's packages qemu-user-static and libc6-arm64-cross contain the emulator and the libraries.
ARM64_RUNNER ?= qemu-aarch64-static -L /usr/aarch64-linux-gnu
ARM64_TESTS := --test binaries --test binary

.PHONY: test-arm64
ifneq ($(shell command -v $(firstword $(ARM64_RUNNER))),)
test-arm64: setup build-functions-arm64 ## Run the tests of the functions' binaries with the functions for arm64, emulated (not run yet)
	FUNCTIONS_DIR="$(CURDIR)/target/lambda-arm64" FUNCTION_RUNNER="$(ARM64_RUNNER)" \
	  $(BUILD_PATH) cargo nextest run $(LOCKED) --workspace $(ARM64_TESTS)
else
test-arm64:
	@echo "make test-arm64: skipped $(ARM64_TESTS): $(firstword $(ARM64_RUNNER)) is not installed (apt-get install qemu-user-static libc6-arm64-cross)" >&2
	@exit $(if $(CI),1,0)
endif

# Needs the nightly compiler and cargo-fuzz. `make test` checks the same guarantees with mutated samples.
FUZZ_SECONDS ?= 60
FUZZ_TARGETS := $(basename $(notdir $(wildcard fuzz/fuzz_targets/*.rs)))

.PHONY: fuzz
fuzz: ## Fuzz the parsers with cargo-fuzz, FUZZ_SECONDS for each target
	@command -v cargo-fuzz >/dev/null || { echo "make fuzz: install cargo-fuzz (cargo install cargo-fuzz)" >&2; exit 2; }
	@for target in $(FUZZ_TARGETS); do \
	  printf '\n== %s\n' "$$target"; \
	  mkdir -p "fuzz/corpus/$$target"; \
	  cargo +nightly fuzz run "$$target" "fuzz/corpus/$$target" events -- \
	    -dict=fuzz/json.dict -max_total_time=$(FUZZ_SECONDS) -timeout=10 -max_len=65536; \
	done

##@ Measure

# Sizes: SCALE=1 takes about an hour on 2 CPUs.
BENCH_FLAGS = --rounds $(or $(ROUNDS),5) --scale $(or $(SCALE),1) \
  $(if $(SCENARIO),--scenario $(SCENARIO)) $(if $(PRICES),--prices "$(PRICES)")

.PHONY: bench
bench: build-functions build-cli build-bench bench-peers ## Compare with other tools: make bench SCENARIO=no-op SCALE=0.1 ROUNDS=5
	S3FERRY_BIN="$(CURDIR)/target/release/s3ferry" target/quick/bench $(BENCH_FLAGS)

.PHONY: bench-peers
bench-peers: .tools/peers/.installed ## Install the tools that `make bench` compares with

.PHONY: build-bench
build-bench:
	cargo build $(LOCKED) --profile quick --package s3ferry-bench

# Tools ----------------------------------------------------------------------------------------------------------------

# One virtual environment per requirements file, recreated when the file changes.
.tools/%/.installed: tests/tools/%.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is required; set PYTHON=")'
	@echo "installing the $* tools into .tools/$* (once, about a minute)"
	@$(PYTHON) -m venv --clear ".tools/$*"
	@".tools/$*/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$<"
	@touch "$@"

# Deployment parameters ------------------------------------------------------------------------------------------------

# Parameters on the command line replace those of the migration file, which replaces all parameters in
# infra/samconfig.toml. The other settings of that file (capabilities, and stack names that nothing else names) still apply.
# MIGRATION is the migration file; NAME selects one of several migrations in it.
MIGRATION ?= $(wildcard s3ferry.toml)
DEPLOY_CLI ?= target/release/s3ferry
DEPLOY_VARIABLES := SOURCE_BUCKET SOURCE_REGION DESTINATION_BUCKET DESTINATION_REGION
DEPLOY_GIVEN := $(strip $(foreach v,$(DEPLOY_VARIABLES) SOURCE_PARAMETERS DESTINATION_PARAMETERS,$(if $($(v)),$(v))))
DEPLOY_MISSING := $(if $(DEPLOY_GIVEN),$(strip $(foreach v,$(DEPLOY_VARIABLES),$(if $($(v)),,$(v)))))
DEPLOY_DESTINATION = $(if $(DEPLOY_GIVEN),--region $(DESTINATION_REGION) \
  --parameter-overrides BucketName=$(DESTINATION_BUCKET) $(DESTINATION_PARAMETERS))
DEPLOY_SOURCE = $(if $(DEPLOY_GIVEN),--region $(SOURCE_REGION) \
  --parameter-overrides SourceBucketName=$(SOURCE_BUCKET) DestinationBucketName=$(DESTINATION_BUCKET) \
  DestinationRegion=$(DESTINATION_REGION) Architecture=$(ARCH) $(SOURCE_PARAMETERS))

DEPLOY_FILE = $(if $(DEPLOY_GIVEN),,$(MIGRATION))
DEPLOY_PARAMETERS = $(DEPLOY_CLI) deploy-parameters --migration $(MIGRATION) $(if $(NAME),--name $(NAME))

# Deploys one stack: $(1) is source or destination, $(2) its parameters of the command line. The output of
# `s3ferry deploy-parameters` is quoted for the shell and ends with parameters, so that further ones can follow.
define sam-deploy
$(if $(DEPLOY_FILE),parameters="$$($(DEPLOY_PARAMETERS) $(1))" && ,)cd infra && export SAM_CLI_TELEMETRY=0 && \
  $(if $(DEPLOY_FILE),eval "../.tools/sam/bin/sam deploy --config-env $(1) $$parameters $(if $(filter source,$(1)),$(DEPLOY_ARCH))",../.tools/sam/bin/sam deploy --config-env $(1) $(2))
endef
DEPLOY_ARCH = $(if $(filter-out x86_64,$(ARCH)),Architecture=$(ARCH))

.PHONY: check-deploy-parameters
check-deploy-parameters:
	@if test -n "$(DEPLOY_MISSING)"; then \
	  echo "make deploy: with $(DEPLOY_GIVEN) on the command line, also give: $(DEPLOY_MISSING)" >&2; exit 2; fi
	@if test "$(ARCH)" != x86_64 && test -z "$(DEPLOY_GIVEN)$(DEPLOY_FILE)" && ! grep -qE '^[^#]*Architecture=$(ARCH)' infra/samconfig.toml; then \
	  echo "make deploy: put \"Architecture=$(ARCH)\" into infra/samconfig.toml" >&2; exit 2; fi
	@if test -n "$(DEPLOY_FILE)" && grep -HnE '^[^#]*FILL-IN' $(DEPLOY_FILE) >&2; then \
	  echo "make deploy: fill in $(DEPLOY_FILE)" >&2; exit 2; fi
	@if test -z "$(DEPLOY_GIVEN)$(DEPLOY_FILE)" && grep -HnE '^[^#]*FILL-IN' infra/samconfig.toml >&2; then \
	  echo "make deploy: write a migration file with \`s3ferry init\`, fill in infra/samconfig.toml, or give $(DEPLOY_VARIABLES) on the command line" >&2; exit 2; fi
