//! What a user should be told about a pod that can run all the same.

/// Something about a pod that has no effect, or not the one it seems to have. For an event; said once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Warning {
    /// For machines: the event's reason.
    pub reason: &'static str,
    /// One sentence that names the field. No secrets.
    pub message: String,
}

impl Warning {
    /// A field, label or annotation that has no effect here.
    pub const IGNORED: &'static str = "FieldIgnored";
    /// A wish about placement that Triton's affinity rules cannot express, or not as it is.
    pub const AFFINITY: &'static str = "AffinityNotTranslated";
    /// The named package is smaller than what the container asks for.
    pub const PACKAGE_SMALL: &'static str = "PackageTooSmall";
    /// A change to the pod that its running instance cannot follow.
    pub const CHANGE_IGNORED: &'static str = "ChangeIgnored";
    /// The instance cannot be in the cluster's CMON group; the cloud controller manager's event of Nodes has the same.
    pub const CMON: &'static str = "CMONGroupNotSet";

    /// A warning.
    pub fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}
