//! The files of California's deletion mechanism for data brokers (DROP): what is downloaded there, and what is sent back.
//!
//! A file lists people by the hashes of what they are known by. Each of its lines becomes a command, whose ids follow from the
//! line alone: so the same file again changes nothing, and what has become of a line is found without a table of its own.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::civil::Date;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::domain::{
    ids::{RequestId, Tenant},
    request::Request,
    task::{Deferral, TaskState},
    time::At,
    words::{RefusalBasis, Status},
};

/// The space of the ids that are made here.
const LINES: Uuid = Uuid::from_u128(0x6c61_6375_6e61_4d72_8f70_6472_6f70_0001);

/// What the hashes of a file are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Name, date of birth and ZIP code.
    Ndz,
    /// An e-mail address.
    Email,
    /// A phone number.
    Phone,
    /// A mobile advertising id.
    Maid,
    /// A name and the number of a vehicle.
    NameVin,
    /// The id of a connected television.
    Ctvid,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Ndz,
        Self::Email,
        Self::Phone,
        Self::Maid,
        Self::NameVin,
        Self::Ctvid,
    ];

    /// As file names have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ndz => "NDZ",
            Self::Email => "Email",
            Self::Phone => "Phone",
            Self::Maid => "MAID",
            Self::NameVin => "NameVIN",
            Self::Ctvid => "CTVID",
        }
    }

    /// The identity type that processors are sent: its value is the hash.
    pub const fn identity_type(self) -> &'static str {
        match self {
            Self::Ndz => "drop_ndz",
            Self::Email => "drop_email",
            Self::Phone => "drop_phone",
            Self::Maid => "drop_maid",
            Self::NameVin => "drop_namevin",
            Self::Ctvid => "drop_ctvid",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str().eq_ignore_ascii_case(text))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the name of a file says: `<YYYYMMDD>_<DataBrokerId>_<DataType>[_<suffix>].csv`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListName {
    /// The day of its batch.
    pub day: Date,
    /// Whose list it is.
    pub broker: String,
    /// What its hashes are of.
    pub kind: Kind,
}

/// What is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadList {
    /// Its name.
    #[error(
        "expected a name such as 20261130_12345_Email.csv, which says the day, the data broker and what the hashes are of (NDZ, \
         Email, Phone, MAID, NameVIN or CTVID)"
    )]
    Name,
    /// It lists who is no longer to be deleted.
    #[error(
        "a Removed list names people who have withdrawn their request: there is nothing to erase; take them off your own \
         suppression list"
    )]
    Removed,
    /// Its first line.
    #[error("line 1: expected the columns ID,Hash")]
    Header,
    /// One of its lines.
    #[error("line {0}: expected an id and a hash, which is 32 bytes in base64")]
    Line(u64),
    /// An id twice.
    #[error("line {0}: this id was there before")]
    Twice(u64),
    /// Nothing.
    #[error("it lists nobody")]
    Empty,
}

impl ListName {
    /// Reads it.
    pub fn parse(name: &str) -> Result<Self, BadList> {
        let stem = name.strip_suffix(".csv").ok_or(BadList::Name)?;
        let mut parts = stem.splitn(4, '_');
        let (Some(day), Some(broker), Some(kind)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(BadList::Name);
        };
        let is_broker = (1..=64).contains(&broker.len())
            && broker.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if day.len() != 8 || !day.bytes().all(|b| b.is_ascii_digit()) || !is_broker {
            return Err(BadList::Name);
        }
        if kind.eq_ignore_ascii_case("removed") {
            return Err(BadList::Removed);
        }
        let day = format!("{}-{}-{}", &day[..4], &day[4..6], &day[6..]);
        Ok(Self {
            day: day.parse().map_err(|_| BadList::Name)?,
            broker: broker.to_owned(),
            kind: Kind::parse(kind).ok_or(BadList::Name)?,
        })
    }

    /// The request of a line.
    pub fn request_id(&self, line: &ListLine) -> RequestId {
        RequestId(self.id_of("request", line))
    }

