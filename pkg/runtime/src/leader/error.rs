//! What can go wrong in an election.

use kube_leader_election::Error as LockError;

use crate::clients::ApiError;

/// Why an election could not begin, an attempt failed, or leadership ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LeaderError {
    /// The parameters contradict each other.
    #[error("leader election cannot work: {message}; correct the --leader-elect flags")]
    Params {
        /// What is wrong.
        message: String,
    },
    /// The role does not suffice.
    #[error(
        "may not {operation} lease {lease}; its role needs get, create and patch on leases.coordination.k8s.io"
    )]
    Forbidden {
        /// What was attempted: `read` or `write`.
        operation: &'static str,
        /// `namespace/name`.
        lease: String,
        /// The API server's answer.
        source: Box<ApiError>,
    },
    /// The lease could not be read.
    #[error("cannot read lease {lease}")]
    Read {
        /// `namespace/name`.
        lease: String,
        /// The API server's answer.
        source: Box<ApiError>,
    },
    /// The lease could not be written.
    #[error("cannot write lease {lease}")]
    Write {
        /// `namespace/name`.
        lease: String,
        /// The API server's answer, or what the writing crate makes of the record.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Another wrote the lease between our look at it and our write.
    #[error("another wrote lease {lease} at the same time")]
    Raced {
        /// `namespace/name`.
        lease: String,
    },
    /// The API server did not answer in time.
    #[error("the API server did not answer a request for lease {lease} within {seconds} s")]
    Deadline {
        /// `namespace/name`.
        lease: String,
        /// The deadline.
        seconds: u64,
    },
    /// The write went through, but the lease names somebody else.
    #[error("lease {lease} went to {holder} while this process wrote it")]
    Overtaken {
        /// `namespace/name`.
        lease: String,
        /// Who the lease names.
        holder: String,
    },
    /// Leadership was lost: the process must stop acting and end.
    #[error("lost lease {lease}: {reason}; the process ends so that it starts again as a candidate")]
    Lost {
        /// `namespace/name`.
        lease: String,
        /// How.
        reason: String,
    },
}

impl LeaderError {
    /// What the API server said to a look.
    pub(super) fn from_read(lease: String, error: kube::Error) -> Self {
        let source = Box::new(ApiError::from(error));
        match source.code() {
            Some(403) => Self::Forbidden { operation: "read", lease, source },
            _ => Self::Read { lease, source },
        }
    }

    /// What the writing crate met, without its wrapping of what the API server said.
    pub(super) fn from_write(lease: String, error: LockError) -> Self {
        let source: Box<dyn std::error::Error + Send + Sync> = match error {
            LockError::CreateLease(error)
            | LockError::AcquireLease(error)
            | LockError::RenewLease(error)
            | LockError::ReleaseLease(error)
            | LockError::GetLease(error)
            | LockError::Kube(error) => {
                let error = ApiError::from(error);
                match error.code() {
                    Some(403) => {
                        return Self::Forbidden { operation: "write", lease, source: Box::new(error) };
                    }
                    Some(409) => return Self::Raced { lease },
                    _ => error.into(),
                }
            }
            other => other.into(),
        };
        Self::Write { lease, source }
    }
}
