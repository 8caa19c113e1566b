//! Why a call has no answer that could be read: each kind has a sentence of its own, which says what to do.
//!
//! Nothing here repeats what the other side has sent: any of it may be personal data.

use std::{error::Error, io, time::Duration};

use rustls::{
    AlertDescription, CertificateError,
    pki_types::{InvalidDnsNameError, UnixTime},
};

use super::connector::NoConnection;
use crate::{
    domain::time::At,
    transport::{
        local::Unusable,
        sender::{Failed, Reply},
    },
};

/// Why a call has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// What the registry says cannot be used on this machine.
    #[error(transparent)]
    Unusable(#[from] Unusable),
    /// The URL leads inside.
    #[error(
        "{host} is {what}, which is not called: set allow_private = true in [webhook] of lacuna.toml if that is meant, else \
         correct the URL"
    )]
    Inside {
        /// The host of the URL.
        host: String,
        /// What its address is.
        what: &'static str,
    },
    /// Nobody knows the name.
    #[error("{0} has no address: correct the URL, or have a look at this machine's name servers")]
    Unresolved(String),
    /// Nothing listens there.
    #[error("the connection was refused: nothing listens at the host and port of the URL")]
    Refused,
    /// There is no connection, for another reason.
    #[error("no connection: {0}")]
    Unreachable(String),
    /// There was no connection in time.
    #[error("no connection within {} s: the host does not answer, or something between drops what is sent", .0.as_secs())]
    ConnectLate(Duration),
    /// TLS does not trust the other side, or the other side not us.
    #[error("TLS: {0}")]
    Tls(TlsFault),
    /// The proxy does not let the call through.
    #[error("the proxy {0}")]
    Proxy(&'static str),
    /// The proxy wants to know who we are.
    #[error("the proxy wants credentials (407): let this machine through without, or name another proxy")]
    ProxyAuth,
    /// The whole call took too long.
    #[error("no whole answer within {} s: answer 202 and send the ack later, or set a longer transport.timeout", .0.as_secs_f64())]
    Late(Duration),
    /// An answer stopped in its middle.
    #[error("the answer stopped for {} s in its middle", .0.as_secs())]
    Stalled(Duration),
    /// An answer is too large.
    #[error("the answer is larger than {} KiB, packed or unpacked: what is needed of one is smaller", .0 / 1024)]
    TooLarge(usize),
    /// An answer is packed as nobody can unpack it.
    #[error(
        "the answer has a content-encoding that was not asked for and cannot be unpacked: send it as it is"
    )]
    Packed,
    /// The other side says to go elsewhere.
    #[error(
        "a redirect ({0}), which is not followed: a task has personal data. Register the URL that it leads to"
    )]
    Redirected(u16),
    /// The connection ended before the answer did.
    #[error("the connection broke before there was a whole answer: {0}")]
    Broken(&'static str),
}

/// What TLS does not like.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsFault {
    /// Its certificate has expired.
    #[error("the certificate has expired{}: it has to be renewed there", at(.0.as_ref()))]
    Expired(Option<At>),
    /// Its certificate is not valid yet.
    #[error("the certificate is not valid yet{}: the clock of one of the two machines is wrong, or it was made too early", at(.0.as_ref()))]
    Early(Option<At>),
    /// It is for somebody else.
    #[error(
        "the certificate is for another name than the URL's: call it by a name that is in the certificate"
    )]
    Name,
    /// No certificate could be for it.
    #[error(
        "the host of the URL is no name that a certificate could be for: write a name, or an address in full"
    )]
    NoName,
    /// Nobody whom we trust has issued it.
    #[error(
        "the certificate was issued by nobody whom this machine trusts: name the issuer's certificate in transport.ca"
    )]
    Issuer,
    /// It was revoked.
    #[error("the certificate was revoked: it has to be replaced there")]
    Revoked,
    /// Something else is wrong with it.
    #[error("the certificate cannot be used ({0})")]
    Certificate(String),
    /// It wants a certificate of ours.
    #[error("it wants a client's certificate: name one in transport.client_cert and client_key")]
    WantsCertificate,
    /// It does not take ours.
    #[error("it does not take our client's certificate ({0}): have it admitted there, or name another one")]
    OurCertificate(String),
    /// It is no TLS.
    #[error("what answers speaks no TLS: write http:// in the URL if that is meant, or the port of its TLS")]
    NoTls,
    /// There is nothing that both speak, or something else.
    #[error("no secure connection ({0})")]
    Other(String),
}

fn at(time: Option<&At>) -> String {
    time.map_or_else(String::new, |time| format!(" at {time}"))
}

