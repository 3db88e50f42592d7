//! End to end: the real program, driven from outside by the names that its users rely on.
//!
//! `harness` starts and stops the program, `otlp` builds what SDKs send, `source` what traces from elsewhere tell, the rest is one behaviour a file.
#![allow(clippy::unwrap_used)]

mod harness;
mod install;
mod otlp;
mod source;

mod accounting;
mod bad_input;
mod check;
mod command_line;
mod compare;
mod compat;
mod counts;
mod crash;
mod demo;
mod deploy;
mod doctor;
mod duckdb;
mod encrypted;
mod guard;
mod hostile;
mod hostile_clients;
mod hostile_text;
mod ingest;
mod interop;
mod journey;
mod json_logs;
mod keep;
mod lost_spans;
mod metrics;
mod nezha;
mod numbers;
mod openstack;
mod patterns;
mod sdk;
mod sealed;
mod search;
mod strange;
mod tail;
mod tenants;
mod traces;
mod ui;
