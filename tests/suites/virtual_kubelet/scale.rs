//! Many pods on one node.
