use std::os::unix::fs::PermissionsExt as _;

use super::*;

/// A folder with a certificate and its key.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        let folder = Folder(tempfile::tempdir().unwrap());
        folder.renew();
        folder
    }

    fn files(&self) -> TlsFiles {
        TlsFiles { certificate: self.0.path().join("cert.pem"), key: self.0.path().join("key.pem"), client_ca: None }
    }

    fn renew(&self) {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        self.write("cert.pem", &made.cert.pem());
        self.write("key.pem", &made.signing_key.serialize_pem());
    }

    /// As tools write such files: anew, and then in place of the other.
    fn write(&self, name: &str, text: &str) {
        let path = self.0.path().join(format!("{name}.new"));
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::rename(path, self.0.path().join(name)).unwrap();
    }

    fn open(&self) -> Result<Arc<Tls>, String> {
        Tls::open(self.files(), TlsMetrics::default())
    }
}

#[test]
fn fault_67_changed_files_are_taken_into_use_once_they_have_settled() {
    let folder = Folder::new();
    let tls = folder.open().unwrap();
    let first = tls.config();
    tls.look();
    assert!(Arc::ptr_eq(&first, &tls.config()));
    folder.renew();
    tls.look();
    assert!(Arc::ptr_eq(&first, &tls.config()), "they may still be written");
    tls.look();
    assert!(!Arc::ptr_eq(&first, &tls.config()));
    assert_eq!((tls.metrics.loaded.get(), tls.metrics.refused.get()), (2, 0));
}

#[test]
fn fault_67_files_that_do_not_fit_leave_those_in_use_that_did() {
    let folder = Folder::new();
    let tls = folder.open().unwrap();
    let first = tls.config();
    let other = Folder::new();
    for (name, text) in [
        ("cert.pem", String::new()),
        ("cert.pem", fs::read_to_string(other.files().certificate).unwrap()),
        ("key.pem", "-----BEGIN PRIVATE KEY-----\n!\n".to_owned()),
    ] {
        let before = tls.metrics.refused.get();
        folder.write(name, &text);
        (0..5).for_each(|_| tls.look());
        assert!(Arc::ptr_eq(&first, &tls.config()));
        assert_eq!(tls.metrics.refused.get(), before + 1, "said once");
    }
    folder.renew();
    (0..2).for_each(|_| tls.look());
    assert!(!Arc::ptr_eq(&first, &tls.config()));
}

#[test]
fn what_cannot_be_used_is_said_in_one_sentence() {
    let folder = Folder::new();
    let files = folder.files();
    let missing = |change: fn(&mut TlsFiles)| {
        let mut files = folder.files();
        change(&mut files);
        Tls::open(files, TlsMetrics::default()).unwrap_err()
    };
    assert!(missing(|files| files.certificate.push("x")).starts_with("tls_cert: "));
    assert!(missing(|files| files.key.push("x")).starts_with("tls_key: "));
    assert!(missing(|files| files.client_ca = Some("nowhere".into())).starts_with("tls_client_ca: nowhere"));
    fs::set_permissions(&files.key, fs::Permissions::from_mode(0o644)).unwrap();
    let open = folder.open().unwrap_err();
    assert!(open.contains("chmod 600") && open.contains("mode 644"), "{open}");
    fs::set_permissions(&files.key, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(folder.open().is_ok(), "a group may be made for it");
}

#[test]
fn the_end_of_a_certificate_is_known() {
    let mut parameters = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    // Times are written in two ways, up to 2049 and from 2050 on.
    for year in [2031, 2055] {
        parameters.not_after = rcgen::date_time_ymd(year, 3, 7);
        let made = parameters.clone().self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
        let expected: Timestamp = format!("{year}-03-07T00:00:00Z").parse().unwrap();
        assert_eq!(validity::end_of(made.der()), Some(expected));
    }
    assert_eq!(validity::end_of(b"no certificate"), None);
    assert_eq!(validity::end_of(&[0x30; 40]), None);
}
