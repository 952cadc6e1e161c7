//! Enums whose values are listed and named where they are declared, so that no list can lack one.

/// Declares an enum without fields, `ALL` its values in the order of declaration, and a function that names each.
macro_rules! listed {
    (
        $(#[$meta:meta])*
        pub enum $name:ident {
            $($(#[$doc:meta])* $variant:ident = $text:literal,)+
        }
        $(#[$naming:meta])*
        pub fn $word:ident;
    ) => {
        $(#[$meta])*
        pub enum $name {
            $($(#[$doc])* $variant,)+
        }

        impl $name {
            /// All of them, in the order of declaration.
            pub const ALL: [Self; [$($text),+].len()] = [$(Self::$variant),+];

            $(#[$naming])*
            pub fn $word(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }
    };
}

pub(crate) use listed;
