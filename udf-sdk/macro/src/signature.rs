//! What a function takes and returns, read from its signature: names decide what is a key, types
//! how it is passed. Types are known by how they are written, so an alias is none of them.

use quote::ToTokens;
use syn::spanned::Spanned;
use syn::{
    Error, FnArg, GenericArgument, Ident, Pat, PathArguments, Result, ReturnType, Signature, Type,
};

use crate::options::fault_of_name;

const PARAMETERS_MAX: usize = 32;
const TYPES: &str = "a parameter is &str, &[u8], i64, f64, an Option of these, or, for all further \
                     keys or arguments, &[&str] or &[&[u8]]";

pub struct Parameter {
    pub name: Ident,
    pub role: Role,
    pub kind: Kind,
    pub is_optional: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    Key,
    Keys,
    Arg,
    Args,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Int,
    Double,
    Str,
    Bytes,
}

/// How the export returns what the function does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Returned {
    Int,
    Double,
    Reply,
    Nothing,
}

/// The parameters, if all of them can be passed.
pub fn parameters(signature: &Signature) -> Result<Vec<Parameter>> {
    let refused: [Option<&dyn ToTokens>; 5] = [
        signature.constness.as_ref().map(|word| word as _),
        signature.asyncness.as_ref().map(|word| word as _),
        signature.unsafety.as_ref().map(|word| word as _),
        signature.abi.as_ref().map(|word| word as _),
        signature.variadic.as_ref().map(|word| word as _),
    ];
    if let Some(word) = refused.into_iter().flatten().next() {
        let message = format!("a function cannot be `{}`", word.to_token_stream());
        return Err(Error::new_spanned(word, message));
    }
    let mut kinds = signature.generics.params.iter();
    if let Some(generic) = kinds.find(|p| !matches!(p, syn::GenericParam::Lifetime(_))) {
        return Err(Error::new(generic.span(), "a function cannot be generic"));
    }
    if signature.inputs.len() > PARAMETERS_MAX {
        return Err(Error::new(signature.inputs.span(), "more than 32 parameters"));
    }
    let parameters: Vec<_> = signature.inputs.iter().map(parameter).collect::<Result<_>>()?;
    check_order(&parameters)?;
    Ok(parameters)
}

fn parameter(input: &FnArg) -> Result<Parameter> {
    let FnArg::Typed(typed) = input else {
        return Err(Error::new(input.span(), "a function stands for itself, without self"));
    };
    let Pat::Ident(pattern) = &*typed.pat else {
        return Err(Error::new(typed.pat.span(), "a parameter needs a name"));
    };
    let name = pattern.ident.clone();
    let text = name.to_string();
    if let Some(fault) = fault_of_name(&text) {
        return Err(Error::new(name.span(), fault));
    }
    let fault = |message: &str| Error::new(typed.ty.span(), message);
    let is_key = text == "key" || text == "keys" || text.starts_with("key_");
    if let Some(kind) = list(&typed.ty) {
        let role = if text == "keys" { Role::Keys } else { Role::Args };
        if is_key && role == Role::Args {
            return Err(fault("the list of all further keys is named `keys`"));
        }
        return Ok(Parameter { name, role, kind, is_optional: false });
    }
    if text == "keys" {
        return Err(fault("`keys` is a list: &[&str] or &[&[u8]]"));
    }
    let inner = option(&typed.ty);
    let kind = scalar(inner.unwrap_or(&typed.ty)).ok_or_else(|| fault(TYPES))?;
    if is_key && inner.is_some() {
        return Err(fault("a key cannot be left out"));
    }
    if is_key && matches!(kind, Kind::Int | Kind::Double) {
        return Err(fault("a key is &str or &[u8]"));
    }
    let role = if is_key { Role::Key } else { Role::Arg };
    Ok(Parameter { name, role, kind, is_optional: inner.is_some() })
}

fn check_order(parameters: &[Parameter]) -> Result<()> {
    let mut list_of = [None, None];
    let mut is_after_optional = false;
    for parameter in parameters {
        let fault = |message: &str| Err(Error::new(parameter.name.span(), message));
        let is_key = matches!(parameter.role, Role::Key | Role::Keys);
        let list = &mut list_of[usize::from(is_key)];
        if let Some(list) = list {
            return fault(&format!("`{list}` takes all that is left: nothing can stand behind it"));
        }
        if matches!(parameter.role, Role::Keys | Role::Args) {
            *list = Some(parameter.name.to_string());
        }
        if parameter.role == Role::Arg && is_after_optional && !parameter.is_optional {
            return fault("stands behind one that may be left out: it must be an Option, too");
        }
        is_after_optional |= parameter.is_optional;
    }
    Ok(())
}

/// What the export returns for it.
pub fn returned(output: &ReturnType) -> Returned {
    let ReturnType::Type(_, ty) = output else { return Returned::Nothing };
    match &**ty {
        Type::Tuple(tuple) if tuple.elems.is_empty() => Returned::Nothing,
        ty if is_path(ty, "i64") => Returned::Int,
        ty if is_path(ty, "f64") => Returned::Double,
        _ => Returned::Reply,
    }
}

fn scalar(ty: &Type) -> Option<Kind> {
    match ty {
        ty if is_path(ty, "i64") => Some(Kind::Int),
        ty if is_path(ty, "f64") => Some(Kind::Double),
        Type::Reference(reference) if reference.mutability.is_none() => match &*reference.elem {
            ty if is_path(ty, "str") => Some(Kind::Str),
            Type::Slice(slice) if is_path(&slice.elem, "u8") => Some(Kind::Bytes),
            _ => None,
        },
        _ => None,
    }
}

fn list(ty: &Type) -> Option<Kind> {
    let Type::Reference(reference) = ty else { return None };
    let Type::Slice(slice) = &*reference.elem else { return None };
    let kind = scalar(&slice.elem)?;
    (reference.mutability.is_none() && matches!(kind, Kind::Str | Kind::Bytes)).then_some(kind)
}

fn option(ty: &Type) -> Option<&Type> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last().filter(|segment| segment.ident == "Option")?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    match arguments.args.first()? {
        GenericArgument::Type(inner) if arguments.args.len() == 1 => Some(inner),
        _ => None,
    }
}

fn is_path(ty: &Type, name: &str) -> bool {
    matches!(ty, Type::Path(path) if path.qself.is_none() && path.path.is_ident(name))
}
