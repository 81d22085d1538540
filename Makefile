# make check never writes, make fix does; .ci/run runs what stands here.

GO ?= go
# Pinned, so that a new release does not turn an old commit red.
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2

SEEDS    ?= 20000
BASE     ?= 1
FUZZTIME ?= 30s

.PHONY: all check fix test race fuzz hunt bench bugs

all: check test

# What can be seen without running a cluster: format, vet, staticcheck, the
# import table and the determinism rules, and every patch of the bug bank.
check:
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then \
		echo "not formatted (make fix):"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...
	$(GO) test .
	$(GO) run ./cmd/bugbank check

fix:
	gofmt -w .
	$(GO) mod tidy

test:
	$(GO) test ./...

# The race detector finds nothing in one thread; it is for campaign and what is
# around it.
race:
	$(GO) test -race -short ./...

# Each target for FUZZTIME.
fuzz:
	@set -e; for pkg in $$($(GO) list ./...); do \
		for target in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
			echo "$$pkg $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1000x $$pkg; \
		done; \
	done

# make hunt SEEDS=2000 BASE=1000000
hunt:
	$(GO) run ./cmd/simrun hunt --seeds $(SEEDS) --base $(BASE)

# Each bug of the bank from five bases, with a table.
bugs:
	$(GO) run ./cmd/bugbank hunt

bench:
	$(GO) test -run '^$$' -bench . -benchmem ./...
