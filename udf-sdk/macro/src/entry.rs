//! The export beside a function: it takes the arguments as ABI 1 passes them, calls the function,
//! and returns its reply. What of it is not safe is in `__export!` of ferrite-udf-sdk.

use proc_macro2::{Literal, TokenStream};
use quote::{format_ident, quote};
use syn::{ItemFn, Result};

use crate::options::Options;
use crate::record::{self, Crate};
use crate::signature::{self, Kind, Parameter, Returned, Role};

/// The function, and behind it what makes it callable.
pub fn expand(krate: &Crate, options: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let options = Options::parse(options)?;
    let function: ItemFn = syn::parse2(item)?;
    let parameters = signature::parameters(&function.sig)?;
    let returned = signature::returned(&function.sig.output);
    let ident = &function.sig.ident;
    let own_name = ident.to_string();
    let name = options.name.as_deref().unwrap_or(own_name.trim_start_matches("r#"));
    if let Some(fault) = crate::options::fault_of_name(name) {
        return Err(syn::Error::new(ident.span(), fault));
    }
    // With a prefix no name can clash with one of the C library's.
    let export = format!("udf_{name}");
    let description = record::description(&function.attrs);
    let record =
        record::record(krate, &options, (name, &export), &parameters, returned, &description);
    let record = Literal::byte_string(record.as_bytes());

    let passed: Vec<TokenStream> = (0..).zip(&parameters).map(passed).collect();
    let taken: Vec<TokenStream> = (0..).zip(&parameters).map(taken).collect();
    let call = quote! { super::#ident(#(#taken),*) };
    let (result, call) = match returned {
        Returned::Int => (quote! { -> i64 }, call),
        Returned::Double => (quote! { -> f64 }, call),
        Returned::Nothing => (quote! {}, quote! { #call; }),
        Returned::Reply => {
            (quote! { -> i64 }, quote! { ::ferrite_udf_sdk::__private::finish(#call) })
        }
    };
    let module = format_ident!("__ferrite_udf_{}", name);
    Ok(quote! {
        #[cfg_attr(not(target_arch = "wasm32"), allow(dead_code))]
        #function

        #[cfg(target_arch = "wasm32")]
        #[doc(hidden)]
        mod #module {
            ::ferrite_udf_sdk::__export!(#export, #record, (#(#passed),*) #result, { #call });
        }
    })
}

/// The parameters of the export that stand for one of the function.
fn passed((number, parameter): (usize, &Parameter)) -> TokenStream {
    let (first, second) = (format_ident!("a{number}"), format_ident!("b{number}"));
    match (parameter.kind, parameter.is_optional) {
        (Kind::Int, false) => quote! { #first: i64 },
        (Kind::Double, false) => quote! { #first: f64 },
        (Kind::Int, true) => quote! { #first: i32, #second: i64 },
        (Kind::Double, true) => quote! { #first: i32, #second: f64 },
        _ => quote! { #first: usize, #second: usize },
    }
}

/// What the function is given for them.
fn taken((number, parameter): (usize, &Parameter)) -> TokenStream {
    let (first, second) = (format_ident!("a{number}"), format_ident!("b{number}"));
    let is_list = matches!(parameter.role, Role::Keys | Role::Args);
    let taken_by = match (parameter.kind, parameter.is_optional) {
        (Kind::Int | Kind::Double, false) => return quote! { #first },
        (Kind::Int | Kind::Double, true) => return quote! { (#first != 0).then_some(#second) },
        (Kind::Str, _) if is_list => return list(&quote! { str_list(#first, #second) }),
        (Kind::Bytes, _) if is_list => return list(&quote! { bytes_list(#first, #second) }),
        (Kind::Str, true) => quote! { optional_str },
        (Kind::Bytes, true) => quote! { optional_bytes },
        (Kind::Str, false) => quote! { str },
        (Kind::Bytes, false) => quote! { bytes },
    };
    quote! { ::ferrite_udf_sdk::__private::#taken_by(#first, #second) }
}

fn list(call: &TokenStream) -> TokenStream {
    quote! { &::ferrite_udf_sdk::__private::#call }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crate_of_test() -> Crate {
        Crate { name: "limits".into(), version: "1.4.0".into() }
    }

    fn expanded(options: &str, function: &str) -> Result<String> {
        let (options, function) = (options.parse().unwrap(), function.parse().unwrap());
        expand(&crate_of_test(), options, function).map(|tokens| tokens.to_string())
    }

    fn record_of(options: &str, function: &str) -> String {
        let tokens = expanded(options, function).expect("a function that can be called");
        let (_, rest) = tokens.split_once("b\"").expect("a record");
        let (record, _) = rest.split_once("\\n\"").expect("its end");
        record.replace("\\\"", "\"")
    }

    fn check_refused(options: &str, function: &str, expected: &str) {
        match expanded(options, function) {
            Ok(tokens) => panic!("{function} was accepted: {tokens}"),
            Err(error) => assert!(error.to_string().contains(expected), "{function}: {error}"),
        }
    }

    #[test]
    fn the_record_says_what_the_signature_does() {
        assert_eq!(
            record_of("", "fn f(key: &str, limit: i64) -> UdfResult { x }"),
            concat!(
                r#"{"abi":1,"library":"limits","version":"1.4.0","name":"f","export":"udf_f","#,
                r#""params":[{"name":"key","role":"key","type":"str"},"#,
                r#"{"name":"limit","role":"arg","type":"i64"}],"result":"reply","flags":[]}"#
            )
        );
        assert_eq!(
            record_of(
                r#"name = "g", library = "l", deadline_ms = 50, fuel = 7, no_writes, fresh"#,
                "/// Says \\ it.\n/// And more.\n///\n/// Not this.\n
                 fn f(a: f64, key_a: &[u8], keys: &[&str], b: Option<&str>, c: &[&[u8]]) {}"
            )
            .replace("\\\\", "\\"),
            concat!(
                r#"{"abi":1,"library":"l","version":"1.4.0","name":"g","export":"udf_g","#,
                r#""description":"Says \\ it. And more.","params":["#,
                r#"{"name":"a","role":"arg","type":"f64"},"#,
                r#"{"name":"key_a","role":"key","type":"bytes"},"#,
                r#"{"name":"keys","role":"keys","type":"str"},"#,
                r#"{"name":"b","role":"arg","type":"str","optional":true},"#,
                r#"{"name":"c","role":"args","type":"bytes"}],"#,
                r#""result":"none","flags":["no-writes","fresh"],"deadline_ms":50,"fuel":7}"#
            )
        );
    }

    #[test]
    fn what_cannot_be_called_is_refused() {
        for (function, expected) in [
            ("fn f(key: String) {}", "a parameter is &str"),
            ("fn f(x: u64) {}", "a parameter is &str"),
            ("fn f(x: &mut [u8]) {}", "a parameter is &str"),
            ("fn f(x: &[i64]) {}", "a parameter is &str"),
            ("fn f(x: Option<Vec<u8>>) {}", "a parameter is &str"),
            ("fn f(key: i64) {}", "a key is &str or &[u8]"),
            ("fn f(key_a: Option<&str>) {}", "a key cannot be left out"),
            ("fn f(keys: &str) {}", "`keys` is a list"),
            ("fn f(key_all: &[&str]) {}", "named `keys`"),
            ("fn f(keys: &[&str], key: &str) {}", "`keys` takes all that is left"),
            ("fn f(rest: &[&str], x: i64) {}", "`rest` takes all that is left"),
            ("fn f(a: Option<i64>, b: i64) {}", "it must be an Option, too"),
            ("fn f(&self) {}", "without self"),
            ("fn f((a, b): (i64, i64)) {}", "needs a name"),
            ("fn f<T>(x: i64) {}", "cannot be generic"),
            ("async fn f() {}", "cannot be `async`"),
            (concat!("un", "safe fn f() {}"), "cannot be `un"),
            ("extern \"C\" fn f() {}", "cannot be `extern \"C\"`"),
            ("struct F;", "expected `fn`"),
        ] {
            check_refused("", function, expected);
        }
        let many: Vec<String> = (0..33).map(|number| format!("a{number}: i64")).collect();
        check_refused("", &format!("fn f({}) {{}}", many.join(", ")), "more than 32 parameters");
        for (options, expected) in [
            ("nowrites", "unknown option"),
            ("fresh, fresh", "given twice"),
            ("fuel = 0", "must be above 0"),
            ("name = \"a-b\"", "letters, digits and underscores"),
            ("name = \"\"", "letters, digits and underscores"),
        ] {
            check_refused(options, "fn f() {}", expected);
        }
    }

    #[test]
    fn keys_and_arguments_may_alternate() {
        assert!(
            expanded("", "fn f(a: i64, key: &str, b: f64, keys: &[&str], c: &[&str])").is_err()
        );
        assert!(
            expanded("", "fn f(a: i64, key: &str, b: f64, keys: &[&str], c: &[&str]) {}").is_ok()
        );
    }
}
