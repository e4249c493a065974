//! Optional values, lists and tables of any kind.

use super::{Kind, Misfit, Raw, not_a};
use std::collections::BTreeMap;

impl<K: Kind> Kind for Option<K> {
    type Type = Option<K::Type>;
    const SECRET: bool = K::SECRET;
    const ZERO_IS_OFF: bool = K::ZERO_IS_OFF;
    fn describe() -> String {
        K::describe()
    }
    fn read(raw: &Raw) -> Result<Self::Type, Misfit> {
        if matches!(raw, Raw::Unset) {
            Ok(None)
        } else {
            K::read(raw).map(Some)
        }
    }
    fn write(value: &Self::Type) -> Raw {
        value.as_ref().map_or(Raw::Unset, K::write)
    }
    /// An empty variable unsets the option.
    fn from_text(text: &str) -> Raw {
        if text.is_empty() {
            Raw::Unset
        } else {
            K::from_text(text)
        }
    }
}

impl<K: Kind> Kind for Vec<K> {
    type Type = Vec<K::Type>;
    fn describe() -> String {
        format!("list: {}", K::describe())
    }
    fn read(raw: &Raw) -> Result<Self::Type, Misfit> {
        let Raw::List(items) = raw else {
            return Err(not_a::<Self>());
        };
        let mut values = Self::Type::with_capacity(items.len());
        for item in items {
            let value = K::read(item).map_err(|misfit| item_misfit(&item.shown(false), &misfit))?;
            if values.contains(&value) {
                return Err(Misfit(format!("names {item} twice")));
            }
            values.push(value);
        }
        Ok(values)
    }
    fn write(value: &Self::Type) -> Raw {
        Raw::List(value.iter().map(K::write).collect())
    }
    /// Ironic's notation: items apart by commas.
    fn from_text(text: &str) -> Raw {
        Raw::List(
            text.split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(K::from_text)
                .collect(),
        )
    }
}

impl<K: Kind> Kind for BTreeMap<String, K> {
    type Type = BTreeMap<String, K::Type>;
    fn describe() -> String {
        format!("table of {}s by name", K::describe())
    }
    fn read(raw: &Raw) -> Result<Self::Type, Misfit> {
        let entries = match raw {
            Raw::Unset => return Ok(BTreeMap::new()),
            Raw::Table(entries) => entries,
            Raw::Bool(_)
            | Raw::Int(_)
            | Raw::Float(_)
            | Raw::Text(_)
            | Raw::Hidden(_)
            | Raw::List(_) => return Err(not_a::<Self>()),
        };
        entries
            .iter()
            .map(|(key, value)| match K::read(value) {
                Ok(value) => Ok((key.clone(), value)),
                Err(misfit) => Err(item_misfit(
                    &format!("{key} = {}", value.shown(false)),
                    &misfit,
                )),
            })
            .collect()
    }
    fn write(value: &Self::Type) -> Raw {
        Raw::Table(
            value
                .iter()
                .map(|(key, value)| (key.clone(), K::write(value)))
                .collect(),
        )
    }
    /// Ironic's notation: `key:value` pairs apart by commas.
    fn from_text(text: &str) -> Raw {
        let pairs = text
            .split(',')
            .map(str::trim)
            .filter(|pair| !pair.is_empty());
        pairs
            .map(|pair| {
                let (key, value) = pair.rsplit_once(':')?;
                Some((key.trim().to_owned(), K::from_text(value.trim())))
            })
            .collect::<Option<_>>()
            .map_or_else(|| text.into(), Raw::Table)
    }
}

fn item_misfit(item: &str, misfit: &Misfit) -> Misfit {
    Misfit(format!(
        "has an item that does not fit: {item} {}",
        misfit.0
    ))
}
