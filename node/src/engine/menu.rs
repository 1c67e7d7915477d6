//! What a customer wants, as a restaurant's menu sells it: variants, options, prices of one.

use tomato_shared::event::{Choice, Line};
use tomato_shared::rejection::Rejection;
use tomato_shared::time::UnixMs;

use super::command::{Refusal, WantedItem};
use super::model::{MenuItem, OptionGroup, Restaurant};

/// Key of the group under which a line keeps its variant.
pub const VARIANT: &str = "variant";

/// The lines of an order as this restaurant sells them at a moment; the same item with the same choices is one line.
pub fn lines(restaurant: &Restaurant, items: &[WantedItem], at: UnixMs) -> Result<Vec<Line>, Refusal> {
    let mut lines: Vec<Line> = Vec::with_capacity(items.len());
    for wanted in items {
        let line = line(restaurant, wanted, at)?;
        let same = |other: &&mut Line| other.item_id == line.item_id && other.choices == line.choices;
        match lines.iter_mut().find(same) {
            Some(other) => other.quantity = other.quantity.saturating_add(line.quantity),
            None => lines.push(line),
        }
    }
    if lines.is_empty() {
        Err(Rejection::ItemUnknown.into())
    } else {
        Ok(lines)
    }
}

/// What was wanted, from a line as it was sold.
pub fn wanted(line: &Line) -> WantedItem {
    let of_variant = |choice: &&Choice| choice.group == VARIANT;
    WantedItem {
        item_id: line.item_id,
        quantity: line.quantity,
        variant: line.choices.iter().find(of_variant).map(|choice| choice.key.clone()),
        options: line
            .choices
            .iter()
            .filter(|choice| choice.group != VARIANT)
            .map(|choice| (choice.group.clone(), choice.key.clone()))
            .collect(),
    }
}

fn line(restaurant: &Restaurant, wanted: &WantedItem, at: UnixMs) -> Result<Line, Refusal> {
    if wanted.quantity == 0 {
        return Err(Refusal::with(Rejection::OrderValue, format!("0 of {}", wanted.item_id)));
    }
    let item = restaurant.item(wanted.item_id);
    let item = item.ok_or_else(|| Refusal::with(Rejection::ItemUnknown, wanted.item_id.to_string()))?;
    if !item.is_available(at) {
        return Err(Refusal::with(Rejection::ItemUnavailable, item.name.clone()));
    }
    let mut choices = Vec::new();
    let mut unit_minor = item.price_minor;
    if let Some(variant) = variant(item, wanted.variant.as_deref())? {
        unit_minor = variant.price_minor;
        choices.push(variant);
    }
    for option in options(item, &wanted.options)? {
        unit_minor = unit_minor.saturating_add(option.price_minor);
        choices.push(option);
    }
    Ok(Line {
        item_id: item.id,
        name: item.name.clone(),
        quantity: wanted.quantity,
        unit_minor,
        choices,
    })
}

fn misfit(item: &MenuItem, what: &str) -> Refusal {
    Refusal::with(Rejection::OptionsInvalid, format!("{}: {what}", item.name))
}

fn variant(item: &MenuItem, key: Option<&str>) -> Result<Option<Choice>, Refusal> {
    let Some(key) = key else {
        return if item.variants.is_empty() {
            Ok(None)
        } else {
            Err(misfit(item, "choose a variant"))
        };
    };
    let variant = item.variants.iter().find(|variant| variant.key == key);
    let variant = variant.ok_or_else(|| misfit(item, &format!("there is no variant {key}")))?;
    if !variant.available {
        return Err(Refusal::with(
            Rejection::ItemUnavailable,
            format!("{}, {}", item.name, variant.name),
        ));
    }
    Ok(Some(Choice {
        group: VARIANT.to_owned(),
        key: variant.key.clone(),
        name: variant.name.clone(),
        price_minor: variant.price_minor,
    }))
}

/// The chosen options in the order of the menu.
fn options(item: &MenuItem, wanted: &[(String, String)]) -> Result<Vec<Choice>, Refusal> {
    let known = |group: &String| item.options.iter().any(|offered| offered.key == *group);
    if let Some((group, _)) = wanted.iter().find(|(group, _)| !known(group)) {
        return Err(misfit(item, &format!("there are no options {group}")));
    }
    let mut chosen = Vec::new();
    for group in &item.options {
        let mut keys: Vec<&str> = Vec::new();
        for (_, key) in wanted.iter().filter(|(of, _)| *of == group.key) {
            if keys.contains(&key.as_str()) {
                return Err(misfit(item, &format!("{key} is chosen twice")));
            }
            keys.push(key);
        }
        of_group(item, group, &keys, &mut chosen)?;
    }
    Ok(chosen)
}

fn of_group(item: &MenuItem, group: &OptionGroup, keys: &[&str], chosen: &mut Vec<Choice>) -> Result<(), Refusal> {
    let count = u32::try_from(keys.len()).unwrap_or(u32::MAX);
    if count < group.min || count > group.max {
        let (name, min, max) = (&group.name, group.min, group.max);
        return Err(misfit(item, &format!("choose {min} to {max} of {name}, not {count}")));
    }
    if let Some(key) = keys
        .iter()
        .find(|key| group.choices.iter().all(|choice| choice.key != **key))
    {
        return Err(misfit(item, &format!("there is no {key} in {}", group.name)));
    }
    for choice in group
        .choices
        .iter()
        .filter(|choice| keys.contains(&choice.key.as_str()))
    {
        if !choice.available {
            let detail = format!("{}, {}", item.name, choice.name);
            return Err(Refusal::with(Rejection::ItemUnavailable, detail));
        }
        chosen.push(Choice {
            group: group.key.clone(),
            key: choice.key.clone(),
            name: choice.name.clone(),
            price_minor: choice.price_minor,
        });
    }
    Ok(())
}
