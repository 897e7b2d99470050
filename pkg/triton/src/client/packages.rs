//! Packages (reference 2.10).

use super::{Call, Client};
use crate::error::Result;
use crate::types::{DecodedList, ListPackages, Package};

impl Client {
    /// The packages that meet the conditions and that the account may use.
    pub async fn list_packages(&self, filter: &ListPackages) -> Result<DecodedList<Package>> {
        let call = Call::get("ListPackages", "packages").path(["packages"]).query(filter.query());
        self.send(call).await?.list()
    }

    /// One package, by id or by name; by name, the newest version that is active.
    pub async fn get_package(&self, package: &str) -> Result<Package> {
        let call = Call::get("GetPackage", format!("package {package}")).path(["packages", package]);
        self.send(call).await?.object()
    }
}
