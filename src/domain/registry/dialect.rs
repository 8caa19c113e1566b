//! What implementers have made of OpenDSR: a dialect is data (`dialect/data.rs`), and no code anywhere.

mod data;

use self::data::{APPSFLYER, BRANCH, MPARTICLE, SINGULAR, V1, V2};
use super::OpenDsrDialect;

/// A dialect of OpenDSR.
#[derive(Debug, PartialEq, Eq)]
pub struct Dialect {
    /// Its name, for people.
    pub name: &'static str,
    /// Where requests are posted, below the processor's URL.
    pub requests: &'static str,
    /// Where discovery is, below the processor's URL; `None`: there is none.
    pub discovery: Option<&'static str>,
    /// How a request is found again.
    pub status: StatusCall,
    /// What `api_version` says; `None`: it is not sent.
    pub api_version: Option<&'static str>,
    /// Whether requests name their regulation.
    pub names_regulation: bool,
    /// How identities are written.
    pub shape: Shape,
    /// The identity types: ours first, then the dialect's. What is not here cannot be said.
    pub identities: &'static [(&'static str, &'static str)],
    /// The formats in which identities can be sent.
    pub formats: &'static [IdentityFormat],
    /// Settings of the processor that its calls carry.
    pub settings: &'static [Setting],
    /// The statuses of HTTP that say that a request was taken.
    pub taken: &'static [u16],
    /// The states: the dialect's first.
    pub states: &'static [(&'static str, RequestState)],
    /// How many callback URLs a request may have.
    pub max_callbacks: usize,
    /// Codes of its errors which say that it knows a request of this id already.
    pub known_already: &'static [&'static str],
    /// Codes of its errors which say that an earlier request for the same person is still open there.
    pub busy: &'static [&'static str],
    /// Whether 409 says the same: the specification has no such answer.
    pub busy_on_conflict: bool,
    /// Further hosts that its certificate may be read from.
    pub certificate_hosts: &'static [&'static str],
    /// Its published term, for people; empty: the answer says when.
    pub term: &'static str,
}

/// How a request is found again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusCall {
    /// By the id that we gave it, below where requests are posted.
    ByOurId,
    /// By an id of the vendor's, which nobody keeps: it is not asked for, and `completes_by` decides.
    None,
}

/// How identities are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A list of `identity_type`, `identity_value`, `identity_format`.
    List,
    /// An object: `{"email": {"value": …, "encoding": "raw"}}`. Each type once.
    Dictionary,
}

/// A setting of a processor that its calls carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// Its key in the registry, and its name in the call.
    pub key: &'static str,
    /// Where the call carries it.
    pub place: SettingPlace,
    /// Whether there is no call without it.
    pub needed: bool,
}

/// Where a call carries a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SettingPlace {
    /// In the body.
    Body,
    /// In the query.
    Query,
}

words! {
    /// Where a request stands, as the specification has it. It knows no failure, no refusal and nothing partial.
    RequestState {
        /// It was taken in.
        Pending = 1 "pending",
        /// It is being acted on.
        InProgress = 2 "in_progress",
        /// It was fulfilled.
        Completed = 3 "completed",
        /// It was cancelled.
        Cancelled = 4 "cancelled",
    }
}

words! {
    /// How the value of an identity is written.
    IdentityFormat {
        /// As it is.
        Raw = 1 "raw",
        /// The SHA-1 of it, in hexadecimal digits.
        Sha1 = 2 "sha1",
        /// The MD5 of it.
        Md5 = 3 "md5",
        /// The SHA-256 of it.
        Sha256 = 4 "sha256",
    }
}

impl OpenDsrDialect {
    /// Each with the key and the word that the registry has for it.
    pub const ALL: [(Self, &'static str, &'static str); 6] = [
        (Self::V2, "version", "2.0"),
        (Self::V1, "version", "1.0"),
        (Self::Mparticle, "dialect", "mparticle"),
        (Self::Appsflyer, "dialect", "appsflyer"),
        (Self::Singular, "dialect", "singular"),
        (Self::Branch, "dialect", "branch"),
    ];

