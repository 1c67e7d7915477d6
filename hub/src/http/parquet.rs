//! Answers as Apache Parquet, for those who ask with `?format=parquet`; only in hubs built with the feature `parquet`.

use std::sync::Arc;

use parquet::basic::{LogicalType, Repetition, TimeUnit, Type as Stored};
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{Type, TypePtr};
use serde_json::Value;
use tomato_shared::time::UnixMs;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Whole,
    Time,
    Text,
}

/// One row group with one column per field of the first row; every column may have nulls.
pub(super) fn file(rows: &[Value]) -> Result<Vec<u8>, ParquetError> {
    let names: Vec<&String> = rows
        .first()
        .and_then(Value::as_object)
        .map(|first| first.keys().collect())
        .unwrap_or_default();
    let columns: Vec<(&String, Kind)> = names.into_iter().map(|name| (name, kind(rows, name))).collect();
    let fields: Result<Vec<TypePtr>, ParquetError> = columns.iter().map(|(name, kind)| field(name, *kind)).collect();
    let schema = Type::group_type_builder("rows").with_fields(fields?).build()?;
    let properties = Arc::new(WriterProperties::default());
    let mut writer = SerializedFileWriter::new(Vec::new(), Arc::new(schema), properties)?;
    let mut group = writer.next_row_group()?;
    for (name, kind) in columns {
        let cells: Vec<&Value> = rows.iter().map(|row| row.get(name).unwrap_or(&Value::Null)).collect();
        let Some(mut column) = group.next_column()? else { break };
        // 1 where there is a value.
        let there: Vec<i16> = cells.iter().map(|cell| i16::from(!cell.is_null())).collect();
        let given = cells.into_iter().filter(|cell| !cell.is_null());
        if kind == Kind::Text {
            let texts: Vec<ByteArray> = given.map(|cell| ByteArray::from(text(cell).into_bytes())).collect();
            column
                .typed::<ByteArrayType>()
                .write_batch(&texts, Some(&there), None)?;
        } else {
            let numbers: Vec<i64> = given.map(|cell| number(cell).unwrap_or(0)).collect();
            column.typed::<Int64Type>().write_batch(&numbers, Some(&there), None)?;
        }
        column.close()?;
    }
    group.close()?;
    writer.into_inner()
}

/// By the values of a column: whole numbers, times, or anything as text.
fn kind(rows: &[Value], name: &str) -> Kind {
    let mut given = rows
        .iter()
        .filter_map(|row| row.get(name))
        .filter(|cell| !cell.is_null());
    let Some(first) = given.clone().next() else {
        return Kind::Text;
    };
    let like = if first.is_i64() { Kind::Whole } else { Kind::Time };
    let fits = |cell: &Value| number(cell).is_some() && cell.is_i64() == (like == Kind::Whole);
    if given.all(fits) { like } else { Kind::Text }
}

fn field(name: &str, kind: Kind) -> Result<TypePtr, ParquetError> {
    let (stored, meant) = match kind {
        Kind::Whole => (Stored::INT64, None),
        Kind::Time => {
            // In UTC.
            (Stored::INT64, Some(LogicalType::timestamp(true, TimeUnit::MILLIS)))
        }
        Kind::Text => (Stored::BYTE_ARRAY, Some(LogicalType::String)),
    };
    let built = Type::primitive_type_builder(name, stored)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(meant)
        .build()?;
    Ok(Arc::new(built))
}

/// A whole number, or a time as milliseconds since 1970.
fn number(cell: &Value) -> Option<i64> {
    let time = || serde_json::from_value::<UnixMs>(cell.clone()).ok().map(|at| at.0);
    cell.as_i64().or_else(time)
}

fn text(cell: &Value) -> String {
    cell.as_str().map_or_else(|| cell.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::{Field, RowAccessor};
    use serde_json::json;

    use super::*;

    #[test]
    fn rows_come_back_with_their_kinds_and_nulls() {
        let rows = [
            json!({"start": "2026-01-02T03:04:05.678Z", "region": "blr", "created": 7, "cell": null}),
            json!({"start": "2026-01-02T03:05:05.678Z", "region": null, "created": -1, "cell": null}),
        ];
        let bytes = bytes::Bytes::from(file(&rows).unwrap());
        let reader = SerializedFileReader::new(bytes).unwrap();
        let read: Vec<_> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
        let names: Vec<_> = read[0].get_column_iter().map(|(name, _)| name.clone()).collect();
        assert_eq!(names, ["cell", "created", "region", "start"]);
        assert_eq!((read[0].get_long(1).unwrap(), read[1].get_long(1).unwrap()), (7, -1));
        assert_eq!(read[0].get_string(2).unwrap(), "blr");
        let (_, region) = read[1].get_column_iter().nth(2).unwrap();
        assert_eq!(region, &Field::Null);
        assert_eq!(read[0].get_timestamp_millis(3).unwrap(), 1_767_323_045_678);
        assert!(file(&[]).is_ok());
    }
}
