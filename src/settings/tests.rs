use needle_ingest::storage::Retention;
use needle_ingest::storage::model::Signal;

use super::*;

fn flags() -> ServeFlags {
    ServeFlags { data: Some(PathBuf::from("/srv/needle")), ..ServeFlags::default() }
}

fn refusal(file: &str, flags: &ServeFlags) -> String {
    let loaded = Settings::parse(file, "needle.toml").and_then(|mut settings| {
        settings.overlay(flags);
        settings.compose()?;
        settings.exposure(false)
    });
    loaded.unwrap_err().0
}

#[test]
fn flags_come_before_the_file_and_the_file_before_defaults() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("needle.toml");
    fs::write(&file, "otlp_http = \"127.0.0.1:1\"\nhttp = \"127.0.0.1:2\"\nretention = \"7d\"\n[server]\nheader_timeout_ms = 77\n")
        .unwrap();
    let settings = Settings::load(Some(&file), &ServeFlags { http: Some("127.0.0.1:3".to_owned()), ..flags() }).unwrap();
    assert_eq!(
        [&settings.otlp_grpc, &settings.otlp_http, &settings.http].map(String::as_str),
        ["127.0.0.1:4317", "127.0.0.1:1", "127.0.0.1:3"]
    );
    assert_eq!(settings.server.header_timeout_ms, 77);
    assert_eq!((settings.ingest.retention.logs_ms, settings.storage.retention.spans_ms), (Some(604_800_000), Some(604_800_000)));
    assert_eq!(settings.storage.data, PathBuf::from("/srv/needle"));
}

#[test]
fn the_environment_stands_between_file_and_flags() {
    use clap::{CommandFactory, Parser};
    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        flags: ServeFlags,
    }
    // The order of environment and flag is clap's; here it is held that every flag has its variable.
    for argument in Command::command().get_arguments().filter(|argument| argument.get_id() != "help") {
        let name = format!("NEEDLE_{}", argument.get_id().as_str().to_uppercase());
        assert_eq!(argument.get_env().and_then(|name| name.to_str()), Some(name.as_str()));
    }
    assert_eq!(Command::parse_from(["x", "--http", "127.0.0.1:9"]).flags.http.as_deref(), Some("127.0.0.1:9"));
}

#[test]
fn the_sample_says_what_the_defaults_are() {
    let sample = include_str!("../../deploy/needle.toml");
    let settings = Settings::parse(sample, "deploy/needle.toml").unwrap();
    assert_eq!(format!("{settings:#?}"), format!("{:#?}", Settings::default()));
    // What is commented out is a setting too: switched on, the file still parses.
    let all: String = sample.lines().map(|line| line.strip_prefix("#: ").unwrap_or(line).to_owned() + "\n").collect();
    let settings = Settings::parse(&all, "deploy/needle.toml").unwrap();
    assert!(all != sample && settings.data.is_some() && settings.retention != RetentionTable::default());
}

#[test]
fn an_unknown_key_is_named_with_its_file_and_line() {
    for (file, says) in [
        ("http = \"127.0.0.1:0\"\nhtpp = 1\n", ["needle.toml, line 2", "htpp"]),
        ("[server]\nheader_timeout = 1\n", ["needle.toml, line 2", "header_timeout"]),
        ("http = 7117\n", ["needle.toml, line 1", "string"]),
        ("http = \n", ["needle.toml, line 1", "value"]),
        ("[storage]\ndata = \"x\"\n", ["storage.data", "`data` at the top"]),
        ("[ingest.retention]\nlogs_ms = 5\n", ["ingest.retention", "`retention` at the top"]),
        ("[storage.retention]\nlogs_ms = 5\n", ["storage.retention", "`retention` at the top"]),
        ("retention = 30\n", ["needle.toml, line 1", "a duration as \"30d\""]),
        ("[retention]\nlogs = \"30d\"\nspan = \"7d\"\n", ["needle.toml, line 3", "span"]),
        ("[[retention.services]]\nservice = \"audit\"\nkeep = \"1d\"\n", ["needle.toml, line 3", "keep"]),
    ] {
        let error = refusal(file, &flags());
        assert!(says.iter().all(|part| error.contains(part)) && !error.contains('\n'), "{file}: {error}");
    }
}

