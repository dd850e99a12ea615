//! Values seen as leaves, without serialising them.
//!
//! A guard walks the arguments of a call, and a ledger walks what came back, as `(path, leaf)` pairs.
//! The `Describe` derive writes [`Leaves`] for the user's types; here it is for the standard ones and,
//! with the feature `json`, for `serde_json::Value`.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::time::Duration;

/// One step of a [`Path`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Segment<'a> {
    /// A field of a struct or a parameter of a method: the type says so.
    Field(&'a str),
    /// A key of a map or JSON object: it may itself be a value.
    Key(&'a str),
    /// A position in a list, array or tuple.
    Index(usize),
}

impl<'a> Segment<'a> {
    /// The name of a field or key.
    pub fn name(self) -> Option<&'a str> {
        match self {
            Self::Field(name) | Self::Key(name) => Some(name),
            Self::Index(_) => None,
        }
    }
}

/// Where a leaf stands: a chain of steps on the stack, so that walking allocates nothing.
#[derive(Clone, Copy)]
pub struct Path<'a> {
    step: Option<(&'a Path<'a>, Segment<'a>)>,
}

impl<'a> Path<'a> {
    /// The whole value.
    pub const ROOT: Path<'static> = Path { step: None };

    /// The path one `segment` further in.
    pub fn join(&'a self, segment: Segment<'a>) -> Path<'a> {
        Path { step: Some((self, segment)) }
    }

    /// The path one field further in.
    pub fn field(&'a self, name: &'a str) -> Path<'a> {
        self.join(Segment::Field(name))
    }

    /// The path one key further in.
    pub fn key(&'a self, key: &'a str) -> Path<'a> {
        self.join(Segment::Key(key))
    }

    /// The path one position further in.
    pub fn index(&'a self, index: usize) -> Path<'a> {
        self.join(Segment::Index(index))
    }

    /// The last step and the path before it; `None` at the root.
    pub fn split_last(&self) -> Option<(&'a Path<'a>, Segment<'a>)> {
        self.step
    }

    /// How many steps it has.
    pub fn depth(&self) -> usize {
        let mut depth = 0;
        let mut rest = self.step;
        while let Some((parent, _)) = rest {
            (depth, rest) = (depth + 1, parent.step);
        }
        depth
    }

    /// The first step: the argument's name, when the leaf belongs to a call.
    pub fn first(&self) -> Option<Segment<'a>> {
        let (mut parent, mut segment) = self.step?;
        while let Some((grandparent, above)) = parent.step {
            (parent, segment) = (grandparent, above);
        }
        Some(segment)
    }
}

impl Path<'_> {
    /// The path for those who may not see values: a key, which may itself be one, stands as `[*]`, the
    /// wildcard of RFC 9535. The first step of a call's arguments is a parameter's name, so it stands if
    /// `is_parameter` knows it.
    pub fn without_keys(&self, is_parameter: impl Fn(&str) -> bool) -> String {
        let mut steps = Vec::new();
        let mut rest = self.step;
        while let Some((parent, segment)) = rest {
            steps.push(segment);
            rest = parent.step;
        }
        let mut shown = "$".to_owned();
        for (depth, segment) in steps.into_iter().rev().enumerate() {
            shown.push_str(&match segment {
                Segment::Key(key) if depth > 0 || !is_parameter(key) => "[*]".to_owned(),
                segment => segment.to_string(),
            });
        }
        shown
    }
}

/// The normalised form of RFC 9535, section 2.7: `$['recipients'][0]`. It shows keys.
impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((parent, segment)) = self.step else { return f.write_str("$") };
        parent.fmt(f)?;
        segment.fmt(f)
    }
}

/// One step as RFC 9535 normalises it.
impl fmt::Display for Segment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Segment::Index(index) => write!(f, "[{index}]"),
            Segment::Field(key) | Segment::Key(key) => {
                f.write_str("['")?;
                for c in key.chars() {
                    match c {
                        '\'' => f.write_str("\\'")?,
                        '\\' => f.write_str("\\\\")?,
                        '\u{8}' => f.write_str("\\b")?,
                        '\t' => f.write_str("\\t")?,
                        '\n' => f.write_str("\\n")?,
                        '\u{c}' => f.write_str("\\f")?,
                        '\r' => f.write_str("\\r")?,
                        c if (c as u32) < 0x20 => write!(f, "\\u{:04x}", c as u32)?,
                        c => write!(f, "{c}")?,
                    }
                }
                f.write_str("']")
            }
        }
    }
}

