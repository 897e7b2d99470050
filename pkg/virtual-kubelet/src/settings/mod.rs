//! Flags, environment, and the provider's file.
