//! What the client's and the brokers' error codes mean to whoever delivers.

use std::borrow::Cow;

use rdkafka::error::RDKafkaErrorCode as Code;

use crate::transport::Fault;

/// Whose fault a code is, as far as it depends on nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CodeFault {
    /// The message's own, or that of a message in the same batch.
    Size,
    /// The same as for any other transport.
    Known(Fault),
}

pub(super) const fn fault_of(code: Code) -> CodeFault {
    match code {
        Code::MessageSizeTooLarge | Code::MessageBatchTooLarge => CodeFault::Size,
        Code::UnknownTopic
        | Code::UnknownPartition
        | Code::UnknownTopicOrPartition
        | Code::UnknownTopicId
        | Code::InvalidTopic
        | Code::TopicAuthorizationFailed
        | Code::LeaderNotAvailable
        | Code::NotLeaderForPartition
        | Code::NotEnoughReplicas
        | Code::NotEnoughReplicasAfterAppend
        | Code::PolicyViolation
        | Code::InvalidRecord
        | Code::KafkaStorageError => CodeFault::Known(Fault::Destination),
        Code::MessageTimedOut | Code::RequestTimedOut | Code::TimedOutQueue => CodeFault::Known(Fault::Late),
        _ => CodeFault::Known(Fault::Transport),
    }
}

/// What a code says, for people.
pub(super) fn words_of(code: Code) -> Cow<'static, str> {
    match code {
        // The client's own way of saying it: a topic that is not there has no partition to send to.
        Code::UnknownTopic
        | Code::UnknownPartition
        | Code::UnknownTopicOrPartition
        | Code::UnknownTopicId => Cow::Borrowed("its topic does not exist"),
        code => Cow::Owned(code.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_one_topic_are_no_fault_of_the_cluster() {
        for code in [
            Code::UnknownTopic,
            Code::TopicAuthorizationFailed,
            Code::LeaderNotAvailable,
        ] {
            assert_eq!(fault_of(code), CodeFault::Known(Fault::Destination), "{code}");
        }
        assert_eq!(fault_of(Code::MessageTimedOut), CodeFault::Known(Fault::Late));
        for code in [Code::PurgeInflight, Code::Fatal, Code::Fail] {
            assert_eq!(fault_of(code), CodeFault::Known(Fault::Transport), "{code}");
        }
        assert_eq!(fault_of(Code::MessageSizeTooLarge), CodeFault::Size);
    }
}
