//! A menu as a table: one row for each item, and below it one for each of its variants, option groups and options.
//!
//! | row | key | name | price_minor | min, max | others |
//! |---|---|---|---|---|---|
//! | `item` | the item's id | yes | yes | | category, description, available, capacity |
//! | `variant` | yes | yes | yes | | available |
//! | `options` | yes | yes | | yes | |
//! | `choice` | yes | yes | yes | | available |
//!
//! A cell that a spreadsheet would take for a formula is written with a `'` before it, which is taken off again.

use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, header};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use tomato_shared::runtime::problem::Problem;

use super::shape::{MenuInput, MenuItemInput, OptionChoiceInput, OptionGroupInput, VariantInput};
use super::{menu_of, put_menu, set_etag};
use crate::http::call::Call;
use crate::http::error;

/// A table of comma-separated values, RFC 4180.
#[derive(Debug)]
pub struct CsvText;

impl JsonSchema for CsvText {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "CsvText".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "contentMediaType": "text/csv"})
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Row {
    row: String,
    key: String,
    name: String,
    category: String,
    description: String,
    price_minor: Option<i64>,
    available: Option<bool>,
    capacity: Option<u32>,
    min: Option<u32>,
    max: Option<u32>,
}

/// The menu as a table that can be written again.
pub async fn read_csv(call: Call) -> Result<Response, Problem> {
    let (version, menu) = menu_of(&call).await?;
    let text = write(&menu).map_err(|fault| error::internal("a menu does not fit a table", &fault))?;
    let mut response = text.into_response();
    let csv = HeaderValue::from_static("text/csv; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, csv);
    set_etag(&mut response, version);
    Ok(response)
}

/// Writes a menu from a table; with `If-Match` only over the version that was read.
pub async fn write_csv(call: Call) -> Result<Response, Problem> {
    let menu = read(&call.body)?;
    put_menu(&call, menu).await
}

fn write(menu: &[MenuItemInput]) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for item in menu {
        writer.serialize(Row {
            row: "item".into(),
            key: item.id.to_string(),
            name: guarded(&item.name),
            category: guarded(&item.category),
            description: guarded(&item.description),
            price_minor: Some(item.price_minor),
            available: Some(item.available),
            capacity: item.capacity,
            ..Row::default()
        })?;
        for variant in &item.variants {
            writer.serialize(priced(
                "variant",
                &variant.key,
                &variant.name,
                variant.price_minor,
                variant.available,
            ))?;
        }
        for group in &item.options {
            writer.serialize(Row {
                row: "options".into(),
                key: guarded(&group.key),
                name: guarded(&group.name),
                min: Some(group.min),
                max: Some(group.max),
                ..Row::default()
            })?;
            for choice in &group.choices {
                writer.serialize(priced(
                    "choice",
                    &choice.key,
                    &choice.name,
                    choice.price_minor,
                    choice.available,
                ))?;
            }
        }
    }
    writer.into_inner().map_err(|fault| fault.into_error().into())
}

fn priced(row: &str, key: &str, name: &str, price_minor: i64, available: bool) -> Row {
    Row {
        row: row.into(),
        key: guarded(key),
        name: guarded(name),
        price_minor: Some(price_minor),
        available: Some(available),
        ..Row::default()
    }
}

/// What a spreadsheet would take for a formula.
fn is_formula(text: &str) -> bool {
    text.starts_with(['=', '+', '-', '@', '\t', '\r'])
}

