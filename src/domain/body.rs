//! What a request keeps of its command besides the aggregate: written once, read only to build a message or a detail view.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    command::{Exclusion, Opening, Scope},
    identity::Identity,
    ids::{AnchorName, CommandId, IdentityType, Label},
    request::Request,
    time::At,
};

const VERSION: u8 = 1;

/// The plain part: it holds no identifier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Body {
    /// The command that opened it.
    pub command_id: CommandId,
    /// What it is limited to.
    pub scope: PackedScope,
    /// The region of the subject.
    pub region: Option<Label>,
    /// Times that retention rules count from.
    pub anchors: BTreeMap<AnchorName, At>,
    /// Processors that the command left out.
    pub exclude: Vec<Exclusion>,
    /// Who submitted it, where the door knows.
    pub submitter: Option<String>,
    /// The identity types that each task's processor is sent, pinned.
    pub identities: Vec<Vec<IdentityType>>,
}

/// [`Scope`] as it is packed: postcard needs every field to be there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackedScope(Vec<Label>, Vec<Label>, Vec<super::ids::ProcessorId>);

impl From<&Scope> for PackedScope {
    fn from(scope: &Scope) -> Self {
        Self(
            scope.purposes.clone(),
            scope.categories.clone(),
            scope.processors.clone(),
        )
    }
}

impl PackedScope {
    /// The purposes.
    pub fn purposes(&self) -> &[Label] {
        &self.0
    }

    /// The categories.
    pub fn categories(&self) -> &[Label] {
        &self.1
    }

    /// The processors.
    pub fn processors(&self) -> &[super::ids::ProcessorId] {
        &self.2
    }
}

/// The part that is sealed under the request's own key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// The identifiers, as the command gave them.
    pub identities: Vec<Identity>,
    /// The controller's own notes, as JSON text.
    pub metadata: Option<super::identity::SubjectData>,
    /// The salt of the ledger's commitment to the command.
    pub salt: [u8; 16],
}

/// A body or subject that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It was written by a later version.
    #[error("packed by version {0}, which this version cannot read")]
    Version(u8),
    /// Its bytes are broken.
    #[error("broken bytes")]
    Broken(#[from] postcard::Error),
}

impl Body {
    /// Takes from the command what is kept in the clear.
    pub fn of(opening: &Opening, identities: Vec<Vec<IdentityType>>) -> Self {
        Self {
            command_id: opening.command_id,
            scope: PackedScope::from(&opening.scope),
            region: opening.region.clone(),
            anchors: opening.anchors.clone(),
            exclude: opening.exclude.clone(),
            submitter: opening.submitter.clone(),
            identities,
        }
    }

    /// The identity types that this task's processor is sent. A wave that was added later is sent what its set's first
    /// one is.
    pub fn identities_of(&self, request: &Request, ordinal: u16) -> &[IdentityType] {
        let pinned = |place: u16| self.identities.get(usize::from(place)).map(Vec::as_slice);
        let processor = &request.task(ordinal).processor;
        pinned(ordinal)
            .or_else(|| {
                let first = request
                    .ordinals()
                    .find(|place| request.task(*place).processor == *processor);
                first.and_then(pinned)
            })
            .unwrap_or_default()
    }

    /// Sets the identity types that these tasks' processors are sent from now on.
    pub fn identify(&mut self, supplied: &[(u16, Vec<IdentityType>)]) {
        for (ordinal, kinds) in supplied {
            let place = usize::from(*ordinal);
            if self.identities.len() <= place {
                self.identities.resize(place + 1, Vec::new());
            }
            self.identities[place].clone_from(kinds);
        }
    }

    /// Packs it.
    pub fn pack(&self) -> Result<Vec<u8>, BodyError> {
        pack(self)
    }

    /// Unpacks it.
    pub fn unpack(bytes: &[u8]) -> Result<Self, BodyError> {
        unpack(bytes)
    }
}

impl Subject {
    /// Packs it, to be sealed.
    pub fn pack(&self) -> Result<Vec<u8>, BodyError> {
        pack(self)
    }

    /// Unpacks what was opened.
    pub fn unpack(bytes: &[u8]) -> Result<Self, BodyError> {
        unpack(bytes)
    }
}

pub(super) fn pack<T: Serialize>(value: &T) -> Result<Vec<u8>, BodyError> {
    // Room enough for most: a buffer that grows leaves copies of identifiers behind.
    let mut bytes = Vec::with_capacity(512);
    bytes.push(VERSION);
    Ok(postcard::to_extend(value, bytes)?)
}

pub(super) fn unpack<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, BodyError> {
    match bytes.split_first() {
        Some((&VERSION, rest)) => Ok(postcard::from_bytes(rest)?),
        Some((version, _)) => Err(BodyError::Version(*version)),
        None => Err(BodyError::Broken(postcard::Error::DeserializeUnexpectedEnd)),
    }
}
