//! The `#[interface]` attribute and the `Describe` derive of graft-ugm, where both are documented.

mod describe;
mod interface;
mod names;
mod serde_attrs;

use proc_macro::TokenStream;

/// Describes the `pub` methods of an inherent `impl` block. See `graft_ugm::interface`.
#[proc_macro_attribute]
pub fn interface(args: TokenStream, item: TokenStream) -> TokenStream {
    interface::expand(args.into(), item.into()).into()
}

/// Describes a type, and walks its leaves. See `graft_ugm::Describe`.
#[proc_macro_derive(Describe, attributes(describe, serde))]
pub fn derive_describe(item: TokenStream) -> TokenStream {
    describe::expand(item.into()).into()
}