fn guarded(text: &str) -> String {
    if is_formula(text) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

fn plain(text: String) -> String {
    match text.strip_prefix('\'') {
        Some(rest) if is_formula(rest) => rest.to_owned(),
        Some(_) | None => text,
    }
}

fn wrong(line: u64, column: &str, message: &str) -> Problem {
    error::invalid_body().at("", format!("line {line}, {column}: {message}"))
}

fn read(body: &[u8]) -> Result<Vec<MenuItemInput>, Problem> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::Headers).from_reader(body);
    let mut menu: Vec<MenuItemInput> = Vec::new();
    let headers = reader.headers().cloned().map_err(|fault| unreadable(&fault))?;
    for record in reader.records() {
        let record = record.map_err(|fault| unreadable(&fault))?;
        let line = record.position().map_or(0, csv::Position::line);
        let row: Row = record.deserialize(Some(&headers)).map_err(|fault| unreadable(&fault))?;
        take(row, line, &mut menu)?;
    }
    let input = MenuInput { menu };
    crate::http::input::check(&input)?;
    Ok(input.menu)
}

fn unreadable(fault: &csv::Error) -> Problem {
    error::invalid_body().at("", fault.to_string())
}

/// Adds a row to the item or group that it stands below.
fn take(row: Row, line: u64, menu: &mut Vec<MenuItemInput>) -> Result<(), Problem> {
    let price_minor = || row.price_minor.ok_or_else(|| wrong(line, "price_minor", "is missing"));
    let available = row.available.unwrap_or(true);
    if row.row == "item" {
        let id = row.key.parse();
        menu.push(MenuItemInput {
            id: id.map_err(|_| wrong(line, "key", "is not the id of an item, itm_..."))?,
            price_minor: price_minor()?,
            name: plain(row.name),
            category: plain(row.category),
            description: plain(row.description),
            available,
            capacity: row.capacity,
            variants: Vec::new(),
            options: Vec::new(),
        });
        return Ok(());
    }
    let item = menu
        .last_mut()
        .ok_or_else(|| wrong(line, "row", "stands above the first item"))?;
    match row.row.as_str() {
        "variant" => item.variants.push(VariantInput {
            price_minor: price_minor()?,
            key: plain(row.key),
            name: plain(row.name),
            available,
        }),
        "options" => item.options.push(OptionGroupInput {
            key: plain(row.key),
            name: plain(row.name),
            min: row.min.unwrap_or(0),
            max: row.max.ok_or_else(|| wrong(line, "max", "is missing"))?,
            choices: Vec::new(),
        }),
        "choice" => {
            let group = item.options.last_mut();
            let group = group.ok_or_else(|| wrong(line, "row", "is a choice above the first options"))?;
            group.choices.push(OptionChoiceInput {
                price_minor: price_minor()?,
                key: plain(row.key),
                name: plain(row.name),
                available,
            });
        }
        _ => return Err(wrong(line, "row", "want item, variant, options or choice")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "row,key,name,category,description,price_minor,available,capacity,min,max\n\
        item,itm_01h455vb4pex5vsknk084sn02q,\"Dosa, plain\",Mains,,9000,true,20,,\n\
        variant,big,Big,,,12000,true,,,\n\
        options,sauce,Sauces,,,,,,0,2\n\
        choice,hot,'=hot,,,500,false,,,\n";

    #[test]
    fn table_comes_back_as_it_was() {
        let menu = read(TABLE.as_bytes()).unwrap();
        assert_eq!(menu[0].options[0].choices[0].name, "=hot");
        let again = write(&menu).unwrap();
        assert_eq!(String::from_utf8(again).unwrap(), TABLE);
    }

    #[test]
    fn faults_name_their_line() {
        for (rows, at) in [
            ("choice,a,A,,,1,true,,,", "line 2, row"),
            ("item,nobody,A,,,1,true,,,", "line 2, key"),
            (
                "item,itm_01h455vb4pex5vsknk084sn02q,A,,,,true,,,",
                "line 2, price_minor",
            ),
            ("item,itm_01h455vb4pex5vsknk084sn02q,A,,,x,true,,,", "line: 2"),
            ("supper,a,A,,,1,true,,,", "line 2, row"),
        ] {
            let head = TABLE.lines().next().unwrap();
            let problem = read(format!("{head}\n{rows}\n").as_bytes()).unwrap_err();
            let message = &problem.body().errors[0].message;
            assert!(message.contains(at), "{rows}: {message}");
        }
    }
}