    /// The command of a line.
    pub fn command(&self, line: &ListLine, tenant: &Tenant, requested_at: At) -> Value {
        json!({
            "command_id": self.id_of("command", line),
            "request_id": self.request_id(line),
            "type": "erase",
            "tenant": tenant,
            "reason": "subject_request",
            "regime": "drop",
            "requested_at": requested_at,
            // The mechanism has checked who they are.
            "identity_verified": true,
            "subject": { "identities": [{ "type": self.kind.identity_type(), "value": line.hash }] },
            "metadata": { "drop_broker": self.broker, "drop_batch": self.day, "drop_type": self.kind.as_str() },
        })
    }

    /// The same line of another batch is another request: what came in since then has to go as well.
    fn id_of(&self, what: &str, line: &ListLine) -> Uuid {
        let name = format!(
            "{what}/{}/{}/{}/{}/{}",
            self.broker, self.day, self.kind, line.id, line.hash
        );
        Uuid::new_v5(&LINES, name.as_bytes())
    }
}

/// A line of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListLine {
    /// The mechanism's own id of the person.
    pub id: String,
    /// The hash of what they are known by.
    pub hash: String,
}

/// The lines of a list.
pub fn lines(text: &[u8]) -> Result<Vec<ListLine>, BadList> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text);
    let header = reader.headers().map_err(|_| BadList::Header)?;
    let is_known =
        header.len() == 2 && header[0].eq_ignore_ascii_case("id") && header[1].eq_ignore_ascii_case("hash");
    if !is_known {
        return Err(BadList::Header);
    }
    let (mut found, mut ids) = (Vec::new(), foldhash::HashSet::default());
    for (n, record) in (2..).zip(reader.records()) {
        let record = record.map_err(|_| BadList::Line(n))?;
        let number = record.position().map_or(n, csv::Position::line);
        let (id, hash) = (&record[0], &record[1]);
        let is_hash = STANDARD.decode(hash).is_ok_and(|bytes| bytes.len() == 32);
        if id.is_empty() || id.len() > 128 || !is_hash {
            return Err(BadList::Line(number));
        }
        if !ids.insert(id.to_owned()) {
            return Err(BadList::Twice(number));
        }
        found.push(ListLine {
            id: id.to_owned(),
            hash: hash.to_owned(),
        });
    }
    if found.is_empty() {
        Err(BadList::Empty)
    } else {
        Ok(found)
    }
}

/// What is answered about a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DropAnswer {
    /// A law keeps something, or an exemption applies.
    Exempted = 2,
    /// Deleted.
    Deleted = 3,
    /// Not deleted, and opted out of sale and sharing: who it is could not be verified.
    OptedOut = 4,
    /// Nobody of that hash.
    NotFound = 5,
}

impl DropAnswer {
    /// The code in the file that is sent back.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// In words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exempted => "exempted",
            Self::Deleted => "deleted",
            Self::OptedOut => "opted out",
            Self::NotFound => "not found",
        }
    }

    /// What can be answered about a request by now; `None`: nothing yet. Copies that grow old are no reason to wait: the
    /// rules let them stay until they are restored or next used. A processor's published term is no proof of anything.
    pub fn of(request: &Request) -> Option<Self> {
        let counts = request.counts();
        let kept = || {
            let is_kept = |state: &TaskState| {
                matches!(
                    state,
                    TaskState::Parked {
                        why: Deferral::Retention,
                        ..
                    }
                )
            };
            request.tasks.iter().any(|task| is_kept(&task.state))
        };
        match request.life.status {
            Status::Refused if request.life.refused == Some(RefusalBasis::IdentityNotVerified) => {
                Some(Self::OptedOut)
            }
            Status::Refused | Status::ClosedWithExceptions => Some(Self::Exempted),
            Status::Completed | Status::Deferred if counts.attested > 0 => None,
            Status::Deferred if request.life.live_clean_at.is_none() => None,
            Status::Deferred if kept() || counts.exempt + counts.waived > 0 => Some(Self::Exempted),
            Status::Completed | Status::Deferred => {
                let found = counts.erased + counts.anonymized + counts.pseudonymised;
                Some(if found > 0 { Self::Deleted } else { Self::NotFound })
            }
            Status::AwaitingVerification
            | Status::AwaitingApproval
            | Status::Scheduled
            | Status::InProgress
            | Status::Cancelled
            | Status::Merged => None,
        }
    }
}

