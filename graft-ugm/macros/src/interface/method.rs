//! The signature of a described method.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use sha2::{Digest, Sha256};
use syn::spanned::Spanned;
use syn::{
    Attribute, Expr, ExprLit, FnArg, GenericArgument, Ident, ImplItemFn, Lit, LitStr, Meta, Pat,
    PathArguments, Receiver, ReceiverKind, ReturnType, Safety, Signature, Type,
};

use super::attrs::{self, MethodAttrs};
use crate::names::{bare, docs};

/// A method as the generated code needs it.
pub(crate) struct Method {
    pub(crate) ident: Ident,
    pub(crate) name: String,
    /// The first 8 bytes of SHA-256 over `interface.method`.
    pub(crate) id: [u8; 8],
    pub(crate) is_async: bool,
    /// Those that travel.
    pub(crate) params: Vec<Param>,
    /// All, as the method takes them.
    pub(crate) taken: Vec<Taken>,
    pub(crate) ok: TokenStream,
    /// What the result is, unless it is a value.
    pub(crate) ok_port: Option<Port>,
    pub(crate) err: Option<Type>,
    pub(crate) doc: String,
    pub(crate) deprecated: Option<String>,
    /// Doc comments and the deprecation, for the client.
    pub(crate) copied: Vec<Attribute>,
    pub(crate) attrs: MethodAttrs,
}

pub(crate) struct Param {
    pub(crate) ident: Ident,
    /// As the method takes it.
    pub(crate) given: Type,
    /// What travels.
    pub(crate) owned: TokenStream,
    pub(crate) how: How,
    /// What it is, unless it is a value.
    pub(crate) port: Option<Port>,
}

/// A parameter as the method takes it.
pub(crate) enum Taken {
    /// The one that travels at this position.
    Param(usize),
    /// The call itself.
    Context,
}

/// A type that is not a value but a live thing.
pub(crate) enum Port {
    /// `Items<T>`, of which this is `T`.
    Items(Type),
    /// `Handle<T>`, of which this is `T`.
    Handle(Type),
}

/// How a method takes a parameter.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum How {
    Value,
    Str,
    Slice,
    Ref,
}

impl Method {
    pub(crate) fn read(function: &ImplItemFn, attrs: MethodAttrs, interface: &str) -> syn::Result<Self> {
        let sig = &function.sig;
        check_shape(sig)?;
        for attr in &function.attrs {
            if attr.path().is_ident("cfg") || attr.path().is_ident("cfg_attr") {
                let text = "whether a described method exists may not depend on the build; put `cfg` on the \
                            block, or leave the method out with `#[interface(skip)]`";
                return Err(syn::Error::new(attr.span(), text));
            }
        }
        let name = bare(&sig.ident);
        if name == "new" {
            let text = "`new` makes the client; rename the method or leave it out with `#[interface(skip)]`";
            return Err(syn::Error::new(sig.ident.span(), text));
        }
        attrs::check_name(&format!("{interface}.{name}"), sig.ident.span())?;
        let (mut params, mut taken) = (Vec::new(), Vec::new());
        for arg in sig.inputs.iter().skip(1) {
            if is_context(arg) {
                taken.push(Taken::Context);
            } else {
                taken.push(Taken::Param(params.len()));
                params.push(Param::read(arg)?);
            }
        }
        check_args(&attrs, &params)?;
        let (ok, ok_port, err) = result(&sig.output)?;
        let copied = |attr: &&Attribute| attr.path().is_ident("doc") || attr.path().is_ident("deprecated");
        Ok(Self {
            id: method_id(interface, &name),
            ident: sig.ident.clone(),
            name,
            is_async: sig.asyncness.is_some(),
            params,
            taken,
            ok,
            ok_port,
            err,
            doc: docs(&function.attrs),
            deprecated: function.attrs.iter().find_map(deprecated),
            copied: function.attrs.iter().filter(copied).cloned().collect(),
            attrs,
        })
    }

    /// Whether any argument or the result is a live thing.
    pub(crate) fn has_ports(&self) -> bool {
        self.ok_port.is_some() || self.params.iter().any(|param| param.port.is_some())
    }

    pub(crate) fn has_context(&self) -> bool {
        self.taken.iter().any(|taken| matches!(taken, Taken::Context))
    }
}

/// Whether it is `&CallContext` or `&CallContext<'_>`, which does not travel.
fn is_context(arg: &FnArg) -> bool {
    let FnArg::Typed(arg) = arg else { return false };
    let Type::Reference(reference) = plain(&arg.ty) else { return false };
    let Type::Path(path) = plain(&reference.elem) else { return false };
    reference.mutability.is_none()
        && path.path.segments.last().is_some_and(|last| last.ident == "CallContext")
}