    /// What is known of it.
    pub const fn data(self) -> &'static Dialect {
        match self {
            Self::V2 => &V2,
            Self::V1 => &V1,
            Self::Mparticle => &MPARTICLE,
            Self::Appsflyer => &APPSFLYER,
            Self::Singular => &SINGULAR,
            Self::Branch => &BRANCH,
        }
    }
}

impl Dialect {
    /// What a type of ours is called there, with the format that its name says: `email_sha256` is an e-mail address in
    /// SHA-256. `None`: it cannot be said.
    pub fn said(&self, kind: &str) -> Option<(&'static str, IdentityFormat)> {
        let of_type = |kind: &str| {
            let named = self.identities.iter().find(|(ours, _)| *ours == kind);
            named.map(|(_, theirs)| *theirs)
        };
        if let Some(theirs) = of_type(kind) {
            return Some((theirs, IdentityFormat::Raw));
        }
        let (kind, format) = kind.rsplit_once('_')?;
        let format = IdentityFormat::parse(format).filter(|format| *format != IdentityFormat::Raw)?;
        let theirs = of_type(kind)?;
        self.formats.contains(&format).then_some((theirs, format))
    }

    /// What a type of theirs is called here, in this format; `None`: it is not known here.
    pub fn heard(&self, kind: &str, format: IdentityFormat) -> Option<String> {
        let (ours, _) = self.identities.iter().find(|(_, theirs)| *theirs == kind)?;
        Some(match format {
            IdentityFormat::Raw => (*ours).to_owned(),
            hashed => format!("{ours}_{hashed}"),
        })
    }

    /// The state that a word of theirs means.
    pub fn state(&self, word: &str) -> Option<RequestState> {
        let known = self.states.iter().find(|(theirs, _)| *theirs == word);
        known.map(|(_, state)| *state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_of_the_specification_goes_there_and_back() {
        let types = [
            "controller_customer_id",
            "android_advertising_id",
            "android_id",
            "email",
            "fire_advertising_id",
            "ios_advertising_id",
            "ios_vendor_id",
            "microsoft_advertising_id",
            "microsoft_publisher_id",
            "roku_publisher_id",
            "roku_advertising_id",
        ];
        for theirs in types {
            for format in IdentityFormat::ALL {
                let ours = V2.heard(theirs, *format).unwrap();
                assert_eq!(V2.said(&ours), Some((theirs, *format)), "{ours}");
            }
        }
        assert_eq!(
            V2.heard("controller_customer_id", IdentityFormat::Raw).unwrap(),
            "customer_id"
        );
        assert_eq!(V2.heard("phone", IdentityFormat::Raw), None);
        assert_eq!(V2.said("phone"), None, "the specification has no phone");
        assert_eq!(MPARTICLE.said("email_sha256"), None, "raw only");
        assert_eq!(
            APPSFLYER.said("customer_id"),
            Some(("customer_user_id", IdentityFormat::Raw))
        );
    }

    #[test]
    fn dialects_have_words_of_their_own_for_states() {
        assert_eq!(APPSFLYER.state("in-progress"), Some(RequestState::InProgress));
        assert_eq!(APPSFLYER.state("canceled"), Some(RequestState::Cancelled));
        assert_eq!(BRANCH.state("SUCCESS"), Some(RequestState::Completed));
        assert_eq!(V2.state("canceled"), None);
        assert_eq!(V2.state("erased"), None);
    }

    #[test]
    fn every_dialect_can_say_something_and_hear_every_state() {
        for (dialect, ..) in OpenDsrDialect::ALL {
            let data = dialect.data();
            assert!(
                !data.identities.is_empty() && data.formats.contains(&IdentityFormat::Raw),
                "{}",
                data.name
            );
            let hears = |state: RequestState| data.states.iter().any(|(_, known)| *known == state);
            assert!(
                hears(RequestState::Completed) && hears(RequestState::Pending),
                "{}",
                data.name
            );
        }
    }
}
