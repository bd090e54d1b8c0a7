# make setup   what the tests need: database servers, a real MySQL, Unix people (as root)
# make build   the program, target/debug/jit
# make test    every test, on real servers; SERVERS=postgres,mysql narrows, THREADS=1 is one after the other
# make torture  random sequences, kills and bad inputs for as long as you say: SEED=7 MINUTES=60
# make fuzz    what takes bytes from outside, each kind for FOR=60 seconds; needs cargo-fuzz and a nightly Rust
# make keep-found   the fewest inputs that make fuzz has found, into fuzz/corpus
# make deny    licences, sources and known advisories of what the program is built from; needs cargo-deny
# make lint    formatting, and clippy with warnings as errors
# make msrv    that the oldest Rust of Cargo.toml builds all of it; needs rustup
# make bench   the figures of benches/README.md, on throwaway servers; ONLY=sweep,start SERVERS=postgres ROUNDS=3 narrow
# make generate   completions/ and man/, from the command line's definition and docs/
# make install    PREFIX=/usr/local and DESTDIR= as usual; UNITS=no leaves out systemd's units; make uninstall
# make deb        a Debian package in target/debian
# make static     one file without shared libraries, for any Linux of this processor
# make demo    the main job, played on throwaway servers; KEEP=1 leaves them up
# make errors  writes docs/errors.md anew, from the program itself
# make clean-servers   removes all that setup put under target/

SERVERS ?= postgres,mariadb,mysql
comma := ,
chosen := $(subst $(comma), ,$(SERVERS))
known := postgres mariadb mysql
unknown := $(filter-out $(known),$(chosen))
ifneq ($(unknown),)
$(error SERVERS names $(unknown); known are $(known))
endif
left_out := $(filter-out $(chosen),$(known))
# A test of a server carries the server's name: …::a_law::on_postgres. Of Postgres there are two, the release's own
# and one of 18 or later, whose tests are …::on_postgres_18.
skips := $(foreach server,$(left_out),--skip on_$(server))
say_left_out := $(if $(left_out),echo "LEFT OUT$(comma) because SERVERS=$(SERVERS): every test of $(left_out)",true)

.PHONY: all setup build test torture fuzz keep-found deny lint bench demo errors clean-servers generate release install uninstall deb static msrv

all: build

setup:
	@tests/setup/install $(chosen) $(if $(filter postgres,$(chosen)),postgres-18)

build:
	cargo build --locked

# Tests wait more than they work, for servers and clocks; those that break networks do hardly anything else.
THREADS ?= $(shell expr $$(nproc) '*' 2 + 1)

test: setup
	@$(say_left_out)
	@status=0; set -x; \
	JIT_TEST_SERVERS=$(subst $() ,$(comma),$(strip $(chosen))) cargo test --locked --features failpoints --no-fail-fast -- --test-threads $(THREADS) $(skips) || status=$$?; \
	{ set +x; } 2>/dev/null; $(say_left_out); exit $$status

SEED ?= 1
MINUTES ?= 10
INPUTS ?= 100000
torture: setup
	JIT_TORTURE_SEED=$(SEED) JIT_TORTURE_MINUTES=$(MINUTES) JIT_TORTURE_INPUTS=$(INPUTS) \
	cargo test --locked --features failpoints --test suite -- model:: faults:: bad_input:: crash:: $(skips) --nocapture

# What it finds worth keeping goes under fuzz/target, where what is kept is unpacked first. `make keep-found` keeps the
# fewest of it that reach as much code, of at most 512 bytes each.
FOR ?= 60
fuzz_kinds := policies settings columns globs submissions audit_lines
fuzz:
	mkdir -p fuzz/target/found
	tar -xzf fuzz/corpus/found.tar.gz -C fuzz/target/found
	@for kind in $(fuzz_kinds); do \
		cargo +nightly fuzz run $$kind fuzz/target/found/$$kind fuzz/corpus/$$kind -- -max_total_time=$(FOR) || exit 1; \
	done

keep-found:
	@for kind in $(fuzz_kinds); do \
		rm -rf fuzz/target/kept/$$kind && mkdir -p fuzz/target/kept/$$kind && \
		cargo +nightly fuzz run $$kind fuzz/target/kept/$$kind fuzz/corpus/$$kind fuzz/target/found/$$kind -- \
			-set_cover_merge=1 -max_len=512 || exit 1; \
	done
	tar -C fuzz/target/kept --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -cf - $(fuzz_kinds) \
		| gzip -9n >fuzz/corpus/found.tar.gz

lint:
	cargo fmt --check
	cargo clippy --locked --all-targets --features failpoints -- -D warnings

# The list of advisories is fetched; all else needs no network.
deny:
	cargo deny --locked check bans licenses sources
	cargo deny --locked check advisories

msrv:
	rustup run --install $(shell sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml) \
		cargo check --locked --all-targets --features failpoints --target-dir $(CARGO_TARGET_DIR)/msrv

