# SPDX-License-Identifier: Apache-2.0
#
# `make help` lists the targets. The stages behind check and test are in
# test/run/stages.go; nothing here knows them.

GO  = go
RUN = $(GO) run ./test/run

.PHONY: help run test check build lint fuzz soak bench gobench vuln generate clean

help: ## list the targets
	@sed -nE 's/^([a-z]+):.*## /\1\t/p' Makefile | while IFS="$$(printf '\t')" read -r t d; do printf '  make %-9s %s\n' "$$t" "$$d"; done

run: build ## build and start the demo; it says what to look at and how to log in
	bin/stonechat demo

test: ## everything that can run here; as root on Debian it installs the peers it needs
	@$(RUN) test

check: ## the quick part, for every day: no root, any system, under 5 minutes
	@$(RUN) check

build: ## bin/stonechat
	$(GO) build -o bin/ ./cmd/...

lint: ## formatting, vet, house rules, staticcheck
	@$(RUN) -only format,vet,lint,staticcheck

fuzz: ## every fuzz target for FUZZTIME each (default 5m)
	@$(RUN) -only fuzz -fuzztime $(or $(FUZZTIME),5m)

soak: ## the long stages, hours
	@$(RUN) soak

bench: ## measure against Prosody, ejabberd and Mosquitto, an hour and a half; writes docs/benchmarks.md
	$(GO) run ./test/load

gobench: ## Go benchmarks into bench.txt; compare two with `go tool -modfile=tools/go.mod benchstat`
	$(GO) test -run '^$$' -bench . -benchmem -count 6 ./... | tee bench.txt

vuln: ## known vulnerabilities in what we depend on; asks the Go vulnerability database
	$(GO) tool -modfile=tools/go.mod govulncheck ./...

generate: ## rewrite the generated files
	$(GO) generate ./...

clean: ## remove what was built
	rm -rf bin bench.txt
