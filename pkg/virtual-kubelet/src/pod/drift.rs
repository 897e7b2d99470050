//! What to write to an instance so that it is as desired: tags, metadata, firewall, protection, package.