#[test]
fn retention_is_one_duration_or_a_table() {
    let loaded = |file: &str, flag: Option<&str>| {
        let mut settings = Settings::parse(file, "needle.toml").unwrap();
        settings.overlay(&ServeFlags { retention: flag.map(str::to_owned), ..flags() });
        settings.compose().unwrap();
        assert_eq!(settings.storage.retention, settings.ingest.retention);
        settings.storage.retention
    };
    let table = "[retention]\nlogs = \"30d\"\n[[retention.services]]\nservice = \"audit\"\nlogs = \"forever\"\nspans = \"90d\"\n";
    let days = |days: u64| Some(days * 86_400_000);
    let kept = |retention: &Retention, service: &str| [retention.kept_ms(Signal::Logs, service), retention.kept_ms(Signal::Spans, service)];
    assert_eq!(kept(&loaded("", None), "web"), [None, None]);
    assert_eq!(kept(&loaded("retention = \"7d\"\n", None), "web"), [days(7), days(7)]);
    assert_eq!(kept(&loaded(table, None), "web"), [days(30), None]);
    assert_eq!(kept(&loaded(table, None), "audit"), [None, days(90)]);
    let with_flag = loaded(table, Some("1d"));
    assert_eq!([kept(&with_flag, "web"), kept(&with_flag, "audit")], [[days(1), days(1)], [None, days(90)]]);
}

#[test]
fn what_cannot_be_honoured_is_refused_in_one_sentence() {
    let with = |change: fn(&mut ServeFlags)| {
        let mut flags = flags();
        change(&mut flags);
        refusal("", &flags)
    };
    for (error, says) in [
        (with(|flags| flags.retention = Some("soon".to_owned())), "90s, 1h30m or 7d"),
        (with(|flags| flags.retention = Some("0s".to_owned())), "retention is 0"),
        (with(|flags| flags.disk_limit = Some("50GB".to_owned())), "disk_limit (50000000000 bytes) cannot be honoured yet"),
        (with(|flags| flags.disk_limit = Some("lots".to_owned())), "50GB or 512MiB"),
        (with(|flags| flags.http = Some("7117".to_owned())), "--http 7117 is no address"),
        (with(|flags| flags.otlp_grpc = Some("0.0.0.0:4317".to_owned())), "--insecure-listen=i-understand"),
        (with(|flags| flags.http = Some("[::]:7117".to_owned())), "needle token create"),
        (with(|flags| flags.tls_cert = Some(PathBuf::from("cert.pem"))), "--tls-key"),
        (with(|flags| flags.tls_client_ca = Some(PathBuf::from("ca.pem"))), "--tls-cert"),
        (with(|flags| flags.cors_origins = vec!["*".to_owned()]), "is no origin"),
        (with(|flags| (flags.http, flags.insecure_listen) = (Some("0.0.0.0:0".to_owned()), Some("yes".to_owned()))), "is not the phrase"),
        (with(|flags| flags.data = Some(PathBuf::new())), "--data"),
    ] {
        assert!(error.contains(says) && !error.contains('\n'), "{error}");
    }
}

#[test]
fn other_addresses_are_opened_by_tls_with_a_token_or_by_the_phrase_and_loopback_needs_none() {
    let exposure = |flags: &ServeFlags, has_token: bool| Settings::load(None, flags).and_then(|settings| settings.exposure(has_token));
    let open = ServeFlags { http: Some("0.0.0.0:0".to_owned()), ..flags() };
    let encrypted = ServeFlags { tls_cert: Some("cert.pem".into()), tls_key: Some("key.pem".into()), ..open.clone() };
    let phrase = Some("i-understand".to_owned());
    for (flags, has_token, says) in [
        (&open, false, "--tls-cert and --tls-key and make a token with `needle token create`, or accept"),
        (&open, true, "encrypt it with --tls-cert and --tls-key, or accept"),
        (&encrypted, false, "make a token with `needle token create`, or accept"),
    ] {
        let error = exposure(flags, has_token).unwrap_err().0;
        assert!(error.contains(says) && error.contains("--insecure-listen=i-understand") && !error.contains('\n'), "{error}");
        let insecure = exposure(&ServeFlags { insecure_listen: phrase.clone(), ..flags.clone() }, has_token).unwrap();
        assert!(insecure.insecure && !insecure.loopback);
    }
    assert_eq!(exposure(&encrypted, true).unwrap(), Exposure { loopback: false, tls: true, insecure: false });
    for address in ["127.0.0.1:0", "127.8.0.1:0", "[::1]:0", "[::ffff:127.0.0.1]:0", "localhost:0"] {
        let flags = ServeFlags { http: Some(address.to_owned()), ..flags() };
        assert_eq!(exposure(&flags, false).unwrap(), Exposure { loopback: true, tls: false, insecure: false }, "{address}");
    }
}
