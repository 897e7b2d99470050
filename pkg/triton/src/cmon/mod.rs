//! CMON, the data centre's metrics of instances (Triton reference 4).

pub mod certificate;
