//! The closed vocabularies of the domain, each word with its wire name and its packed code.
//!
//! A code is written into stored aggregates and ledger leaves, so it is never reused and never renumbered.

/// Declares an enumeration whose members have a wire name (JSON) and a code (packed rows, ledger leaves).
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $code:literal $text:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$vmeta])* $variant),+ }

        impl $name {
            /// Every member, in order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// The code in packed rows and ledger leaves.
            pub const fn code(self) -> u8 {
                match self { $(Self::$variant => $code),+ }
            }

            /// The member that has this code.
            pub const fn from_code(code: u8) -> Option<Self> {
                match code { $($code => Some(Self::$variant),)+ _ => None }
            }

            /// The member that has this wire name.
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)+ _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.serialize_str(self.as_str())
                } else {
                    serializer.serialize_u8(self.code())
                }
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                use serde::de::Error;
                if deserializer.is_human_readable() {
                    let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                    Self::parse(&text).ok_or_else(|| {
                        // The text itself is not repeated: it came from outside and may hold anything.
                        D::Error::custom(concat!("expected one of: ", $($text, " "),+))
                    })
                } else {
                    let code = u8::deserialize(deserializer)?;
                    Self::from_code(code)
                        .ok_or_else(|| D::Error::custom(format!("{} has no code {code}", stringify!($name))))
                }
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "enum": [$($text),+] })
            }
        }
    };
}

words! {
    /// What a task asks of a processor.
    Action { Erase = 1 "erase", Anonymize = 2 "anonymize", Verify = 3 "verify" }
}

words! {
    /// Why the controller has to erase.
    Reason {
        SubjectRequest = 1 "subject_request", AccountClosed = 2 "account_closed",
        ConsentWithdrawn = 3 "consent_withdrawn", NoConsent = 4 "no_consent", Objection = 5 "objection",
        UnlawfulProcessing = 6 "unlawful_processing", AgreementBroken = 7 "agreement_broken",
        RetentionExpired = 8 "retention_expired", ServiceCeased = 9 "service_ceased",
        ContractEnded = 10 "contract_ended",
        /// The person has not come for as long as the law lets data be kept: they are told first.
        Inactivity = 11 "inactivity",
    }
}

words! {
    /// The ground on which a request, or a processor's share of it, is refused or excluded.
    RefusalBasis {
        FreedomOfExpression = 1 "freedom_of_expression", LegalObligation = 2 "legal_obligation",
        PublicHealth = 3 "public_health", ArchivingResearch = 4 "archiving_research",
        LegalClaims = 5 "legal_claims", NationalSecurity = 6 "national_security",
        PublicSecurity = 7 "public_security", CriminalInvestigation = 8 "criminal_investigation",
        RightsOfOthers = 9 "rights_of_others", TradeSecret = 10 "trade_secret",
        ManifestlyUnfounded = 11 "manifestly_unfounded", Excessive = 12 "excessive",
        TechnicallyExcessive = 13 "technically_excessive",
        IndependentAuthorization = 14 "independent_authorization",
        IdentityNotVerified = 15 "identity_not_verified",
    }
}

words! {
    /// The ground of a legal hold.
    HoldBasis {
        LegalClaims = 1 "legal_claims", LegalObligation = 2 "legal_obligation",
        Investigation = 3 "investigation", Dispute = 4 "dispute", Regulator = 5 "regulator",
    }
}

words! {
    /// Why a deadline is extended.
    ExtensionReason { Complexity = 1 "complexity", NumberOfRequests = 2 "number_of_requests" }
}

words! {
    /// What came of checking that the subject is who they say they are.
    VerificationResult { Passed = 1 "passed", Failed = 2 "failed" }
}

words! {
    /// What happened to a backup.
    BackupEventKind {
        Taken = 1 "backup.taken", Rotated = 2 "backup.rotated", Restored = 3 "backup.restored",
    }
}

words! {
    /// The state of a request as outsiders see it.
    Status {
        AwaitingVerification = 1 "awaiting_verification", AwaitingApproval = 2 "awaiting_approval",
        Scheduled = 3 "scheduled", InProgress = 4 "in_progress", Deferred = 5 "deferred",
        Completed = 6 "completed", ClosedWithExceptions = 7 "closed_with_exceptions", Refused = 8 "refused",
        Cancelled = 9 "cancelled", Merged = 10 "merged",
    }
}

