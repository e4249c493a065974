//! `section!`: declares a section struct and its rows of the option table in one place.
//!
//! To add an option, write its doc comment and one line:
//!
//! ```text
//! /// Longest wait for a soft power off before it is given up.
//! soft_power_off_timeout: Seconds = 600, live, min(1);
//! ```
//!
//! that is: name, [`Kind`](super::Kind), default as it would stand in a file (or `Nothing`), and the words of
//! [`Rule`](super::spec::Rule). Parsing, bounds, `config show`, the sample file, the documentation and live changes follow.

/// See the module documentation.
macro_rules! section {
    (
        $(#[doc = $about:literal])+
        pub struct $Section:ident in $name:literal;
        fixed because $reason:literal;
        $(
            $(#[doc = $doc:literal])+
            $key:ident: $kind:ty = $default:expr $(, $rule:ident $(($($argument:expr),*))?)*;
        )+
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug, PartialEq)]
        pub struct $Section {
            $(
                $(#[doc = $doc])+
                pub $key: <$kind as $crate::option::Kind>::Type,
            )+
        }

        impl Default for $Section {
            fn default() -> Self {
                Self {
                    $($key: <$kind as $crate::option::Kind>::read(&$crate::option::raw::Raw::from($default))
                        .expect("a default fits its own kind: the test of this crate reads every one"),)+
                }
            }
        }

        impl $crate::option::spec::Section for $Section {
            fn name(&self) -> &'static str {
                $name
            }
            fn about(&self) -> &'static str {
                concat!($($about, "\n"),+)
            }
            fn fixed_because(&self) -> &'static str {
                $reason
            }
            fn specs(&self) -> &'static [$crate::option::spec::Spec] {
                static SPECS: std::sync::LazyLock<Vec<$crate::option::spec::Spec>> = std::sync::LazyLock::new(|| {
                    vec![$($crate::option::spec::Spec::new::<$kind>(
                        $name,
                        stringify!($key),
                        concat!($($doc, "\n"),+),
                        $crate::option::raw::Raw::from($default),
                        $crate::option::spec::Rule::new()$(.$rule($($($argument),*)?))*,
                    )),+]
                });
                &SPECS
            }
            fn get(&self, key: &str) -> $crate::option::raw::Raw {
                match key {
                    $(stringify!($key) => <$kind as $crate::option::Kind>::write(&self.$key),)+
                    _ => $crate::option::raw::Raw::Unset,
                }
            }
            fn set(&mut self, key: &str, raw: &$crate::option::raw::Raw) -> Result<(), $crate::option::Misfit> {
                let Some(spec) = self.specs().iter().find(|spec| spec.key == key) else {
                    return Err($crate::option::Misfit("is not an option of this section".to_owned()));
                };
                match key {
                    $(stringify!($key) => {
                        let value = <$kind as $crate::option::Kind>::read(raw)?;
                        spec.check(&<$kind as $crate::option::Kind>::write(&value))?;
                        self.$key = value;
                    })+
                    _ => {}
                }
                Ok(())
            }
        }
    };
}
pub(crate) use section;
