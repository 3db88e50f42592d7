//! Writing the typed JSON of [`needle_storage::model::Value`] without building a value first.

use needle_storage::model::Value;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

/// Appends a JSON string.
pub(crate) fn push_string(out: &mut String, text: &str) {
    if text.bytes().any(|b| b < 0x20 || b == b'"' || b == b'\\') {
        out.push_str(&serde_json::to_string(text).expect("a string is always JSON"));
    } else {
        out.push('"');
        out.push_str(text);
        out.push('"');
    }
}

/// Appends the key of an attribute and a colon; a key that begins with `$` gets a second one.
pub(crate) fn push_key(out: &mut String, key: &str) {
    if key.starts_with('$') {
        push_string(out, &format!("${key}"));
    } else {
        push_string(out, key);
    }
    out.push(':');
}

/// Appends a double, which always has a point, or its `$double` form.
pub(crate) fn push_double(out: &mut String, number: f64) {
    Value::Double(number).write_json(out);
}

/// Appends an integer.
pub(crate) fn push_integer(out: &mut String, number: impl itoa::Integer) {
    out.push_str(itoa::Buffer::new().format(number));
}

/// Appends the `$bytes` form.
pub(crate) fn push_bytes(out: &mut String, bytes: &[u8]) {
    out.push_str("{\"$bytes\":\"");
    BASE64.encode_string(bytes, out);
    out.push_str("\"}");
}

/// Builds one JSON object, member by member; what is empty or zero is left out.
pub(crate) struct Object<'o> {
    out: &'o mut String,
    begin: usize,
}

impl<'o> Object<'o> {
    pub(crate) fn begin(out: &'o mut String) -> Object<'o> {
        out.push('{');
        let begin = out.len();
        Object { out, begin }
    }

    /// Appends `name:` and hands out the text for the value.
    pub(crate) fn member(&mut self, name: &str) -> &mut String {
        if self.out.len() > self.begin {
            self.out.push(',');
        }
        push_string(self.out, name);
        self.out.push(':');
        self.out
    }

    /// Appends an attribute's key (with its `$` doubled) and hands out the text for the value.
    pub(crate) fn attribute(&mut self, key: &str) -> &mut String {
        if self.out.len() > self.begin {
            self.out.push(',');
        }
        push_key(self.out, key);
        self.out
    }

    pub(crate) fn text(&mut self, name: &str, text: &str) {
        if !text.is_empty() {
            push_string(self.member(name), text);
        }
    }

    pub(crate) fn number(&mut self, name: &str, number: u64) {
        if number != 0 {
            push_integer(self.member(name), number);
        }
    }

    /// Appends a member whose value is JSON already; `{}` and the empty text are left out.
    pub(crate) fn json(&mut self, name: &str, json: &str) {
        if !json.is_empty() && json != "{}" {
            self.member(name).push_str(json);
        }
    }

    pub(crate) fn end(self) {
        self.out.push('}');
    }
}
