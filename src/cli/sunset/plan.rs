//! The plan of a run: what the first person wants and the second one approves.
//!
//! It is bound to the content of the file and carries a keyed digest under the installation's keyring, so that what is
//! published is what was prepared. It holds no identifiers.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{format::Format, identity_types::Types, people::Person};
use crate::{
    cli::Failure,
    domain::{identity::Placeholders, ids::Tenant, time::At, words::Action},
    vault::Vault,
};

/// The version of plans that this program writes and reads.
const VERSION: u32 = 2;

/// What is asked for every subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) action: Action,
    pub(super) tenant: Tenant,
    /// The policy's where it is absent.
    pub(super) regime: Option<String>,
    pub(super) requested_at: At,
    pub(super) identity_verified: bool,
    pub(super) prepared_by: Person,
}

/// What is to be published, from which file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Plan {
    pub(super) version: u32,
    pub(super) run_id: Uuid,
    pub(super) prepared_at: At,
    pub(super) order: Order,
    pub(super) sha256: String,
    pub(super) format: Format,
    pub(super) subjects: u64,
    /// The identity types that some processor took when it was prepared: with others, other lines would be wrong.
    pub(super) types: Types,
    /// The values that were nobody's when it was prepared.
    pub(super) placeholders: Placeholders,
    /// How many lines are left out.
    pub(super) left_out: u64,
    pub(super) identities: BTreeMap<String, u64>,
}

/// A plan as it stands in its file: the digest is over the plan's text, byte for byte.
#[derive(Serialize, Deserialize)]
struct Sealed {
    plan: Box<RawValue>,
    mac: String,
}

impl Plan {
    /// A new plan, under this version.
    pub(super) const VERSION: u32 = VERSION;

    /// Writes it. A plan that is there is never overwritten: somebody may be about to approve it.
    pub(super) fn write(&self, path: &Path, vault: &Vault) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(self)?;
        let mac = hex::encode(vault.plan_mac(text.as_bytes()));
        let sealed = serde_json::to_string_pretty(&Sealed {
            plan: RawValue::from_string(text)?,
            mac,
        })?;
        let failed = |source: std::io::Error| match source.kind() {
            std::io::ErrorKind::AlreadyExists => Failure::Usage(format!(
                "there is a plan at {} already: have it approved, remove it, or name another file with --plan",
                path.display()
            )),
            _ => Failure::File {
                action: "write",
                path: path.to_owned(),
                source,
            },
        };
        let mut file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(failed)?;
        file.write_all(sealed.as_bytes()).map_err(failed)?;
        file.sync_all().map_err(failed)
    }

    /// Reads one, and refuses what this installation has not written so.
    pub(super) fn read(path: &Path, vault: &Vault) -> Result<Self, Failure> {
        let bytes = fs::read(path).map_err(crate::cli::lines::unreadable(path))?;
        let refused = |why: &str| Failure::Usage(format!("{}: {why}", path.display()));
        let sealed: Sealed = serde_json::from_slice(&bytes)
            .map_err(|_| refused("expected a plan that `lacuna sunset FILE --prepare` has written"))?;
        let mac = hex::decode(&sealed.mac).unwrap_or_default();
        let text = sealed.plan.get();
        if !vault.plan_mac_matches(text.as_bytes(), &mac) {
            return Err(refused(
                "the plan was changed after it was prepared, or was prepared under another keyring: prepare it anew",
            ));
        }
        let plan: Self = serde_json::from_str(text).map_err(|_| refused("a plan of another version"))?;
        if plan.version != VERSION {
            return Err(refused("a plan of another version"));
        }
        Ok(plan)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{domain::ids::IdentityType, vault::Keyring};

    pub(in crate::cli::sunset) fn plan() -> Plan {
        Plan {
            version: VERSION,
            run_id: Uuid::from_u128(7),
            prepared_at: At::from_millis(5),
            order: Order {
                action: Action::Erase,
                tenant: Tenant::new("acme").unwrap(),
                regime: Some("gdpr".into()),
                requested_at: At::from_millis(1_700_000_000_000),
                identity_verified: false,
                prepared_by: Person {
                    name: "ann".into(),
                    proved: true,
                },
            },
            sha256: "00".into(),
            format: Format::Csv,
            subjects: 2,
            types: Types(["email"].map(|name| IdentityType::new(name).unwrap()).into()),
            placeholders: Placeholders::default(),
            left_out: 0,
            identities: BTreeMap::from([("email".into(), 2)]),
        }
    }

    pub(in crate::cli::sunset) fn vault(folder: &Path) -> Vault {
        Vault::new(Keyring::open_or_init(&folder.join("ring"), At::from_millis(0)).unwrap())
    }

    #[test]
    fn a_plan_is_read_as_it_was_written_and_in_no_other_way() {
        let folder = tempfile::tempdir().unwrap();
        let (vault, path) = (vault(folder.path()), folder.path().join("plan"));
        plan().write(&path, &vault).unwrap();
        assert_eq!(Plan::read(&path, &vault).unwrap(), plan());
        assert!(
            plan()
                .write(&path, &vault)
                .unwrap_err()
                .to_string()
                .contains("already")
        );
        let text = fs::read_to_string(&path).unwrap();
        for (from, to) in [
            ("acme", "acmf"),
            ("ann", "bob"),
            ("erase", "anonymize"),
            ("\"00\"", "\"01\""),
        ] {
            fs::write(&path, text.replace(from, to)).unwrap();
            let failure = Plan::read(&path, &vault).unwrap_err().to_string();
            assert!(failure.contains("was changed"), "{failure}");
        }
        fs::write(&path, "{}").unwrap();
        assert!(Plan::read(&path, &vault).is_err());
        let other = tempfile::tempdir().unwrap();
        fs::write(&path, text).unwrap();
        assert!(Plan::read(&path, &super::tests::vault(other.path())).is_err());
    }

    #[test]
    fn a_repeat_is_the_same_command_and_another_run_is_another() {
        use super::super::{identity_types::identity, subject::command};
        let folder = tempfile::tempdir().unwrap();
        let vault = vault(folder.path());
        let Plan { order, run_id, .. } = plan();
        let of = |run, value: &str| {
            let kind = IdentityType::new("email").unwrap();
            let one = identity(&kind, value.to_owned()).unwrap().unwrap();
            command(&order, run, &vault, &[one]).unwrap()
        };
        assert_eq!(of(run_id, "a@b.c"), of(run_id, "a@b.c"));
        assert_ne!(of(run_id, "a@b.c").0, of(run_id, "a@b.d").0);
        assert_ne!(of(run_id, "a@b.c").0, of(Uuid::from_u128(8), "a@b.c").0);
        let text = String::from_utf8(of(run_id, "a@b.c").1).unwrap();
        assert!(
            text.contains(r#""reason":"service_ceased""#) && text.contains(r#""actor":"ann""#),
            "{text}"
        );
        assert!(command(&order, run_id, &vault, &[]).is_err());
    }
}
