//! What upstream says that it has sent: one line of its file.
//!
//! It must never repeat anything of a line that it cannot read: the line may be anything.

use serde::{Deserialize, de::IgnoredAny};
use uuid::Uuid;

use crate::{
    domain::{
        ids::{CommandId, RequestId, Tenant},
        words::CommandKind,
    },
    vault::Vault,
    wire::{Channel, Envelope, envelope, parse_command, salvage::salvage},
};

/// One command that upstream believes it has sent, as far as the line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) line: u64,
    /// The request that it opens.
    pub(super) request_id: Option<RequestId>,
    pub(super) command_id: Option<CommandId>,
    /// The id under which an earlier version has taken its event, where it would be another one.
    pub(super) former_id: Option<Uuid>,
    /// The tenant that the line names.
    pub(super) tenant: Option<Tenant>,
    /// Which command it is; `None`: one that opens a request.
    pub(super) kind: Option<CommandKind>,
    /// The keyed digest of the whole command, where the line has it.
    pub(super) digest: Option<[u8; 16]>,
}

impl Claim {
    /// Whether it opens a request, so that the request shows whether it has arrived.
    pub(super) fn opens(&self) -> bool {
        self.kind.is_none_or(CommandKind::opens)
    }

    /// The same command as an earlier version has taken it, where that is another id.
    pub(super) fn under_former_id(&self) -> Option<Self> {
        let former = self.former_id?;
        let is_named_by_it = self.request_id.map(|id| id.0) == self.command_id.map(|id| id.0);
        Some(Self {
            command_id: Some(CommandId(former)),
            request_id: if is_named_by_it {
                Some(RequestId(former))
            } else {
                self.request_id
            },
            ..self.clone()
        })
    }
}

/// What a line that is no id and no command should have been.
const EXPECTED: &str = "expected a request_id (a UUID), or a command as a JSON object";

/// Reads lines.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    pub(super) vault: &'a Vault,
    /// The tenant of a command that names none.
    pub(super) tenant: &'a Tenant,
}

/// What a line may have of a command.
#[derive(Deserialize)]
struct Fields {
    tenant: Option<Tenant>,
    subject: Option<IgnoredAny>,
    specversion: Option<IgnoredAny>,
}