words! {
    /// What makes a request stand out, so that a list finds it.
    Mark {
        Overdue = 1 "overdue", AtRisk = 2 "at_risk", NeedsAttention = 3 "needs_attention", Failing = 4 "failing",
        AwaitingVerification = 5 "awaiting_verification", AwaitingApproval = 6 "awaiting_approval",
        ClosedWithExceptions = 7 "closed_with_exceptions", Refused = 8 "refused", Cancelled = 9 "cancelled",
    }
}

words! {
    /// What is done to many requests at once.
    BulkAction {
        Retry = 1 "retry", Waive = 2 "waive", Approve = 3 "approve", Cancel = 4 "cancel", Hold = 5 "hold",
    }
}

words! {
    /// What somebody does about a change to many requests.
    BulkOperation { Start = 1 "start", Pause = 2 "pause", Resume = 3 "resume", Cancel = 4 "cancel" }
}

impl Status {
    /// Whether nothing more happens to a request by itself.
    pub const fn is_final(self) -> bool {
        match self {
            Self::AwaitingVerification
            | Self::AwaitingApproval
            | Self::Scheduled
            | Self::InProgress
            | Self::Deferred => false,
            Self::Completed | Self::ClosedWithExceptions | Self::Refused | Self::Cancelled | Self::Merged => {
                true
            }
        }
    }
}

words! {
    /// What upstream should tell the person about a request.
    Notice {
        /// That the request has come in, by the regime's own deadline for it.
        AcknowledgementDue = 1 "acknowledgement_due",
        /// That it will take longer: the extension has to be announced inside the first period, of which little is left.
        ExtensionDue = 2 "extension_due",
        /// That the deadline was extended, and why.
        Extended = 3 "extended",
        /// That it is done, everywhere.
        Completed = 4 "completed",
        /// That it was refused, and on what ground.
        Refused = 5 "refused",
        /// That the deadline has passed.
        Overdue = 6 "overdue",
        /// That it is open again, because a backup was put back.
        Restored = 7 "restored",
        /// That it is a part of another request now.
        Merged = 8 "merged",
        /// That it was withdrawn.
        Cancelled = 9 "cancelled",
        /// That it has come to its end, and what was not erased.
        ClosedWithExceptions = 10 "closed_with_exceptions",
        /// That they will be erased for having been away, unless they come back before the date that it waits for.
        ErasureNoticeDue = 11 "erasure_notice_due",
    }
}

words! {
    /// What a processor answers to a task.
    Outcome {
        Accepted = 1 "accepted", Erased = 2 "erased", Anonymized = 3 "anonymized", NotFound = 4 "not_found",
        Retained = 5 "retained", Partial = 6 "partial", Failed = 7 "failed", Rejected = 8 "rejected",
        Unsupported = 9 "unsupported", Present = 10 "present", Absent = 11 "absent",
    }
}

words! {
    /// How a task was proved done.
    Proof { Erased = 1 "erased", Anonymized = 2 "anonymized", NotFound = 3 "not_found", Expired = 4 "expired",
        /// Called anonymized by its processor, and only pseudonymised by its method: the registry says that it will do.
        Pseudonymised = 5 "pseudonymised",
        /// Accepted by its processor, whose published term has passed since: nobody has confirmed it.
        Attested = 6 "attested" }
}

impl Proof {
    /// The answer that is such a proof.
    pub const fn outcome(self) -> Outcome {
        match self {
            Self::Erased | Self::Expired => Outcome::Erased,
            Self::Anonymized | Self::Pseudonymised => Outcome::Anonymized,
            Self::NotFound => Outcome::NotFound,
            // Its processor has said no more.
            Self::Attested => Outcome::Accepted,
        }
    }
}

impl Outcome {
    /// Whether it settles a task.
    pub const fn is_success(self) -> bool {
        match self {
            Self::Erased | Self::Anonymized | Self::NotFound | Self::Absent => true,
            Self::Accepted
            | Self::Retained
            | Self::Partial
            | Self::Failed
            | Self::Rejected
            | Self::Unsupported
            | Self::Present => false,
        }
    }
}

