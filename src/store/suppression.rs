//! Who is suppressed: by the vault's digests, and by those of the suppression topic.

use async_trait::async_trait;

use super::error::StoreError;
use crate::domain::{
    identity::{Recipe, SubjectDigest, SuppressionDigest},
    ids::{IdentityType, RequestId},
    request::Request,
    words::Status,
};

/// Who is suppressed, as it is committed.
#[async_trait]
pub trait SuppressionStore: Send + Sync {
    /// The requests of subjects that have one of these identifiers, each with the identifier: those alone that have one
    /// of these statuses.
    async fn with_subjects(
        &self,
        digests: &[SubjectDigest],
        statuses: &[Status],
    ) -> Result<Vec<(SubjectDigest, Request)>, StoreError>;
    /// The requests that have one of these identifiers in the suppression topic, each with the identifier.
    async fn suppressed(
        &self,
        digests: &[SuppressionDigest],
    ) -> Result<Vec<(SuppressionRow, Request)>, StoreError>;
    /// What these requests have in the suppression topic.
    async fn suppression_of(&self, ids: &[RequestId]) -> Result<Vec<SuppressionRow>, StoreError>;
}

/// Who is suppressed, within a transaction.
#[async_trait]
pub trait SuppressionTransaction: Send {
    /// What these requests have in the suppression topic.
    async fn suppression_of(&mut self, ids: &[RequestId]) -> Result<Vec<SuppressionRow>, StoreError>;
}

/// An identifier of a request as the suppression topic has it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SuppressionRow {
    /// The digest under the tenant's suppression key.
    pub digest: SuppressionDigest,
    /// The request.
    pub request_id: RequestId,
    /// The type of the identifier.
    pub identity_type: IdentityType,
    /// By which recipe the digest was computed.
    pub recipe: Recipe,
}
