//! The items beside a described block: `impl Described`, the client, the dispatcher.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::Ident;
use syn::spanned::Spanned;

use super::Block;
use super::method::{How, Method, Param, Port, Taken};
use crate::names::bare;

pub(crate) fn generate(block: &Block) -> TokenStream {
    let (client_type, client) = client(block);
    let (described, dispatcher) = (described(block), dispatcher(block));
    let args = block.methods.iter().enumerate().map(|(i, method)| args(block, i, method));
    let cfgs = &block.cfgs;
    quote! {
        #client_type

        #(#cfgs)*
        #[allow(
            dead_code, deprecated, missing_docs, non_camel_case_types, non_local_definitions, private_bounds,
            private_interfaces, unreachable_pub, unused_qualifications, unused_variables,
            clippy::all, clippy::pedantic, clippy::nursery, clippy::restriction
        )]
        const _: () = {
            #(#args)*
            #client
            #described
            #dispatcher
        };
    }
}

fn args_ident(index: usize) -> Ident {
    format_ident!("__Args{index}")
}

/// The arguments of one method as one value: what travels, and what a guard walks.
fn args(block: &Block, index: usize, method: &Method) -> TokenStream {
    let (private, ident) = (&block.private, args_ident(index));
    let serde = quote!(#private::serde).to_string().replace(' ', "");
    let names: Vec<&Ident> = method.params.iter().map(|param| &param.ident).collect();
    let keys = method.params.iter().map(|param| bare(&param.ident));
    let types: Vec<_> = method.params.iter().map(|param| &param.owned).collect();
    let visits = method.params.iter().zip(keys).map(|(param, key)| {
        let (name, owned) = (&param.ident, &param.owned);
        match param.port {
            None => quote!(#private::visit::<#owned>(&self.#name, &path.field(#key), visit);),
            Some(_) => {
                quote!(#private::graft_core::Leaves::visit(&self.#name, &path.field(#key), visit);)
            }
        }
    });
    let ports = method.has_ports().then(|| ports(block, index, method));
    quote! {
        #[derive(#private::serde::Serialize, #private::serde::Deserialize)]
        #[serde(crate = #serde)]
        struct #ident { #(#names: #types),* }

        impl #private::graft_core::Leaves for #ident {
            fn visit(
                &self,
                path: &#private::graft_core::Path<'_>,
                visit: &mut #private::graft_core::Visit<'_>,
            ) {
                #(#visits)*
            }
        }

        #ports
    }
}

/// The walk over those arguments that are live things, each with the check of its items.
fn ports(block: &Block, index: usize, method: &Method) -> TokenStream {
    let (private, ty, args) = (&block.private, &block.ty, args_ident(index));
    let ports = method.params.iter().enumerate().filter_map(|(at, param)| {
        let (name, key) = (&param.ident, bare(&param.ident));
        let check = match param.port.as_ref()? {
            Port::Items(_) => quote!(#private::arg_item::<#ty, #index, #at>),
            Port::Handle(_) => quote!(#private::no_item),
        };
        Some(quote!(each(#key, #check, &mut self.#name);))
    });
    quote! {
        impl #private::graft_core::Ports for #args {
            fn each_port(
                &mut self,
                each: &mut dyn ::core::ops::FnMut(
                    &'static str, #private::graft_core::ShapeCheck, &mut dyn #private::graft_core::Port,
                ),
            ) {
                #(#ports)*
            }
        }
    }
}

fn client(block: &Block) -> (TokenStream, TokenStream) {
    let Block { private, ident, ty, cfgs, .. } = block;
    let client = client_ident(ident);
    let doc = format!("Calls `{}` through a `Caller`, wherever it is hosted.", bare(ident));
    let methods = block.methods.iter().enumerate().map(|(i, method)| {
        let Method { ident, params, ok, copied, .. } = method;
        let (sent, args) = (self::error(block, method), args_ident(i));
        let (error, map) = match &method.err {
            Some(err) => (quote!(#err), quote!()),
            None => (quote!(::core::convert::Infallible), quote!(.map_err(#private::infallible))),
        };
        let names: Vec<&Ident> = params.iter().map(|param| &param.ident).collect();
        let given = params.iter().map(|param| &param.given);
        let owned = params.iter().map(to_owned);
        // At the result's place, for the compiler's errors.
        let place = Span::call_site().located_at(ok.span());
        let called = match &method.ok_port {
            None if method.has_ports() => quote_spanned! {place=>
                #private::call_with::<#args, #ok, #sent>(&self.caller, method, args).await
            },
            None => quote_spanned! {place=>
                #private::call::<#args, #ok, #sent>(&self.caller, method, args).await
            },
            Some(Port::Items(item)) => quote_spanned! {place=>
                #private::stream::<#args, #item, #sent>(
                    &self.caller, method, args, #private::ok_item::<#ty, #i>,
                ).await
            },
            Some(Port::Handle(object)) => quote_spanned! {place=>
                #private::open::<#args, #object, #sent>(&self.caller, method, args).await
            },
        };
        let given_back = match &method.ok_port {
            None => quote!(#private::graft_core::Labeled<#ok>),
            Some(Port::Items(item)) => quote!(#private::graft_core::LabeledItems<#item>),
            Some(Port::Handle(object)) => quote!(<#object as #private::ugm::Described>::Client),
        };
        quote! {
            #(#copied)*
            pub async fn #ident(
                &self, #(#names: #given),*
            ) -> ::core::result::Result<
                #given_back, #private::graft_core::CallError<#error>
            > {
                let method = &<#ty as #private::ugm::Described>::methods()[#i];
                let args = #args { #(#names: #owned),* };
                #called #map
            }
        }
    });
    let item = quote! {
        #(#cfgs)*
        #[doc = #doc]
        #[derive(Clone)]
        #[allow(missing_debug_implementations, unreachable_pub)]
        pub struct #client {
            caller: #private::graft_core::Caller,
        }
    };
    let block = quote! {
        impl #client {
            /// A client that makes its calls through `caller`.
            pub fn new(caller: #private::graft_core::Caller) -> Self {
                Self { caller }
            }

            #(#methods)*
        }

        impl ::core::convert::From<#private::graft_core::Caller> for #client {
            fn from(caller: #private::graft_core::Caller) -> Self {
                Self::new(caller)
            }
        }
    };
    (item, block)
}

fn client_ident(ident: &Ident) -> Ident {
    format_ident!("{}Client", bare(ident), span = ident.span())
}

fn to_owned(param: &Param) -> TokenStream {
    let ident = &param.ident;
    match param.how {
        How::Value => quote!(#ident),
        How::Str => quote!(::std::string::String::from(#ident)),
        How::Slice => quote!(::std::borrow::ToOwned::to_owned(#ident)),
        How::Ref => quote!(::core::clone::Clone::clone(#ident)),
    }
}

/// The typed error as serde knows it.
fn error(block: &Block, method: &Method) -> TokenStream {
    let private = &block.private;
    method.err.as_ref().map_or_else(|| quote!(#private::Never), |err| quote!(#err))
}

fn described(block: &Block) -> TokenStream {
    let Block { private, ty, name, version, doc, methods, .. } = block;
    let name_of = |name: &str| quote!(#private::graft_core::Name::from_static(#name));
    let interface = name_of(name);
    let version = version.iter().map(|version| {
        let version = name_of(version);
        quote!(.version(#version))
    });
    let calls = methods.iter().map(|method| {
        let guard = guard(block, method);
        let name = &method.name;
        let params = method.params.iter().map(|param| {
            let (key, owned) = (bare(&param.ident), &param.owned);
            match &param.port {
                None => quote!(.param::<#owned>(#key)),
                Some(Port::Items(item)) => quote!(.param_items::<#item>(#key)),
                Some(Port::Handle(object)) => quote!(.param_handle::<#object>(#key)),
            }
        });
        let (ok, err) = (&method.ok, method.err.iter());
        let returns = match &method.ok_port {
            None => quote!(.returns::<#ok>()),
            Some(Port::Items(item)) => quote!(.returns_items::<#item>()),
            Some(Port::Handle(object)) => quote!(.returns_handle::<#object>()),
        };
        quote!(.method(#name, #guard, |method| method #(#params)* #returns #(.fails::<#err>())*))
    });
    let index = 0..methods.len();
    let client = client_ident(&block.ident);
    quote! {
        impl #private::ugm::Described for #ty {
            type Client = #client;

            const NAME: #private::graft_core::Name = #interface;

            fn interface() -> &'static #private::ugm::Interface {
                static INTERFACE: #private::OnceLock<#private::ugm::Interface> = #private::OnceLock::new();
                INTERFACE.get_or_init(|| {
                    #private::ugm::InterfaceBuilder::new(Self::NAME)
                        .doc(#doc)
                        #(#version)*
                        #(#calls)*
                        .finish()
                })
            }

            fn methods() -> &'static [#private::graft_core::Method] {
                static METHODS: #private::OnceLock<::std::boxed::Box<[#private::graft_core::Method]>> =
                    #private::OnceLock::new();
                METHODS.get_or_init(|| ::std::boxed::Box::new([#(#private::method::<#ty, #index>()),*]))
            }

            fn dispatcher(
                self: #private::Arc<Self>,
            ) -> #private::Arc<dyn #private::graft_core::Invoke> {
                #private::Arc::new(__Dispatcher { service: self })
            }
        }
    }
}

/// The expression of a method's guard part.
fn guard(block: &Block, method: &Method) -> TokenStream {
    let (private, attrs) = (&block.private, &method.attrs);
    let core = quote!(#private::graft_core);
    let text = |text: &str| quote!(::std::string::String::from(#text));
    let tool_name = format!("{}.{}", block.name, method.name);
    let plain = [
        ("effect", &attrs.effect, "Effect"),
        ("exfil", &attrs.exfil, "Exfil"),
        ("trust", &attrs.trust, "OutputTrust"),
        ("sensitivity", &attrs.sensitivity, "Sensitivity"),
    ];
    let plain = plain.into_iter().filter_map(|(field, word, of)| {
        let (field, word, of) = (format_ident!("{field}"), word.as_ref()?, format_ident!("{of}"));
        Some(quote!(tool.#field = #core::#of::#word;))
    });
    let args = attrs.args.iter().map(|(name, role)| {
        let name = text(&bare(name));
        quote!(tool.args.insert(#name, #core::Role::#role);)
    });
    let fields = attrs.fields.iter().map(|(name, trust)| {
        let name = text(&bare(name));
        quote!(tool.fields.insert(#name, #core::OutputTrust::#trust);)
    });
    let records = attrs.records.iter().map(|record| {
        let (field, trust) = (text(&record.field.value()), &record.trust);
        let writer = match &record.no_other_writer {
            Some(writer) => quote!(::core::option::Option::Some(::std::string::String::from(#writer))),
            None => quote!(::core::option::Option::None),
        };
        quote! {
            tool.records.push(#core::RecordRule {
                field: #field, trust: #core::OutputTrust::#trust, no_other_writer: #writer,
            });
        }
    });
    let vouches = attrs.vouches.iter().map(|(name, flag)| {
        let name = match name {
            Some(name) => text(&bare(name)),
            None => quote!(::std::string::String::from(#core::ToolMetadata::EVERY_FIELD)),
        };
        quote!(tool.vouches.insert(#name, #flag);)
    });
    let resources = attrs.resources.iter().map(|resource| {
        let option = |word: &Option<Ident>, of: &str| {
            let of = format_ident!("{of}");
            match word {
                Some(word) => quote!(::core::option::Option::Some(#core::#of::#word)),
                None => quote!(::core::option::Option::None),
            }
        };
        let (arg, pattern) = (text(&resource.arg.value()), &resource.pattern);
        let (trust, sensitivity) =
            (option(&resource.trust, "OutputTrust"), option(&resource.sensitivity, "Sensitivity"));
        quote! {
            tool.resources.push(#core::ResourceRule {
                arg: #arg, pattern: #private::pattern(#pattern), trust: #trust, sensitivity: #sensitivity,
            });
        }
    });
    let credentials = attrs.credentials.iter().map(|name| text(&name.value()));
    let intent = attrs.intent.iter().map(|stem| text(&stem.value()));
    let scopes = &attrs.scopes;
    let origin = attrs.origin.iter();
    let doc = text(&method.doc);
    let tier = attrs.tier.iter();
    let idempotent = attrs.idempotent.then(|| quote!(tool.idempotent = true;));
    let deprecated = method.deprecated.iter().map(|note| text(note));
    quote!({
        let mut tool = #core::ToolMetadata::new(#core::Name::from_static(#tool_name));
        #(#plain)*
        #(#args)*
        #(#fields)*
        #(#records)*
        #(#vouches)*
        #(#resources)*
        #(tool.credentials.push(#credentials);)*
        #(tool.intent.push(#intent);)*
        #(tool.scopes.push(#core::Name::from_static(#scopes));)*
        #(tool.origin = #private::origin(#origin);)*
        #idempotent
        let mut guard = #private::ugm::MethodGuard::new(tool);
        guard.doc = #doc;
        #(guard.tier = #private::ugm::Tier::#tier;)*
        #(guard.deprecated = ::core::option::Option::Some(#deprecated);)*
        guard
    })
}

fn dispatcher(block: &Block) -> TokenStream {
    let Block { private, ty, .. } = block;
    let core = quote!(#private::graft_core);
    let arms = block.methods.iter().enumerate().map(|(i, method)| {
        let Method { ident, id, ok, .. } = method;
        let (args, error) = (args_ident(i), error(block, method));
        let passed = method.taken.iter().map(|taken| {
            let Taken::Param(at) = *taken else { return quote!(&context) };
            let Param { ident, how, .. } = &method.params[at];
            if *how == How::Value { quote!(args.#ident) } else { quote!(&args.#ident) }
        });
        let context = method.has_context().then(|| quote!(let context = #core::CallContext::of(&request);));
        let wait = method.is_async.then(|| quote!(.await));
        let called = quote!(service.#ident(#(#passed),*)#wait);
        let called = if method.err.is_some() { called } else { quote!(::core::result::Result::Ok(#called)) };
        let run = if method.has_ports() {
            quote! {
                let (meta, watch) = (request.meta, request.watch);
                let run = move |mut args: #args| {
                    #private::attach(&mut args, meta, watch);
                    async move { #called }
                };
            }
        } else {
            quote!(let run = move |args: #args| async move { #called };)
        };
        let served = quote_spanned! {Span::call_site().located_at(ok.span())=>
            #private::serve::<#args, #ok, #error, _, _>(&methods[#i], request, body, run)
        };
        quote! {
            [#(#id),*] => {
                #context
                #run
                #served
            }
        }
    });
    quote! {
        struct __Dispatcher {
            service: #private::Arc<#ty>,
        }

        impl #core::Invoke for __Dispatcher {
            fn interface(&self) -> #core::InterfaceId {
                <#ty as #private::ugm::Described>::interface().id()
            }

            fn method(&self, id: #core::MethodId) -> ::core::option::Option<&#core::Method> {
                <#ty as #private::ugm::Described>::methods().iter().find(|method| method.id == id)
            }

            fn invoke<'a>(
                &'a self,
                request: #core::Request<'a>,
                body: #core::Body<'a>,
            ) -> #private::BoxFuture<'a, ::core::result::Result<#core::Label, #core::Fault>> {
                let service: &'a #ty = &self.service;
                let methods = <#ty as #private::ugm::Described>::methods();
                match request.method.0 {
                    #(#arms)*
                    _ => #private::unknown(&request),
                }
            }
        }
    }
}