words! {
    /// The name of a task's state, as lists and metrics show it.
    TaskStateName {
        Blocked = 1 "blocked", Held = 2 "held", Parked = 3 "parked", Ready = 4 "ready", Leased = 5 "leased",
        Dispatched = 6 "dispatched", Accepted = 7 "accepted", Verifying = 8 "verifying", Done = 9 "done",
        Exempt = 10 "exempt", Abandoned = 11 "abandoned", Waived = 12 "waived", Cancelled = 13 "cancelled",
    }
}

impl TaskStateName {
    /// Whether nothing more is to be done about a task in this state.
    pub const fn is_final(self) -> bool {
        match self {
            Self::Done | Self::Exempt | Self::Waived | Self::Cancelled => true,
            Self::Blocked
            | Self::Held
            | Self::Parked
            | Self::Ready
            | Self::Leased
            | Self::Dispatched
            | Self::Accepted
            | Self::Verifying
            | Self::Abandoned => false,
        }
    }
}

words! {
    /// Why something is not done yet.
    Why {
        Ack = 1 "ack", Retry = 2 "retry", Dependency = 3 "dependency", Rate = 4 "rate",
        CircuitOpen = 5 "circuit_open", Paused = 6 "paused", Hold = 7 "hold",
        BackupRotation = 8 "backup_rotation", Retention = 9 "retention",
        ExpectedCompletion = 10 "expected_completion", Verification = 11 "verification",
        Approval = 12 "approval", Grace = 13 "grace", NotBefore = 14 "not_before", Manual = 15 "manual",
        Abandoned = 16 "abandoned", Identity = 17 "identity", NeedsAttention = 18 "needs_attention",
        /// Its topic does not take its message.
        Undeliverable = 21 "undeliverable",
        /// A person has stopped all lanes.
        Brake = 22 "brake",
        /// Its processor has no more to say than that it accepted: its published term is waited for.
        Attestation = 23 "attestation",
    }
}

words! {
    /// Why a task was abandoned: an operator has to retry or waive it.
    AbandonCause {
        AttemptsUsed = 1 "attempts_used", Rejected = 2 "rejected", Unsupported = 3 "unsupported",
        /// Called anonymized by its processor, and only pseudonymised by its method.
        Pseudonymised = 4 "pseudonymised",
    }
}

words! {
    /// Why a message was dead-lettered.
    DeadLetterReason {
        NotJson = 1 "not_json", NotUtf8 = 2 "not_utf8", Schema = 3 "schema", TooLarge = 4 "too_large",
        UnknownType = 5 "unknown_type", ConflictingDuplicate = 6 "conflicting_duplicate",
        UnknownRequest = 7 "unknown_request", UnknownTask = 8 "unknown_task", StaleAck = 9 "stale_ack",
        ForgedAck = 10 "forged_ack", WrongRegion = 11 "wrong_region", NoProcessor = 12 "no_processor",
        TooLate = 13 "too_late", WrongState = 14 "wrong_state", NotAllowed = 15 "not_allowed",
        UnknownBackup = 16 "unknown_backup", Expired = 17 "expired", Internal = 18 "internal",
    }
}

words! {
    /// The type of a command.
    CommandKind {
        Erase = 1 "erase", Anonymize = 2 "anonymize", Cancel = 3 "cancel", Reactivated = 4 "reactivated",
        VerifyIdentity = 5 "verify_identity", Approve = 6 "approve", Refuse = 7 "refuse", Extend = 8 "extend",
        Hold = 9 "hold", Release = 10 "release", SupplyIdentities = 11 "supply_identities",
    }
}

impl CommandKind {
    /// Whether it opens a request. One that never arrives is a legal duty that nobody carries out.
    pub const fn opens(self) -> bool {
        matches!(self, Self::Erase | Self::Anonymize)
    }
}

words! {
    /// What a processor is, in the controller's record of processing.
    ProcessorKind {
        Hosting = 1 "hosting", Analytics = 2 "analytics", Advertising = 3 "advertising", Crm = 4 "crm",
        Payments = 5 "payments", Telecom = 6 "telecom", Support = 7 "support", Messaging = 8 "messaging",
        Backup = 9 "backup", Other = 10 "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_codes_lead_back_to_their_word() {
        for status in Status::ALL {
            assert_eq!(Status::parse(status.as_str()), Some(*status));
            assert_eq!(Status::from_code(status.code()), Some(*status));
        }
        assert_eq!(Status::from_code(0), None);
        assert_eq!(Status::parse("done"), None);
    }
}