impl CallError {
    /// Whether it is certain that nothing of the call has arrived.
    pub const fn is_certainly_unsent(&self) -> bool {
        match self {
            Self::Unusable(_)
            | Self::Inside { .. }
            | Self::Unresolved(_)
            | Self::Refused
            | Self::Unreachable(_)
            | Self::ConnectLate(_)
            | Self::Proxy(_)
            | Self::ProxyAuth => true,
            // A client's certificate is judged when the call may already be on its way.
            Self::Tls(fault) => !matches!(fault, TlsFault::WantsCertificate | TlsFault::OurCertificate(_)),
            Self::Late(_)
            | Self::Stalled(_)
            | Self::TooLarge(_)
            | Self::Packed
            | Self::Redirected(_)
            | Self::Broken(_) => false,
        }
    }

    /// Whether it is about the processor and not about the task, and somebody has to do something about it: no other task would
    /// fare better.
    const fn stops_the_lane(&self) -> bool {
        match self {
            Self::Unusable(_) | Self::ProxyAuth | Self::Inside { .. } => true,
            // Who does not trust the other side has told it nothing, and who is not trusted by it was not listened to.
            Self::Tls(fault) => !matches!(fault, TlsFault::Other(_)),
            _ => false,
        }
    }

    /// What comes of a call that ended so.
    pub fn reply(self) -> Reply {
        let why = self.to_string();
        if self.stops_the_lane() {
            return Reply::Unauthorised(why.into());
        }
        let failed = Failed::new(why);
        Reply::Failed(if self.is_certainly_unsent() {
            failed.not_sent()
        } else {
            failed
        })
    }

    /// Why a call has no answer.
    pub(super) fn of_call(error: &hyper_util::client::legacy::Error) -> Self {
        if error.is_connect() {
            return Self::of_connection(error);
        }
        Self::of_exchange(error)
    }

    /// Why an answer did not come to its end.
    pub(super) fn of_body(error: &hyper::Error) -> Self {
        Self::of_exchange(error)
    }

    /// Why there is no connection.
    pub(super) fn of_connection(error: &(dyn Error + 'static)) -> Self {
        for cause in causes(error) {
            if let Some(known) = cause.downcast_ref::<NoConnection>() {
                return Self::of_known(known);
            }
            if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
                return Self::Tls(TlsFault::of(tls));
            }
            if cause.is::<InvalidDnsNameError>() {
                return Self::Tls(TlsFault::NoName);
            }
        }
        Self::of_proxy(error).unwrap_or_else(|| Self::of_io(error))
    }

    pub(super) fn of_known(known: &NoConnection) -> Self {
        match known {
            NoConnection::Inside { host, what } => Self::Inside {
                host: host.clone(),
                what,
            },
            NoConnection::Unresolved { host, .. } => Self::Unresolved(host.clone()),
            NoConnection::Late(within) => Self::ConnectLate(*within),
        }
    }

