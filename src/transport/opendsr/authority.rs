//! Certificates for tests, made by OpenSSL: an authority, and what it issues.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// An authority of one test.
#[derive(Debug)]
pub struct Authority {
    folder: tempfile::TempDir,
}

/// A certificate and its key.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The certificate, in PEM.
    pub certificate: PathBuf,
    /// The key, in PEM.
    pub key: PathBuf,
}

fn openssl(arguments: &[&str]) {
    let made = Command::new("openssl")
        .args(arguments)
        .output()
        .expect("openssl runs");
    assert!(
        made.status.success(),
        "openssl {arguments:?}: {}",
        String::from_utf8_lossy(&made.stderr)
    );
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

impl Authority {
    /// Makes one.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let authority = Self { folder };
        let (certificate, key) = (authority.path("ca.crt"), authority.path("ca.key"));
        openssl(&[
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "30",
            "-subj",
            "/CN=Test authority",
            "-addext",
            "basicConstraints=critical,CA:TRUE",
            "-keyout",
            text(&key),
            "-out",
            text(&certificate),
        ]);
        authority
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Its certificate.
    pub fn certificate(&self) -> PathBuf {
        self.path("ca.crt")
    }

    /// A certificate for a domain, with a key of RSA, valid for two days.
    pub fn issue(&self, domain: &str) -> Issued {
        let name = format!(
            "{domain}-{}",
            fs::read_dir(self.folder.path()).expect("its folder").count()
        );
        let (key, request) = (
            self.path(&format!("{name}.key")),
            self.path(&format!("{name}.csr")),
        );
        let (certificate, extensions) = (
            self.path(&format!("{name}.crt")),
            self.path(&format!("{name}.ext")),
        );
        openssl(&[
            "req",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-subj",
            &format!("/CN={domain}"),
            "-keyout",
            text(&key),
            "-out",
            text(&request),
        ]);
        let said = format!("subjectAltName=DNS:{domain}\nbasicConstraints=critical,CA:FALSE\n");
        fs::write(&extensions, said).expect("a file");
        openssl(&[
            "x509",
            "-req",
            "-in",
            text(&request),
            "-CA",
            text(&self.certificate()),
            "-CAkey",
            text(&self.path("ca.key")),
            "-CAcreateserial",
            "-days",
            "2",
            "-extfile",
            text(&extensions),
            "-out",
            text(&certificate),
        ]);
        Issued { certificate, key }
    }

    /// One that vouches for itself.
    pub fn self_signed(&self, domain: &str) -> Issued {
        let (certificate, key) = (self.path("self.crt"), self.path("self.key"));
        openssl(&[
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            &format!("/CN={domain}"),
            "-addext",
            &format!("subjectAltName=DNS:{domain}"),
            "-addext",
            "basicConstraints=critical,CA:FALSE",
            "-keyout",
            text(&key),
            "-out",
            text(&certificate),
        ]);
        Issued { certificate, key }
    }
}
