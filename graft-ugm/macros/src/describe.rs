//! The `Describe` derive: the type's shape, its docs, and a walk over its leaves.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Attribute, Data, DeriveInput, Fields, GenericParam, LitStr, parse_quote};

use crate::names::{Errors, bare, docs, private};
use crate::serde_attrs::{Case, Place, SerdeAttrs};

pub(crate) fn expand(item: TokenStream) -> TokenStream {
    syn::parse2(item).and_then(|item: DeriveInput| derive(&item)).unwrap_or_else(|e| e.into_compile_error())
}

fn derive(item: &DeriveInput) -> syn::Result<TokenStream> {
    let private = private(krate(&item.attrs)?.as_ref())?;
    let attrs = SerdeAttrs::read(&item.attrs, Place::Container)?;
    let name = attrs.rename.clone().unwrap_or_else(|| bare(&item.ident));
    if let Some(lifetime) = item.generics.lifetimes().next() {
        let text = "a described type owns its values; use `String`, `Vec` or `Bytes` instead of a reference";
        return Err(syn::Error::new(lifetime.span(), text));
    }
    let mut body = Body { private: &private, errors: Errors::default(), member_docs: Vec::new() };
    let parts = match &item.data {
        Data::Struct(data) => body.of_struct(&data.fields, &attrs),
        Data::Enum(data) => body.of_enum(data, &attrs),
        Data::Union(data) => {
            let text = "a union cannot be described; use an enum";
            return Err(syn::Error::new(data.union_token.span(), text));
        }
    };
    let Body { errors, member_docs, .. } = body;
    errors.finish()?;
    let Parts { shape, zero_size, visit } = parts;

    let mut generics = item.generics.clone();
    for param in generics.type_params_mut() {
        param.bounds.push(parse_quote!(#private::ugm::Describe));
    }
    let args = item.generics.params.iter().filter_map(|param| match param {
        GenericParam::Type(param) => Some(&param.ident),
        _ => None,
    });
    let (params, type_args, filter) = generics.split_for_impl();
    let (ident, doc) = (&item.ident, docs(&item.attrs));
    let (paths, texts): (Vec<_>, Vec<_>) = member_docs.into_iter().unzip();
    Ok(quote! {
        #[automatically_derived]
        #[allow(deprecated, clippy::all, clippy::pedantic)]
        impl #params #private::graft_core::Leaves for #ident #type_args #filter {
            fn visit(
                &self,
                path: &#private::graft_core::Path<'_>,
                visit: &mut #private::graft_core::Visit<'_>,
            ) {
                #visit
            }
        }

        #[automatically_derived]
        #[allow(deprecated, clippy::all, clippy::pedantic)]
        impl #params #private::ugm::Describe for #ident #type_args #filter {
            type Form = Self;
            const ZERO_SIZE: bool = #zero_size;

            fn describe(types: &mut #private::ugm::TypeSet) -> #private::ugm::Type {
                let name = ::std::string::String::from(#name);
                let args = ::std::vec![#(types.add::<#args>()),*];
                #shape
            }

            fn docs() -> #private::ugm::TypeDocs {
                #private::ugm::TypeDocs {
                    doc: ::std::string::String::from(#doc),
                    members: ::std::iter::IntoIterator::into_iter(
                        [#((::std::string::String::from(#paths), ::std::string::String::from(#texts))),*]
                    ).collect(),
                }
            }
        }
    })
}

/// `#[describe(crate = "..")]`.
fn krate(attrs: &[Attribute]) -> syn::Result<Option<LitStr>> {
    let mut krate = None;
    for attr in attrs.iter().filter(|attr| attr.path().is_ident("describe")) {
        attr.parse_nested_meta(|meta| {
            if !meta.path.is_ident("crate") {
                return Err(meta.error("unknown key; allowed: crate"));
            }
            krate = Some(meta.value()?.parse()?);
            Ok(())
        })?;
    }
    Ok(krate)
}

/// What differs between structs and enums.
struct Parts {
    shape: TokenStream,
    zero_size: TokenStream,
    visit: TokenStream,
}

struct Body<'a> {
    private: &'a TokenStream,
    errors: Errors,
    member_docs: Vec<(String, String)>,
}

impl Body<'_> {
    fn of_struct(&mut self, fields: &Fields, attrs: &SerdeAttrs) -> Parts {
        let private = self.private;
        let names = self.names(fields, attrs.renames.all, "");
        let shape = self.fields(fields, &names);
        let zero = fields.iter().map(|field| {
            let ty = &field.ty;
            quote_spanned!(ty.span()=> <#ty as #private::ugm::Describe>::ZERO_SIZE)
        });
        let bound = bindings(fields);
        let pattern = pattern(fields, &bound);
        let visit = self.visit(fields, &names, &bound);
        let visit = match fields {
            Fields::Unit => quote!(visit(path, #private::graft_core::Leaf::Empty);),
            _ if fields.is_empty() => quote!(visit(path, #private::graft_core::Leaf::Empty);),
            _ => quote!(let Self #pattern = self; #visit),
        };
        Parts {
            shape: quote!(#private::ugm::Type::Struct(#private::ugm::StructType { name, args, fields: #shape })),
            zero_size: quote!(true #(&& #zero)*),
            visit,
        }
    }

    fn of_enum(&mut self, data: &syn::DataEnum, attrs: &SerdeAttrs) -> Parts {
        let private = self.private;
        let (mut shapes, mut arms) = (Vec::new(), Vec::new());
        for variant in &data.variants {
            let Some(own) = self.errors.note(SerdeAttrs::read(&variant.attrs, Place::Variant)) else {
                continue;
            };
            let name = own.name(&variant.ident, attrs.renames.all, Place::Variant);
            self.member_doc(&variant.attrs, name.clone());
            let rule = own.renames.all.or(attrs.renames.all_fields);
            let names = self.names(&variant.fields, rule, &format!("{name}."));
            let fields = self.fields(&variant.fields, &names);
            shapes.push(quote! {
                #private::ugm::Variant { name: ::std::string::String::from(#name), fields: #fields }
            });
            let bound = bindings(&variant.fields);
            let (ident, pattern) = (&variant.ident, pattern(&variant.fields, &bound));
            let visit = self.visit(&variant.fields, &names, &bound);
            arms.push(quote! {
                Self::#ident #pattern => {
                    visit(path, #private::graft_core::Leaf::Variant(#name));
                    #visit
                }
            });
        }
        Parts {
            shape: quote! {
                let variants = ::std::vec![#(#shapes),*];
                #private::ugm::Type::Enum(#private::ugm::EnumType { name, args, variants })
            },
            zero_size: quote!(false),
            visit: if arms.is_empty() { quote!(match *self {}) } else { quote!(match self { #(#arms)* }) },
        }
    }

    /// The names of the fields as serde knows them; also notes their docs under `prefix`.
    fn names(&mut self, fields: &Fields, rule: Option<Case>, prefix: &str) -> Vec<String> {
        let mut names = Vec::new();
        for (i, field) in fields.iter().enumerate() {
            let attrs = self.errors.note(SerdeAttrs::read(&field.attrs, Place::Field)).unwrap_or_default();
            let name = match &field.ident {
                Some(ident) => attrs.name(ident, rule, Place::Field),
                None => i.to_string(),
            };
            self.member_doc(&field.attrs, format!("{prefix}{name}"));
            names.push(name);
        }
        names
    }

    fn member_doc(&mut self, attrs: &[Attribute], path: String) {
        let doc = docs(attrs);
        if !doc.is_empty() {
            self.member_docs.push((path, doc));
        }
    }

    /// The expression of the model's `Fields`. Each type keeps its own span for the compiler's errors.
    fn fields(&self, fields: &Fields, names: &[String]) -> TokenStream {
        let private = self.private;
        let types = fields.iter().map(|field| {
            let ty = &field.ty;
            quote_spanned!(ty.span()=> types.add::<#ty>())
        });
        match fields {
            Fields::Unit => quote!(#private::ugm::Fields::Unit),
            Fields::Unnamed(_) => quote!(#private::ugm::Fields::Tuple(::std::vec![#(#types),*])),
            Fields::Named(_) => quote! {
                #private::ugm::Fields::Named(::std::vec![
                    #(#private::ugm::Field { name: ::std::string::String::from(#names), ty: #types }),*
                ])
            },
        }
    }

    /// Visits the bound fields: a single one without a name stands for the whole.
    fn visit(&self, fields: &Fields, names: &[String], bound: &[syn::Ident]) -> TokenStream {
        let private = self.private;
        // A call of each field has the span of its type, for the compiler's errors.
        let each = fields.iter().zip(bound).zip(names).enumerate().map(|(i, ((field, bound), name))| {
            let path = match fields {
                Fields::Named(_) => quote!(&path.field(#name)),
                _ if fields.len() == 1 => quote!(path),
                _ => quote!(&path.index(#i)),
            };
            let ty = &field.ty;
            quote_spanned!(ty.span()=> #private::visit::<#ty>(#bound, #path, visit);)
        });
        quote!(#(#each)*)
    }
}

fn bindings(fields: &Fields) -> Vec<syn::Ident> {
    (0..fields.len()).map(|i| format_ident!("field_{i}")).collect()
}

fn pattern(fields: &Fields, bound: &[syn::Ident]) -> TokenStream {
    match fields {
        Fields::Unit => quote!(),
        Fields::Unnamed(_) => quote!((#(#bound),*)),
        Fields::Named(named) => {
            let names = named.named.iter().map(|field| &field.ident);
            quote!({ #(#names: #bound),* })
        }
    }
}
