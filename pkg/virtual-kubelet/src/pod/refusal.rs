//! Why a pod cannot be an instance.

/// A pod asks for something that cannot be. It stays so until the pod, or what it names, changes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct Refusal {
    /// The field of the pod, as in a manifest: `spec.initContainers`, `metadata.annotations[package]`.
    pub field: String,
    /// For machines: the `reason` of the status and of the event.
    pub reason: RefusalReason,
    /// One sentence, with the remedy. No secrets.
    pub message: String,
}

/// The kinds of refusal, which decide how the pod ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefusalReason {
    /// The pod's form is not possible at all, and pods cannot change in it: the pod is Failed.
    Unsupported,
    /// An annotation or field has no meaning: the pod waits for a correction.
    Invalid,
    /// The image is not there, or cannot be used: the pod waits, as with `ErrImagePull`.
    Image,
    /// No package fits, or the one that is named is not there: the pod waits.
    Package,
    /// A network is not there: the pod waits.
    Network,
    /// The request would be larger than CloudAPI takes: the pod waits for its sources to shrink.
    TooLarge,
    /// A mandatory ConfigMap, Secret or key is missing: the pod waits, `CreateContainerConfigError`.
    Config,
}

impl RefusalReason {
    /// The `reason` of statuses and events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unsupported => "PodNotSupported",
            Self::Invalid => "InvalidPodSpec",
            Self::Image => "ErrImagePull",
            Self::Package => "PackageNotFound",
            Self::Network => "NetworkNotFound",
            Self::TooLarge => "InstanceTooLarge",
            Self::Config => "CreateContainerConfigError",
        }
    }

    /// Whether nothing that can still happen helps, so that the pod is Failed.
    pub fn is_final(self) -> bool {
        self == Self::Unsupported
    }
}
