//! `needle token`: makes, lists and revokes tokens, in the data folder.

use clap::{Args, Subcommand};
use jiff::Timestamp;
use needle_ingest::storage::model::Tenant;
use serde_json::json;

use super::check::FolderArguments;
use super::terminal::{Color, Output, note, visible};
use super::{Exit, Unusable, parse_duration};
use crate::tokens::{Entry, Presented, Scope, TokenFile, TokenFileError, TokenText, id_in};

/// Make, list and revoke the tokens that let callers in
#[derive(Debug, Args)]
#[command(
    after_long_help = "Tokens are kept in the data folder, as hashes; a server that runs on it takes in what changes within a second. Once a \
token was made for a folder, every request to its server has to show one; on loopback too, since other users of the machine and pages in its \
browsers reach that as well.

Example: export NEEDLE_TOKEN=$(needle token create --scope read)

Exit codes: 0 done, 1 no such token, 2 error, 78 unusable settings."
)]
pub(crate) struct TokenCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Create(CreateCommand),
    List(ListCommand),
    Revoke(RevokeCommand),
}

/// Make a token; it is printed once, and never again
#[derive(Debug, Args)]
struct CreateCommand {
    /// What it allows: ingest sends records, read asks questions, admin does both and deletes.
    #[arg(long, value_enum)]
    scope: Scope,
    /// Whose records it sends and sees.
    #[arg(long, default_value = "default", value_name = "NAME", value_parser = tenant)]
    tenant: Tenant,
    /// What it is for, to tell it from others.
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// It ends by itself after this time, as 90d [default: never].
    #[arg(long, value_name = "DURATION", value_parser = lifetime)]
    expires: Option<std::time::Duration>,
    #[command(flatten)]
    folder: FolderArguments,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// List the tokens there are; none of them can be read from it
#[derive(Debug, Args)]
struct ListCommand {
    #[command(flatten)]
    folder: FolderArguments,
    /// Print one JSON object a line.
    #[arg(long)]
    json: bool,
}

/// Revoke a token: within a second, nobody is let in by it
#[derive(Debug, Args)]
struct RevokeCommand {
    /// Its id, or the whole token.
    token: String,
    #[command(flatten)]
    folder: FolderArguments,
}

fn tenant(text: &str) -> Result<Tenant, String> {
    Tenant::new(text).map_err(|error| error.to_string())
}

fn lifetime(text: &str) -> Result<std::time::Duration, String> {
    let lifetime = parse_duration(text).map_err(|error| error.to_string())?;
    if lifetime.is_zero() { Err("it would end at once: give a time above zero, as 90d".to_owned()) } else { Ok(lifetime) }
}

/// Runs it.
pub(crate) fn run(command: &TokenCommand) -> anyhow::Result<Exit> {
    match &command.action {
        Action::Create(command) => create(command),
        Action::List(command) => list(command),
        Action::Revoke(command) => revoke(command),
    }
}

fn create(command: &CreateCommand) -> anyhow::Result<Exit> {
    let file = TokenFile::of(&command.folder.folder()?);
    let (token, id) = TokenText::generate(command.scope).map_err(anyhow::Error::msg)?;
    let presented = Presented::read(token.reveal()).ok_or_else(|| anyhow::anyhow!("the new token cannot be read back"))?;
    let now = Timestamp::now();
    let mut entry = Entry::new(id.clone(), command.scope, &command.tenant, &presented.hash, now);
    entry.name.clone_from(&command.name);
    entry.expires = command.expires.map(|expires| now.checked_add(expires)).transpose()?;
    let is_first = file.change(|tokens| {
        let is_first = tokens.is_empty();
        tokens.push(entry.clone());
        is_first
    });
    let is_first = is_first.map_err(refusal)?;
    let mut output = Output::stdout(Color::Never);
    if command.json {
        let mut shown = described(&entry, now);
        shown["token"] = json!(token.reveal());
        output.line(&shown.to_string())?;
    } else {
        output.line(token.reveal())?;
    }
    output.flush()?;
    note(&format!("keep it now: it is not shown again; `needle token revoke {id}` ends it"));
    if is_first {
        note(&format!(
            "it is the first of {}: from now on every request to a server on this folder has to show a token",
            file.path().display()
        ));
    }
    Ok(Exit::Found)
}

fn list(command: &ListCommand) -> anyhow::Result<Exit> {
    let file = TokenFile::of(&command.folder.folder()?);
    let tokens = file.read().map_err(refusal)?;
    let now = Timestamp::now();
    let mut output = Output::stdout(Color::Never);
    if command.json {
        for entry in &tokens {
            output.line(&described(entry, now).to_string())?;
        }
    } else if !tokens.is_empty() {
        output
            .line(&format!("{:<8}  {:<6}  {:<8}  {:<20}  {:<20}  {:<16}  NAME", "ID", "SCOPE", "STATE", "CREATED", "EXPIRES", "TENANT"))?;
        for entry in &tokens {
            let expires = entry.expires.map_or_else(|| "never".to_owned(), second);
            let name = visible(entry.name.as_deref().unwrap_or_default());
            let (created, scope) = (second(entry.created), entry.scope.name());
            let line = format!(
                "{:<8}  {scope:<6}  {:<8}  {created:<20}  {expires:<20}  {:<16}  {name}",
                entry.id,
                state(entry, now),
                entry.tenant
            );
            output.line(line.trim_end())?;
        }
    }
    output.flush()?;
    Ok(if tokens.is_empty() { Exit::Nothing } else { Exit::Found })
}

fn revoke(command: &RevokeCommand) -> anyhow::Result<Exit> {
    let file = TokenFile::of(&command.folder.folder()?);
    let id = id_in(command.token.trim())
        .ok_or_else(|| Unusable("this is no token and no id of one: `needle token list` shows ids, of 8 letters and digits".to_owned()))?;
    let revoked = file.change(|tokens| {
        let entry = tokens.iter_mut().find(|entry| entry.id == id)?;
        Some(entry.revoked.replace(Timestamp::now()).is_none())
    });
    match revoked.map_err(refusal)? {
        Some(true) => note(&format!("{id} is revoked: within a second, nobody is let in by it")),
        Some(false) => note(&format!("{id} was revoked before")),
        None => {
            note(&format!("there is no token {id} in {}", file.path().display()));
            return Ok(Exit::Nothing);
        }
    }
    Ok(Exit::Found)
}

/// What cannot be read or written is a matter of settings.
fn refusal(error: TokenFileError) -> anyhow::Error {
    Unusable(error.to_string()).into()
}

fn state(entry: &Entry, now: Timestamp) -> &'static str {
    match (entry.revoked, entry.is_good(now)) {
        (Some(_), _) => "revoked",
        (None, false) => "expired",
        (None, true) => "good",
    }
}

fn described(entry: &Entry, now: Timestamp) -> serde_json::Value {
    json!({
        "id": entry.id,
        "scope": entry.scope.name(),
        "tenant": entry.tenant,
        "name": entry.name,
        "state": state(entry, now),
        "created": entry.created.to_string(),
        "expires": entry.expires.map(|time| time.to_string()),
        "revoked": entry.revoked.map(|time| time.to_string()),
    })
}

/// Without fractions.
fn second(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