impl fmt::Debug for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A value without parts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Leaf<'a> {
    /// Text.
    Str(&'a str),
    /// A signed number.
    Int(i128),
    /// An unsigned number.
    Uint(u128),
    /// A floating-point number.
    Float(f64),
    /// A truth value.
    Bool(bool),
    /// Bytes that are not text.
    Bytes(&'a [u8]),
    /// The name of an enum's variant: fixed by the type, not by whoever sent the value.
    Variant(&'a str),
    /// A key of a map or JSON object; its path is that of the member.
    Key(&'a str),
    /// Nothing: an absent option, a JSON null, or a struct without fields.
    Empty,
    /// A list without members.
    EmptyList,
    /// A map or JSON object without members.
    EmptyMap,
}

impl Leaf<'_> {
    /// About how many bytes its text has: numbers count as 40.
    pub fn text_len(&self) -> usize {
        match self {
            Leaf::Str(text) | Leaf::Key(text) => text.len(),
            Leaf::Bytes(bytes) => bytes.len(),
            Leaf::Int(_) | Leaf::Uint(_) | Leaf::Float(_) => 40,
            _ => 0,
        }
    }

    /// Calls `f` with the leaf as text, if it is one that somebody could have chosen.
    pub fn with_text<T>(self, f: impl FnOnce(&str) -> T) -> Option<T> {
        match self {
            Leaf::Str(text) | Leaf::Key(text) => Some(f(text)),
            Leaf::Int(number) => Some(f(&number.to_string())),
            Leaf::Uint(number) => Some(f(&number.to_string())),
            Leaf::Float(number) => Some(f(&number.to_string())),
            Leaf::Bytes(bytes) => Some(f(&String::from_utf8_lossy(bytes))),
            Leaf::Bool(_) | Leaf::Variant(_) | Leaf::Empty | Leaf::EmptyList | Leaf::EmptyMap => None,
        }
    }
}

/// Takes the leaves of a value, in order.
pub type Visit<'v> = dyn FnMut(&Path<'_>, Leaf<'_>) + 'v;

/// A value whose leaves can be walked. Derived beside `Describe`; users may implement it.
///
/// ```
/// use graft_core::{Leaf, Leaves, Path};
/// let mut seen = Vec::new();
/// vec!["a".to_owned()].visit(&Path::ROOT, &mut |path, leaf| seen.push((path.to_string(), leaf == Leaf::Str("a"))));
/// assert_eq!(seen, [("$[0]".to_owned(), true)]);
/// ```
pub trait Leaves {
    /// Calls `visit` with each leaf, under `path`.
    fn visit(&self, path: &Path<'_>, visit: &mut Visit<'_>);

    /// Calls `visit` with the leaves of a list. Bytes and characters are one leaf together, so that a text
    /// does not hide in a list of its parts.
    fn visit_slice(slice: &[Self], path: &Path<'_>, visit: &mut Visit<'_>)
    where
        Self: Sized,
    {
        for (i, value) in slice.iter().enumerate() {
            value.visit(&path.index(i), visit);
        }
    }
}

macro_rules! leaf {
    ($($type:ty => $variant:ident),* $(,)?) => {$(
        impl Leaves for $type {
            fn visit(&self, path: &Path<'_>, visit: &mut Visit<'_>) {
                visit(path, Leaf::$variant((*self).into()));
            }
        }
    )*};
}

leaf! {
    i8 => Int, i16 => Int, i32 => Int, i64 => Int, i128 => Int,
    u16 => Uint, u32 => Uint, u64 => Uint, u128 => Uint,
    f32 => Float, f64 => Float, bool => Bool,
}

impl Leaves for u8 {
    fn visit(&self, path: &Path<'_>, visit: &mut Visit<'_>) {
        visit(path, Leaf::Uint((*self).into()));
    }

    fn visit_slice(slice: &[Self], path: &Path<'_>, visit: &mut Visit<'_>) {
        visit(path, Leaf::Bytes(slice));
    }
}

impl Leaves for str {
    fn visit(&self, path: &Path<'_>, visit: &mut Visit<'_>) {
        visit(path, Leaf::Str(self));
    }
}

impl Leaves for String {
    fn visit(&self, path: &Path<'_>, visit: &mut Visit<'_>) {
        visit(path, Leaf::Str(self));
    }
}

impl Leaves for char {
    fn visit(&self, path: &Path<'_>, visit: &mut Visit<'_>) {
        visit(path, Leaf::Str(self.encode_utf8(&mut [0; 4])));
    }

    fn visit_slice(slice: &[Self], path: &Path<'_>, visit: &mut Visit<'_>) {
        visit(path, Leaf::Str(&slice.iter().collect::<String>()));
    }
}

impl Leaves for () {
    fn visit(&self, path: &Path<'_>, visit: &mut Visit<'_>) {
        visit(path, Leaf::Empty);
    }
}

impl Leaves for std::convert::Infallible {
    fn visit(&self, _: &Path<'_>, _: &mut Visit<'_>) {
        match *self {}
    }
}

impl Leaves for Duration {
    fn visit(&self, path: &Path<'_>, visit: &mut Visit<'_>) {
        visit(path, Leaf::Float(self.as_secs_f64()));
    }
}

impl Leaves for crate::Timestamp {
    fn visit(&self, path: &Path<'_>, visit: &mut Visit<'_>) {
        visit(path, Leaf::Uint(self.0.into()));
    }
}

impl<T: Leaves + ?Sized> Leaves for &T {
    fn visit(&self, path: &Path<'_>, visit: &mut Visit<'_>) {
        (**self).visit(path, visit);
    }
}

impl<T: Leaves + ?Sized> Leaves for Box<T> {
    fn visit(&self, path: &Path<'_>, visit: &mut Visit<'_>) {
        (**self).visit(path, visit);
    }
}

impl<T: Leaves> Leaves for Option<T> {
    fn visit(&self, path: &Path<'_>, visit: &mut Visit<'_>) {
        match self {
            Some(value) => value.visit(path, visit),
            None => visit(path, Leaf::Empty),
        }
    }
}

impl<T: Leaves, E: Leaves> Leaves for Result<T, E> {
    fn visit(&self, path: &Path<'_>, visit: &mut Visit<'_>) {
        match self {
            Ok(value) => value.visit(path, visit),
            Err(error) => error.visit(path, visit),
        }
    }
}

impl<T: Leaves> Leaves for [T] {
    fn visit(&self, path: &Path<'_>, visit: &mut Visit<'_>) {
        if self.is_empty() {
            visit(path, Leaf::EmptyList);
        } else {
            T::visit_slice(self, path, visit);
        }
    }
}

impl<T: Leaves> Leaves for Vec<T> {
    fn visit(&self, path: &Path<'_>, visit: &mut Visit<'_>) {
        self.as_slice().visit(path, visit);
    }
}

impl<T: Leaves, const N: usize> Leaves for [T; N] {
    fn visit(&self, path: &Path<'_>, visit: &mut Visit<'_>) {
        self.as_slice().visit(path, visit);
    }
}

macro_rules! map {
    ($($map:ident),*) => {$(
        impl<K: fmt::Display, V: Leaves> Leaves for $map<K, V> {
            fn visit(&self, path: &Path<'_>, visit: &mut Visit<'_>) {
                if self.is_empty() {
                    visit(path, Leaf::EmptyMap);
                }
                for (key, value) in self {
                    let key = key.to_string();
                    let path = path.key(&key);
                    visit(&path, Leaf::Key(&key));
                    value.visit(&path, visit);
                }
            }
        }
    )*};
}

map!(BTreeMap, HashMap);

macro_rules! tuple {
    ($($name:ident . $index:tt),+) => {
        impl<$($name: Leaves),+> Leaves for ($($name,)+) {
            fn visit(&self, path: &Path<'_>, visit: &mut Visit<'_>) {
                $(self.$index.visit(&path.index($index), visit);)+
            }
        }
    };
}

tuple!(A.0);
tuple!(A.0, B.1);
tuple!(A.0, B.1, C.2);
tuple!(A.0, B.1, C.2, D.3);
tuple!(A.0, B.1, C.2, D.3, E.4);
tuple!(A.0, B.1, C.2, D.3, E.4, F.5);

#[cfg(feature = "json")]
impl Leaves for serde_json::Value {
    /// Recurses as deep as the value; `serde_json` parses at most 128 levels.
    fn visit(&self, path: &Path<'_>, visit: &mut Visit<'_>) {
        use serde_json::Value;
        match self {
            Value::Null => visit(path, Leaf::Empty),
            Value::Bool(value) => visit(path, Leaf::Bool(*value)),
            Value::String(value) => visit(path, Leaf::Str(value)),
            Value::Number(number) => visit(
                path,
                match (number.as_i64(), number.as_u64()) {
                    (Some(value), _) => Leaf::Int(value.into()),
                    (None, Some(value)) => Leaf::Uint(value.into()),
                    (None, None) => Leaf::Float(number.as_f64().unwrap_or(f64::NAN)),
                },
            ),
            Value::Array(values) => values.visit(path, visit),
            Value::Object(members) => {
                if members.is_empty() {
                    visit(path, Leaf::EmptyMap);
                }
                for (key, value) in members {
                    let path = path.key(key);
                    visit(&path, Leaf::Key(key));
                    value.visit(&path, visit);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(value: &dyn Leaves) -> Vec<String> {
        let mut all = Vec::new();
        value.visit(&Path::ROOT, &mut |path, leaf| all.push(format!("{path} {leaf:?}")));
        all
    }

    #[test]
    fn containers_name_their_members_and_empty_ones_still_show() {
        let map = BTreeMap::from([("it's", vec![Some(1_u16), None])]);
        assert_eq!(
            paths(&map),
            [r#"$['it\'s'] Key("it's")"#, r"$['it\'s'][0] Uint(1)", r"$['it\'s'][1] Empty"]
        );
        assert_eq!(paths(&Vec::<u8>::new()), ["$ EmptyList"]);
        assert_eq!(paths(&BTreeMap::<String, ()>::new()), ["$ EmptyMap"]);
        assert_eq!(paths(&("a".to_owned(), 'b')), [r#"$[0] Str("a")"#, r#"$[1] Str("b")"#]);
    }

    #[test]
    fn lists_of_bytes_and_characters_are_one_leaf() {
        assert_eq!(paths(&b"ab".to_vec()), ["$ Bytes([97, 98])"]);
        assert_eq!(paths(&[b'a'; 2]), ["$ Bytes([97, 97])"]);
        assert_eq!(paths(&vec!['a', 'b']), [r#"$ Str("ab")"#]);
    }

    #[test]
    fn the_first_step_of_a_path_is_the_arguments_name() {
        let (to, second) = (Path::ROOT.key("to"), 2);
        let leaf = to.index(second);
        assert_eq!(leaf.first(), Some(Segment::Key("to")));
        assert_eq!(Path::ROOT.first(), None);
    }

    #[test]
    fn control_characters_in_keys_are_escaped_as_rfc_9535_says() {
        assert_eq!(Path::ROOT.key("a\nb\u{b}\\").to_string(), r"$['a\nb\u000b\\']");
    }

    #[test]
    fn a_key_is_shown_only_as_the_parameter_that_it_names() {
        let (to, data) = (Path::ROOT.key("to"), Path::ROOT.field("data"));
        let (first, second) = (to.index(0), data.key("eve@collect.example"));
        let shown = |path: &Path<'_>| path.without_keys(|name| name == "to");
        assert_eq!(shown(&first.key("to")), "$['to'][0][*]");
        assert_eq!(shown(&second.field("size")), "$['data'][*]['size']");
        assert_eq!(shown(&Path::ROOT.key("other")), "$[*]");
        assert_eq!(shown(&Path::ROOT), "$");
    }

    #[cfg(feature = "json")]
    #[test]
    fn json_walks_like_the_typed_value() {
        let value: serde_json::Value = serde_json::from_str(r#"{"to":["x",1.5,-2],"n":null}"#).expect("JSON");
        assert_eq!(
            paths(&value),
            [
                r#"$['n'] Key("n")"#,
                "$['n'] Empty",
                r#"$['to'] Key("to")"#,
                r#"$['to'][0] Str("x")"#,
                "$['to'][1] Float(1.5)",
                "$['to'][2] Int(-2)",
            ]
        );
    }
}