/// The live thing that `ty` is, if it is one.
fn port(ty: &Type) -> syn::Result<Option<Port>> {
    let Type::Path(path) = ty else { return Ok(None) };
    let Some(last) = path.path.segments.last() else { return Ok(None) };
    let PathArguments::AngleBracketed(args) = &last.arguments else { return Ok(None) };
    let make = match &last.ident {
        ident if ident == "Items" => Port::Items,
        ident if ident == "Handle" => Port::Handle,
        _ => return Ok(None),
    };
    let mut args = args.args.iter();
    let (Some(GenericArgument::Type(inner)), None) = (args.next(), args.next()) else {
        return Err(syn::Error::new(
            last.span(),
            "a stream or a handle has one type: `Items<T>`, `Handle<T>`",
        ));
    };
    check_type(inner)?;
    Ok(Some(make(inner.clone())))
}

/// Must equal `graft_core::MethodId::of`, which a test of graft-ugm holds.
fn method_id(interface: &str, method: &str) -> [u8; 8] {
    let digest: [u8; 32] = Sha256::digest(format!("{interface}.{method}")).into();
    let mut id = [0; 8];
    id.copy_from_slice(&digest[..8]);
    id
}

fn check_shape(sig: &Signature) -> syn::Result<()> {
    let error = |span: Span, text: &str| Err(syn::Error::new(span, text));
    if let Some(receiver) = sig.receiver() {
        check_receiver(receiver)?;
    }
    if let Some(param) = sig.generics.params.first() {
        let text = "a described method has no generic parameters; write concrete types and leave lifetimes out, or \
                    leave the method out with `#[interface(skip)]`";
        return error(param.span(), text);
    }
    if let Some(clause) = &sig.generics.where_clause {
        return error(clause.span(), "a described method has no `where` clause");
    }
    match &sig.safety {
        Safety::Unsafe(keyword) => return error(keyword.span(), "a described method is safe to call"),
        Safety::Safe(_) | Safety::Default => {}
    }
    if let Some(abi) = &sig.abi {
        return error(abi.span(), "a described method has Rust's own ABI");
    }
    Ok(())
}

fn check_receiver(receiver: &Receiver) -> syn::Result<()> {
    let text = match &receiver.kind {
        ReceiverKind::Reference(_, None, None) => return Ok(()),
        ReceiverKind::Reference(_, _, Some(_)) => {
            "a described method takes `&self`: calls run at the same time; keep what changes in a `Mutex` or an \
             atomic, or leave the method out with `#[interface(skip)]`"
        }
        _ => "a described method takes `&self`; leave this one out with `#[interface(skip)]`",
    };
    Err(syn::Error::new(receiver.span(), text))
}

fn check_args(attrs: &MethodAttrs, params: &[Param]) -> syn::Result<()> {
    let named = attrs.args.iter().map(|(name, _)| (bare(name), name.span()));
    let resources = attrs.resources.iter().map(|resource| (resource.arg.value(), resource.arg.span()));
    for (name, span) in named.chain(resources) {
        if !params.iter().any(|param| bare(&param.ident) == name) {
            let names: Vec<String> = params.iter().map(|param| bare(&param.ident)).collect();
            let text = match names.is_empty() {
                true => "the method has no parameters".to_owned(),
                false => format!("no parameter has this name; there are: {}", names.join(", ")),
            };
            return Err(syn::Error::new(span, text));
        }
    }
    Ok(())
}

