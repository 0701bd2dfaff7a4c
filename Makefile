# Each target is a step of .ci/run, so that what is run by hand is what CI runs.

.PHONY: help
help: ## Show this list.
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-6s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: test race lint alone tour fuzz bench proof
test: ## Run the tests of all modules.
race: ## Run them with the race detector.
lint: ## Check formatting, and run go vet, staticcheck and golangci-lint.
alone: ## Build each module without the workspace, and check the rules of a release.
tour: ## Run the tour of the library.
fuzz: ## Run every fuzz target; FUZZTIME says how long (20000x, 30s).
bench: ## Run every benchmark once.
proof: ## Get the modules of the commit HEAD as their users will, and use them.
test race lint alone tour fuzz bench proof:
	@bash .ci/run $@

.PHONY: soak
soak: ## Run the tests of reliability from ever new seeds; SOAK says how long (30m, 8h).
	@bash .ci/run soak

.PHONY: ci
ci: ## Run all of this as CI does.
	@bash .ci/run
