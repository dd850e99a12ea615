//! Reads serde's attributes: those that only name things, and refuses those under which postcard would
//! write something else than the description says.

use syn::meta::ParseNestedMeta;
use syn::{Attribute, Ident, LitStr, Token};

use crate::names::bare;

/// Where an attribute stands.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Place {
    Container,
    Variant,
    Field,
}

impl Place {
    /// Attributes that leave the encoded values as they are.
    fn allowed(self) -> &'static [&'static str] {
        match self {
            Self::Container => &[
                "rename",
                "rename_all",
                "rename_all_fields",
                "default",
                "deny_unknown_fields",
                "crate",
                "bound",
                "expecting",
            ],
            Self::Variant => &["rename", "rename_all", "alias", "bound"],
            Self::Field => &["rename", "alias", "default", "bound"],
        }
    }
}

/// The names that serde's attributes give.
#[derive(Clone, Copy, Default)]
pub(crate) struct Renames {
    pub(crate) all: Option<Case>,
    pub(crate) all_fields: Option<Case>,
}

/// What the attributes of one item say.
#[derive(Default)]
pub(crate) struct SerdeAttrs {
    pub(crate) rename: Option<String>,
    pub(crate) renames: Renames,
}

impl SerdeAttrs {
    pub(crate) fn read(attrs: &[Attribute], place: Place) -> syn::Result<Self> {
        let mut read = Self::default();
        for attr in attrs.iter().filter(|attr| attr.path().is_ident("serde")) {
            attr.parse_nested_meta(|meta| read.one(&meta, place))?;
        }
        Ok(read)
    }

    fn one(&mut self, meta: &ParseNestedMeta<'_>, place: Place) -> syn::Result<()> {
        let name = meta.path.get_ident().map(bare).unwrap_or_default();
        if !place.allowed().contains(&name.as_str()) {
            return Err(meta.error(format!(
                "a described type cannot use `serde({name})`: its values would travel in another form than \
                 the description says; allowed here: {}",
                place.allowed().join(", ")
            )));
        }
        match name.as_str() {
            "rename" => self.rename = Some(text(meta)?.value()),
            "rename_all" => self.renames.all = Some(Case::read(&text(meta)?)?),
            "rename_all_fields" => self.renames.all_fields = Some(Case::read(&text(meta)?)?),
            _ if meta.input.peek(Token![=]) => {
                text(meta)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// The name of a field or variant `ident` inside a container that renames by `rule`.
    pub(crate) fn name(&self, ident: &Ident, rule: Option<Case>, place: Place) -> String {
        let plain = bare(ident);
        match (&self.rename, rule) {
            (Some(name), _) => name.clone(),
            (None, None) => plain,
            (None, Some(case)) if place == Place::Field => case.of_field(&plain),
            (None, Some(case)) => case.of_variant(&plain),
        }
    }
}

fn text(meta: &ParseNestedMeta<'_>) -> syn::Result<LitStr> {
    if !meta.input.peek(Token![=]) {
        return Err(meta.error("a described type has one name both ways; write `rename = \"..\"`"));
    }
    meta.value()?.parse()
}

/// The cases of serde's `rename_all`.
#[derive(Clone, Copy)]
pub(crate) enum Case {
    Lower,
    Upper,
    Pascal,
    Camel,
    Snake,
    ScreamingSnake,
    Kebab,
    ScreamingKebab,
}

impl Case {
    fn read(text: &LitStr) -> syn::Result<Self> {
        Ok(match text.value().as_str() {
            "lowercase" => Self::Lower,
            "UPPERCASE" => Self::Upper,
            "PascalCase" => Self::Pascal,
            "camelCase" => Self::Camel,
            "snake_case" => Self::Snake,
            "SCREAMING_SNAKE_CASE" => Self::ScreamingSnake,
            "kebab-case" => Self::Kebab,
            "SCREAMING-KEBAB-CASE" => Self::ScreamingKebab,
            _ => {
                return Err(syn::Error::new(
                    text.span(),
                    "unknown case; serde documents the eight that exist",
                ));
            }
        })
    }

    /// As serde does it for a field, which is taken to be in snake_case.
    fn of_field(self, name: &str) -> String {
        match self {
            Self::Lower | Self::Snake => name.to_owned(),
            Self::Upper | Self::ScreamingSnake => name.to_ascii_uppercase(),
            Self::Pascal => name.split('_').map(capital).collect(),
            Self::Camel => small(&Self::Pascal.of_field(name)),
            Self::Kebab => name.replace('_', "-"),
            Self::ScreamingKebab => Self::Upper.of_field(name).replace('_', "-"),
        }
    }

    /// As serde does it for a variant, which is taken to be in PascalCase.
    fn of_variant(self, name: &str) -> String {
        match self {
            Self::Pascal => name.to_owned(),
            Self::Lower => name.to_ascii_lowercase(),
            Self::Upper => name.to_ascii_uppercase(),
            Self::Camel => small(name),
            Self::Snake => {
                let mut snake = String::new();
                for (i, c) in name.char_indices() {
                    if i > 0 && c.is_uppercase() {
                        snake.push('_');
                    }
                    snake.push(c.to_ascii_lowercase());
                }
                snake
            }
            Self::ScreamingSnake => Self::Snake.of_variant(name).to_ascii_uppercase(),
            Self::Kebab => Self::Snake.of_variant(name).replace('_', "-"),
            Self::ScreamingKebab => Self::ScreamingSnake.of_variant(name).replace('_', "-"),
        }
    }
}

fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + chars.as_str())
}

fn small(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map_or_else(String::new, |first| first.to_ascii_lowercase().to_string() + chars.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cased_as_serde_does() {
        use Case::{Camel, Kebab, Lower, Pascal, ScreamingKebab, ScreamingSnake, Snake, Upper};
        let cases = [Lower, Upper, Pascal, Camel, Snake, ScreamingSnake, Kebab, ScreamingKebab];
        // Both tables are those of serde_derive's own tests.
        let variant = [
            "verytasty",
            "VERYTASTY",
            "VeryTasty",
            "veryTasty",
            "very_tasty",
            "VERY_TASTY",
            "very-tasty",
            "VERY-TASTY",
        ];
        let field = [
            "very_tasty",
            "VERY_TASTY",
            "VeryTasty",
            "veryTasty",
            "very_tasty",
            "VERY_TASTY",
            "very-tasty",
            "VERY-TASTY",
        ];
        for ((case, variant), field) in cases.into_iter().zip(variant).zip(field) {
            assert_eq!(case.of_variant("VeryTasty"), variant);
            assert_eq!(case.of_field("very_tasty"), field);
        }
    }
}