# The program that ships, measured by a bench program that need not be fast itself.
bench: setup
	cargo build --locked --release --bin jit --example read_yaml
	JIT_TEST_PROGRAM=$${JIT_TEST_PROGRAM:-target/release/jit} SERVERS="$(SERVERS)" cargo bench --locked --profile dev --bench figures

generate:
	cargo run --locked --quiet -- generate .

release:
	cargo build --locked --release

# --- installing ------------------------------------------------------------------------------------------------------

PREFIX ?= /usr/local
DESTDIR ?=
UNITS ?= yes
# Where cargo leaves the program; make install builds it only if it is not there.
CARGO_TARGET_DIR ?= target
PROGRAM ?= $(CARGO_TARGET_DIR)/release/jit
bindir = $(PREFIX)/bin
sharedir = $(PREFIX)/share
docdir = $(sharedir)/doc/jit
# Only there systemd looks for units of programs under /usr/local, too.
unitdir = $(if $(filter /usr,$(PREFIX)),/usr/lib/systemd/system,$(PREFIX)/lib/systemd/system)

pages = $(wildcard man/man1/*.1 man/man5/*.5)
units = $(wildcard ops/systemd/*.service ops/systemd/*.timer ops/systemd/*.path)
examples = $(filter-out policies/start,$(wildcard policies/*)) $(wildcard policies/start/*)
op_files = ops/cron/jit ops/logrotate/jit ops/prometheus/jit.rules.yml ops/setup-host \
	$(wildcard ops/systemd/*.d/*.example)

# Every file that is installed: its source, then its place.
installed = $(PROGRAM)=$(bindir)/jit \
	$(foreach page,$(pages),$(page)=$(sharedir)/$(page)) \
	completions/jit.bash=$(sharedir)/bash-completion/completions/jit \
	completions/_jit=$(sharedir)/zsh/site-functions/_jit \
	completions/jit.fish=$(sharedir)/fish/vendor_completions.d/jit.fish \
	completions/jit.elv=$(sharedir)/elvish/lib/jit.elv \
	completions/jit.ps1=$(docdir)/completions/jit.ps1 \
	README.md=$(docdir)/README.md CHANGELOG.md=$(docdir)/CHANGELOG.md LICENSE=$(docdir)/LICENSE \
	$(foreach doc,$(wildcard docs/*.md),$(doc)=$(docdir)/$(doc)) \
	$(foreach example,$(examples),$(example)=$(docdir)/examples/$(example)) \
	$(foreach file,$(op_files),$(file)=$(docdir)/examples/$(file)) \
	$(if $(filter yes,$(UNITS)),$(foreach unit,$(units),$(unit)=$(unitdir)/$(notdir $(unit))))
# Folders that are jit's alone.
own_folders = $(docdir)/examples/ops/systemd/jit-.service.d $(docdir)/examples/ops/systemd/jit-sweep.service.d \
	$(docdir)/examples/ops/systemd $(docdir)/examples/ops/cron $(docdir)/examples/ops/logrotate \
	$(docdir)/examples/ops/prometheus $(docdir)/examples/ops $(docdir)/examples/policies/start $(docdir)/examples/policies $(docdir)/examples \
	$(docdir)/completions $(docdir)/docs $(docdir)

$(PROGRAM):
	cargo build --locked --release

install: $(PROGRAM)
	@set -e; for pair in $(installed); do \
		from=$${pair%%=*}; to="$(DESTDIR)$${pair#*=}"; \
		mode=644; if [ -x "$$from" ]; then mode=755; fi; \
		install -D -m $$mode "$$from" "$$to"; \
		case $$to in *.service|*.example|*/cron/jit|*/setup-host) sed -i 's|/usr/bin/jit|$(bindir)/jit|g' "$$to" ;; esac; \
	done
	@echo "installed $(bindir)/jit; begin with: jit man, or jit init"

# Settings, ledger and audit trail stay. Folders that others use too stay unless they are empty.
uninstall:
	@for pair in $(installed); do rm -f "$(DESTDIR)$${pair#*=}"; done
	@for folder in $(own_folders); do rmdir "$(DESTDIR)$$folder" 2>/dev/null || true; done
	@for pair in $(installed); do \
		folder=$$(dirname "$${pair#*=}"); \
		while [ "$$folder" != "$(PREFIX)" ] && [ "$$folder" != / ] && [ "$$folder" != . ]; do \
			if [ -d "$(DESTDIR)$$folder" ]; then rmdir "$(DESTDIR)$$folder" 2>/dev/null || break; fi; \
			folder=$$(dirname "$$folder"); \
		done; done

deb: release
	@packaging/deb "$(CARGO_TARGET_DIR)"

static:
	@packaging/static "$(abspath $(CARGO_TARGET_DIR))"

# ---------------------------------------------------------------------------------------------------------------------

demo:
	@demo/run

errors: setup
	JIT_WRITE_PAGES=1 cargo test --locked --features failpoints --test suite -- errors::

clean-servers:
	@tests/setup/remove
