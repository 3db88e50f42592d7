//! Every setting with its value and where that came from.

use std::fs;
use std::path::Path;

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command};
use serde::Serialize;
use serde_json::Value;

use super::{ServeFlags, Settings, platform_folder};
use crate::cli::Unusable;

/// A setting as it would be used.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Effective {
    /// As in the settings file, with dots between its parts.
    pub(crate) key: String,
    /// None: not set.
    pub(crate) value: Value,
    /// `default`, `file ...`, `environment NEEDLE_...`, `flag --...`.
    pub(crate) origin: String,
}

/// What is composed from a key at the top and has no name of its own.
const COMPOSED: [&str; 3] = ["storage.data", "storage.retention", "ingest.retention"];

/// Every setting, in the order of the file. `matches` are those of the command that took `flags`.
pub(crate) fn effective(file: Option<&Path>, flags: &ServeFlags, matches: &ArgMatches) -> Result<Vec<Effective>, Unusable> {
    // First as they are used, so that what is wrong is said.
    Settings::load(file, flags)?;
    let text = match file {
        Some(path) => fs::read_to_string(path).map_err(|error| Unusable(format!("{} cannot be read: {error}", path.display())))?,
        None => String::new(),
    };
    let written: toml::Table = toml::from_str(&text).map_err(|error| Unusable(error.message().to_owned()))?;
    let mut settings = Settings::parse(&text, "the settings file")?;
    settings.overlay(flags);
    if settings.data.is_none() {
        settings.data = Some(platform_folder()?);
    }
    let values = serde_json::to_value(&settings).map_err(|error| Unusable(error.to_string()))?;
    let mut flat = Vec::new();
    flatten("", &values, &mut flat);
    flat.retain(|(key, _)| !COMPOSED.iter().any(|composed| is_within(key, composed)));
    let given = flag_origins(matches);
    let settings = flat.into_iter().map(|(key, value)| {
        let by_flag = given.iter().find(|(id, _)| is_within(&key, id) && key != "retention.services").map(|(_, origin)| origin.clone());
        let by_file =
            || is_written(&written, &key).then(|| format!("file {}", file.map_or_else(String::new, |path| path.display().to_string())));
        let origin = by_flag.or_else(by_file).unwrap_or_else(|| "default".to_owned());
        Effective { key, value, origin }
    });
    Ok(settings.collect())
}

/// Whether `key` is `outer` or in it.
fn is_within(key: &str, outer: &str) -> bool {
    key.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn flatten(prefix: &str, value: &Value, flat: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
                flatten(&key, value, flat);
            }
        }
        value => flat.push((prefix.to_owned(), value.clone())),
    }
}

/// Whether the file says this key, or what it is a part of in a short form.
fn is_written(table: &toml::Table, key: &str) -> bool {
    let (first, rest) = key.split_once('.').unwrap_or((key, ""));
    match table.get(first) {
        None => false,
        Some(toml::Value::Table(inner)) if !rest.is_empty() => is_written(inner, rest),
        Some(_) => true,
    }
}

/// The settings that flags or variables gave, by the names of their flags, which are the keys'.
fn flag_origins(matches: &ArgMatches) -> Vec<(String, String)> {
    let flags = ServeFlags::augment_args(Command::new("serve"));
    let origin = |argument: &clap::Arg| {
        let id = argument.get_id().as_str();
        // A command may take only some of the flags.
        let source = matches.try_contains_id(id).ok().and_then(|_| matches.value_source(id))?;
        let origin = match source {
            ValueSource::CommandLine => format!("flag --{}", argument.get_long().unwrap_or(id)),
            ValueSource::EnvVariable => {
                format!("environment {}", argument.get_env().map_or_else(String::new, |name| name.to_string_lossy().into_owned()))
            }
            _ => return None,
        };
        Some((id.to_owned(), origin))
    };
    flags.get_arguments().filter_map(origin).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(file: &str, arguments: &[&str]) -> Vec<Effective> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("needle.toml");
        fs::write(&path, file).unwrap();
        let command = ServeFlags::augment_args(Command::new("serve"));
        let matches = command.get_matches_from([&["serve"], arguments].concat());
        let flags = <ServeFlags as clap::FromArgMatches>::from_arg_matches(&matches).unwrap();
        let settings = effective(Some(&path), &flags, &matches).unwrap();
        let named = format!("file {}", path.display());
        settings.into_iter().map(|setting| Effective { origin: setting.origin.replace(&named, "file"), ..setting }).collect()
    }

    #[track_caller]
    fn assert_is(settings: &[Effective], key: &str, value: impl Into<Value>, origin: &str) {
        let setting = settings.iter().find(|setting| setting.key == key).unwrap_or_else(|| panic!("no {key} in {settings:?}"));
        assert_eq!((&setting.value, setting.origin.as_str()), (&value.into(), origin), "{key}");
    }

    #[test]
    fn each_setting_says_where_it_came_from() {
        let settings =
            of("log = \"warn\"\nretention = \"7d\"\n[ingest]\nnesting_max = 7\n", &["--http", "127.0.0.1:9", "--data", "/srv/needle"]);
        assert_is(&settings, "log", "warn", "file");
        assert_is(&settings, "retention.logs", "7d", "file");
        assert_is(&settings, "ingest.nesting_max", 7, "file");
        assert_is(&settings, "ingest.metrics", "refuse", "default");
        assert_is(&settings, "http", "127.0.0.1:9", "flag --http");
        assert_is(&settings, "data", "/srv/needle", "flag --data");
        assert_is(&settings, "disk_limit", Value::Null, "default");
        assert!(!settings.iter().any(|setting| setting.key.starts_with("storage.data") || setting.key.starts_with("ingest.retention")));
    }
}