    /// What a proxy says; its type is the library's own, so its words are what there is.
    fn of_proxy(error: &(dyn Error + 'static)) -> Option<Self> {
        causes(error).find_map(|cause| match cause.to_string().strip_prefix("tunnel error: ")? {
            "proxy authorization required" => Some(Self::ProxyAuth),
            "unsuccessful" | "unexpected end of file" | "proxy response headers too long" => Some(
                Self::Proxy("does not let the call through: have the URL's host and port allowed there"),
            ),
            _ => None,
        })
    }

    fn of_io(error: &(dyn Error + 'static)) -> Self {
        let io = causes(error)
            .filter_map(|cause| cause.downcast_ref::<io::Error>())
            .last();
        match io.map(io::Error::kind) {
            Some(io::ErrorKind::ConnectionRefused) => Self::Refused,
            Some(io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) => {
                Self::Unreachable("the other side hung up before it was made".to_owned())
            }
            // The system's words: they hold nothing of the task.
            Some(kind) => Self::Unreachable(kind.to_string()),
            None => Self::Unreachable("the other side cannot be reached".to_owned()),
        }
    }

    /// Why an exchange on a connection that was there did not come to its end.
    fn of_exchange(error: &(dyn Error + 'static)) -> Self {
        for cause in causes(error) {
            if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
                return Self::Tls(TlsFault::of(tls));
            }
        }
        let http = causes(error).find_map(|cause| cause.downcast_ref::<hyper::Error>());
        Self::Broken(match http {
            Some(http) if http.is_parse_too_large() => "its headers are too large",
            Some(http) if http.is_parse() || http.is_parse_status() => "what answers speaks no HTTP",
            Some(http) if http.is_incomplete_message() => "the other side hung up",
            _ => "the other side hung up, or took the call back",
        })
    }
}

impl TlsFault {
    fn of(error: &rustls::Error) -> Self {
        use rustls::Error as Fault;
        match error {
            Fault::InvalidCertificate(error) => Self::of_certificate(error),
            Fault::AlertReceived(AlertDescription::CertificateRequired) => Self::WantsCertificate,
            Fault::AlertReceived(
                alert @ (AlertDescription::BadCertificate
                | AlertDescription::UnknownCA
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateRevoked
                | AlertDescription::CertificateUnknown
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::AccessDenied),
            ) => Self::OurCertificate(format!("{alert:?}")),
            Fault::AlertReceived(alert) => Self::Other(format!("the other side says {alert:?}")),
            Fault::InvalidMessage(_) | Fault::InappropriateMessage { .. } => Self::NoTls,
            Fault::PeerIncompatible(why) => Self::Other(format!("{why:?}")),
            Fault::NoCertificatesPresented => Self::Other("it shows no certificate".to_owned()),
            _ => Self::Other("TLS failed".to_owned()),
        }
    }

    fn of_certificate(error: &CertificateError) -> Self {
        match error {
            CertificateError::Expired => Self::Expired(None),
            CertificateError::ExpiredContext { not_after, .. } => Self::Expired(Some(time(*not_after))),
            CertificateError::NotValidYet => Self::Early(None),
            CertificateError::NotValidYetContext { not_before, .. } => Self::Early(Some(time(*not_before))),
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => Self::Name,
            CertificateError::UnknownIssuer => Self::Issuer,
            CertificateError::Revoked => Self::Revoked,
            CertificateError::BadEncoding => Self::Certificate("its encoding is broken".to_owned()),
            CertificateError::BadSignature => Self::Certificate("its signature is wrong".to_owned()),
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                Self::Certificate("it is not for servers".to_owned())
            }
            CertificateError::Other(other) => Self::Certificate(of_webpki(&other.to_string())),
            _ => Self::Certificate("it does not pass".to_owned()),
        }
    }
}

/// What the library has no words for, only the name of a kind.
fn of_webpki(kind: &str) -> String {
    if kind.contains("CaUsedAsEndEntity") {
        return "it is an issuer's (basicConstraints CA:TRUE) and shown as a server's: make the server's with CA:FALSE".to_owned();
    }
    kind.to_owned()
}

fn time(time: UnixTime) -> At {
    At::from_millis(
        i64::try_from(time.as_secs())
            .unwrap_or(i64::MAX)
            .saturating_mul(1000),
    )
}

/// An error and what is behind it. An `io::Error` passes over the error that it wraps, which is the one that says why.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| behind(*error))
}

fn behind<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_inside_an_io_error_is_found() {
        let expired = rustls::Error::InvalidCertificate(CertificateError::Expired);
        let wrapped = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, expired));
        assert_eq!(
            CallError::of_connection(&wrapped),
            CallError::Tls(TlsFault::Expired(None))
        );
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        assert_eq!(CallError::of_connection(&refused), CallError::Refused);
    }

    #[test]
    fn what_certainly_never_left_says_so_and_nothing_else_does() {
        let unsent = |error: CallError| match error.reply() {
            Reply::Failed(failed) => !failed.may_have_arrived,
            other => panic!("{other:?}"),
        };
        assert!(unsent(CallError::Refused));
        assert!(unsent(CallError::Tls(TlsFault::Other("no cipher".to_owned()))));
        assert!(!unsent(CallError::Late(Duration::from_secs(1))));
        assert!(!unsent(CallError::Redirected(302)));
    }

    #[test]
    fn a_certificate_that_does_not_pass_stops_the_lane_and_fails_nobody() {
        for fault in [
            TlsFault::Expired(None),
            TlsFault::Name,
            TlsFault::Issuer,
            TlsFault::Certificate(of_webpki("CaUsedAsEndEntity")),
            TlsFault::WantsCertificate,
            TlsFault::OurCertificate("UnknownCA".to_owned()),
            TlsFault::NoTls,
        ] {
            let reply = CallError::Tls(fault.clone()).reply();
            assert!(matches!(reply, Reply::Unauthorised(_)), "{fault:?}: {reply:?}");
        }
    }

    #[test]
    fn a_secret_that_is_missing_stops_the_lane_and_fails_nobody() {
        let reply = CallError::from(Unusable::new("secret", "the environment variable S is not set")).reply();
        assert_eq!(
            reply,
            Reply::Unauthorised("transport.secret: the environment variable S is not set".into())
        );
    }
}
