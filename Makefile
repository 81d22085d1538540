# make check never writes, make fix does; .ci/run runs what stands here.

GO ?= go
# Pinned, so that a new release does not turn an old commit red.
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2

SEEDS    ?= 20000
BASE     ?= 1
FUZZTIME ?= 30s

.PHONY: all check fix test race fuzz hunt bench bugs arch

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

# The same seeds make the same runs with one worker, as a 32-bit program, and on
# another kind of processor where an emulator for it is installed.
arch:
	@set -e; dir=$$(mktemp -d); trap 'rm -rf "$$dir"' EXIT; \
	hash() { "$$@" hunt --seeds 20 --out "$$dir" --json | tail -n 1 | grep -o '"trace_hash":"[0-9a-f]*"'; }; \
	$(GO) build -o $$dir/native ./cmd/simrun; \
	GOARCH=386 $(GO) build -o $$dir/386 ./cmd/simrun; \
	GOARCH=arm64 $(GO) build -o $$dir/arm64 ./cmd/simrun; \
	want=$$(hash $$dir/native); echo "native      $$want"; \
	same() { name=$$1; shift; got=$$(hash "$$@"); echo "$$name $$got"; [ "$$got" = "$$want" ]; }; \
	same "one worker " env GOMAXPROCS=1 $$dir/native; \
	if $$dir/386 --help > /dev/null 2>&1; then same "386        " $$dir/386; \
	else echo "386         skipped: this kernel runs no 32-bit programs"; fi; \
	if command -v qemu-aarch64-static > /dev/null; then same "arm64      " qemu-aarch64-static $$dir/arm64; \
	else echo "arm64       skipped: no qemu-aarch64-static (package qemu-user-static)"; fi

# Each bug of the bank from two bases, a minute of CPU time for each, with a
# table.
bugs:
	$(GO) run ./cmd/bugbank hunt --focus --bases 1,100001 --cpu 1m --parallel 2 --table testdata/bugs/table.md

bench:
	$(GO) test -run '^$$' -bench . -benchmem ./...
