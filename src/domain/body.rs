//! What a request keeps of its command besides the aggregate: written once, read only to build a message or a detail view.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    command::{Exclusion, Opening, Scope},
    identity::Identity,
    ids::{AnchorName, CommandId, IdentityType, Label, ProcessorId},
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
    /// Who submitted it, where the channel tells.
    pub submitter: Option<String>,
    /// The identity types that each task's processor is sent, pinned.
    #[serde(with = "each_once")]
    pub identities: Vec<Vec<IdentityType>>,
}

/// [`Scope`] as it is packed: postcard needs every field to be there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackedScope(Vec<Label>, Vec<Label>, Vec<ProcessorId>);

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
    pub fn processors(&self) -> &[ProcessorId] {
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

/// Lists that repeat, packed as each list once and the numbers of them: most processors of a plan are sent the same.
mod each_once {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

    use super::IdentityType;

    type List = Vec<IdentityType>;

    pub(super) fn serialize<S: Serializer>(lists: &[List], to: S) -> Result<S::Ok, S::Error> {
        let mut distinct: Vec<&List> = Vec::new();
        let mut numbers: Vec<usize> = Vec::with_capacity(lists.len());
        for list in lists {
            let known = distinct.iter().position(|known| *known == list);
            numbers.push(known.unwrap_or(distinct.len()));
            if known.is_none() {
                distinct.push(list);
            }
        }
        (distinct, numbers).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<List>, D::Error> {
        let (distinct, numbers): (Vec<List>, Vec<usize>) = Deserialize::deserialize(from)?;
        let list = |number: usize| {
            let list = distinct.get(number).cloned();
            list.ok_or_else(|| D::Error::custom("the number of a list that is not there"))
        };
        numbers.into_iter().map(list).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_repeats_is_packed_once() {
        let list = |names: &[&str]| -> Vec<IdentityType> {
            names
                .iter()
                .map(|name| IdentityType::new(name).unwrap())
                .collect()
        };
        let body = |identities| Body {
            command_id: CommandId(uuid::Uuid::nil()),
            scope: PackedScope(Vec::new(), Vec::new(), Vec::new()),
            region: None,
            anchors: BTreeMap::new(),
            exclude: Vec::new(),
            submitter: None,
            identities,
        };
        let (both, one) = (list(&["email", "customer_id"]), list(&["customer_id"]));
        let mixed = body(vec![
            both.clone(),
            one.clone(),
            list(&[]),
            one.clone(),
            both.clone(),
        ]);
        let packed = mixed.pack().unwrap();
        assert_eq!(Body::unpack(&packed).unwrap(), mixed);
        let longer = body([mixed.identities.clone(), vec![both; 95]].concat());
        assert_eq!(longer.pack().unwrap().len(), packed.len() + 95);

        let mut broken = packed;
        *broken.last_mut().unwrap() = 3;
        assert!(Body::unpack(&broken).is_err());
    }
}
