//! Packages (reference 2.10).

use crate::cloudapi::call::Call;
use crate::cloudapi::respond::{Answer, Reply};
use crate::cloudapi::view;

pub(super) fn list(call: &Call<'_>) -> Answer {
    call.read(|world| {
        let packages = world.list_packages(call.account, call.params.as_map());
        let packages: Vec<_> = packages.iter().map(|package| view::Package::of(package)).collect();
        Ok(Reply::ok(&packages))
    })
}

pub(super) fn get(call: &Call<'_>) -> Answer {
    let wanted = call.path_param("package");
    call.read(|world| Ok(Reply::ok(&view::Package::of(world.package(call.account, &wanted)?))))
}
