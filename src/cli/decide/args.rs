//! What the commands of decisions take.

use super::super::{arguments, session::ConfigArg};
use crate::domain::{
    ids::{Label, ProcessorId, RequestId, TaskId},
    words::{ExtensionReason, RefusalBasis, VerificationResult},
};

/// Who decides, and how the answer is shown.
#[derive(Debug, clap::Args)]
pub struct Who {
    #[command(flatten)]
    pub(super) config: ConfigArg,
    /// Who decides it; the user of this shell where it is absent. Over the API it is the bearer.
    #[arg(long, value_name = "NAME", value_parser = arguments::name)]
    pub(super) actor: Option<String>,
    /// As JSON: the status object.
    #[arg(long)]
    pub(super) json: bool,
}

/// Arguments of `lacuna approve`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Nobody approves what they have submitted. Exit code 1: there is nothing to approve, and why.\n\n\
    Example:\n  lacuna approve 0192f3c1-7a10-7c4e-9d5b-0e6f3a1c2b4d --actor j.doe"
)]
pub struct ApproveArgs {
    /// The request.
    pub(super) id: RequestId,
    #[command(flatten)]
    pub(super) who: Who,
    /// Why; it is kept sealed.
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: Option<String>,
}

/// Arguments of `lacuna refuse`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Bases: freedom_of_expression legal_obligation public_health archiving_research legal_claims \
    national_security public_security criminal_investigation rights_of_others trade_secret manifestly_unfounded excessive \
    technically_excessive independent_authorization identity_not_verified. With --processor only its share is refused.\n\n\
    Example:\n  lacuna refuse 0192f3c1-7a10-7c4e-9d5b-0e6f3a1c2b4d --basis excessive --reason 'the fourth time this month'"
)]
pub struct RefuseArgs {
    /// The request.
    pub(super) id: RequestId,
    #[command(flatten)]
    pub(super) who: Who,
    /// The legal ground.
    #[arg(long, value_name = "BASIS", value_parser = arguments::refusal_basis)]
    pub(super) basis: RefusalBasis,
    /// Only the share of this processor.
    #[arg(long, value_parser = arguments::processor)]
    pub(super) processor: Option<ProcessorId>,
    /// Why, in your own words; it is kept sealed.
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: Option<String>,
}

/// Arguments of `lacuna cancel`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Once something was sent it cannot be called back: exit code 1.\n\n\
    Example:\n  lacuna cancel 0192f3c1-7a10-7c4e-9d5b-0e6f3a1c2b4d --reason 'asked for by mistake'"
)]
pub struct CancelArgs {
    /// The request.
    pub(super) id: RequestId,
    #[command(flatten)]
    pub(super) who: Who,
    /// Why; it is kept sealed.
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: Option<String>,
}

/// Arguments of `lacuna extend`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The person has to be told within the first period. Exit code 1: the regime does not allow it.\n\n\
    Example:\n  lacuna extend 0192f3c1-7a10-7c4e-9d5b-0e6f3a1c2b4d --reason complexity"
)]
pub struct ExtendArgs {
    /// The request.
    pub(super) id: RequestId,
    #[command(flatten)]
    pub(super) who: Who,
    /// Why: complexity or number_of_requests.
    #[arg(long, value_name = "WORD", value_parser = arguments::extension_reason)]
    pub(super) reason: ExtensionReason,
}

/// Arguments of `lacuna verify-identity`.
#[derive(Debug, clap::Args)]
#[command(after_help = "What has failed refuses the request.\n\n\
    Example:\n  lacuna verify-identity 0192f3c1-7a10-7c4e-9d5b-0e6f3a1c2b4d --method postident --result passed")]
pub struct VerifyArgs {
    /// The request.
    pub(super) id: RequestId,
    #[command(flatten)]
    pub(super) who: Who,
    /// How it was verified, in a word of your own.
    #[arg(long, value_name = "WORD", value_parser = arguments::label)]
    pub(super) method: Label,
    /// What came of it: passed or failed.
    #[arg(long, value_name = "WORD", value_parser = arguments::verification_result)]
    pub(super) result: VerificationResult,
}

/// Arguments of `lacuna retry`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The task keeps its id; its generation grows by one. Exit code 1: its state does not allow it.\n\n\
    Example:\n  lacuna retry 0192f3c1-7a10-7c4e-9d5b-0e6f3a1c2b4d --reason 'the vendor has repaired it'"
)]
pub struct RetryArgs {
    /// The task.
    pub(super) task: TaskId,
    #[command(flatten)]
    pub(super) who: Who,
    /// Why; it is kept sealed.
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: Option<String>,
}

/// Arguments of `lacuna waive`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Nothing more is asked of its processor, and its request closes with exceptions.\n\n\
    Example:\n  lacuna waive 0192f3c1-7a10-7c4e-9d5b-0e6f3a1c2b4d --reason 'the vendor was shut down, ticket T-17'"
)]
pub struct WaiveArgs {
    /// The task.
    pub(super) task: TaskId,
    #[command(flatten)]
    pub(super) who: Who,
    /// Why; it is kept sealed.
    #[arg(long, value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(super) reason: String,
}
