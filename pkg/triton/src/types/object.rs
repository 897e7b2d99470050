//! The one definition of an object: its fields, their JSON names, how they are read and written.

/// Defines a response object from a table of `field: Type = "jsonName" | "older name"`.
///
/// - Reading is lenient field by field (see [`super::lenient`]); unknown fields are ignored.
/// - The field marked `identity`, if any, is what makes the object that object: without a usable one
///   it cannot be read at all. `new` makes an otherwise empty object from it.
/// - Writing uses the first name of each field and leaves out what the server did not say.
macro_rules! object {
    (
        $(#[$meta:meta])*
        pub struct $name:ident ($noun:literal) {
            $(#[$id_meta:meta])*
            identity $id:ident: $id_ty:ty = $id_wire:literal,
            $( $(#[$field_meta:meta])* $field:ident: $ty:ty = $wire:literal $(| $alias:literal)*, )*
        }
    ) => {
        $(#[$meta])*
        pub struct $name {
            $(#[$id_meta])*
            pub $id: $id_ty,
            $( $(#[$field_meta])* pub $field: $ty, )*
        }

        impl $name {
            #[doc = concat!("Makes ", $noun, " of which nothing is known but its `", stringify!($id), "`.")]
            pub fn new($id: $id_ty) -> Self {
                Self { $id, $( $field: Default::default(), )* }
            }
        }

        impl $crate::types::lenient::Lenient for $name {
            fn lenient(json: &str) -> Option<Self> {
                use $crate::types::lenient::{assign, canonical, each_field};
                let mut $id: Option<$id_ty> = None;
                $( let mut $field: $ty = Default::default(); )*
                each_field(json, |name, value| {
                    match canonical(name, &[$id_wire, $( $wire, $( $alias, )* )*]) {
                        Some($id_wire) => assign(&mut $id, value),
                        $( Some($wire $(| $alias)*) => assign(&mut $field, value), )*
                        _ => {}
                    }
                })?;
                Some(Self { $id: $id?, $( $field, )* })
            }
        }

        $crate::types::lenient::lenient_deserialize!(
            $name,
            concat!("not ", $noun, ": no object with a usable `", $id_wire, "`")
        );

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeMap;
                let mut map = serializer.serialize_map(None)?;
                map.serialize_entry($id_wire, &self.$id)?;
                $(
                    if !$crate::types::lenient::Lenient::is_absent(&self.$field) {
                        map.serialize_entry($wire, &self.$field)?;
                    }
                )*
                map.end()
            }
        }
    };
    (
        $(#[$meta:meta])*
        pub struct $name:ident ($noun:literal) {
            $( $(#[$field_meta:meta])* $field:ident: $ty:ty = $wire:literal $(| $alias:literal)*, )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Default)]
        pub struct $name {
            $( $(#[$field_meta])* pub $field: $ty, )*
        }

        impl $crate::types::lenient::Lenient for $name {
            fn lenient(json: &str) -> Option<Self> {
                use $crate::types::lenient::{assign, canonical, each_field};
                let mut object = Self::default();
                each_field(json, |name, value| match canonical(name, &[$( $wire, $( $alias, )* )*]) {
                    $( Some($wire $(| $alias)*) => assign(&mut object.$field, value), )*
                    _ => {}
                })?;
                Some(object)
            }
        }

        $crate::types::lenient::lenient_deserialize!($name, concat!("not ", $noun, ": no object"));

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeMap;
                let mut map = serializer.serialize_map(None)?;
                $(
                    if !$crate::types::lenient::Lenient::is_absent(&self.$field) {
                        map.serialize_entry($wire, &self.$field)?;
                    }
                )*
                map.end()
            }
        }
    };
}
pub(crate) use object;

/// Defines an enumeration that the server may extend at any time: each known word has a variant, every
/// other word is kept as it came (reference 10).
macro_rules! open_enum {
    (
        $(#[$meta:meta])*
        pub enum $name:ident {
            $( $(#[$variant_meta:meta])* $variant:ident = $word:literal, )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $( $(#[$variant_meta])* $variant, )*
            /// A word that this library has no variant for, as the server sent it; empty when the
            /// server sent none. Made by `From<&str>`, which prefers the variants.
            Unknown(Box<str>),
        }

        impl $name {
            /// The word as it is on the wire.
            pub fn as_str(&self) -> &str {
                match self {
                    $( Self::$variant => $word, )*
                    Self::Unknown(word) => word,
                }
            }
        }

        impl From<&str> for $name {
            fn from(word: &str) -> Self {
                match word {
                    $( $word => Self::$variant, )*
                    other => Self::Unknown(other.into()),
                }
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::Unknown(Box::default())
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl $crate::types::lenient::Lenient for $name {
            fn lenient(json: &str) -> Option<Self> {
                $crate::types::lenient::Json::of(json).text().filter(|word| !word.is_empty()).map(|word| Self::from(&*word))
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        /// Never fails on well-formed JSON: what is not a word is the empty `Unknown`.
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let raw = <Box<serde_json::value::RawValue> as serde::Deserialize>::deserialize(deserializer)?;
                Ok(<Self as $crate::types::lenient::Lenient>::lenient(raw.get()).unwrap_or_default())
            }
        }
    };
}
pub(crate) use open_enum;