/// The hash of a value as the lists have it; `None`: how values of this kind are standardised is not known here.
pub fn hash(kind: Kind, value: &str) -> Option<String> {
    let standardised: String = match kind {
        Kind::Email => value
            .chars()
            .filter(|c| !c.is_whitespace())
            .flat_map(char::to_lowercase)
            .collect(),
        Kind::Phone => {
            let digits: Vec<char> = value.chars().filter(char::is_ascii_digit).collect();
            digits[digits.len().saturating_sub(10)..].iter().collect()
        }
        Kind::Ndz | Kind::Maid | Kind::NameVin | Kind::Ctvid => return None,
    };
    Some(STANDARD.encode(Sha256::digest(standardised)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANNA: &str = "KA18MT/ph6IHYjzT9zwETySDQyvSh87YuoSBpOQtkhE=";
    const PHONE: &str = "vGM7y5n+hBXRSEAklhHDPCbysyNgYTmXdMcagGUOY8E=";

    #[test]
    fn hashes_are_those_of_the_published_examples() {
        for value in ["anna.smith@domain.com", " Anna.Smith @domain.COM\n"] {
            assert_eq!(hash(Kind::Email, value).as_deref(), Some(ANNA), "{value:?}");
        }
        for value in ["4155559317", "+1 (415) 555-9317"] {
            assert_eq!(hash(Kind::Phone, value).as_deref(), Some(PHONE), "{value:?}");
        }
        assert_eq!(hash(Kind::NameVin, "x"), None);
    }

    #[test]
    fn name_says_day_broker_and_kind() {
        let list = ListName::parse("20261130_DB-12345_NameVIN_2of3.csv").unwrap();
        assert_eq!(
            (list.day.to_string().as_str(), list.broker.as_str(), list.kind),
            ("2026-11-30", "DB-12345", Kind::NameVin)
        );
        assert_eq!(ListName::parse("20261130_1_Removed.csv"), Err(BadList::Removed));
        for name in [
            "20261130_1_Email.zip",
            "20261330_1_Email.csv",
            "2026-11-30_1_Email.csv",
            "20261130_1_Fax.csv",
            "20261130__Email.csv",
            "20261130_a b_Email.csv",
            "list.csv",
        ] {
            assert_eq!(ListName::parse(name), Err(BadList::Name), "{name}");
        }
    }

    #[test]
    fn every_mistake_of_a_list_is_named_by_its_line() {
        let good = format!("\u{feff}ID,Hash\r\n1,{ANNA}\r\n\r\n2,{PHONE}\r\n");
        let found = lines(good.as_bytes()).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!((found[1].id.as_str(), found[1].hash.as_str()), ("2", PHONE));
        for (text, fault) in [
            (String::new(), BadList::Header),
            (format!("1,{ANNA}\n"), BadList::Header),
            ("Id,Status\n1,3\n".to_owned(), BadList::Header),
            ("ID,Hash\n".to_owned(), BadList::Empty),
            (
                format!("ID,Hash\n1,{ANNA}\n2,anna.smith@domain.com\n"),
                BadList::Line(3),
            ),
            (format!("ID,Hash\n,{ANNA}\n"), BadList::Line(2)),
            (format!("ID,Hash\n1,{ANNA},x\n"), BadList::Line(2)),
            (format!("ID,Hash\n1,{ANNA}\n1,{PHONE}\n"), BadList::Twice(3)),
        ] {
            assert_eq!(lines(text.as_bytes()), Err(fault), "{text}");
        }
    }

    #[test]
    fn ids_follow_from_the_line_and_its_batch() {
        let line = |id: &str| ListLine {
            id: id.to_owned(),
            hash: ANNA.to_owned(),
        };
        let list = ListName::parse("20261130_1_Email.csv").unwrap();
        let same = ListName::parse("20261130_1_Email_b.csv").unwrap();
        let next = ListName::parse("20270110_1_Email.csv").unwrap();
        assert_eq!(list.request_id(&line("7")), same.request_id(&line("7")));
        assert_ne!(list.request_id(&line("7")), next.request_id(&line("7")));
        assert_ne!(list.request_id(&line("7")), list.request_id(&line("8")));
        let (tenant, at) = (Tenant::new("drop").unwrap(), At::default());
        assert_eq!(
            list.command(&line("7"), &tenant, at),
            same.command(&line("7"), &tenant, at)
        );
    }
}
