//! Exact numbers arrive as text.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

use super::Sink;
use crate::decimal::Decimal;
use crate::market::USD_DECIMALS;
use crate::units::{Amount, Ratio};

pub(super) fn ratio<'de, D: Deserializer<'de>>(d: D) -> std::result::Result<Ratio, D::Error> {
    let text = String::deserialize(d)?;
    Ratio::parse(&text)
        .ok_or_else(|| serde::de::Error::custom(format!("expected a decimal or a fraction, got {text:?}")))
}

pub(super) fn optional_ratio<'de, D: Deserializer<'de>>(d: D) -> std::result::Result<Option<Ratio>, D::Error> {
    let text = Option::<String>::deserialize(d)?;
    text.map(|t| {
        Ratio::parse(&t).ok_or_else(|| serde::de::Error::custom(format!("expected a decimal or a fraction, got {t:?}")))
    })
    .transpose()
}

pub(super) fn ratios<'de, D: Deserializer<'de>>(d: D) -> std::result::Result<BTreeMap<Sink, Ratio>, D::Error> {
    let texts = BTreeMap::<Sink, String>::deserialize(d)?;
    texts
        .into_iter()
        .map(|(k, t)| {
            let r = Ratio::parse(&t)
                .ok_or_else(|| serde::de::Error::custom(format!("expected a decimal or a fraction, got {t:?}")))?;
            Ok((k, r))
        })
        .collect()
}

pub(super) fn positive_ratio<'de, D: Deserializer<'de>>(d: D) -> std::result::Result<Ratio, D::Error> {
    let r = ratio(d)?;
    if r.num > 0 {
        return Ok(r);
    }
    Err(serde::de::Error::custom(format!("expected a positive number, got {r}")))
}

pub(super) fn positive_ratios<'de, D: Deserializer<'de>>(
    d: D,
) -> std::result::Result<BTreeMap<String, Ratio>, D::Error> {
    let texts = BTreeMap::<String, String>::deserialize(d)?;
    let one = |(name, text): (String, String)| match Ratio::parse(&text).filter(|r| r.num > 0) {
        Some(r) => Ok((name, r)),
        None => Err(serde::de::Error::custom(format!(
            "{name}: expected a positive number, got {text:?}"
        ))),
    };
    texts.into_iter().map(one).collect()
}

fn dollars<E: serde::de::Error>(text: &str) -> std::result::Result<Amount, E> {
    Decimal::parse(text)
        .and_then(|x| x.to_integer(USD_DECIMALS))
        .map(Amount)
        .ok_or_else(|| E::custom(format!("expected dollars with at most 6 decimals, got {text:?}")))
}

pub(super) fn usd<'de, D: Deserializer<'de>>(d: D) -> std::result::Result<Amount, D::Error> {
    dollars(&String::deserialize(d)?)
}

pub(super) fn optional_usd<'de, D: Deserializer<'de>>(d: D) -> std::result::Result<Option<Amount>, D::Error> {
    let text = Option::<String>::deserialize(d)?;
    text.map(|t| dollars(&t)).transpose()
}
