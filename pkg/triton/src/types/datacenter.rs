//! The data centres of a cloud and the services of a data centre (reference 2.8).

use crate::types::lenient::{Lenient, lenient_deserialize};
use serde::Serialize;
use std::collections::BTreeMap;

macro_rules! url_map {
    ($(#[$meta:meta])* $name:ident ($noun:literal)) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
        #[serde(transparent)]
        pub struct $name(BTreeMap<String, Box<str>>);

        impl $name {
            /// The URL of `name`.
            pub fn get(&self, name: &str) -> Option<&str> {
                self.0.get(name).map(|url| &**url)
            }

            /// Names and URLs, by name.
            pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
                self.0.iter().map(|(name, url)| (&**name, &**url))
            }
        }

        impl Lenient for $name {
            fn lenient(json: &str) -> Option<Self> {
                Lenient::lenient(json).map(Self)
            }
        }

        lenient_deserialize!($name, concat!("not ", $noun, ": no object"));
    };
}

url_map! {
    /// The data centres that this CloudAPI knows, each with its CloudAPI URL.
    Datacenters("a map of data centres")
}

url_map! {
    /// The services of this data centre, such as `cloudapi`, `docker`, `cmon` and `manta`, each with its
    /// URL. A service that is missing is not deployed.
    Services("a map of services")
}
