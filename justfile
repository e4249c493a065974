# Chores. `just` lists them; each is one plain command that runs as well without just.

set positional-arguments

# This list.
default:
    @just --list

# Everything that a change must pass besides its tests. Writes nothing.
check: && tidy deny
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings

# Layering, headers, error pages, golden formats.
tidy:
    cargo run --quiet -p baton-xtask -- tidy

# Licences and advisories of the dependency tree.
deny:
    cargo deny --all-features check

# Mend what can be mended without thought, and refresh the files that are made from code.
fix:
    cargo fmt --all
    cargo clippy --workspace --all-targets --fix --allow-dirty --allow-staged
    cargo run --quiet -p baton-xtask -- docs

# All tests; arguments go to cargo nextest: `just test -p baton-model`.
test *args:
    cargo nextest run "$@"
    cargo test --doc

# Chaos from some seeds on: `just chaos seed=7`, `just chaos seed=7 runs=500`.
chaos seed="1" runs="20":
    cargo run -p baton-chaos-tests -- --seed {{ trim_start_match(seed, "seed=") }} --runs {{ trim_start_match(runs, "runs=") }}

# Three conductors and sixty simulated machines on this machine; arguments go to `baton dev`.
dev *args:
    cargo run --release -- dev "$@"

# The API documentation of all crates.
doc:
    cargo doc --workspace --no-deps --document-private-items --open
