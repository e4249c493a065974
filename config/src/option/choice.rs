//! `choice!`: an option that takes one of a few words becomes an enum.

/// Makes an enum an option kind. The first form also defines the enum; the second is for enums that `model` owns.
macro_rules! choice {
    (
        $(#[$about:meta])*
        pub enum $Choice:ident {
            $($(#[$doc:meta])* $Variant:ident = $word:literal,)+
        }
    ) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $Choice { $($(#[$doc])* $Variant,)+ }
        choice!(impl $Choice { $($Variant = $word,)+ });
    };
    (impl $Choice:ident { $($Variant:ident = $word:literal,)+ }) => {
        impl $crate::option::Kind for $Choice {
            type Type = Self;
            fn describe() -> String {
                $crate::option::choice::one_of(&[$($word),+])
            }
            fn read(raw: &$crate::option::raw::Raw) -> Result<Self, $crate::option::Misfit> {
                let $crate::option::raw::Raw::Text(word) = raw else {
                    return Err($crate::option::not_a::<Self>());
                };
                match word.to_ascii_lowercase().as_str() {
                    $($word => Ok(Self::$Variant),)+
                    _ => Err($crate::option::not_a::<Self>()),
                }
            }
            fn write(value: &Self) -> $crate::option::raw::Raw {
                $crate::option::raw::Raw::from(match value { $(Self::$Variant => $word,)+ })
            }
        }
    };
}
pub(crate) use choice;

/// The words of a choice, for people.
pub(crate) fn one_of(words: &[&str]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
    let only = if words.len() == 1 {
        " (the only one so far)"
    } else {
        ""
    };
    format!("one of {}{only}", quoted.join(", "))
}
