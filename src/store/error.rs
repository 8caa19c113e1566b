//! What can go wrong with a store, and whether trying again helps.

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A serialization failure, a deadlock or a lost race on a unique key: the transaction may be tried again at once.
    #[error("the transaction lost a race")]
    Race(#[source] sqlx::Error),
    /// A row was changed by somebody else since it was read: try again with its rows locked.
    #[error("a row was changed by somebody else")]
    Conflict,
    /// Another worker has already taken this batch in, or the store has gone back: start again from the position.
    #[error(
        "{topic}/{partition}: offset {offset} does not follow the store's position: another worker has taken it in, or the \
         store was put back"
    )]
    Fenced {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The offset that the batch starts at.
        offset: i64,
    },
    /// The database cannot be reached: try again later.
    #[error("the store cannot be reached")]
    Unreachable(#[source] sqlx::Error),
    /// The schema is not the one that this version works with.
    #[error("{0}")]
    Schema(String),
    /// The store's address is not usable.
    #[error("{0}")]
    Address(String),
    /// A stored row cannot be read.
    #[error("a row of {table} cannot be read: {detail}")]
    Unreadable {
        /// The table.
        table: &'static str,
        /// Why not.
        detail: String,
    },
    /// The database refuses what was written: it may be at fault, and then trying again does not help.
    #[error("the store refuses")]
    Refused(#[source] sqlx::Error),
    /// The database refuses whatever is asked of it: somebody has to mend it, and then everything goes on.
    #[error("the store cannot be used as it is")]
    Unusable(#[source] sqlx::Error),
    /// The statements of one connection go to several servers.
    #[error(
        "the store is reached through a pooler in transaction or statement mode, or its statements go astray: prepared \
         statements need one server for the life of a connection; give Lacuna a pool in session mode (PgBouncer: pool_mode = \
         session for its database), or PostgreSQL's own address"
    )]
    Pooler(#[source] sqlx::Error),
}

impl StoreError {
    /// Whether the same transaction may succeed when it is tried again at once.
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Race(_) | Self::Conflict)
    }

    /// Whether it may succeed later without anybody doing anything about the batch itself.
    pub const fn is_outage(&self) -> bool {
        matches!(
            self,
            Self::Unreachable(_) | Self::Unusable(_) | Self::Pooler(_) | Self::Schema(_) | Self::Address(_)
        )
    }

    /// Whether the database refuses what was written for what it is. Its own words may repeat that, and are for the log alone.
    pub const fn is_about_data(&self) -> bool {
        matches!(self, Self::Refused(sqlx::Error::Database(_)))
    }

    /// Whether the database is away, rather than set up wrongly: then it comes back without anybody mending it.
    pub const fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable(_))
    }

    /// Whether a constraint refuses what was written. Lacuna's own tables have none but keys, so somebody has added it.
    pub fn is_of_a_constraint(&self) -> bool {
        use sqlx::error::ErrorKind;
        let Self::Refused(sqlx::Error::Database(error)) = self else {
            return false;
        };
        matches!(
            error.kind(),
            ErrorKind::CheckViolation | ErrorKind::ForeignKeyViolation | ErrorKind::ExclusionViolation
        )
    }
}
