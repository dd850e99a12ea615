//! The `#[interface]` attribute.

mod attrs;
mod method;
mod output;

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use syn::spanned::Spanned;
use syn::{Attribute, Ident, ImplItem, ImplItemFn, ItemImpl, Type, Visibility};

use self::attrs::{BlockAttrs, MethodAttrs};
use self::method::Method;
use crate::names::{Errors, bare, docs, private};

/// The item as it was, token for token, then what is generated beside it.
///
/// Inside a block the attribute carries what the block's expansion reads; on its own turn it leaves
/// the method alone.
pub(crate) fn expand(args: TokenStream, item: TokenStream) -> TokenStream {
    let beside = match syn::parse2::<ItemImpl>(item.clone()) {
        Ok(block) => describe(args, &block).unwrap_or_else(syn::Error::into_compile_error),
        Err(_) if syn::parse2::<ImplItemFn>(item.clone()).is_ok() => TokenStream::new(),
        Err(_) => {
            let text = "`#[interface]` stands on an inherent `impl` block or on a method inside one";
            syn::Error::new(Span::call_site(), text).into_compile_error()
        }
    };
    let mut all = item;
    all.extend(beside);
    all
}

/// A block that can be described.
struct Block {
    /// The type whose block it is.
    ty: Type,
    /// Its last path segment.
    ident: Ident,
    /// The interface's name.
    name: String,
    version: Option<String>,
    doc: String,
    private: TokenStream,
    cfgs: Vec<Attribute>,
    /// Ordered by name: the contract's order.
    methods: Vec<Method>,
}

fn describe(args: TokenStream, block: &ItemImpl) -> syn::Result<TokenStream> {
    let attrs = BlockAttrs::parse(args)?;
    let ident = type_name(block)?;
    let name = attrs.name.as_ref().map_or_else(|| bare(&ident), syn::LitStr::value);
    let name_span = attrs.name.as_ref().map_or(ident.span(), syn::LitStr::span);
    attrs::check_name(&name, name_span)?;

    let mut errors = Errors::default();
    let mut methods: Vec<Method> = Vec::new();
    for item in &block.items {
        let ImplItem::Fn(function) = item else { continue };
        let Some(attrs) = errors.note(MethodAttrs::read(&function.attrs)) else { continue };
        if let Some(method) = errors.note(described(function, attrs, &name)) {
            methods.extend(method);
        }
    }
    methods.sort_by(|a, b| a.name.cmp(&b.name));
    for pair in methods.iter().enumerate().flat_map(|(i, a)| methods[..i].iter().map(move |b| (a, b))) {
        if pair.0.id == pair.1.id {
            let text = format!(
                "the wire would know `{}` and `{}` by the same id; rename one of them",
                pair.0.name, pair.1.name
            );
            errors.push(syn::Error::new(pair.0.ident.span(), text));
        }
    }
    errors.finish()?;
    if methods.is_empty() {
        let text = "there is no `pub` method with `&self` to describe";
        return Err(syn::Error::new(block.self_ty.span(), text));
    }
    let block = Block {
        ty: (*block.self_ty).clone(),
        name,
        version: attrs.version.map(|version| version.value()),
        doc: docs(&block.attrs),
        private: private(attrs.krate.as_ref())?,
        cfgs: block.attrs.iter().filter(|attr| attr.path().is_ident("cfg")).cloned().collect(),
        ident,
        methods,
    };
    Ok(output::generate(&block))
}

/// The method, if the function is to be described: it is `pub`, has a receiver and is not skipped.
fn described(function: &ImplItemFn, attrs: MethodAttrs, interface: &str) -> syn::Result<Option<Method>> {
    if attrs.skip {
        return Ok(None);
    }
    let reason = match function.vis {
        Visibility::Public(_) if function.sig.receiver().is_some() => {
            return Method::read(function, attrs, interface).map(Some);
        }
        Visibility::Public(_) => "has no `self`, so it is not part of the interface",
        _ => "is not `pub`, so it is not part of the interface",
    };
    match attrs.span {
        Some(span) => Err(syn::Error::new(span, format!("`{}` {reason}", function.sig.ident))),
        None => Ok(None),
    }
}

fn type_name(block: &ItemImpl) -> syn::Result<Ident> {
    if let Some((_, keyword)) = &block.trait_ {
        let text = "`#[interface]` describes an inherent block; move the methods out of the trait's";
        return Err(syn::Error::new(keyword.span(), text));
    }
    if let Some(param) = block.generics.params.first() {
        let text = "an interface has no type parameters; describe a block of a concrete type";
        return Err(syn::Error::new(param.span(), text));
    }
    match &*block.self_ty {
        Type::Path(path) if path.qself.is_none() => {
            let segment = path.path.segments.last();
            let segment =
                segment.ok_or_else(|| syn::Error::new(path.span(), "expected the name of a type"))?;
            if segment.arguments.is_empty() {
                return Ok(segment.ident.clone());
            }
            let text = "an interface has no type arguments; wrap the type in a struct of its own";
            Err(syn::Error::new(segment.arguments.to_token_stream().span(), text))
        }
        ty => Err(syn::Error::new(ty.span(), "expected the name of a type")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(args: &str, item: &str) -> (Vec<String>, Vec<String>) {
        let words = |tokens: TokenStream| tokens.into_iter().map(|token| token.to_string()).collect();
        let item: TokenStream = item.parse().expect("tokens");
        (words(item.clone()), words(expand(args.parse().expect("tokens"), item)))
    }

    #[test]
    fn the_block_comes_out_token_for_token_and_first() {
        let item = r##"
            /// Doc.
            #[allow(unused)]
            impl Bank {
                const LIMIT: u8 = { 1 + 1 };
                made_elsewhere!(x);
                #[interface(effect = "pure", args(a = "query"))]
                pub async fn find(&self, mut a: &str) -> Result<Vec<u8>, r#Error> { a = "x"; unreachable!("{a}") }
                #[interface(skip)]
                pub fn any<T>(&mut self, t: T) -> impl Iterator<Item = T> + '_ { [t].into_iter() }
                fn not_described(self) {}
            }
        "##;
        for args in ["", "name = \"acme.Bank\", version = \"1\"", "nonsense"] {
            let (input, output) = expanded(args, item);
            assert_eq!(output[..input.len()], input, "{args}");
            assert!(output.len() > input.len());
        }
    }

    #[test]
    fn a_method_comes_out_alone() {
        let (input, output) = expanded("effect = \"pure\"", "pub fn find(&self) -> u8 { 1 }");
        assert_eq!(output, input);
    }
}
