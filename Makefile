# make setup   what the tests need: database servers, a real MySQL, Unix people (as root)
# make build   the program, target/debug/jit
# make test    every test, on real servers; SERVERS=postgres,mysql narrows
# make torture  random sequences, kills and bad inputs for as long as you say: SEED=7 MINUTES=60
# make lint    formatting, and clippy with warnings as errors
# make demo    the main job, played on throwaway servers; KEEP=1 leaves them up
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
# A test of a server carries the server's name: …::a_law::on_postgres.
skips := $(foreach server,$(left_out),--skip on_$(server))
say_left_out := $(if $(left_out),echo "LEFT OUT$(comma) because SERVERS=$(SERVERS): every test of $(left_out)",true)

.PHONY: all setup build test torture lint demo clean-servers

all: build

setup:
	@tests/setup/install $(chosen)

build:
	cargo build --locked

test: setup
	@$(say_left_out)
	@status=0; set -x; \
	JIT_TEST_SERVERS=$(subst $() ,$(comma),$(strip $(chosen))) cargo test --locked --features failpoints --no-fail-fast -- $(skips) || status=$$?; \
	{ set +x; } 2>/dev/null; $(say_left_out); exit $$status

SEED ?= 1
MINUTES ?= 10
INPUTS ?= 100000
torture: setup
	JIT_TORTURE_SEED=$(SEED) JIT_TORTURE_MINUTES=$(MINUTES) JIT_TORTURE_INPUTS=$(INPUTS) \
	cargo test --locked --features failpoints --test suite -- model:: bad_input:: crash:: $(skips) --nocapture

lint:
	cargo fmt --check
	cargo clippy --locked --all-targets --features failpoints -- -D warnings

demo:
	@demo/run

clean-servers:
	@tests/setup/remove
