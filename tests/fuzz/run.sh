#!/bin/sh
# Every target, or TARGET=, under libFuzzer: for RUNS inputs or DURATION seconds each, of SEED. What takes a new branch is
# kept below the target folder, in fuzz/<target>; INPUT= is tried alone.
set -eu
cd "$(dirname "$0")/../.."
targets="${TARGET:-otlp_logs otlp_traces otlp_logs_json otlp_traces_json json_logs text_logs sealed query log shard directory catalog framing http terminal}"
cargo="${CARGO:-cargo}"

# Only our crates are built again: with counters for the branches that are taken, and with checks for numbers that overflow.
set -- build --release --bin guided --workspace --features needle-fuzz/guided
for package in ingest query storage web fuzz; do
    set -- "$@" --config "profile.release.package.needle-$package.overflow-checks=true"
done
RUSTC_WORKSPACE_WRAPPER="$PWD/tests/fuzz/instrument.sh" $cargo "$@"
folder="${CARGO_TARGET_DIR:-target}"

for target in $targets; do
    work="$folder/fuzz/$target"
    mkdir -p "$work/kept"
    export FUZZ_TARGET="$target"
    if [ -n "${INPUT:-}" ]; then
        "$folder/release/guided" "$INPUT"
        continue
    fi
    echo "== $target"
    # What is longest, the seeds and the words are written by the first start, which tries nothing.
    FUZZ_SEEDS="$work/seeds" "$folder/release/guided" -runs=0 >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
    "$folder/release/guided" "$work/kept" "$work/seeds" -dict="$work/seeds.words" -seed="${SEED:-1}" -runs="${RUNS:--1}" \
        -max_total_time="${DURATION:-600}" -max_len="$(cat "$work/seeds.longest")" -timeout=60 -rss_limit_mb=2048 -artifact_prefix="$work/" \
        -print_final_stats=1 -verbosity=1 >>"$work/log" 2>&1 || { tail -40 "$work/log" >&2; exit 1; }
    tail -25 "$work/log" | grep -E '^(stat::number_of_executed_units|stat::peak_rss_mb|Done|#)' || true
    echo "$(ls "$work/seeds" | wc -l) seeds, $(ls "$work/kept" | wc -l) kept"
done
