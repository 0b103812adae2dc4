//! How messages are declared: the macros, and what they tell the tests.

pub use crate::sampler::Sampler;

/// A field as declared: what the tests hold against Kafka's own schemas.
#[doc(hidden)]
#[derive(Debug, PartialEq, Eq)]
pub struct Field {
    /// Kafka's name in snake case.
    pub name: &'static str,
    /// The Rust type.
    pub ty: &'static str,
    /// The versions that have it; empty is all.
    pub versions: &'static str,
    /// The versions in which it may be null; empty is all when the type is an `Option`.
    pub null: &'static str,
    /// The default, as written; empty is the type's own.
    pub default: &'static str,
    /// Whether it is dropped silently in versions that lack it.
    pub ignorable: bool,
    /// The tag of a tagged field.
    pub tag: Option<u32>,
}

/// A struct as declared.
#[doc(hidden)]
#[derive(Debug, PartialEq, Eq)]
pub struct Struct {
    /// Kafka's name.
    pub name: &'static str,
    /// Versions and first flexible version, for the outermost struct of a message.
    pub versions: Option<(i16, i16, i16)>,
    /// The fields: the plain ones in wire order, then the tagged ones.
    pub fields: &'static [Field],
}

/// Declares structs of the protocol, field by field in wire order.
///
/// `name: type [versions; null versions, ignorable] = default`. A field without versions is in all
/// of them; one without null versions may always be null if it is an `Option`. In a version that
/// lacks it, an ignorable field is dropped, any other is an error unless it holds its default.
/// Fields after `tagged` are written only where they differ from their default (KIP-482).
macro_rules! message {
    ($(
        $(#[$doc:meta])*
        pub struct $Name:ident $(($($head:tt)*))? {
            $($(#[$field_doc:meta])* pub $field:ident: $ty:ty
                $([$in:expr $(; null $null:expr)? $(, $ignorable:ident)?])? $(= $default:expr)?,)*
            $(tagged {
                $($(#[$tag_doc:meta])* $tag:literal => pub $tagged:ident: $tag_ty:ty
                    [$tag_in:expr $(, $tag_ignorable:ident)?] $(= $tag_default:expr)?,)*
            })?
        }
    )*) => {
        /// Every struct of this file, for the test against Kafka's schemas.
        #[doc(hidden)]
        pub const STRUCTS: &[$crate::declare::Struct] = &[$($crate::declare::Struct {
            name: stringify!($Name),
            versions: $crate::declare::head!($($($head)*)?),
            fields: $Name::FIELDS,
        },)*];

        $(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $Name {
            $($(#[$field_doc])*
            #[allow(missing_docs, reason = "most fields are what their name says, or as Kafka's schemas say")]
            pub $field: $ty,)*
            $($($(#[$tag_doc])*
            #[allow(missing_docs, reason = "most fields are what their name says, or as Kafka's schemas say")]
            pub $tagged: $tag_ty,)*)?
        }

        impl Default for $Name {
            fn default() -> Self {
                Self {
                    $($field: $crate::declare::or_default!($($default)?),)*
                    $($($tagged: $crate::declare::or_default!($($tag_default)?),)*)?
                }
            }
        }

        impl $Name {
            /// The fields as declared.
            #[doc(hidden)]
            pub const FIELDS: &'static [$crate::declare::Field] = &[
                $($crate::declare::Field {
                    name: stringify!($field),
                    ty: stringify!($ty),
                    versions: concat!($(stringify!($in))?),
                    null: concat!($($(stringify!($null))?)?),
                    default: concat!($(stringify!($default))?),
                    ignorable: $crate::declare::is_ignorable!($($($ignorable)?)?),
                    tag: None,
                },)*
                $($($crate::declare::Field {
                    name: stringify!($tagged),
                    ty: stringify!($tag_ty),
                    versions: stringify!($tag_in),
                    null: "",
                    default: concat!($(stringify!($tag_default))?),
                    ignorable: $crate::declare::is_ignorable!($($tag_ignorable)?),
                    tag: Some($tag),
                },)*)?
            ];
        }

        impl $crate::Wire for $Name {
            #[allow(clippy::float_cmp, reason = "a default is compared as it was assigned")]
            fn write(&self, w: &mut $crate::Writer) -> Result<(), $crate::Error> {
                #[allow(unused, reason = "some structs have neither fields nor versions")]
                let (version, at) = (w.version(), |field| move |error: $crate::Error| error.at(stringify!($Name), field));
                $(
                    $crate::declare::write_field!(
                        self, w, version, at, $field, $ty,
                        [$($in $(; null $null)? $(, $ignorable)?)?], [$($default)?]
                    );
                )*
                $($(
                    let $tagged = self.$tagged != { let default: $tag_ty = $crate::declare::or_default!($($tag_default)?); default };
                    if $tagged && !($tag_in).contains(&version) && !$crate::declare::is_ignorable!($($tag_ignorable)?) {
                        return Err(at(stringify!($tagged))($crate::Fault::NotInVersion(version).into()));
                    }
                    let $tagged = $tagged && ($tag_in).contains(&version);
                )*)?
                if w.flexible() {
                    w.unsigned(0 $($(+ u32::from($tagged))*)?);
                    $($(if $tagged {
                        w.tag($tag, &self.$tagged).map_err(at(stringify!($tagged)))?;
                    })*)?
                }
                Ok(())
            }

            fn read(r: &mut $crate::Reader) -> Result<Self, $crate::Error> {
                #[allow(unused, reason = "some structs have neither fields nor versions")]
                let (version, at) = (r.version(), |field| move |error: $crate::Error| error.at(stringify!($Name), field));
                #[allow(unused_mut, reason = "only tagged fields are set later")]
                let mut it = Self {
                    $($field: $crate::declare::read_field!(
                        r, version, at, $field, $ty, [$($in $(; null $null)? $(, $ignorable)?)?], [$($default)?]
                    ),)*
                    $($($tagged: $crate::declare::or_default!($($tag_default)?),)*)?
                };
                if r.flexible() {
                    #[allow(unused_variables, reason = "some structs know no tags")]
                    r.tags(|tag, r| Ok(match tag {
                        $($($tag if ($tag_in).contains(&version) => {
                            it.$tagged = $crate::Wire::read(r).map_err(at(stringify!($tagged)))?;
                            true
                        })*)?
                        _ => false,
                    })).map_err(at(""))?;
                }
                Ok(it)
            }

            fn sample(s: &mut $crate::declare::Sampler) -> Self {
                #[allow(unused, reason = "some structs have neither fields nor versions")]
                let version = s.version();
                Self {
                    $($field: $crate::declare::sample_field!(
                        s, version, [$($in $(; null $null)? $(, $ignorable)?)?], [$($default)?]
                    ),)*
                    $($($tagged: if ($tag_in).contains(&version) && s.one_in(2) {
                        $crate::Wire::sample(s)
                    } else {
                        $crate::declare::or_default!($($tag_default)?)
                    },)*)?
                }
            }
        }

        impl $crate::Wire for Option<$Name> {
            fn write(&self, w: &mut $crate::Writer) -> Result<(), $crate::Error> {
                let Some(it) = self else { return (-1i8).write(w) };
                1i8.write(w)?;
                it.write(w)
            }

            fn read(r: &mut $crate::Reader) -> Result<Self, $crate::Error> {
                let present = <i8 as $crate::Wire>::read(r)? >= 0;
                present.then(|| $crate::Wire::read(r)).transpose()
            }

            fn sample(s: &mut $crate::declare::Sampler) -> Self {
                (!s.one_in(4)).then(|| $crate::Wire::sample(s))
            }
        }

        $crate::declare::implement!($Name $($($head)*)?);
    )*};
}

macro_rules! implement {
    ($Name:ident) => {};
    ($Name:ident versions $low:literal..=$high:literal, flexible $flexible:literal..) => {
        impl $crate::Message for $Name {
            const NAME: &'static str = stringify!($Name);
            const VERSIONS: std::ops::RangeInclusive<i16> = $low..=$high;
            const FLEXIBLE: i16 = $flexible;
        }
    };
    ($Name:ident versions $low:literal..=$high:literal, never flexible) => {
        impl $crate::Message for $Name {
            const NAME: &'static str = stringify!($Name);
            const VERSIONS: std::ops::RangeInclusive<i16> = $low..=$high;
            const FLEXIBLE: i16 = i16::MAX;
        }
    };
}

macro_rules! head {
    () => {
        None
    };
    (versions $low:literal..=$high:literal, flexible $flexible:literal..) => {
        Some(($low, $high, $flexible))
    };
    (versions $low:literal..=$high:literal, never flexible) => {
        Some(($low, $high, i16::MAX))
    };
}

macro_rules! write_field {
    ($self:ident, $w:ident, $version:ident, $at:ident, $field:ident, $ty:ty, [], [$($default:expr)?]) => {
        $crate::Wire::write(&$self.$field, $w).map_err($at(stringify!($field)))?;
    };
    ($self:ident, $w:ident, $version:ident, $at:ident, $field:ident, $ty:ty,
        [$in:expr $(; null $null:expr)? $(, $ignorable:ident)?], [$($default:expr)?]) => {
        if ($in).contains(&$version) {
            $(if !($null).contains(&$version) && $self.$field.is_none() {
                return Err($at(stringify!($field))($crate::Fault::Null.into()));
            })?
            $crate::Wire::write(&$self.$field, $w).map_err($at(stringify!($field)))?;
        } else if !$crate::declare::is_ignorable!($($ignorable)?)
            && $self.$field != { let default: $ty = $crate::declare::or_default!($($default)?); default }
        {
            return Err($at(stringify!($field))($crate::Fault::NotInVersion($version).into()));
        }
    };
}

macro_rules! read_field {
    ($r:ident, $version:ident, $at:ident, $field:ident, $ty:ty, [], [$($default:expr)?]) => {
        $crate::Wire::read($r).map_err($at(stringify!($field)))?
    };
    ($r:ident, $version:ident, $at:ident, $field:ident, $ty:ty,
        [$in:expr $(; null $null:expr)? $(, $ignorable:ident)?], [$($default:expr)?]) => {
        if ($in).contains(&$version) {
            let value: $ty = $crate::Wire::read($r).map_err($at(stringify!($field)))?;
            $(if !($null).contains(&$version) && value.is_none() {
                return Err($at(stringify!($field))($crate::Fault::Null.into()));
            })?
            value
        } else {
            $crate::declare::or_default!($($default)?)
        }
    };
}

macro_rules! sample_field {
    ($s:ident, $version:ident, [], [$($default:expr)?]) => {
        $crate::Wire::sample($s)
    };
    ($s:ident, $version:ident,
        [$in:expr $(; null $null:expr)? $(, $ignorable:ident)?], [$($default:expr)?]) => {
        if ($in).contains(&$version) {
            #[allow(unused_mut, reason = "only for fields that are null in some versions")]
            let mut value = $crate::Wire::sample($s);
            $(if !($null).contains(&$version) && Option::is_none(&value) {
                value = Some($crate::Wire::sample($s));
            })?
            value
        } else {
            $crate::declare::or_default!($($default)?)
        }
    };
}

/// `request! { HeartbeatRequest(12) to GroupCoordinator -> HeartbeatResponse; }`
macro_rules! request {
    ($($Request:ident($key:literal) to $route:ident -> $Response:ident;)*) => {$(
        impl $crate::Request for $Request {
            const KEY: i16 = $key;
            const ROUTE: $crate::Route = $crate::Route::$route;
            type Response = $Response;
        }
    )*};
}

macro_rules! or_default {
    () => {
        Default::default()
    };
    ($default:expr) => {
        $default
    };
}

macro_rules! is_ignorable {
    () => {
        false
    };
    (ignorable) => {
        true
    };
}

pub(crate) use {
    head, implement, is_ignorable, message, or_default, read_field, request, sample_field,
    write_field,
};
