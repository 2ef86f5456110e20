//! The attribute `#[ferrite_udf]`: makes a Rust function callable by `FCALL`.
//!
//! It leaves the function as it is, and puts beside it an export that takes its arguments as ABI 1
//! passes them, and a record of its parameters, which the server reads from the module.
//! Everything that cannot be called is an error of the compiler, at the place where it stands.
//!
//! Use it from `ferrite-udf-sdk`, which has what the export calls.

mod entry;
mod options;
mod record;
mod signature;

use proc_macro::TokenStream;

/// Makes a function callable by `FCALL name numkeys key ... argument ...`.
///
/// Parameters named `key`, `key_...` and `keys` are keys, in their order; all others are
/// arguments. They may be:
///
/// | type | what it takes |
/// | --- | --- |
/// | `&str` | a key or an argument; one that is no UTF-8 is an error |
/// | `&[u8]` | a key or an argument of any bytes |
/// | `i64`, `f64` | an argument that is such a number, else it is an error |
/// | `Option<...>` of these | an argument that may be left out; behind all that may not |
/// | `&[&str]`, `&[&[u8]]` | all further keys (`keys`), or all further arguments |
///
/// It returns `UdfResult`, anything that a `Reply` can be made from, `Result` of it, or nothing.
///
/// `#[ferrite_udf(...)]` may have, with commas in between: `name = "..."`; `library = "..."`, else
/// that is the crate's name; `deadline_ms = 50`; `fuel = 1000000`; the flags `no_writes`,
/// `allow_oom`, `allow_stale`, `no_cluster`, `allow_cross_slot_keys` and `fresh`. The first
/// paragraph of its documentation becomes its description.
#[proc_macro_attribute]
pub fn ferrite_udf(options: TokenStream, item: TokenStream) -> TokenStream {
    expand(options, item)
}

/// Another name of [`macro@ferrite_udf`].
#[proc_macro_attribute]
pub fn ferrite_function(options: TokenStream, item: TokenStream) -> TokenStream {
    expand(options, item)
}

fn expand(options: TokenStream, item: TokenStream) -> TokenStream {
    let krate = record::Crate::of_environment();
    // What was wrong stands beside the function, so that it is the only thing the compiler says.
    let original = proc_macro2::TokenStream::from(item.clone());
    entry::expand(&krate, options.into(), item.into())
        .unwrap_or_else(|error| {
            let error = error.into_compile_error();
            quote::quote! { #original #error }
        })
        .into()
}
