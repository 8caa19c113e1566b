//! Whom to believe, with certificates that OpenSSL makes.

use std::{fs, process::Command, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::super::{
    Signer,
    authority::{Authority, Issued},
    certificate::{Authorities, Certificate, Untrusted},
};
use crate::{clock::Clock, domain::time::At};

const DOMAIN: &str = "opendsr.vendor.test";
const BODY: &[u8] = b"{\"request_status\":\"completed\"}";

fn now() -> At {
    Clock::System.now()
}

fn certificate(issued: &Issued) -> Certificate {
    Certificate::read(&fs::read(&issued.certificate).unwrap()).unwrap()
}

fn trusted(authority: &Authority) -> Authorities {
    Authorities::of_pem(&fs::read(authority.certificate()).unwrap()).unwrap()
}

fn signer(issued: &Issued) -> Signer {
    Signer::load(DOMAIN, &issued.certificate, &issued.key).unwrap()
}

#[test]
fn certificate_is_believed_for_its_domain_in_its_time_alone() {
    let (ours, others) = (Authority::new(), Authority::new());
    let issued = ours.issue(DOMAIN);
    let certificate = certificate(&issued);
    let trusted = trusted(&ours);
    assert_eq!(certificate.check(DOMAIN, &trusted, now()), Ok(()));
    assert_eq!(
        certificate.check("opendsr.other.test", &trusted, now()),
        Err(Untrusted::OtherName("opendsr.other.test".into()))
    );
    let day = Duration::from_secs(24 * 3600);
    assert_eq!(
        certificate.check(DOMAIN, &trusted, now().plus(3 * day)),
        Err(Untrusted::Expired)
    );
    let yesterday = At::from_millis(now().millis() - 2 * 24 * 3600 * 1000);
    assert_eq!(
        certificate.check(DOMAIN, &trusted, yesterday),
        Err(Untrusted::Early)
    );
    let foreign = Authorities::of_pem(&fs::read(others.certificate()).unwrap()).unwrap();
    assert_eq!(
        certificate.check(DOMAIN, &foreign, now()),
        Err(Untrusted::UnknownIssuer)
    );
    assert_eq!(
        certificate.check(DOMAIN, &Authorities::of_system(), now()),
        Err(Untrusted::UnknownIssuer)
    );
}

#[test]
fn self_signed_certificate_is_refused_even_where_it_is_trusted() {
    let authority = Authority::new();
    let issued = authority.self_signed(DOMAIN);
    let pem = fs::read(&issued.certificate).unwrap();
    let trusted = Authorities::of_pem(&pem).unwrap();
    assert_eq!(
        Certificate::read(&pem).unwrap().check(DOMAIN, &trusted, now()),
        Err(Untrusted::SelfSigned)
    );
    let ca = fs::read(authority.certificate()).unwrap();
    let read = Certificate::read(&ca).and_then(|ca| ca.check(DOMAIN, &trusted, now()));
    assert_eq!(read, Err(Untrusted::SelfSigned), "an authority signs for nobody");
}

#[test]
fn signature_is_of_these_bytes_by_this_key() {
    let authority = Authority::new();
    let issued = authority.issue(DOMAIN);
    let certificate = certificate(&issued);
    let signature = signer(&issued).sign(BODY).unwrap();
    assert_eq!(certificate.has_signed(BODY, &signature), Ok(()));
    let broken: Vec<&str> = signature
        .as_bytes()
        .chunks(80)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    assert_eq!(
        certificate.has_signed(BODY, &broken.join("\n")),
        Ok(()),
        "as the specification prints it"
    );
    assert_eq!(
        certificate.has_signed(b"{}", &signature),
        Err(Untrusted::Signature)
    );
    let other = signer(&authority.issue(DOMAIN)).sign(BODY).unwrap();
    assert_eq!(certificate.has_signed(BODY, &other), Err(Untrusted::Signature));
    for garbage in ["", "!", "AAAA"] {
        assert_eq!(
            certificate.has_signed(BODY, garbage),
            Err(Untrusted::Signature),
            "{garbage}"
        );
    }
}

#[test]
fn openssl_verifies_our_signature_and_we_verify_its() {
    let authority = Authority::new();
    let issued = authority.issue(DOMAIN);
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let run = |arguments: &[&str]| {
        let done = Command::new("openssl").args(arguments).output().unwrap();
        (done.status.success(), done.stdout)
    };
    let (_, public) = run(&[
        "x509",
        "-in",
        issued.certificate.to_str().unwrap(),
        "-pubkey",
        "-noout",
    ]);
    fs::write(path("public.pem"), public).unwrap();
    fs::write(path("body"), BODY).unwrap();
    fs::write(
        path("signature"),
        STANDARD.decode(signer(&issued).sign(BODY).unwrap()).unwrap(),
    )
    .unwrap();
    let (public, body, signature) = (path("public.pem"), path("body"), path("signature"));
    let [public, body, signature] = [&public, &body, &signature].map(|path| path.to_str().unwrap());
    let (verified, _) = run(&[
        "dgst",
        "-sha256",
        "-verify",
        public,
        "-signature",
        signature,
        body,
    ]);
    assert!(verified, "OpenSSL does not verify our signature");
    let (_, theirs) = run(&["dgst", "-sha256", "-sign", issued.key.to_str().unwrap(), body]);
    assert_eq!(
        certificate(&issued).has_signed(BODY, &STANDARD.encode(theirs)),
        Ok(())
    );
}

#[test]
fn keys_that_cannot_sign_for_a_certificate_are_refused() {
    let authority = Authority::new();
    let (one, other) = (authority.issue(DOMAIN), authority.issue(DOMAIN));
    let refused = |certificate, key| Signer::load(DOMAIN, certificate, key).unwrap_err().to_string();
    assert!(refused(&one.certificate, &other.key).contains("is not that of the certificate"));
    assert!(refused(&one.key, &one.key).contains("expected a certificate in PEM, found none"));
    assert!(refused(&one.certificate, &one.certificate).contains("expected a private key in PEM"));
    let folder = tempfile::tempdir().unwrap();
    let elliptic = folder.path().join("ec.key");
    let made = Command::new("openssl")
        .args([
            "genpkey",
            "-algorithm",
            "EC",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-out",
        ])
        .arg(&elliptic)
        .status()
        .unwrap();
    assert!(made.success());
    assert!(refused(&one.certificate, &elliptic).contains("expected an RSA key"));
}
