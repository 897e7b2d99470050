//! What new load balancers are made of.

use triton::id::{ImageId, NetworkId};
use triton::types::{Image, ImageState, Network};

use super::Note;
use super::wishes::Wishes;
use crate::service::hostname::Names;

/// What load balancers are made of where a Service does not say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defaults {
    /// How many there are of each Service.
    pub replicas: usize,
    /// The image, by name or id.
    pub image: String,
    /// The package, by name or id.
    pub package: Option<String>,
    /// The networks, by name or id.
    pub networks: Vec<String>,
}

impl Default for Defaults {
    fn default() -> Self {
        Self { replicas: REPLICAS, image: IMAGE.to_owned(), package: None, networks: Vec::new() }
    }
}

/// The name of Triton's load balancer among its images (Triton reference 9).
pub const IMAGE: &str = "cloud-load-balancer";
/// One that fails, or is being replaced, leaves another.
pub const REPLICAS: usize = 2;

/// The images and networks that the account sees.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    /// The images.
    pub images: Vec<Image>,
    /// The networks and pools.
    pub networks: Vec<Network>,
}

/// What the load balancers of one Service are made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Supplies {
    /// The image.
    pub image: ImageId,
    /// The package, by name or id.
    pub package: String,
    /// The networks, in order, with what they say about names.
    pub networks: Vec<(NetworkId, Names)>,
}

impl Supplies {
    /// What a Service wishes for, or the defaults.
    ///
    /// # Errors
    ///
    /// What is not there, or was not said at all.
    pub fn resolve(wishes: &Wishes, defaults: &Defaults, catalog: &Catalog) -> Result<Self, Note> {
        let package = wishes.package.clone().or_else(|| defaults.package.clone());
        let package = package.ok_or_else(|| {
            Note::warning(
                "NoPackage",
                "no package is named for load balancers; name one by annotation tritondatacenter.com/package, or for all \
                 Services by --load-balancer-package"
                    .to_owned(),
            )
        })?;
        let names = if wishes.networks.is_empty() { &defaults.networks } else { &wishes.networks };
        if names.is_empty() {
            return Err(Note::warning(
                "NoNetwork",
                "no networks are named for load balancers; name that of clients and that of servers by annotation \
                 tritondatacenter.com/networks, or for all Services by --load-balancer-networks"
                    .to_owned(),
            ));
        }
        let mut networks: Vec<(NetworkId, Names)> = Vec::new();
        for name in names {
            let network = catalog.network(name)?;
            if networks.iter().all(|(id, _)| *id != network.id) {
                networks.push((network.id, Names::of(network)));
            }
        }
        Ok(Self { image: catalog.image(&defaults.image)?, package, networks })
    }
}

impl Catalog {
    /// Of several active images of a name the one that was published last.
    fn image(&self, name: &str) -> Result<ImageId, Note> {
        let is_active =
            |image: &&Image| image.state.as_ref().is_none_or(|state| *state == ImageState::Active);
        let fitting = self.images.iter().filter(is_active);
        let fitting = fitting.filter(|image| *image.name == *name || image.id.to_string() == name);
        let found = fitting.max_by_key(|image| (image.published_at, image.id));
        found.map(|image| image.id).ok_or_else(|| {
            let text = format!(
                "no active image {name} is visible to the account, and load balancers are made from it: have the operator \
                 import it, or name another one by --load-balancer-image"
            );
            Note::warning("NoImage", text)
        })
    }

    fn network(&self, name: &str) -> Result<&Network, Note> {
        let named = self.networks.iter().filter(|it| *it.name == *name || it.id.to_string() == name);
        let named: Vec<&Network> = named.collect();
        match named.as_slice() {
            [network] => Ok(*network),
            [] => Err(Note::warning("NoNetwork", format!("no network {name} is visible to the account"))),
            several => {
                let text = format!("{} networks are called {name}; name one by its id", several.len());
                Err(Note::warning("NoNetwork", text))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;

    fn catalog() -> Catalog {
        let image = |number, name: &str, state: &str, published: &str| {
            serde_json::from_value(json!({
                "id": Uuid::from_u128(number), "name": name, "version": "1", "state": state, "published_at": published,
            }))
            .unwrap()
        };
        let network = |number, name: &str| {
            serde_json::from_value(json!({"id": Uuid::from_u128(number), "name": name, "public": true}))
                .unwrap()
        };
        Catalog {
            images: vec![
                image(1, IMAGE, "active", "2026-01-01T00:00:00Z"),
                image(2, IMAGE, "active", "2026-02-01T00:00:00Z"),
                image(3, IMAGE, "disabled", "2026-03-01T00:00:00Z"),
                image(4, "mine", "active", "2026-03-01T00:00:00Z"),
            ],
            networks: vec![
                network(5, "external"),
                network(6, "twice"),
                network(7, "twice"),
                network(8, "fabric"),
            ],
        }
    }

    fn resolve(annotations: &Value, defaults: &Defaults) -> Result<(u128, String, Vec<u128>), Note> {
        let service = serde_json::from_value(json!({"metadata": {"annotations": annotations}})).unwrap();
        let supplies = Supplies::resolve(&Wishes::read(&service).0, defaults, &catalog())?;
        let networks = supplies.networks.iter().map(|(id, _)| id.as_uuid().as_u128()).collect();
        Ok((supplies.image.as_uuid().as_u128(), supplies.package, networks))
    }

    fn defaults() -> Defaults {
        let networks = vec!["external".to_owned(), "fabric".to_owned()];
        Defaults { package: Some("small".to_owned()), networks, ..Defaults::default() }
    }

    #[test]
    fn annotations_count_before_flags_and_the_youngest_active_image_is_taken() {
        assert_eq!(resolve(&json!({}), &defaults()), Ok((2, "small".to_owned(), vec![5, 8])));
        let annotations = json!({
            "tritondatacenter.com/package": "large",
            "tritondatacenter.com/networks": format!("fabric,{},fabric", Uuid::from_u128(6)),
        });
        let own_image = Defaults { image: "mine".to_owned(), ..defaults() };
        assert_eq!(resolve(&annotations, &own_image), Ok((4, "large".to_owned(), vec![8, 6])));
    }

    #[rstest]
    #[case(Defaults { package: None, ..defaults() }, "NoPackage", "--load-balancer-package")]
    #[case(Defaults { networks: vec![], ..defaults() }, "NoNetwork", "--load-balancer-networks")]
    #[case(Defaults { networks: vec!["twice".to_owned()], ..defaults() }, "NoNetwork", "2 networks")]
    #[case(Defaults { networks: vec!["none".to_owned()], ..defaults() }, "NoNetwork", "no network none")]
    #[case(Defaults { image: "none".to_owned(), ..defaults() }, "NoImage", "--load-balancer-image")]
    fn what_is_missing_is_said(#[case] defaults: Defaults, #[case] reason: &str, #[case] text: &str) {
        let note = resolve(&json!({}), &defaults).unwrap_err();
        assert!(note.reason == reason && note.text.contains(text), "{note:?}");
    }
}
