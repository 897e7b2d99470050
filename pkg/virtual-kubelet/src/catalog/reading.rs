//! One reading of the catalogue.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::future::join_all;
use tokio::try_join;
use triton::id::{ImageId, NetworkId};
use triton::types::{DecodedList, Image, ListImages, ListNetworks, ListPackages, Network};
use triton::{Client, Error, Kind};

use super::Catalog;

/// What pods named by id and what is not in the lists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Unlisted {
    pub(super) images: BTreeSet<ImageId>,
    pub(super) networks: BTreeSet<NetworkId>,
}

/// Reads everything: 7 calls at once, and one for each object that is not listed.
pub(super) async fn read(client: &Client, unlisted: &Unlisted) -> Result<Catalog, Error> {
    let (images, networks) = (ListImages::default(), ListNetworks::default());
    let packages = ListPackages::default();
    let (account, packages, images, networks, limits, config, datacenter) = try_join!(
        client.get_account(),
        client.list_packages(&packages),
        client.list_images(&images),
        client.list_networks(&networks),
        optional(client.get_limits()),
        optional(client.get_config()),
        optional(client.get_datacenter_name()),
    )?;
    let mut catalog = Catalog {
        cns_enabled: account.triton_cns_enabled == Some(true),
        datacenter: datacenter.flatten().map(String::into_boxed_str),
        packages: shared(packages),
        images: shared(images),
        networks: shared(networks),
        default_network: config.and_then(|config| config.default_network),
        limits: limits.map(|limits| limits.items).unwrap_or_default(),
        ..Catalog::new(account.id)
    };
    let is_unlisted = |id: &&ImageId| !catalog.images.iter().any(|image| image.id == **id);
    let images = unlisted.images.iter().filter(is_unlisted).map(|id| optional(client.get_image(*id)));
    let images: Result<Vec<Option<Image>>, Error> = join_all(images).await.into_iter().collect();
    let is_unlisted = |id: &&NetworkId| !catalog.networks.iter().any(|network| network.id == **id);
    let networks = unlisted.networks.iter().filter(is_unlisted).map(|id| optional(client.get_network(*id)));
    let networks: Result<Vec<Option<Network>>, Error> = join_all(networks).await.into_iter().collect();
    catalog.images.extend(images?.into_iter().flatten().map(Arc::new));
    catalog.unlisted_networks.extend(networks?.into_iter().flatten().map(Arc::new));
    // The order of lists is the server's affair and no difference.
    catalog.packages.sort_by_key(|package| package.id);
    catalog.images.sort_by_key(|image| image.id);
    catalog.networks.sort_by_key(|network| network.id);
    Ok(catalog)
}

fn shared<T>(list: DecodedList<T>) -> Vec<Arc<T>> {
    list.items.into_iter().map(Arc::new).collect()
}

/// What an account may not see, or a data centre not have, and what pods can do without.
async fn optional<T>(call: impl Future<Output = Result<T, Error>>) -> Result<Option<T>, Error> {
    match call.await {
        Ok(answer) => Ok(Some(answer)),
        Err(error) => match error.kind() {
            Kind::NotFound | Kind::NotSupported | Kind::Forbidden => Ok(None),
            _ => Err(error),
        },
    }
}
