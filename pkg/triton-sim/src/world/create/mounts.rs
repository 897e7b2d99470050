//! The parameter `volumes` of CreateMachine (reference 2.14, 2.23).

use triton::id::AccountId;

use super::interfaces::Interface;
use crate::world::World;
use crate::world::error::WorldError;
use crate::world::machine::{Brand, VolumeMount};
use crate::world::params::{self, Params};

impl World {
    /// The volumes that a new instance mounts.
    pub(super) fn wanted_mounts(
        &self,
        _owner: AccountId,
        brand: Brand,
        params: &Params,
        _interfaces: &[Interface],
    ) -> Result<Vec<VolumeMount>, WorldError> {
        if !params::is_truthy(params, "volumes") {
            return Ok(Vec::new());
        }
        if brand.is_hvm() {
            let message = format!("volumes not yet supported with brand \"{}\"", brand.as_str());
            return Err(WorldError::invalid_argument(message));
        }
        Err(WorldError::invalid_argument("Support for automounting volumes is not enabled"))
    }
}
