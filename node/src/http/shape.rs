//! Lists where objects belong. serde takes the fields of an object from a list, too, by their position; the API does
//! not, and the schema of a body says where lists may stand.

use serde_json::Value;

/// Where `value` has a list although `schema` wants none there: its JSON pointer. `schema` is a root
/// schema with `$defs`.
pub fn stray_list(schema: &Value, value: &Value) -> Option<String> {
    let walk = Walk { root: schema };
    walk.find(&[schema], value, String::new())
}

struct Walk<'s> {
    root: &'s Value,
}

impl<'s> Walk<'s> {
    /// `any`: what the value may look like; nothing is known of it where that is empty.
    fn find(&self, any: &[&'s Value], value: &Value, at: String) -> Option<String> {
        let mut forms = Vec::new();
        for schema in any {
            self.resolve(schema, &mut forms);
        }
        if let Some(fields) = value.as_object() {
            return fields.iter().find_map(|(name, value)| {
                let of = |form: &&'s Value| form.pointer("/properties")?.get(name);
                let below: Vec<_> = forms.iter().filter_map(of).collect();
                self.find(&below, value, format!("{at}/{}", escape(name)))
            });
        }
        let entries = value.as_array()?;
        if !forms.is_empty() && !forms.iter().any(|form| takes_lists(form)) {
            return Some(at);
        }
        let below: Vec<_> = forms.iter().filter_map(|form| form.get("items")).collect();
        let mut numbered = entries.iter().enumerate();
        numbered.find_map(|(nth, entry)| self.find(&below, entry, format!("{at}/{nth}")))
    }

    /// Follows references and alternatives down to schemas that say what they are.
    fn resolve(&self, schema: &'s Value, into: &mut Vec<&'s Value>) {
        let target = schema.get("$ref").and_then(Value::as_str);
        if let Some(target) = target.and_then(|text| self.root.pointer(text.trim_start_matches('#'))) {
            self.resolve(target, into);
        }
        for word in ["anyOf", "oneOf", "allOf"] {
            for one in schema.get(word).and_then(Value::as_array).into_iter().flatten() {
                self.resolve(one, into);
            }
        }
        if schema.get("type").is_some() {
            into.push(schema);
        }
    }
}

fn takes_lists(form: &Value) -> bool {
    match &form["type"] {
        Value::String(name) => name == "array",
        Value::Array(names) => names.iter().any(|name| name == "array"),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => true,
    }
}

/// A name as a part of a JSON pointer.
pub fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lists_stand_where_the_schema_has_them() {
        let schema = json!({
            "type": "object",
            "properties": {
                "place": {"$ref": "#/$defs/Place"},
                "other": {"anyOf": [{"$ref": "#/$defs/Place"}, {"type": "null"}]},
                "tags": {"type": ["array", "null"], "items": {"$ref": "#/$defs/Place"}},
                "free": {},
            },
            "$defs": {"Place": {"type": "object", "properties": {"lat": {"type": "number"}}}},
        });
        for (value, stray) in [
            (
                json!({"place": {"lat": 1}, "other": null, "tags": [{"lat": 1}], "free": [[]]}),
                None,
            ),
            (json!([]), Some("")),
            (json!({"place": [1, 2]}), Some("/place")),
            (json!({"other": [1, 2]}), Some("/other")),
            (json!({"tags": [{"lat": 1}, [1]]}), Some("/tags/1")),
            (json!({"place": {"lat": [1]}}), Some("/place/lat")),
        ] {
            assert_eq!(stray_list(&schema, &value).as_deref(), stray, "{value}");
        }
    }
}
