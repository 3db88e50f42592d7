#!/bin/sh
# The compiler of our own crates while `make fuzz` builds: they count which branches are taken, for libFuzzer to read.
# Crates from outside are left as they are, so nothing of them is compiled again, and `cargo build` never sees this.
for argument; do
    case "$argument" in build_script_*) exec "$@" ;; esac
done
exec "$@" -C passes=sancov-module \
    -C llvm-args=-sanitizer-coverage-level=4 \
    -C llvm-args=-sanitizer-coverage-inline-8bit-counters \
    -C llvm-args=-sanitizer-coverage-pc-table \
    -C llvm-args=-sanitizer-coverage-trace-compares