impl Reader<'_> {
    /// Reads a line; the error says what was expected there.
    pub(super) fn read(&self, line: u64, text: &[u8]) -> Result<Claim, &'static str> {
        if text.first() == Some(&b'{') {
            return self.command(line, text);
        }
        let id = text
            .strip_prefix(b"\"")
            .and_then(|rest| rest.strip_suffix(b"\""))
            .unwrap_or(text);
        // Other spellings of a UUID (braces, no hyphens) are not ours.
        let id = Uuid::try_parse_ascii(id).ok().filter(|_| id.len() == 36);
        Ok(Claim {
            line,
            request_id: Some(RequestId(id.ok_or(EXPECTED)?)),
            command_id: None,
            former_id: None,
            tenant: None,
            kind: None,
            digest: None,
        })
    }

    fn command(&self, line: u64, text: &[u8]) -> Result<Claim, &'static str> {
        let fields: Fields = serde_json::from_slice(text).map_err(|_| EXPECTED)?;
        let seen = salvage(text);
        let mut claim = Claim {
            line,
            request_id: seen.request_id.map(RequestId),
            command_id: seen.command_id.map(CommandId),
            former_id: None,
            tenant: fields.tenant,
            kind: seen.kind,
            digest: None,
        };
        // A request that is not named takes the name of the command.
        if claim.opens() {
            claim.request_id = claim.request_id.or(claim.command_id.map(|id| RequestId(id.0)));
            claim
                .request_id
                .ok_or("expected a request_id or a command_id (a UUID) in it")?;
        } else {
            // Many commands may be about one request, so that it does not show which of them have arrived.
            claim.request_id = None;
            claim
                .command_id
                .ok_or("expected a command_id (a UUID): this type of command is found by nothing else")?;
        }
        if fields.subject.is_some() || fields.specversion.is_some() {
            self.add_digest(text, fields.specversion.is_some(), &mut claim);
        }
        Ok(claim)
    }

    /// With a subject it is the whole command, as it was published. One that cannot be read could not be taken in
    /// either: its ids lead to its dead letter.
    fn add_digest(&self, text: &[u8], is_event: bool, claim: &mut Claim) {
        const EVENT: &[(&str, Option<&[u8]>)] = &[("content-type", Some(b"application/cloudevents+json"))];
        let headers = if is_event { EVENT } else { &[] };
        let Ok(message) = envelope::open(headers.iter().copied(), Some(text), self.tenant) else {
            return;
        };
        let envelope: &Envelope<'_> = &message.envelope;
        if let Ok(parsed) = parse_command(&message.payload, envelope, Channel::Commands) {
            let is_of_event = envelope.event_id() == Some(parsed.command.command_id().0);
            claim.former_id = envelope.former_event_id().filter(|_| is_of_event);
            let tenant = parsed.command.tenant();
            claim.digest = Some(self.vault.payload_digest(tenant, &parsed.canonical));
            claim.tenant = Some(tenant.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::time::At, vault::Keyring};

    const ID: &str = "0192f3c1-7a10-7c4e-9d5b-0e6f3a1c2b4d";
    const OTHER: &str = "0192f3c1-7a10-7c4e-9d5b-0e6f3a1c2b4e";

    fn read(text: &str) -> Result<Claim, &'static str> {
        let folder = tempfile::tempdir().unwrap();
        let ring = Keyring::open_or_init(&folder.path().join("ring"), At::from_millis(0)).unwrap();
        let tenant = Tenant::new("acme").unwrap();
        let reader = Reader {
            vault: &Vault::new(ring),
            tenant: &tenant,
        };
        reader.read(7, text.as_bytes())
    }

    #[test]
    fn ids_are_read_in_either_case_and_quoted() {
        let id = Some(RequestId(Uuid::try_parse(ID).unwrap()));
        for text in [ID.to_owned(), ID.to_uppercase(), format!("\"{ID}\"")] {
            let claim = read(&text).unwrap();
            assert_eq!(
                (claim.line, claim.request_id, claim.command_id),
                (7, id, None),
                "{text}"
            );
        }
        for text in [
            "ann@example.org",
            &ID[1..],
            &ID.replace('-', ""),
            "[]",
            "\"",
            "{",
            "{]",
        ] {
            assert_eq!(read(text), Err(EXPECTED), "{text}");
        }
    }

    #[test]
    fn commands_are_read_as_far_as_they_are_given() {
        let id = Uuid::try_parse(ID).unwrap();
        let claim = read(&format!(r#"{{"command_id":"{ID}"}}"#)).unwrap();
        assert_eq!(
            (claim.request_id, claim.command_id),
            (Some(RequestId(id)), Some(CommandId(id)))
        );
        assert_eq!((claim.tenant, claim.digest), (None, None));
        let cancel = format!(r#"{{"command_id":"{OTHER}","request_id":"{ID}","type":"cancel"}}"#);
        assert_eq!(read(&cancel).unwrap().request_id, None);
        assert!(read(&format!(r#"{{"request_id":"{ID}","type":"cancel"}}"#)).is_err());
        assert!(read(r#"{"type":"erase"}"#).is_err());
        assert!(read(&format!(r#"{{"request_id":"{ID}","tenant":"a b"}}"#)).is_err());
    }

    #[test]
    fn a_whole_command_can_be_compared() {
        let whole = format!(
            r#"{{"command_id":"{ID}","type":"erase","subject":{{"identities":[{{"type":"email","value":"a@b.c"}}]}}}}"#
        );
        let claim = read(&whole).unwrap();
        assert_eq!(claim.tenant.as_ref().map(Tenant::as_str), Some("acme"));
        assert!(claim.digest.is_some());
        let event = format!(
            r#"{{"specversion":"1.0","id":"{OTHER}","source":"/x","type":"dev.lacuna.command.v1","data":{whole}}}"#
        );
        let claim = read(&event).unwrap();
        assert!(claim.digest.is_some());
        assert_eq!(claim.command_id, Some(CommandId(Uuid::try_parse(ID).unwrap())));
        assert_eq!(read(&whole.replace("email", "E-Mail")).unwrap().digest, None);
    }
}
