# What there is to do; `make` alone lists it.
.DEFAULT_GOAL := help
SHELL := /bin/bash -euo pipefail -c
TOOL := go tool -modfile=tools/go.mod
FUZZTIME ?= 5s

.PHONY: help
help: ## list what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## run the hub with a whole country around it
	go run ./cmd/untether demo

.PHONY: test
test: ## run every test; UNTETHER_TEST_POSTGRES, UNTETHER_NPM_SMPP and UNTETHER_NPM_AXE add those that need them
	go test ./...

.PHONY: race
race: ## the same with the race detector
	go test -race ./...

.PHONY: lint
lint: ## gofmt, go vet, staticcheck
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$unformatted" ]; then echo "run gofmt -w on:" $$unformatted >&2; exit 1; fi
	go vet ./...
	$(TOOL) staticcheck ./...

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME each (5s)
	@go list -f '{{.Dir}} {{join .TestGoFiles " "}} {{join .XTestGoFiles " "}}' ./... | while read -r dir files; do \
		for file in $$files; do \
			sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$$dir/$$file" | while read -r target; do \
				echo "$$dir $$target"; \
				go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "$$dir" </dev/null; \
			done; \
		done; \
	done

.PHONY: generate
generate: ## make what is made from the documents in api/
	go generate ./...

.PHONY: verify
verify: generate ## check that generated files are fresh, and the modules whole
	git diff --exit-code -- '*.gen.go' docs/reference
	go mod verify
	go mod tidy -diff

.PHONY: cover
cover: ## how much of the code the tests run
	@profile=$$(mktemp); trap 'rm -f "$$profile"' EXIT; go test -coverprofile="$$profile" ./... && go tool cover -func="$$profile" | tail -1

.PHONY: bench
bench: ## measure the hub beside its alternatives, on SQLite and, when UNTETHER_TEST_POSTGRES is set, on PostgreSQL
	go run ./bench
