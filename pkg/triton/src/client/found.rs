//! The answer to a read of one instance.

use crate::types::Instance;

/// An instance, or the proof that it is gone (reference 2.16).
///
/// Only a 410 whose body is this very instance is proof. A 404 is an error of kind
/// [`NotFound`](crate::Kind::NotFound): it also comes from missing permissions and lagging replicas. A body
/// that is another instance, or that cannot be read, is an error of kind [`Protocol`](crate::Kind::Protocol).
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// 200: the instance, in whatever state.
    Present(Instance),
    /// 410: the instance is destroyed; this is the last that is known of it.
    Gone(Instance),
}

impl Found {
    /// The instance, whether it still exists or not.
    pub fn into_instance(self) -> Instance {
        match self {
            Self::Present(instance) | Self::Gone(instance) => instance,
        }
    }
}
