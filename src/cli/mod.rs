//! The command line: what was typed, then what it means.

mod arguments;
mod check;
mod client;
mod compare;
mod config;
mod delete;
mod doctor;
mod exit;
mod fields;
mod flush;
mod generate;
mod grep;
mod ids;
mod output;
mod patterns;
mod repair;
mod report;
mod send;
mod services;
mod shard;
mod sql;
mod table;
mod tail;
pub(crate) mod terminal;
mod time;
mod token;
mod trace;
mod trust;
mod wire;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub(crate) use exit::{Exit, Unusable};
pub(crate) use time::parse_duration;

/// Logs and traces of a request, stitched into one tree, across every service.
///
/// Paste any id you have (a trace id, a request id, a correlation id) and see the whole journey, including
/// services that never heard of tracing and only logged the id.
#[derive(Debug, Parser)]
#[command(name = "needle", version, propagate_version = true, max_term_width = 100, arg_required_else_help = true)]
pub(crate) struct Needle {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(Box<crate::serve::ServeCommand>),
    Demo(Box<crate::demo::DemoCommand>),
    Grep(Box<grep::GrepCommand>),
    Tail(tail::TailCommand),
    Trace(trace::TraceCommand),
    Services(services::ServicesCommand),
    Fields(fields::FieldsCommand),
    Patterns(patterns::PatternsCommand),
    Compare(compare::CompareCommand),
    Sql(sql::SqlCommand),
    Send(send::SendCommand),
    Delete(delete::DeleteCommand),
    Flush(flush::FlushCommand),
    Shard(shard::ShardCommand),
    Check(check::CheckCommand),
    Repair(repair::RepairCommand),
    Token(token::TokenCommand),
    Doctor(Box<doctor::DoctorCommand>),
    Config(Box<config::ConfigCommand>),
    Completions(generate::CompletionsCommand),
    Man(generate::ManCommand),
}

/// What was typed for this command, for whoever asks where a value came from.
pub(crate) fn matches_of(command: &str) -> clap::ArgMatches {
    let typed = <Needle as clap::CommandFactory>::command().get_matches();
    typed.subcommand_matches(command).cloned().unwrap_or_default()
}

/// Runs what was typed and says how it went.
pub(crate) fn main() -> ExitCode {
    let outcome = match Needle::parse().command {
        Command::Serve(command) => crate::serve::run(&command),
        Command::Demo(command) => crate::demo::run(&command),
        Command::Grep(command) => grep::run(&command),
        Command::Tail(command) => tail::run(&command),
        Command::Trace(command) => trace::run(&command),
        Command::Services(command) => services::run(&command),
        Command::Fields(command) => fields::run(&command),
        Command::Patterns(command) => patterns::run(&command),
        Command::Compare(command) => compare::run(&command),
        Command::Sql(command) => sql::run(&command),
        Command::Send(command) => send::run(&command),
        Command::Delete(command) => delete::run(&command),
        Command::Flush(command) => flush::run(&command),
        Command::Shard(command) => shard::run(&command),
        Command::Check(command) => check::run(&command),
        Command::Repair(command) => repair::run(&command),
        Command::Token(command) => token::run(&command),
        Command::Doctor(command) => doctor::run(&command),
        Command::Config(command) => config::run(&command),
        Command::Completions(command) => generate::completions(&command),
        Command::Man(command) => generate::man(&command),
    };
    exit::code(outcome)
}