impl Param {
    fn read(arg: &FnArg) -> syn::Result<Self> {
        let FnArg::Typed(arg) = arg else {
            return Err(syn::Error::new(arg.span(), "`self` comes first"));
        };
        if let Some(attr) = arg.attrs.first() {
            return Err(syn::Error::new(attr.span(), "a described parameter has no attributes"));
        }
        let ident = match &*arg.pat {
            Pat::Ident(pat) if pat.by_ref.is_none() && pat.subpat.is_none() => pat.ident.clone(),
            pat => {
                return Err(syn::Error::new(pat.span(), "a described parameter needs a name, not a pattern"));
            }
        };
        let given = (*arg.ty).clone();
        let port = port(plain(&given))?;
        let (owned, how) = match plain(&given) {
            ty if port.is_some() => (ty.to_token_stream(), How::Value),
            Type::Reference(reference) => {
                if let Some(keyword) = &reference.mutability {
                    let text = "changes to an argument do not travel back; return the changed value";
                    return Err(syn::Error::new(keyword.span(), text));
                }
                if let Some(lifetime) = &reference.lifetime {
                    let text = "a described parameter has no lifetime; leave it out, or take an owned value";
                    return Err(syn::Error::new(lifetime.span(), text));
                }
                if self::port(plain(&reference.elem))?.is_some() {
                    let text = "a stream or a handle is taken by value; leave the `&` out";
                    return Err(syn::Error::new(reference.and_token.span(), text));
                }
                match plain(&reference.elem) {
                    Type::Path(path) if path.path.is_ident("str") => {
                        (quote!(::std::string::String), How::Str)
                    }
                    Type::Slice(slice) => {
                        let part = &slice.elem;
                        check_type(part)?;
                        (quote!(::std::vec::Vec<#part>), How::Slice)
                    }
                    part => {
                        check_type(part)?;
                        (part.to_token_stream(), How::Ref)
                    }
                }
            }
            ty => {
                check_type(ty)?;
                (ty.to_token_stream(), How::Value)
            }
        };
        Ok(Self { ident, given, owned, how, port })
    }
}

/// Result, with what it is unless it is a value, and typed error.
fn result(output: &ReturnType) -> syn::Result<(TokenStream, Option<Port>, Option<Type>)> {
    let ReturnType::Type(_, ty) = output else { return Ok((quote!(()), None, None)) };
    let ty = plain(ty);
    let Some(args) = result_args(ty) else {
        let (ok, port) = value_or_port(ty)?;
        return Ok((ok, port, None));
    };
    let [ok, err] = args[..] else {
        let text = "write both types, `Result<Value, Error>`, where the error is a described type of yours";
        return Err(syn::Error::new(ty.span(), text));
    };
    let (ok, port) = value_or_port(plain(ok))?;
    check_type(err)?;
    Ok((ok, port, Some(err.clone())))
}

/// The type arguments of `Result`, if it is one.
fn result_args(ty: &Type) -> Option<Vec<&Type>> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last().filter(|segment| segment.ident == "Result")?;
    let PathArguments::AngleBracketed(args) = &last.arguments else { return Some(Vec::new()) };
    let types = args.args.iter().filter_map(|arg| match arg {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    });
    Some(types.collect())
}

fn value_or_port(ty: &Type) -> syn::Result<(TokenStream, Option<Port>)> {
    let port = port(ty)?;
    if port.is_none() {
        check_type(ty)?;
    }
    Ok((ty.to_token_stream(), port))
}

/// Without the brackets that macros and people put around.
fn plain(ty: &Type) -> &Type {
    match ty {
        Type::Paren(inner) => plain(&inner.elem),
        Type::Group(inner) => plain(&inner.elem),
        ty => ty,
    }
}

/// Refuses what no described type contains, at the place where it stands.
fn check_type(ty: &Type) -> syn::Result<()> {
    check_tokens(ty.to_token_stream())
}

fn check_tokens(tokens: TokenStream) -> syn::Result<()> {
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        let is_generic = matches!(tokens.peek(), Some(TokenTree::Punct(punct)) if punct.as_char() == '<');
        let text = match &token {
            TokenTree::Group(group) => {
                check_tokens(group.stream())?;
                continue;
            }
            TokenTree::Punct(punct) if punct.as_char() == '&' || punct.as_char() == '\'' => {
                "a described value owns its parts; use `String` for `&str` and `Vec<T>` for `&[T]`"
            }
            TokenTree::Ident(ident) if ident == "Self" => {
                "write the type's name: `Self` means another type in the client"
            }
            TokenTree::Ident(ident) if is_generic && (ident == "Items" || ident == "Handle") => {
                "a stream or a handle is a parameter or the result itself, never a part of a value or an error"
            }
            TokenTree::Ident(ident) if ident == "impl" || ident == "dyn" => {
                "a described value has one concrete type"
            }
            _ => continue,
        };
        return Err(syn::Error::new(token.span(), text));
    }
    Ok(())
}

fn deprecated(attr: &Attribute) -> Option<String> {
    if !attr.path().is_ident("deprecated") {
        return None;
    }
    let mut note = String::new();
    match &attr.meta {
        Meta::NameValue(meta) => {
            if let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = &meta.value {
                note = text.value();
            }
        }
        // The compiler itself complains about a malformed one.
        _ => drop(attr.parse_nested_meta(|meta| {
            let text: LitStr = meta.value()?.parse()?;
            if meta.path.is_ident("note") {
                note = text.value();
            }
            Ok(())
        })),
    }
    Some(note)
}
